"""The judge itself on trial: a small reranker that is right, and the same with one fault at a time."""

import concurrent.futures
import http.server
import threading
import time
import unittest

import grpc
import grpc_client
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from grpc_client import SERVICE, Code, Deviation
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import HealthServicer
from grpc_reflection.v1alpha.reflection import ReflectionServicer
from grpc_reflection.v1alpha import reflection_pb2

HELD, FAILING = "wait", "fail"
PACKAGE = SERVICE.rpartition(".")[0]
Field = descriptor_pb2.FieldDescriptorProto
FIELDS = {
    "Pair": [("query", Field.TYPE_STRING, ""), ("passage", Field.TYPE_STRING, "")],
    "InferRequest": [
        ("query", Field.TYPE_STRING, ""),
        ("passages", Field.TYPE_STRING, "many"),
        ("pairs", Field.TYPE_MESSAGE, "many Pair"),
        ("id", Field.TYPE_STRING, ""),
    ],
    "InferResponse": [
        ("scores", Field.TYPE_FLOAT, "many"),
        ("model", Field.TYPE_STRING, ""),
        ("truncated", Field.TYPE_UINT32, ""),
        ("tokens", Field.TYPE_UINT64, ""),
        ("id", Field.TYPE_STRING, ""),
    ],
    "Error": [
        ("id", Field.TYPE_STRING, ""),
        ("code", Field.TYPE_INT32, ""),
        ("message", Field.TYPE_STRING, ""),
        ("retry_after_ms", Field.TYPE_UINT64, ""),
    ],
    "InferStreamResponse": [
        ("scores", Field.TYPE_MESSAGE, "result InferResponse"),
        ("error", Field.TYPE_MESSAGE, "result Error"),
    ],
}


def described(fault):
    """The protocol, in a pool of its own."""
    file = descriptor_pb2.FileDescriptorProto(name="rerank.proto", package=PACKAGE, syntax="proto3")
    for name, fields in FIELDS.items():
        message = file.message_type.add(name=name)
        for number, (field, kind, what) in enumerate(fields, 1):
            declared = message.field.add(name=field, number=number, type=kind, label=Field.LABEL_OPTIONAL)
            if "many" in what:
                declared.label = Field.LABEL_REPEATED
            if "result" in what:
                declared.oneof_index = 0
            if " " in what:
                declared.type_name = f".{PACKAGE}.{what.split()[1]}"
        if name == "InferStreamResponse":
            message.oneof_decl.add(name="result")
    service = file.service.add(name="Reranker")
    service.method.add(name="Infer", input_type="InferRequest", output_type="InferResponse")
    streams = fault != "no stream of requests"
    service.method.add(
        name="InferStream",
        input_type="InferRequest",
        output_type="InferStreamResponse",
        client_streaming=streams,
        server_streaming=True,
    )
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    for module in (health_pb2, reflection_pb2):
        pool.AddSerializedFile(module.DESCRIPTOR.serialized_pb)
    return pool


class Refusal(Exception):
    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


