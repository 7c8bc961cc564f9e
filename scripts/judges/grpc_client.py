"""Drives a reranker with `grpcio`, knowing of its messages only what its reflection tells, and holds it to what a client relies on.

    grpc_client.py ADDRESS --metrics URL --held TEXT [--failing TEXT]
                   [--hasty ADDRESS] [--full ADDRESS] [--closing ADDRESS]
    grpc_client.py ADDRESS --watch

ADDRESS is host:port. TEXT is a passage on which the service works until it is told to stop, by someone else; the metrics at URL tell
when a call has arrived and when it is over. Prints what it saw as JSON, with a count of its own, and exits with 0, or says on stderr
what differed and exits with 1.

With --failing it also asks with a passage on which the service fails, with --hasty it asks a service whose own limit on time is short,
with --full one whose queue is full, with --closing one that shuts down. With --watch it only watches the health until the watch ends.
"""

import argparse
import collections
import contextlib
import json
import queue
import re
import sys
import time
import urllib.request

import grpc
from google.protobuf import descriptor_pool, message_factory
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

SERVICE = "inferometer.rerank.v1.Reranker"
METHODS = {"Infer": (False, False), "InferStream": (True, True)}
IN_FLIGHT = re.compile(r"^rerank_requests_in_flight (\S+)$", re.MULTILINE)
QUERY = "how to read a file"
PASSAGES = ["open the file and read it", "a list of numbers", "how to write a file"]
PATIENCE = 30
# No retries: each answer is judged, the first one too.
OPTIONS = [("grpc.enable_retries", 0), ("grpc.enable_http_proxy", 0)]
Code = grpc.StatusCode


class Deviation(Exception):
    """The service did something that a client would stumble over."""


def expect(condition, message):
    if not condition:
        raise Deviation(message)


def close(one, other):
    return len(one) == len(other) and all(abs(a - b) < 1e-4 for a, b in zip(one, other))


class Reranker:
    """A service as its reflection describes it, and what was asked of it, counted by what came of it."""

    def __init__(self, channel):
        self.database = ProtoReflectionDescriptorDatabase(channel)
        pool = descriptor_pool.DescriptorPool(self.database)
        try:
            methods = pool.FindServiceByName(SERVICE).methods_by_name
        except KeyError as error:
            raise Deviation(f"reflection: there is no {SERVICE}") from error
        streaming = {name: (method.client_streaming, method.server_streaming) for name, method in methods.items()}
        expect(streaming == METHODS, f"reflection: the methods are {streaming}, not {METHODS}")
        self.Request = message_factory.GetMessageClass(methods["Infer"].input_type)
        answers = [message_factory.GetMessageClass(methods[name].output_type).FromString for name in METHODS]
        serialize = self.Request.SerializeToString
        self.infer = channel.unary_unary(f"/{SERVICE}/Infer", serialize, answers[0])
        self.stream = channel.stream_stream(f"/{SERVICE}/InferStream", serialize, answers[1])
        self.unknown = channel.unary_unary(f"/{SERVICE}/NoSuchMethod", serialize, answers[0])
        self.counts = collections.Counter()

    def request(self, passages=(), query="", **fields):
        return self.Request(query=query, passages=passages, **fields)

    def answered(self, answer, pairs):
        self.counts.update(ok=1, pairs=pairs, tokens=answer.tokens)
        expect(len(answer.scores) == pairs, f"{answer.id}: {len(answer.scores)} scores for {pairs} pairs")
        expect(answer.tokens >= pairs, f"{answer.id}: {answer.tokens} tokens of {pairs} pairs")
        expect(answer.model, f"{answer.id}: the model has no name")
        return list(answer.scores)

    def scores(self, **fields):
        request = self.request(**fields)
        answer = self.infer(request, timeout=PATIENCE)
        expect(answer.id == request.id, f"asked {request.id!r}, {answer.id!r} was answered")
        return self.answered(answer, len(request.passages) or len(request.pairs))


