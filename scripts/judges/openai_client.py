"""Drives an OpenAI-compatible service with the `openai` package, unchanged, and holds it to what that package's users rely on.

    openai_client.py BASE_URL [--model NAME] [--max-tokens N] [--shed-url BASE_URL]

BASE_URL ends in /v1. Prints what it saw as JSON and exits with 0, or says on stderr what differed and exits with 1.
With --shed-url it also asks a service that is full, and expects a RateLimitError with Retry-After.
"""

import argparse
import json
import sys

import openai

PROMPT = [{"role": "user", "content": "Say something about queues."}]


class Deviation(Exception):
    """The service did something that a client would stumble over."""


def expect(condition, message):
    if not condition:
        raise Deviation(message)


def client_for(base_url):
    # No retries: each answer is judged, the first one too.
    return openai.OpenAI(base_url=base_url, api_key="unused", max_retries=0, timeout=60)


def list_models(client):
    models = list(client.models.list())
    expect(models, "models: the list is empty")
    for model in models:
        expect(model.id and model.object == "model", f"models: {model!r} lacks an id, or its object is not 'model'")
        expect(isinstance(model.created, int) and model.owned_by, f"models: {model.id}: created or owned_by is missing")
    names = [model.id for model in models]
    expect(len(set(names)) == len(names), f"models: a name stands twice: {names}")
    return names


def expect_usage(usage, where):
    expect(usage is not None, f"{where}: usage is missing")
    expect(usage.prompt_tokens > 0, f"{where}: prompt_tokens is {usage.prompt_tokens}")
    expect(usage.completion_tokens >= 0, f"{where}: completion_tokens is {usage.completion_tokens}")
    expect(
        usage.total_tokens == usage.prompt_tokens + usage.completion_tokens,
        f"{where}: total_tokens {usage.total_tokens} is not {usage.prompt_tokens} + {usage.completion_tokens}",
    )
    return usage.model_dump(exclude_none=True)


def whole_answer(client, options):
    answer = client.chat.completions.create(
        messages=PROMPT, extra_headers={"X-Session-ID": "openai-client"}, **options
    )
    expect(answer.object == "chat.completion", f"chat: object is {answer.object!r}")
    expect(answer.id and answer.created > 0, "chat: id or created is missing")
    expect(answer.model == options["model"], f"chat: asked {options['model']!r}, {answer.model!r} answered")
    expect(len(answer.choices) == 1, f"chat: {len(answer.choices)} choices for one asked")
    choice = answer.choices[0]
    expect(choice.index == 0, f"chat: the only choice has index {choice.index}")
    expect(choice.message.role == "assistant", f"chat: role is {choice.message.role!r}")
    expect(choice.message.content, "chat: the content is empty")
    expect(choice.finish_reason in ("stop", "length"), f"chat: finish_reason is {choice.finish_reason!r}")
    return {
        "content": choice.message.content,
        "finish_reason": choice.finish_reason,
        "usage": expect_usage(answer.usage, "chat"),
    }


def streamed_answer(client, options):
    stream = client.chat.completions.create(
        messages=PROMPT, stream=True, stream_options={"include_usage": True}, **options
    )
    content, roles, finishes, usages, ids, chunks = [], [], [], [], set(), 0
    for chunk in stream:
        chunks += 1
        expect(not usages, "stream: a chunk follows the one with the usage")
        expect(chunk.object == "chat.completion.chunk", f"stream: object is {chunk.object!r}")
        expect(chunk.model == options["model"], f"stream: asked {options['model']!r}, {chunk.model!r} answered")
        ids.add(chunk.id)
        if not chunk.choices:
            usages.append(expect_usage(chunk.usage, "stream"))
            continue
        expect(chunk.usage is None, "stream: usage stands beside a choice")
        expect(not finishes, "stream: a choice follows the finish_reason")
        choice = chunk.choices[0]
        expect(choice.index == 0, f"stream: the only choice has index {choice.index}")
        if choice.delta.role is not None:
            roles.append((chunks, choice.delta.role))
        if choice.delta.content:
            content.append(choice.delta.content)
        if choice.finish_reason is not None:
            finishes.append(choice.finish_reason)
    expect(len(ids) == 1, f"stream: the id changes: {sorted(map(str, ids))}")
    expect(roles == [(1, "assistant")], f"stream: the role stands once, in the first chunk; got {roles}")
    expect(content, "stream: no content came")
    expect(finishes and finishes[0] in ("stop", "length"), f"stream: finish_reason is {finishes}")
    expect(usages, "stream: include_usage was asked and no usage came")
    return {
        "content": "".join(content),
        "pieces": len(content),
        "chunks": chunks,
        "finish_reason": finishes[0],
        "usage": usages[0],
    }


