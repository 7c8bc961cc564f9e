"""The judge itself on trial: a small service that is right, and the same with one fault at a time."""

import argparse
import http.server
import json
import threading
import unittest

import openai_client
from openai_client import Deviation

ERRORS = {400: "invalid_request_error", 404: "invalid_request_error", 429: "rate_limit_error"}


class Service(http.server.BaseHTTPRequestHandler):
    """Answers as an OpenAI-compatible service does, except for the fault its server is told to have."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body, headers=()):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def refuse(self, status, parameter=None, code=None):
        error = {"message": "no", "type": ERRORS[status], "param": parameter, "code": code}
        if self.server.fault == "error without param":
            del error["param"]
        self.answer(status, {"error": error}, [("Retry-After", "1")] if status == 429 else [])

    def do_GET(self):
        model = {"id": "tiny", "object": "model", "created": 1, "owned_by": "test"}
        self.answer(200, {"object": "list", "data": [] if self.server.fault == "no models" else [model]})

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.server.fault == "full":
            self.refuse(429)
        elif request["model"] != "tiny":
            self.refuse(404, "model", "model_not_found")
        elif not request["messages"]:
            self.refuse(400, "messages")
        elif request.get("temperature", 0) > 2 and self.server.fault != "any temperature":
            self.refuse(400, "temperature")
        elif request.get("stream"):
            self.stream()
        else:
            self.whole()

    def head(self, kind):
        return {"id": "chatcmpl-1", "object": kind, "created": 1, "model": "tiny"}

    def usage(self):
        total = 4 if self.server.fault == "wrong total" else 5
        return {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": total}

    def whole(self):
        message = {"role": "assistant", "content": "one two"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        self.answer(200, {**self.head("chat.completion"), "choices": [choice], "usage": self.usage()})

    def stream(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        fault = self.server.fault
        deltas = [{"role": "assistant", "content": ""}, {"content": "one "}, {"content": "two"}]
        if fault == "role in every chunk":
            deltas = [{"role": "assistant", **delta} for delta in deltas]
        choices = [[{"index": 0, "delta": delta, "finish_reason": None}] for delta in deltas]
        if fault != "no finish":
            choices.append([{"index": 0, "delta": {}, "finish_reason": "stop"}])
        chunks = [{**self.head("chat.completion.chunk"), "choices": choice} for choice in choices]
        if fault != "no usage":
            chunks.append({**self.head("chat.completion.chunk"), "choices": [], "usage": self.usage()})
        if fault == "changing id":
            chunks = [{**chunk, "id": f"chatcmpl-{number}"} for number, chunk in enumerate(chunks)]
        try:
            for chunk in chunks:
                self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
            self.wfile.write(b"data: [DONE]\n\n")
        except (BrokenPipeError, ConnectionResetError):
            pass
        self.close_connection = True


class OpenAiClient(unittest.TestCase):
    def serve(self, fault=None):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Service)
        server.fault = fault
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return f"http://127.0.0.1:{server.server_port}/v1"

    def drive(self, fault=None, shed_url=None):
        arguments = argparse.Namespace(base_url=self.serve(fault), model=None, max_tokens=16, shed_url=shed_url)
        return openai_client.drive(arguments)

    def test_right_service_is_accepted_and_described(self):
        seen = self.drive(shed_url=self.serve("full"))
        self.assertEqual(seen["models"], ["tiny"])
        self.assertEqual(seen["chat"]["content"], "one two")
        self.assertEqual((seen["stream"]["content"], seen["stream"]["pieces"]), ("one two", 2))
        self.assertEqual(seen["errors"]["unknown_model"]["class"], "NotFoundError")
        self.assertEqual((seen["shed"]["status"], seen["shed"]["retry_after"]), (429, "1"))

    def test_each_fault_is_named(self):
        faults = {
            "no models": "the list is empty",
            "wrong total": "total_tokens 4 is not 3 + 2",
            "role in every chunk": "the role stands once",
            "no finish": "finish_reason is []",
            "no usage": "no usage came",
            "changing id": "the id changes",
            "any temperature": "expected BadRequestError, got an answer",
            "error without param": "lacks ['param']",
            "full": "RateLimitError",
        }
        for fault, message in faults.items():
            with self.subTest(fault), self.assertRaises((Deviation, openai_client.openai.OpenAIError)) as raised:
                self.drive(fault)
            self.assertIn(message, f"{type(raised.exception).__name__}: {raised.exception}")

    def test_service_that_is_not_full_fails_the_shed_check(self):
        with self.assertRaisesRegex(Deviation, "expected RateLimitError"):
            self.drive(shed_url=self.serve())


if __name__ == "__main__":
    unittest.main()
