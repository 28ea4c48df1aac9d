"""OpenAI's own client before a gateway on a laptop and in Lambda: it must not see a difference."""

import json
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest

import conversation

ROUTE = "dynamic/n8n"
HELLO = [{"role": "user", "content": "Héllo 🌍?"}]
BUSY = {"error": {"type": "rate_limit_error", "message": "slow down"}, "status": 429}
BROKEN = {"error": {"type": "server_error", "message": "we broke"}, "status": 500}
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


def ask(client, model=ROUTE, messages=HELLO, **more):
    return client.chat.completions.create(model=model, messages=messages, **more)


def text_of(stream):
    """All that a stream says."""
    chunks = [chunk for chunk in stream if chunk.choices]
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)


def delta(**fields):
    """A chunk that a provider sends, as a step of its script."""
    chunk = {
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1741569952, "model": "fast",
        "choices": [{"index": 0, "delta": fields, "finish_reason": None}],
    }
    return {"frame": f"data: {json.dumps(chunk)}\n\n"}


def test_a_whole_response(client, provider):
    provider.script({"completion": "Grüße 🌍"})
    answer = ask(client, temperature=0.25)
    assert answer.choices[0].message.content == "Grüße 🌍"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (9, 12)
    [request] = provider.seen()
    assert request["json"] == {"messages": HELLO, "model": "fast", "temperature": 0.25}
    assert request["headers"]["authorization"] == "Bearer sk-of-the-first"


def test_a_streamed_response(client, provider):
    provider.script({"chunks": ["Grü", "ße ", "🌍"]})
    assert text_of(ask(client, stream=True)) == "Grüße 🌍"


def test_each_chunk_arrives_when_it_is_sent(client, provider):
    provider.script({"stream": [
        "role", {"text": "one"}, {"latch": "two"}, {"text": "two"}, {"finish": "stop"}, "done",
    ]})
    with ask(client, stream=True) as stream:
        chunks = (chunk.choices[0].delta.content for chunk in stream)
        assert [next(chunks), next(chunks)] == ["", "one"]
        provider.open("two")
        assert next(chunks) == "two"
        assert list(chunks) == [None]


def test_a_failover_shows_in_headers_and_body(client, provider):
    provider.script(BUSY, {"completion": "Hello!"})
    raw = client.chat.completions.with_raw_response.create(model=ROUTE, messages=HELLO)
    assert raw.headers["x-gateway-provider"] == "second"
    assert raw.headers["x-gateway-model"] == "slow"
    assert raw.headers["x-gateway-attempts"] == "2"
    metadata = raw.parse().x_gateway
    assert (metadata["provider"], metadata["route"]) == ("second", ROUTE)
    assert metadata["request_id"] == raw.headers["x-request-id"]
    attempts = [(a["provider"], a["model"], a["status"]) for a in metadata["attempts"]]
    assert attempts == [("first", "fast", 429), ("second", "slow", 200)]


def test_a_failover_shows_in_the_last_chunk_of_a_stream(client, provider):
    provider.script({"stream": ["role", "cut"]}, {"chunks": ["Hello!"]})
    *others, last = ask(client, stream=True)
    assert [a["provider"] for a in last.x_gateway["attempts"]] == ["first", "second"]
    assert not any(hasattr(chunk, "x_gateway") for chunk in others)


def test_usage_is_streamed_only_when_requested(client, provider):
    script = {"stream": ["role", {"text": "Hi"}, {"finish": "stop"}, {"usage": [9, 12]}, "done"]}
    provider.script(script)
    chunks = list(ask(client, stream=True, stream_options={"include_usage": True}))
    assert chunks[-1].choices == []
    assert (chunks[-1].usage.prompt_tokens, chunks[-1].usage.total_tokens) == (9, 21)
    provider.script(script)
    assert all(chunk.choices for chunk in ask(client, stream=True))


def test_tools_over_two_turns(client, provider):
    calls = [
        {"id": f"call_{city}", "type": "function",
         "function": {"name": "weather", "arguments": json.dumps({"city": city})}}
        for city in ("Oslo", "Rome")
    ]
    message = {"role": "assistant", "content": None, "tool_calls": calls}
    provider.script({"json": {
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1741569952, "model": "fast",
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}],
    }})
    more = {"tools": [WEATHER], "tool_choice": "auto", "parallel_tool_calls": True}
    choice = ask(client, **more).choices[0]
    assert choice.finish_reason == "tool_calls"
    assert [call.id for call in choice.message.tool_calls] == ["call_Oslo", "call_Rome"]
    assert provider.seen()[0]["json"].items() >= more.items()

    check_second_turn(client, provider, choice.message.to_dict(), choice.message.tool_calls)


