"""Drives a reranker with the `cohere` package, unchanged, in both of its API's versions, and holds it to what its users rely on.

    cohere_client.py BASE_URL [--held TEXT] [--full BASE_URL]

BASE_URL has no path. Prints what it saw as JSON, with a count of its own, and exits with 0, or says on stderr what differed and exits
with 1. With --held it also asks with a document on which the service works until it is told to stop, and a short limit on time; with
--full it asks a service that is full, and expects a TooManyRequestsError with Retry-After.
"""

import argparse
import asyncio
import collections
import json
import sys

import cohere
import httpx
from cohere.core.api_error import ApiError

QUERY = "how to read a file"
DOCUMENTS = ["a list of numbers", "open the file and read it", "how to write a file", "read"]


class Deviation(Exception):
    """The service did something that a client would stumble over."""


def expect(condition, message):
    if not condition:
        raise Deviation(message)


def client_for(kind, base_url):
    # No retries: each answer is judged, the first one too.
    return kind(api_key="unused", base_url=base_url, max_retries=0, timeout=60)


class Count(collections.Counter):
    """What came of what was asked."""

    def ranking(self, answer, where, documents=DOCUMENTS, top_n=None):
        """The indices and their scores, judged, and counted."""
        expect(answer.id, f"{where}: the answer has no id")
        indices = [result.index for result in answer.results]
        scores = [result.relevance_score for result in answer.results]
        expected = min(top_n or len(documents), len(documents))
        expect(len(indices) == expected, f"{where}: {len(indices)} results of {len(documents)}, top_n {top_n}")
        expect(len(set(indices)) == len(indices), f"{where}: an index stands twice: {indices}")
        expect(all(0 <= index < len(documents) for index in indices), f"{where}: there are no such documents: {indices}")
        expect(all(0 <= score <= 1 for score in scores), f"{where}: scores aren't between 0 and 1: {scores}")
        expect(scores == sorted(scores, reverse=True), f"{where}: scores don't descend: {scores}")
        tokens = getattr(answer, "usage", {}).get("total_tokens", 0)
        expect(tokens >= len(documents), f"{where}: {tokens} tokens of {len(documents)} documents")
        self.update(ok=1, documents=len(documents), tokens=tokens)
        return dict(zip(indices, scores))


def same(one, other):
    return one.keys() == other.keys() and all(abs(one[index] - other[index]) < 1e-4 for index in one)


def listed_model(base_url):
    """The package has no list of a reranker's models of its own."""
    return httpx.get(f"{base_url}/v1/models").raise_for_status().json()["data"][0]["id"]


def second_version(count, client, model):
    whole = count.ranking(client.rerank(model=model, query=QUERY, documents=DOCUMENTS), "v2")
    expect(len(set(whole.values())) > 1, f"v2: all have the same score: {whole}")
    for top_n in (1, 2, len(DOCUMENTS) + 5):
        answer = client.rerank(model=model, query=QUERY, documents=DOCUMENTS, top_n=top_n)
        best = count.ranking(answer, f"v2 top_n {top_n}", top_n=top_n)
        expected = dict(list(whole.items())[:top_n])
        expect(same(best, expected), f"v2: the best {top_n} are {best}, of {whole}")
    backwards = client.rerank(model=model, query=QUERY, documents=DOCUMENTS[::-1])
    mirrored = {len(DOCUMENTS) - 1 - index: score for index, score in count.ranking(backwards, "v2 backwards").items()}
    expect(same(mirrored, whole), f"v2: backwards {mirrored}, forwards {whole}")
    return list(whole.items())


def first_version(count, client, expected):
    objects = [{"text": text} for text in DOCUMENTS]
    for where, documents, returned in [("v1", DOCUMENTS, False), ("v1 documents", DOCUMENTS, True), ("v1 objects", objects, True)]:
        answer = client.rerank(query=QUERY, documents=documents, return_documents=returned)
        found = count.ranking(answer, where)
        expect(same(found, dict(expected)), f"{where}: the ranking is {found}, v2's {expected}")
        for result in answer.results:
            text = result.document.text if result.document else None
            wanted = DOCUMENTS[result.index] if returned else None
            expect(text == wanted, f"{where}: document {result.index} is {text!r}, not {wanted!r}")