def reflected(channel, reranker):
    services = set(reranker.database.get_services())
    expect({SERVICE, "grpc.health.v1.Health"} <= services, f"reflection: it lists only {sorted(services)}")
    # The newer name of the protocol, whose messages are the same.
    ask = channel.stream_stream(
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        reflection_pb2.ServerReflectionRequest.SerializeToString,
        reflection_pb2.ServerReflectionResponse.FromString,
    )
    def symbol(name):
        return ask(iter([reflection_pb2.ServerReflectionRequest(file_containing_symbol=name)]), timeout=PATIENCE)

    listed = next(ask(iter([reflection_pb2.ServerReflectionRequest(list_services="*")]), timeout=PATIENCE))
    newer = {service.name for service in listed.list_services_response.service}
    expect(newer == services, f"reflection: v1 lists {sorted(newer)}, v1alpha {sorted(services)}")
    files = next(symbol(SERVICE)).file_descriptor_response.file_descriptor_proto
    expect(files, f"reflection: v1 has no file with {SERVICE}")
    # Some servers answer with an error, some end the call with one.
    try:
        code = next(symbol("no.such.Symbol")).error_response.error_code
    except grpc.RpcError as error:
        code = error.code().value[0]
    expect(code == Code.NOT_FOUND.value[0], f"reflection: an unknown symbol gives {code}, not NOT_FOUND")
    return sorted(services)


def status_name(answer):
    return health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)


def health(channel):
    stub = health_pb2_grpc.HealthStub(channel)
    seen = {}
    for name in ("", SERVICE):
        request = health_pb2.HealthCheckRequest(service=name)
        watch = stub.Watch(request, timeout=PATIENCE)
        seen[name] = [status_name(stub.Check(request, timeout=PATIENCE)), status_name(next(watch))]
        watch.cancel()
        expect(seen[name] == ["SERVING"] * 2, f"health: Check and Watch of {name!r} say {seen[name]}")
    unknown = health_pb2.HealthCheckRequest(service="no.such.Service")
    expect_error(Code.NOT_FOUND, "health of an unknown service", lambda: stub.Check(unknown, timeout=PATIENCE))
    return seen


def watch(channel):
    """What the service is, until the watch ends, and how that does."""
    call = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=SERVICE), timeout=PATIENCE)
    statuses = []
    with contextlib.suppress(grpc.RpcError):
        statuses.extend(map(status_name, call))
    return {"statuses": statuses, "code": call.code().name}


def scored(reranker):
    scores = reranker.scores(query=QUERY, passages=PASSAGES, id="passages")
    expect(len(set(scores)) > 1, f"passages: all have the same score: {scores}")
    pairs = [{"query": QUERY, "passage": passage} for passage in PASSAGES]
    paired = reranker.scores(pairs=pairs, id="pairs")
    expect(close(paired, scores), f"pairs: {paired}, as passages: {scores}")
    backwards = reranker.scores(query=QUERY, passages=PASSAGES[::-1], id="")
    expect(close(backwards, scores[::-1]), f"backwards: {backwards}, forwards: {scores}")
    return scores


def expect_error(code, where, call, details=""):
    """The error's words and the metadata that came with it."""
    try:
        call()
    except grpc.RpcError as error:
        expect(error.code() == code, f"{where}: expected {code.name}, got {error.code().name}: {error.details()}")
        expect(re.search(details, error.details() or ""), f"{where}: the details don't have {details!r}: {error.details()!r}")
        trailing = {name: value for name, value in error.trailing_metadata() or () if not name.endswith("-bin")}
        return {"code": code.name, "details": error.details(), "trailing": trailing}
    raise Deviation(f"{where}: expected {code.name}, got an answer")


def refused(reranker):
    pair = {"query": QUERY, "passage": "a"}
    seen = {}
    for where, details, fields in [
        ("nothing", "nothing to score", {"query": QUERY}),
        ("empty query", "query is empty", {"passages": ["a"]}),
        ("empty passage", "passage 1 is empty", {"query": QUERY, "passages": ["a", " "]}),
        ("empty query of a pair", "query is empty", {"pairs": [pair, {"passage": "a"}]}),
        ("both", "one or the other", {"query": QUERY, "passages": ["a"], "pairs": [pair]}),
        ("too many", "the most", {"query": QUERY, "passages": ["a"] * 100_000}),
    ]:
        request = reranker.request(**fields)
        call = lambda: reranker.infer(request, timeout=PATIENCE)
        seen[where] = expect_error(Code.INVALID_ARGUMENT, where, call, details)
        reranker.counts.update(rejected=1)
    for code, where, call, request in [
        (Code.OUT_OF_RANGE, "too large", reranker.infer, reranker.request(["a" * (8 << 20)], QUERY)),
        (Code.UNIMPLEMENTED, "unknown method", reranker.unknown, reranker.request(["a"], QUERY)),
    ]:
        seen[where] = expect_error(code, where, lambda: call(request, timeout=PATIENCE))
    return seen