def test_tools_over_two_turns_streamed(client, provider):
    def begins(index, name):
        function = {"name": "weather", "arguments": ""}
        return delta(tool_calls=[
            {"index": index, "id": name, "type": "function", "function": function},
        ])

    def goes_on(index, chunk):
        return delta(tool_calls=[{"index": index, "function": {"arguments": chunk}}])

    provider.script({"stream": [
        delta(role="assistant", content=None),
        begins(0, "call_Oslo"), goes_on(0, '{"ci'), goes_on(0, 'ty":"Oslo"}'),
        begins(1, "call_Rome"), goes_on(1, '{"city":'), goes_on(1, '"Rome"}'),
        {"finish": "tool_calls"}, "done",
    ]})
    with client.chat.completions.stream(model=ROUTE, messages=HELLO, tools=[WEATHER]) as stream:
        whole = stream.get_final_completion().choices[0]
    calls = whole.message.tool_calls
    assert [call.id for call in calls] == ["call_Oslo", "call_Rome"]
    cities = [json.loads(call.function.arguments)["city"] for call in calls]
    assert cities == ["Oslo", "Rome"]

    message = {"role": "assistant", "tool_calls": [
        {"id": c.id, "type": "function",
         "function": {"name": c.function.name, "arguments": c.function.arguments}}
        for c in calls
    ]}
    check_second_turn(client, provider, message, calls)


def check_second_turn(client, provider, message, calls):
    """The results are sent back, and reach the provider as they are."""
    results = [
        {"role": "tool", "tool_call_id": call.id, "content": f"Rain in {call.id}"} for call in calls
    ]
    messages = [*HELLO, message, *results]
    provider.script({"completion": "It rains."})
    answer = ask(client, messages=messages, tools=[WEATHER])
    assert answer.choices[0].message.content == "It rains."
    assert provider.seen()[0]["json"]["messages"] == messages


def test_a_wrong_key_raises_authentication_error(client):
    with pytest.raises(openai.AuthenticationError) as raised:
        ask(client.with_options(api_key="sk-wrong"))
    assert raised.value.code == "auth"


def test_an_unknown_model_raises_not_found_error(client):
    with pytest.raises(openai.NotFoundError) as raised:
        ask(client, model="no-such-model")
    assert (raised.value.code, raised.value.param) == ("unknown_model", "model")


@pytest.mark.parametrize("stream", [False, True])
def test_an_invalid_field_raises_bad_request_error_with_its_name(client, provider, stream):
    error_body = {"message": "must be at most 2", "type": "invalid_request_error", "param": "temperature"}
    provider.script({"json": {"error": error_body}, "status": 400})
    with pytest.raises(openai.BadRequestError) as raised:
        ask(client, temperature=3, stream=stream)
    assert (raised.value.code, raised.value.param) == ("invalid_request", "temperature")
    assert provider.requested_providers() == ["first"]


def test_a_missing_required_field_is_named(client, provider):
    provider.script({"completion": "never asked"})
    with pytest.raises(openai.BadRequestError) as raised:
        ask(client, messages="not a list")
    assert raised.value.param == "messages"


@pytest.mark.parametrize("stream", [False, True])
def test_a_rate_limit_raises_rate_limit_error_with_retry_after(client, provider, stream):
    provider.script(BUSY | {"headers": {"retry-after": "7"}})
    with pytest.raises(openai.RateLimitError) as raised:
        ask(client, model="gpt-4o", stream=stream)
    assert raised.value.code == "rate_limit"
    assert 1 <= int(raised.value.response.headers["retry-after"]) <= 7
    assert [a["status"] for a in raised.value.body["attempts"]] == [429]


@pytest.mark.parametrize("stream", [False, True])
def test_the_failure_of_every_target_raises_internal_server_error(client, provider, stream):
    provider.script(BROKEN)
    with pytest.raises(openai.InternalServerError) as raised:
        ask(client, stream=stream)
    assert raised.value.status_code == 502
    assert [a["provider"] for a in raised.value.body["attempts"]] == ["first", "second"]
    assert raised.value.body["request_id"] == raised.value.request_id


def test_a_client_timeout_cancels_the_call(client, provider):
    provider.script({"hang": True})
    with pytest.raises(openai.APITimeoutError):
        # One step only: a function that its client left goes on, into the tests behind this one.
        ask(client.with_options(timeout=0.3), model="first/fast")


@pytest.mark.parametrize("end", [["cut"], ["hang"], [], [{"frame": "data: {oops\n\n"}]])
def test_a_broken_stream_raises_api_error(client, provider, end):
    provider.script({"stream": ["role", {"text": "Hel"}, *end]})
    received = []
    with pytest.raises(openai.APIError) as raised:
        received.extend(chunk.choices[0].delta.content for chunk in ask(client, stream=True))
    assert "first" in raised.value.message
    assert provider.requested_providers() == ["first"]


def test_concurrent_calls_do_not_mix(client, provider):
    provider.script({"completion": "Hello!", "delay_ms": 50})

    def one(number):
        messages = [{"role": "user", "content": f"I am {number}."}]
        return ask(client, messages=messages).x_gateway["request_id"]

    with ThreadPoolExecutor(5) as pool:
        names = set(pool.map(one, range(5)))
    assert len(names) == 5
    contents = sorted(request["json"]["messages"][0]["content"] for request in provider.seen())
    assert contents == [f"I am {number}." for number in range(5)]


def test_models_are_listed_and_found(client):
    assert [model.id for model in client.models.list()] == conversation.MODELS
    assert client.models.retrieve(ROUTE).description == "First one, then the other"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("no-such-model")
    with pytest.raises(openai.AuthenticationError):
        client.with_options(api_key="sk-wrong").models.list()
