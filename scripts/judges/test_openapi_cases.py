"""The judge itself on trial: a small API that is as its document says, and the same with one fault at a time."""

import argparse
import concurrent.futures
import http.server
import json
import os
import threading
import unittest
from unittest import mock

import openapi_cases
from openapi_cases import Deviation

KEY = "the-key"
SCHEMA = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}, "additionalProperties": False}
ANSWER = {"description": "An answer.", "content": {"application/json": {"schema": SCHEMA}}}
DOCUMENT = {
    "openapi": "3.1.0",
    "info": {"title": "test", "version": "1"},
    "paths": {"/thing": {"get": {"operationId": "thing", "responses": {"200": ANSWER, "401": {"description": "No key."}, "405": {"description": "Not so."}}}}},
    "components": {"securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-API-Key"}}},
    "security": [{"key": []}],
}

FAULTS = {
    "a field is missing": "name",
    "a field too many": "more",
    "a status of nowhere": "418",
    "an error of its own": "500",
    "text for JSON": "text/plain",
    "no key is needed": "accepts requests without authentication",
    "every method is taken": "Wrong response to undeclared method",
    "no key is good enough": "missing_auth",
}


class Service(http.server.BaseHTTPRequestHandler):
    """Answers as its document says, except for the fault its server is told to have."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", kind="application/json", headers=()):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self):
        fault = self.server.fault
        known = self.headers.get("X-API-Key") == KEY and fault != "no key is good enough"
        if not known and fault != "no key is needed":
            return self.answer(401)
        thing = {"name": "it"}
        if fault == "a field is missing":
            thing = {}
        elif fault == "a field too many":
            thing["more"] = 1
        status = {"a status of nowhere": 418, "an error of its own": 500}.get(fault, 200)
        kind = "text/plain" if fault == "text for JSON" else "application/json"
        return self.answer(status, json.dumps(thing).encode(), kind)

    def other(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.server.fault == "every method is taken":
            return self.do_GET()
        return self.answer(405, headers=[("Allow", "GET")])

    do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_TRACE = do_HEAD = do_QUERY = other


def judged(fault, document=None):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Service)
    server.fault = fault
    threading.Thread(target=server.serve_forever, daemon=True).start()
    arguments = argparse.Namespace(base_url=f"http://127.0.0.1:{server.server_port}", examples=3)
    try:
        return openapi_cases.judge(json.dumps(document or DOCUMENT), arguments)
    finally:
        server.shutdown()
        server.server_close()


class OpenApiCases(unittest.TestCase):
    def setUp(self):
        environment = mock.patch.dict(os.environ, {"JUDGE_API_KEY": KEY})
        environment.start()
        self.addCleanup(environment.stop)

    def test_an_api_that_is_as_documented_is_found_so(self):
        found = judged(None)
        self.assertEqual(found["operations"], 1)
        self.assertGreater(found["cases"], 3)

    def test_each_fault_is_found(self):
        def told(fault):
            with self.assertRaises(Deviation) as caught:
                judged(fault)
            return str(caught.exception)

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            for (fault, words), said in zip(FAULTS.items(), pool.map(told, FAULTS)):
                with self.subTest(fault=fault):
                    self.assertIn(words, said)

    def test_what_is_no_document_is_refused(self):
        for text in ["", "[]", "{}", '{"paths": {"/": 1}}']:
            with self.subTest(text=text), self.assertRaises(Deviation):
                openapi_cases.judge(text, argparse.Namespace(base_url="http://127.0.0.1:9", examples=1))


if __name__ == "__main__":
    unittest.main()