class Conversation:
    """A stream on which what is said next may depend on what was answered."""

    def __init__(self, reranker):
        self.sent = queue.SimpleQueue()
        self.call = reranker.stream(iter(self.sent.get, None), timeout=PATIENCE)

    def say(self, request):
        self.sent.put(request)

    def end(self):
        self.sent.put(None)

    def hear(self):
        answer = next(self.call, None)
        expect(answer is not None, "stream: it ended before its answers had come")
        return answer


def streamed(reranker):
    """Many at once, one of them bad; and one after the other on the same stream."""
    stream = Conversation(reranker)
    ids = [f"{number}" for number in range(20)]
    bad = "7"
    for name in ids:
        stream.say(reranker.request([] if name == bad else PASSAGES, QUERY, id=name))
    answers = [stream.hear() for _ in ids]
    stream.say(reranker.request(PASSAGES, QUERY, id="afterwards"))
    answers.append(stream.hear())
    stream.end()
    expect(next(stream.call, None) is None, "stream: there are more answers than requests")
    expect(stream.call.code() == Code.OK, f"stream: it ends with {stream.call.code()}: {stream.call.details()}")
    seen = {}
    for answer in answers:
        of = answer.WhichOneof("result")
        expect(of, "stream: an answer has neither scores nor error")
        name = getattr(answer, of).id
        expect(name not in seen, f"stream: {name!r} is answered twice")
        expect((of == "error") == (name == bad), f"stream: {name!r} is answered with {of}")
        if of == "scores":
            seen[name] = reranker.answered(answer.scores, len(PASSAGES))
        else:
            error = seen[name] = {"code": answer.error.code, "message": answer.error.message}
            reranker.counts.update(rejected=1)
            code = Code.INVALID_ARGUMENT.value[0]
            expect(error["code"] == code and error["message"], f"stream: the bad request is answered with {error}")
    expect(set(seen) == {*ids, "afterwards"}, f"stream: answered were {sorted(seen)}")
    return {"error": seen[bad], "scores": seen["afterwards"]}


def failed(reranker, text):
    """The service fails, says so, and goes on."""
    request = reranker.request([text], QUERY)
    seen = expect_error(Code.INTERNAL, "failing", lambda: reranker.infer(request, timeout=PATIENCE), "failed")
    error = one_by_stream(reranker, request)
    expect(error.code == Code.INTERNAL.value[0] and "failed" in error.message, f"failing: on a stream the error is {error}")
    reranker.counts.update(error=2)
    reranker.scores(query=QUERY, passages=PASSAGES, id="afterwards")
    return seen


class Held:
    """Calls that don't end by themselves, and what the metrics say of them."""

    def __init__(self, reranker, metrics, text):
        self.reranker, self.metrics = reranker, metrics
        self.request = reranker.request([text], QUERY, id="held")

    def in_flight(self):
        with urllib.request.urlopen(self.metrics, timeout=PATIENCE) as page:
            found = IN_FLIGHT.search(page.read().decode())
        expect(found, f"{self.metrics} has no rerank_requests_in_flight")
        return float(found[1])

    def wait(self, where, requests):
        deadline = time.monotonic() + PATIENCE
        while (found := self.in_flight()) != requests:
            expect(time.monotonic() < deadline, f"{where}: {found:g} requests are in flight, not {requests}")
            time.sleep(0.002)

    def cancelled(self):
        call = self.reranker.infer.future(self.request)
        self.wait("cancel", 1)
        call.cancel()
        expect(call.code() == Code.CANCELLED, f"cancel: the call ends with {call.code()}")
        self.wait("after a cancel", 0)
        self.reranker.counts.update(left=1)

    def late(self):
        seen = expect_error(
            Code.DEADLINE_EXCEEDED, "deadline", lambda: self.reranker.infer(self.request, timeout=0.2), "(?i)deadline"
        )
        # Whichever side's clock was first has ended it: both end it.
        self.wait("after a deadline", 0)
        self.reranker.counts.update(late=1)
        return seen

    def left_stream(self):
        stream = Conversation(self.reranker)
        stream.say(self.request)
        stream.say(self.reranker.request(id="bad"))
        answer = stream.hear()
        expect(answer.error.id == "bad", f"stream: asked 'held' and 'bad', and the first answer is {answer}")
        self.reranker.counts.update(rejected=1, left=1)
        self.wait("a stream", 1)
        stream.call.cancel()
        self.wait("after a cancelled stream", 0)


