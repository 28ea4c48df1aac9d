"""OpenAI's own client on Responses, before providers of every format."""

import base64
import json

import openai
import pytest

import conversation
import wire_formats
from conftest import KEY
from wire_formats import Call, ScriptedResponse

ANY = "dynamic/any"
WEATHER = {"type": "function", "name": "weather", "parameters": conversation.SCHEMA, "strict": True}
JSON = ScriptedResponse(conversation.PLACE.model_dump_json())


def ask(client, model, input=conversation.HELLO, **more):
    return client.responses.create(model=model, input=input, **more)


def answer(client, model, stream, input=conversation.HELLO, **more):
    """A whole response, however it comes."""
    if not stream:
        return ask(client, model, input, **more)
    with client.responses.stream(model=model, input=input, **more) as events:
        return events.get_final_response()


@pytest.mark.parametrize("stream", [False, True])
def test_a_response(client, provider, wire, stream):
    provider.script(wire.answers(ScriptedResponse("Grüße 🌍"), stream))
    response = answer(client, wire.model(), stream, instructions="Be brief.")
    assert (response.output_text, response.status) == ("Grüße 🌍", "completed")
    assert (response.object, response.error) == ("response", None)
    assert (response.usage.input_tokens, response.usage.output_tokens) == (9, 12)
    assert conversation.received(provider, wire) == [("system", "Be brief."), ("user", conversation.HELLO)]


@pytest.mark.parametrize("stream", [False, True])
def test_a_response_at_the_output_limit(client, provider, wire, stream):
    provider.script(wire.answers(ScriptedResponse("Grü", full=True), stream))
    response = ask(client, wire.model(), stream=stream)
    if stream:
        last = list(response)[-1]
        assert last.type == "response.incomplete"
        response = last.response
    assert (response.output_text, response.status) == ("Grü", "incomplete")
    assert response.incomplete_details.reason == "max_output_tokens"


def test_the_text_of_a_stream_arrives_in_deltas(client, provider, wire):
    provider.script(wire.stream(ScriptedResponse("Grüße 🌍")))
    with client.responses.stream(model=wire.model(), input=conversation.HELLO) as stream:
        events = list(stream)
    texts = [event for event in events if event.type == "response.output_text.delta"]
    assert [event.delta for event in texts] == ["Grüß", "e 🌍"]
    assert [event.snapshot for event in texts] == ["Grüß", "Grüße 🌍"]
    assert (events[0].type, events[-1].type) == ("response.created", "response.completed")