def left_stream(client, options):
    """Leaves after the first chunk, as a person does who closes the page."""
    with client.chat.completions.create(messages=PROMPT, stream=True, **options) as stream:
        next(iter(stream))
    return "left after the first chunk"


def expect_error(kind, where, call, *, parameter=None, code=None):
    try:
        call()
    except kind as error:
        body = error.body
        expect(isinstance(body, dict), f"{where}: the error's body is not in OpenAI's shape: {body!r}")
        absent = {"message", "type", "param", "code"} - set(body)
        expect(not absent, f"{where}: the error lacks {sorted(absent)}: {body!r}")
        expect(body["message"] and body["type"], f"{where}: message or type is empty: {body!r}")
        expect(parameter is None or body["param"] == parameter, f"{where}: param is {body['param']!r}, not {parameter!r}")
        expect(code is None or body["code"] == code, f"{where}: code is {body['code']!r}, not {code!r}")
        retry_after = error.response.headers.get("retry-after")
        return {"class": type(error).__name__, "status": error.status_code, "retry_after": retry_after, **body}
    except openai.OpenAIError as error:
        raise Deviation(f"{where}: expected {kind.__name__}, got {type(error).__name__}: {error}") from error
    raise Deviation(f"{where}: expected {kind.__name__}, got an answer")


def errors(client, options):
    chat = client.chat.completions.create
    return {
        "unknown_model": expect_error(
            openai.NotFoundError,
            "unknown model",
            lambda: chat(messages=PROMPT, **{**options, "model": "no-such-model"}),
            code="model_not_found",
        ),
        "bad_temperature": expect_error(
            openai.BadRequestError,
            "temperature 9",
            lambda: chat(messages=PROMPT, **{**options, "temperature": 9}),
            parameter="temperature",
        ),
        "no_messages": expect_error(
            openai.BadRequestError,
            "no messages",
            lambda: chat(messages=[], **options),
            parameter="messages",
        ),
    }


def shed(base_url, options):
    chat = client_for(base_url).chat.completions.create
    seen = expect_error(openai.RateLimitError, "full service", lambda: chat(messages=PROMPT, **options))
    expect(seen["retry_after"] is not None, "full service: Retry-After is missing")
    expect(float(seen["retry_after"]) >= 0, f"full service: Retry-After is {seen['retry_after']!r}")
    return seen


def drive(arguments):
    client = client_for(arguments.base_url)
    models = list_models(client)
    model = arguments.model or models[0]
    expect(model in models, f"models: {model!r} is not among {models}")
    options = {"model": model, "max_tokens": arguments.max_tokens}
    seen = {
        "models": models,
        "chat": whole_answer(client, options),
        "stream": streamed_answer(client, options),
        "left": left_stream(client, options),
        "errors": errors(client, options),
    }
    if arguments.shed_url:
        seen["shed"] = shed(arguments.shed_url, options)
    return seen


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base_url")
    parser.add_argument("--model", help="default: the first one listed")
    parser.add_argument("--max-tokens", type=int, default=16)
    parser.add_argument("--shed-url", help="a service that is full")
    try:
        json.dump(drive(parser.parse_args()), sys.stdout)
    except Deviation as deviation:
        sys.exit(str(deviation))
    except openai.OpenAIError as error:
        sys.exit(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
