"""The judge itself on trial: a small rerank API that is right, and the same with one fault at a time."""

import argparse
import http.server
import json
import threading
import unittest

import cohere_client
import httpx
from cohere.core.api_error import ApiError
from cohere_client import Deviation

HELD = "wait"
KINDS = {400: "invalid_value", 404: "model_not_found", 429: "queue_full", 504: "deadline_exceeded"}


class Service(http.server.BaseHTTPRequestHandler):
    """Answers as a rerank API does, except for the fault its server is told to have. The longer a document, the better."""

    protocol_version = "HTTP/1.1"
    # An answer in one piece, for which nobody waits.
    wbufsize = 1 << 16

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

    def refuse(self, status):
        error = {"message": "no", "type": "refusal", "param": None, "code": KINDS[status]}
        if self.server.fault == "error without code":
            del error["code"]
        full = status == 429 and self.server.fault != "full without Retry-After"
        self.answer(status, {"error": error}, [("Retry-After", "1")] if full else [])

    def do_GET(self):
        self.answer(200, {"object": "list", "data": [{"id": "tiny"}]})

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        documents = [document if isinstance(document, str) else document["text"] for document in request["documents"]]
        fault = self.server.fault or ""
        if fault.startswith("full"):
            self.refuse(429)
        elif request.get("model", "tiny") != "tiny" and fault != "any model":
            self.refuse(404)
        elif not documents or not all(documents) or not request["query"].strip() or request.get("top_n") == 0:
            self.refuse(400)
        elif HELD in documents and fault != "late":
            self.refuse(504)
        else:
            self.rank(request, documents)

    def rank(self, request, documents):
        fault = self.server.fault
        ranked = sorted(range(len(documents)), key=lambda index: -len(documents[index]))
        if fault == "worst first":
            ranked.reverse()
        if fault != "no top_n":
            ranked = ranked[: request.get("top_n")]
        if fault == "the last few" and "top_n" in request:
            ranked = sorted(range(len(documents)), key=lambda index: -len(documents[index]))[-request["top_n"] :]
        scale = 1 if fault == "logits" else 100
        results = [{"index": index, "relevance_score": len(documents[index]) / scale} for index in ranked]
        for result in results:
            if request.get("return_documents") and fault != "no documents back":
                result["document"] = {"text": documents[result["index"]]}
            if fault == "index from 1":
                result["index"] += 1
            if fault == "another score in v1" and self.path == "/v1/rerank":
                result["relevance_score"] /= 2
        tokens = 0 if fault == "no tokens" else 2 * len(documents)
        self.answer(200, {"id": "rerank-1", "results": results, "usage": {"total_tokens": tokens}})


class Server(http.server.ThreadingHTTPServer):
    # Many come at once.
    request_queue_size = 64


class CohereClient(unittest.TestCase):
    def serve(self, fault=None):
        server = Server(("127.0.0.1", 0), Service)
        server.fault = fault
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return f"http://127.0.0.1:{server.server_port}"

    def drive(self, fault=None, full="full"):
        return cohere_client.drive(argparse.Namespace(base_url=self.serve(fault), held=HELD, full=self.serve(full)))

    def test_right_service_is_accepted_and_described(self):
        seen = self.drive()
        self.assertEqual([index for index, _ in seen["ranking"]], [1, 2, 0, 3])
        self.assertEqual(seen["errors"]["unknown model"]["class"], "NotFoundError")
        self.assertEqual((seen["late"]["status"], seen["shed"]["retry_after"]), (504, "1"))
        self.assertEqual(seen["counts"], {"ok": 28, "documents": 82, "tokens": 164, "rejected": 5, "timeout": 1})

    def test_each_fault_is_named(self):
        faults = {
            "worst first": "scores don't descend",
            "no top_n": "4 results of 4, top_n 1",
            "the last few": "v2: the best 1 are",
            "logits": "scores aren't between 0 and 1",
            "index from 1": "there are no such documents",
            "no tokens": "0 tokens of 4 documents",
            "another score in v1": "v1: the ranking is",
            "no documents back": "document 1 is None",
            "any model": "unknown model: expected NotFoundError, got an answer",
            "error without code": "the error lacks ['code']",
            "late": "expected GatewayTimeoutError, got an answer",
            "full": "TooManyRequests",
        }
        for fault, message in faults.items():
            with self.subTest(fault), self.assertRaises((Deviation, ApiError)) as raised:
                self.drive(fault)
            self.assertIn(message, f"{type(raised.exception).__name__}: {raised.exception}")

    def test_service_that_is_not_full_as_said_is_refused(self):
        for full, message in [(None, "expected TooManyRequestsError"), ("full without Retry-After", "Retry-After is ''")]:
            with self.subTest(full), self.assertRaisesRegex(Deviation, message):
                self.drive(full=full)

    def test_nobody_there_is_no_service(self):
        with self.assertRaises(httpx.ConnectError):
            cohere_client.listed_model("http://127.0.0.1:1")


if __name__ == "__main__":
    unittest.main()