@pytest.mark.parametrize("stream", [False, True])
def test_reasoning_and_tools_over_two_turns(client, provider, wire, stream):
    scripted = ScriptedResponse("I look.", reasoning="Where?", signature=conversation.SIGNATURE, calls=conversation.CALLS)
    provider.script(wire.answers(scripted, stream))
    more = {
        "tools": [WEATHER], "parallel_tool_calls": True, "store": False,
        "reasoning": {"effort": "low", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
    }
    response = answer(client, wire.model(), stream, **more)
    assert [item.type for item in response.output] == [
        "reasoning", "message", "function_call", "function_call",
    ]
    reasoning, message, *calls = response.output
    assert "".join(part.text for part in reasoning.summary or reasoning.content) == "Where?"
    assert (message.content[0].text, response.output_text) == ("I look.", "I look.")
    assert [(call.name, json.loads(call.arguments)) for call in calls] == [
        ("weather", {"city": city}) for city in conversation.CITIES
    ]
    conversation.check_tools(provider, wire)

    results = [
        {"type": "function_call_output", "call_id": call.call_id, "output": conversation.CITIES[city]}
        for call, city in zip(calls, conversation.CITIES)
    ]
    turns = [{"role": "user", "content": conversation.HELLO}, *response.output, *results]
    provider.script(wire.answers(ScriptedResponse("It rains."), stream))
    assert answer(client, wire.model(), stream, turns, **more).output_text == "It rains."
    conversation.check_second_turn(provider, wire)


@pytest.mark.parametrize("stream", [False, True])
def test_a_custom_tool_over_two_turns(client, provider, wire, stream):
    if wire.name == "responses":
        pytest.skip("it has such tools itself")
    patch, more = "*** Begin Patch\n+\"ü\"", {"tools": [{"type": "custom", "name": "apply_patch"}]}
    provider.script(wire.whole(ScriptedResponse("Hi")))
    ask(client, wire.model(), **more)
    [name] = wire.tools(provider.seen()[0]["json"])
    scripted = ScriptedResponse(calls=[Call("call_1", name, {"input": patch})])
    provider.script(wire.answers(scripted, stream))
    [call] = answer(client, wire.model(), stream, **more).output
    assert (call.type, call.name, call.input) == ("custom_tool_call", "apply_patch", patch)

    result = {"type": "custom_tool_call_output", "call_id": call.call_id, "output": "Done."}
    provider.script(wire.answers(ScriptedResponse("It is."), stream))
    turns = [{"role": "user", "content": conversation.HELLO}, call, result]
    assert answer(client, wire.model(), stream, turns, **more).output_text == "It is."
    messages = [it for it in conversation.received(provider, wire) if it[0] != "signed"]
    arguments = {"input": patch}
    assert messages[1:] == [("call", name, arguments), ("result", name, arguments, "Done.")]


def test_reasoning_of_one_provider_is_not_sent_to_another(client, provider, wire):
    scripted = ScriptedResponse("I look.", reasoning="Where?", signature=conversation.SIGNATURE)
    for other in (other for other in wire_formats.ALL if other.signs and other.name != wire.name):
        provider.script(other.whole(scripted))
        response = ask(client, other.model())
        provider.script(wire.whole(ScriptedResponse("Hi")))
        hello = {"role": "user", "content": conversation.HELLO}
        ask(client, wire.model(), [hello, *response.output, hello])
        user = ("user", conversation.HELLO)
        assert conversation.received(provider, wire) == [user, ("assistant", "I look."), user]
        [request] = provider.seen()
        assert conversation.SIGNATURE not in request["body"]


@pytest.mark.parametrize("stream", [False, True])
def test_structured_output(client, provider, wire, stream):
    provider.script(wire.answers(JSON, stream))
    if stream:
        more = {"model": wire.model(), "input": conversation.HELLO, "text_format": conversation.Place}
        with client.responses.stream(**more) as events:
            response = events.get_final_response()
    else:
        response = client.responses.parse(
            model=wire.model(), input=conversation.HELLO, text_format=conversation.Place,
        )
    assert response.output_parsed == conversation.PLACE
    conversation.check_schema(provider, wire)


def test_an_image(client, provider, wire):
    provider.script(wire.whole(ScriptedResponse("A cat.")))
    url = f"data:image/png;base64,{base64.b64encode(conversation.IMAGE).decode()}"
    parts = [
        {"type": "input_image", "image_url": url, "detail": "auto"},
        {"type": "input_text", "text": "What is it?"},
    ]
    assert ask(client, wire.model(), [{"role": "user", "content": parts}]).output_text == "A cat."
    assert conversation.received(provider, wire) == [("image", conversation.IMAGE), ("user", "What is it?")]


@pytest.mark.parametrize("stream", [False, True])
def test_a_failover_over_formats(client, provider, stream):
    provider.script(*conversation.failover(ScriptedResponse("Hello!"), stream))
    raw = client.responses.with_raw_response.create(model=ANY, input=conversation.HELLO, stream=stream)
    response = raw.parse()
    if stream:
        response = list(response)[-1].response
    assert response.output_text == "Hello!"
    conversation.check_failover(raw.headers, provider)


def test_the_environment_sets_base_url_and_key(host, provider, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", f"{host}/openai/v1")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    provider.script(wire_formats.BY_NAME["chat"].whole(ScriptedResponse("Hi")))
    with openai.OpenAI() as client:
        assert ask(client, "chat/some-model").output_text == "Hi"
        assert [model.id for model in client.models.list()] == conversation.MODELS


def test_a_wrong_key_raises_authentication_error(client):
    with pytest.raises(openai.AuthenticationError) as raised:
        ask(client.with_options(api_key="sk-wrong"), ANY)
    assert raised.value.code == "auth"


def test_an_unknown_model_raises_not_found_error(client):
    with pytest.raises(openai.NotFoundError) as raised:
        ask(client, "no-such-model")
    assert (raised.value.code, raised.value.param) == ("unknown_model", "model")


@pytest.mark.parametrize("stream", [False, True])
def test_an_invalid_field_raises_bad_request_error(client, provider, wire, stream):
    provider.script(wire.failure(400, "too many tools"))
    with pytest.raises(openai.BadRequestError) as raised:
        answer(client, wire.model(), stream)
    assert raised.value.code == "invalid_request"
    assert f"Provider {wire.name}: too many tools" in raised.value.message


def test_nothing_is_stored(client):
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve("resp_1")


def test_fields_that_need_a_store_are_rejected_by_name(client, provider):
    with pytest.raises(openai.BadRequestError) as raised:
        ask(client, "claude/some-model", previous_response_id="resp_1")
    assert raised.value.param == "previous_response_id"


@pytest.mark.parametrize("stream", [False, True])
def test_a_rate_limit_raises_rate_limit_error_with_retry_after(client, provider, wire, stream):
    provider.script(wire.failure(429, "slow down", retry_after="7"))
    with pytest.raises(openai.RateLimitError) as raised:
        answer(client, wire.model("limited"), stream)
    assert raised.value.code == "rate_limit"
    assert 1 <= int(raised.value.response.headers["retry-after"]) <= 7


@pytest.mark.parametrize("stream", [False, True])
def test_a_failure_raises_internal_server_error(client, provider, wire, stream):
    provider.script(wire.failure(500, "we broke"))
    with pytest.raises(openai.InternalServerError) as raised:
        answer(client, wire.model("broken"), stream)
    assert (raised.value.status_code, raised.value.code) == (502, "server_error")
    assert [attempt["provider"] for attempt in raised.value.body["attempts"]] == [wire.name]


@pytest.mark.parametrize("end", ["broken", "cut"])
def test_a_broken_stream_raises_api_error(client, provider, wire, end):
    provider.script(getattr(wire, end)(ScriptedResponse("Hello!")))
    model, received = wire.model("cut"), []
    with client.responses.stream(model=model, input=conversation.HELLO) as stream:
        with pytest.raises(openai.APIError) as raised:
            received.extend(event for event in stream)
    texts = [event.delta for event in received if event.type == "response.output_text.delta"]
    assert texts == ["Hel", "lo!"]
    assert not any(event.type == "response.completed" for event in received)
    assert wire.name in raised.value.message


def test_a_too_large_request_raises_a_status_error_of_413(client):
    with pytest.raises(openai.APIStatusError) as raised:
        ask(client, ANY, conversation.TOO_LARGE)
    assert raised.value.status_code == 413


def test_a_conversation_is_compacted(client, provider):
    provider.script({"completion": "The parser was read."})
    items = [{"role": "user", "content": "Mend the parser."}]
    compacted = client.responses.compact(model="dynamic/n8n", input=items)
    [item] = compacted.output
    assert (item.type, bool(item.encrypted_content)) == ("compaction", True)
    provider.script({"completion": "Done."})
    again = [item.model_dump(exclude_none=True), {"role": "user", "content": "Go on."}]
    client.responses.create(model="dynamic/n8n", input=again)
    assert "The parser was read." in json.dumps(provider.seen()[-1]["json"])