def one_by_stream(reranker, request):
    stream = Conversation(reranker)
    stream.say(request)
    error = stream.hear().error
    stream.end()
    expect(next(stream.call, None) is None and stream.call.code() == Code.OK, f"stream: it ends with {stream.call.code()}")
    return error


def turned_away(address, code, where, details, request):
    """One call and one request on a stream, which have to end alike."""
    with contextlib.closing(grpc.insecure_channel(address, OPTIONS)) as channel:
        reranker = Reranker(channel)
        request = reranker.request(*request)
        seen = expect_error(code, where, lambda: reranker.infer(request, timeout=PATIENCE), details)
        error = one_by_stream(reranker, request)
        streamed = f"{where}: on a stream the error is {error.code} {error.message!r}"
        expect(error.code == code.value[0] and re.search(details, error.message), streamed)
        return {**seen, "retry_after_ms": error.retry_after_ms}


def full(address):
    seen = turned_away(address, Code.RESOURCE_EXHAUSTED, "full", "queue is full", (["a"], QUERY))
    after = seen["trailing"].get("retry-after", "")
    expect(after.isdecimal() and int(after) >= 1, f"full: retry-after is {after!r}")
    expect(seen["retry_after_ms"] >= 1, "full: on a stream retry_after_ms is missing")
    return seen


def drive(arguments):
    with contextlib.closing(grpc.insecure_channel(arguments.address, OPTIONS)) as channel:
        if arguments.watch:
            return watch(channel)
        reranker = Reranker(channel)
        held = Held(reranker, arguments.metrics, arguments.held)
        seen = {
            "services": reflected(channel, reranker),
            "health": health(channel),
            "scores": scored(reranker),
            "errors": refused(reranker),
            "stream": streamed(reranker),
        }
        if arguments.failing:
            seen["failing"] = failed(reranker, arguments.failing)
        # From the first of these on, the service may be at work for ever.
        held.left_stream()
        held.cancelled()
        seen["late"] = held.late()
        if arguments.hasty:
            stage = "deadline passed in stage"
            asked = ([arguments.held], QUERY)
            seen["hasty"] = turned_away(arguments.hasty, Code.DEADLINE_EXCEEDED, "hasty", stage, asked)
        if arguments.full:
            seen["full"] = full(arguments.full)
        if arguments.closing:
            asked = (["a"], QUERY)
            seen["closing"] = turned_away(arguments.closing, Code.UNAVAILABLE, "closing", "shutting down", asked)
        return {**seen, "counts": dict(reranker.counts)}


def arguments_of(words=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address")
    parser.add_argument("--metrics")
    parser.add_argument("--held")
    parser.add_argument("--failing", help="a passage on which the service fails")
    parser.add_argument("--hasty", help="a service with a short limit on time, and a passage held as the other's")
    parser.add_argument("--full", help="a service whose queue is full")
    parser.add_argument("--closing", help="a service that shuts down")
    parser.add_argument("--watch", action="store_true")
    arguments = parser.parse_args(words)
    if not arguments.watch and not (arguments.metrics and arguments.held):
        parser.error("--metrics and --held, or --watch")
    return arguments


def main():
    try:
        json.dump(drive(arguments_of()), sys.stdout)
    except Deviation as deviation:
        sys.exit(str(deviation))
    except grpc.RpcError as error:
        sys.exit(f"{error.code().name}: {error.details()}")


if __name__ == "__main__":
    main()