class Service:
    """Answers as a reranker does, except for the fault it is told to have. A score is a passage's length."""

    def __init__(self, fault):
        self.fault = fault
        self.in_flight = 0
        self.lock = threading.Lock()
        pool = described(fault)
        self.messages = {
            name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}")) for name in FIELDS
        }
        # Too large is what the service itself says is.
        options = [("grpc.max_receive_message_length", -1)]
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(32), options=options)
        listed = [SERVICE, "grpc.health.v1.Health"]
        reflection = ReflectionServicer([] if fault == "lists nothing" else listed, pool)
        reflect = grpc.stream_stream_rpc_method_handler(
            reflection.ServerReflectionInfo,
            reflection_pb2.ServerReflectionRequest.FromString,
            reflection_pb2.ServerReflectionResponse.SerializeToString,
        )
        health = HealthServicer()
        for name in ("", SERVICE):
            status = "NOT_SERVING" if fault == "not serving" and name else "SERVING"
            health.set(name, health_pb2.HealthCheckResponse.ServingStatus.Value(status))
        self.health = health
        health_pb2_grpc.add_HealthServicer_to_server(health, self.server)
        read = self.messages["InferRequest"].FromString
        write = [self.messages[name].SerializeToString for name in ("InferResponse", "InferStreamResponse")]
        methods = {
            "Infer": grpc.unary_unary_rpc_method_handler(self.infer, read, write[0]),
            "InferStream": grpc.stream_stream_rpc_method_handler(self.stream, read, write[1]),
        }
        for name, handlers in [
            (SERVICE, methods),
            ("grpc.reflection.v1.ServerReflection", {"ServerReflectionInfo": reflect}),
            ("grpc.reflection.v1alpha.ServerReflection", {"ServerReflectionInfo": reflect}),
        ]:
            self.server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(name, handlers)])
        self.address = f"127.0.0.1:{self.server.add_insecure_port('127.0.0.1:0')}"
        self.server.start()

    def count(self, change):
        with self.lock:
            self.in_flight += change

    def wait(self, context):
        """Until whoever asked has left, or for as long as the service itself allows."""
        self.count(1)
        deadline = time.monotonic() + (0.1 if self.fault == "hasty" else 20)
        while (asked := context.is_active()) and time.monotonic() < deadline:
            time.sleep(0.01)
        if self.fault != "goes on after a cancel":
            self.count(-1)
        if asked:
            raise Refusal(Code.DEADLINE_EXCEEDED, "the deadline passed in stage `inference`")

    def scored(self, request, context):
        if self.fault in ("full", "full without retry-after"):
            raise Refusal(Code.RESOURCE_EXHAUSTED, "the queue is full")
        if self.fault == "closing":
            raise Refusal(Code.UNAVAILABLE, "shutting down")
        pairs = [(pair.query, pair.passage) for pair in request.pairs]
        pairs += [(request.query, passage) for passage in request.passages]
        wrong = Code.FAILED_PRECONDITION if self.fault == "another code" else Code.INVALID_ARGUMENT
        if request.pairs and request.passages:
            raise Refusal(wrong, "send one or the other")
        if not pairs:
            raise Refusal(wrong, "nothing to score")
        if len(pairs) > 1000:
            raise Refusal(wrong, "1000 are the most")
        for at, (query, passage) in enumerate(pairs):
            if not query:
                raise Refusal(wrong, "the query is empty")
            if not passage.strip():
                message = "no" if self.fault == "mute" else f"passage {at} is empty"
                raise Refusal(wrong, message)
        if FAILING in (passage for _, passage in pairs) and self.fault != "never fails":
            raise Refusal(Code.INTERNAL, "the model failed")
        if HELD in (passage for _, passage in pairs):
            self.wait(context)
        scores = [float(len(passage)) for _, passage in pairs]
        if self.fault == "sorts":
            scores.sort()
        if self.fault == "loses a score":
            scores.pop()
        name = "mine" if self.fault == "another id" else request.id
        return self.messages["InferResponse"](scores=scores, model="tiny", tokens=2 * len(pairs), id=name)

    def infer(self, request, context):
        if any(len(passage) > 1 << 20 for passage in request.passages):
            context.abort(Code.OUT_OF_RANGE, "too large")
        try:
            return self.scored(request, context)
        except Refusal as refusal:
            if refusal.code == Code.RESOURCE_EXHAUSTED and self.fault == "full":
                context.set_trailing_metadata([("retry-after", "1")])
            context.abort(refusal.code, str(refusal))

    def stream(self, requests, context):
        answer, error = self.messages["InferStreamResponse"], self.messages["Error"]
        held = []
        for request in requests:
            # It is answered beside the others.
            if HELD in request.passages and self.fault != "hasty":
                held.append(threading.Thread(target=self.wait, args=(context,), daemon=True))
                held[-1].start()
                if self.fault != "one after the other":
                    continue
                held[-1].join()
            try:
                yield answer(scores=self.scored(request, context))
            except Refusal as refusal:
                if self.fault == "a bad request ends the stream":
                    context.abort(refusal.code, str(refusal))
                after = 1000 if self.fault == "full" else 0
                code = refusal.code.value[0]
                yield answer(error=error(id=request.id, code=code, message=str(refusal), retry_after_ms=after))