async def at_once(count, base_url, model):
    asked = [DOCUMENTS[: 1 + number % len(DOCUMENTS)] for number in range(20)]
    async with client_for(cohere.AsyncClientV2, base_url) as client:
        calls = [client.rerank(model=model, query=QUERY, documents=documents) for documents in asked]
        answers = await asyncio.gather(*calls)
    for number, answer in enumerate(answers):
        count.ranking(answer, f"at once, {number}", asked[number])


def expect_error(kind, where, call, code):
    try:
        call()
    except ApiError as error:
        expect(isinstance(error, kind), f"{where}: expected {kind.__name__}, got {type(error).__name__}: {error.body}")
        body = error.body.get("error") if isinstance(error.body, dict) else None
        absent = {"message", "type", "param", "code"} - set(body or ())
        expect(not absent, f"{where}: the error lacks {sorted(absent)}: {error.body!r}")
        expect(body["message"] and body["code"] == code, f"{where}: the error is {body}, not {code}")
        retry_after = {name.lower(): value for name, value in error.headers.items()}.get("retry-after")
        return {"class": type(error).__name__, "status": error.status_code, "retry_after": retry_after, **body}
    raise Deviation(f"{where}: expected {kind.__name__}, got an answer")


def errors(count, client, model):
    good = {"model": model, "query": QUERY, "documents": ["a"]}
    seen = {}
    for where, kind, code, change in [
        ("unknown model", cohere.NotFoundError, "model_not_found", {"model": "no-such-model"}),
        ("no documents", cohere.BadRequestError, "invalid_value", {"documents": []}),
        ("empty document", cohere.BadRequestError, "invalid_value", {"documents": ["a", ""]}),
        ("empty query", cohere.BadRequestError, "invalid_value", {"query": " "}),
        ("top_n 0", cohere.BadRequestError, "invalid_value", {"top_n": 0}),
    ]:
        seen[where] = expect_error(kind, where, lambda: client.rerank(**{**good, **change}), code)
        count.update(rejected=1)
    return seen


def late(count, client, model, held):
    options = {"additional_headers": {"X-Request-Timeout": "0.1"}}
    call = lambda: client.rerank(model=model, query=QUERY, documents=[held], request_options=options)
    seen = expect_error(cohere.GatewayTimeoutError, "a short limit on time", call, "deadline_exceeded")
    count.update(timeout=1)
    return seen


def shed(client, model):
    call = lambda: client.rerank(model=model, query=QUERY, documents=["a"])
    seen = expect_error(cohere.TooManyRequestsError, "full service", call, "queue_full")
    after = seen["retry_after"] or ""
    expect(after.isdecimal() and int(after) >= 1, f"full service: Retry-After is {after!r}")
    return seen


def drive(arguments):
    base_url, count = arguments.base_url, Count()
    model = listed_model(base_url)
    with client_for(cohere.ClientV2, base_url) as second, client_for(cohere.Client, base_url) as first:
        ranking = second_version(count, second, model)
        first_version(count, first, ranking)
        asyncio.run(at_once(count, base_url, model))
        seen = {"model": model, "ranking": ranking, "errors": errors(count, second, model)}
        if arguments.held:
            seen["late"] = late(count, second, model, arguments.held)
    if arguments.full:
        with client_for(cohere.ClientV2, arguments.full) as client:
            seen["shed"] = shed(client, model)
    return {**seen, "counts": dict(count)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base_url")
    parser.add_argument("--held", help="a document on which the service works until it is told to stop")
    parser.add_argument("--full", help="a service that is full")
    try:
        json.dump(drive(parser.parse_args()), sys.stdout)
    except Deviation as deviation:
        sys.exit(str(deviation))
    except (ApiError, httpx.HTTPError) as error:
        sys.exit(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