class Metrics(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"rerank_requests_in_flight {self.server.service.in_flight}\n".encode())


class GrpcClient(unittest.TestCase):
    def serve(self, fault=None):
        service = Service(fault)
        self.addCleanup(service.server.stop, 0)
        return service

    def drive(self, fault=None, **others):
        service = self.serve(fault)
        metrics = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Metrics)
        metrics.service = service
        threading.Thread(target=metrics.serve_forever, args=(0.01,), daemon=True).start()
        self.addCleanup(metrics.server_close)
        self.addCleanup(metrics.shutdown)
        words = [service.address, "--metrics", f"http://127.0.0.1:{metrics.server_port}", "--held", HELD, "--failing", FAILING]
        for flag, other in others.items():
            words += [f"--{flag}", self.serve(other).address]
        return grpc_client.drive(grpc_client.arguments_of(words))

    def setUp(self):
        # Two of the faults are that nothing happens.
        patience, grpc_client.PATIENCE = grpc_client.PATIENCE, 1
        self.addCleanup(setattr, grpc_client, "PATIENCE", patience)

    def test_right_service_is_accepted_and_described(self):
        seen = self.drive(hasty="hasty", full="full", closing="closing")
        self.assertIn(SERVICE, seen["services"])
        self.assertEqual(seen["scores"], [25.0, 17.0, 19.0])
        self.assertEqual(seen["errors"]["too large"]["code"], "OUT_OF_RANGE")
        self.assertEqual(seen["full"]["trailing"]["retry-after"], "1")
        self.assertEqual(seen["hasty"]["code"], "DEADLINE_EXCEEDED")
        self.assertEqual(seen["counts"], {"ok": 24, "pairs": 72, "tokens": 144, "rejected": 8, "error": 2, "left": 2, "late": 1})

    def test_each_fault_is_named(self):
        faults = {
            "lists nothing": "it lists only []",
            "no stream of requests": "the methods are",
            "not serving": "say ['NOT_SERVING', 'NOT_SERVING']",
            "another id": "'mine' was answered",
            "loses a score": "2 scores for 3 pairs",
            "sorts": "backwards",
            "another code": "expected INVALID_ARGUMENT, got FAILED_PRECONDITION",
            "mute": "the details don't have 'passage 1 is empty'",
            "a bad request ends the stream": "nothing to score",
            "one after the other": "DEADLINE_EXCEEDED",
            "goes on after a cancel": "after a cancelled stream: 1 requests are in flight, not 0",
            "never fails": "failing: expected INTERNAL, got an answer",
            "full": "RESOURCE_EXHAUSTED",
        }
        for fault, message in faults.items():
            with self.subTest(fault), self.assertRaises((Deviation, grpc.RpcError)) as raised:
                self.drive(fault)
            self.assertIn(message, str(raised.exception))

    def test_services_that_are_not_as_said_are_refused(self):
        for others, message in [
            ({"full": None}, "full: expected RESOURCE_EXHAUSTED, got an answer"),
            ({"full": "full without retry-after"}, "retry-after is ''"),
            ({"closing": "full"}, "expected UNAVAILABLE, got RESOURCE_EXHAUSTED"),
            ({"hasty": "closing"}, "expected DEADLINE_EXCEEDED, got UNAVAILABLE"),
        ]:
            with self.subTest(others), self.assertRaises(Deviation) as raised:
                self.drive(**others)
            self.assertIn(message, str(raised.exception))

    def test_watch_tells_of_every_status_and_of_its_own_end(self):
        service = self.serve()

        def end():
            service.health.enter_graceful_shutdown()
            service.server.stop(0.1)

        timer = threading.Timer(0.1, end)
        timer.start()
        self.addCleanup(timer.cancel)
        seen = grpc_client.drive(grpc_client.arguments_of([service.address, "--watch"]))
        self.assertEqual(seen["statuses"], ["SERVING", "NOT_SERVING"])
        self.assertIn(seen["code"], ("CANCELLED", "UNAVAILABLE"))


if __name__ == "__main__":
    unittest.main()
