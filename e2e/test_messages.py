"""Anthropic's own client before providers of every format: it must not see a difference."""

import base64

import anthropic
import pytest

import conversation
import wire_formats
from conftest import KEY
from wire_formats import ScriptedResponse

HELLO = [{"role": "user", "content": conversation.HELLO}]
WEATHER = {"name": "weather", "description": "How it is there", "input_schema": conversation.SCHEMA}
ANY = "dynamic/any"
JSON = ScriptedResponse(text=conversation.PLACE.model_dump_json())


@pytest.fixture(scope="module")
def client(host):
    """It does not retry by itself, so that tests see the first response."""
    options = {"api_key": KEY, "max_retries": 0, "timeout": 30}
    with anthropic.Anthropic(base_url=host, **options) as client:
        yield client


def ask(client, model, messages=HELLO, **more):
    return client.messages.create(model=model, max_tokens=2000, messages=messages, **more)


def streamed(client, model, messages=HELLO, **more):
    return client.messages.stream(model=model, max_tokens=2000, messages=messages, **more)


def answer(client, model, stream, **more):
    """A whole message, however it comes."""
    if not stream:
        return ask(client, model, **more)
    with streamed(client, model, **more) as events:
        return events.get_final_message()


@pytest.mark.parametrize("stream", [False, True])
def test_a_response(client, provider, wire, stream):
    provider.script(wire.answers(ScriptedResponse(text="Grüße 🌍"), stream))
    message = answer(client, wire.model(), stream, system="Be brief.")
    assert [(block.type, block.text) for block in message.content] == [("text", "Grüße 🌍")]
    assert (message.type, message.role, message.stop_reason) == ("message", "assistant", "end_turn")
    assert (message.usage.input_tokens, message.usage.output_tokens) == (9, 12)
    assert conversation.received(provider, wire) == [("system", "Be brief."), ("user", conversation.HELLO)]


@pytest.mark.parametrize("stream", [False, True])
def test_a_response_at_the_output_limit(client, provider, wire, stream):
    provider.script(wire.answers(ScriptedResponse("Grü", full=True), stream))
    message = answer(client, wire.model(), stream)
    assert (message.content[0].text, message.stop_reason) == ("Grü", "max_tokens")


def test_the_text_of_a_stream_arrives_in_deltas(client, provider, wire):
    provider.script(wire.stream(ScriptedResponse(text="Grüße 🌍")))
    with streamed(client, wire.model()) as stream:
        assert list(stream.text_stream) == ["Grüß", "e 🌍"]
        assert stream.get_final_text() == "Grüße 🌍"


@pytest.mark.parametrize("stream", [False, True])
def test_reasoning_and_tools_over_two_turns(client, provider, wire, stream):
    scripted = ScriptedResponse("I look.", reasoning="Where?", signature=conversation.SIGNATURE, calls=conversation.CALLS)
    provider.script(wire.answers(scripted, stream))
    more = {"tools": [WEATHER], "thinking": {"type": "enabled", "budget_tokens": 1024}}
    message = answer(client, wire.model(), stream, **more)
    assert message.stop_reason == "tool_use"
    reasoning, text, *calls = message.content
    assert (reasoning.thinking, text.text) == ("Where?", "I look.")
    assert [(call.name, call.input) for call in calls] == [
        ("weather", {"city": city}) for city in conversation.CITIES
    ]
    conversation.check_tools(provider, wire)

    results = [
        {"type": "tool_result", "tool_use_id": call.id, "content": conversation.CITIES[call.input["city"]]}
        for call in calls
    ]
    messages = [*HELLO, message.to_param(), {"role": "user", "content": results}]
    provider.script(wire.answers(ScriptedResponse("It rains."), stream))
    last = answer(client, wire.model(), stream, messages=messages, **more)
    assert last.content[0].text == "It rains."
    conversation.check_second_turn(provider, wire)


def test_tools_called_automatically_by_the_client(client, provider, wire):
    @anthropic.beta_tool
    def weather(city: str) -> str:
        """How it is there."""
        return conversation.CITIES[city]

    scripted = ScriptedResponse("I look.", "Where?", conversation.SIGNATURE, conversation.CALLS)
    provider.script(wire.whole(scripted), wire.whole(ScriptedResponse("It rains.")))
    runner = client.beta.messages.tool_runner(
        model=wire.model(), max_tokens=2000, messages=HELLO, tools=[weather],
        betas=["some-feature-2026-01-01"],
    )
    assert runner.until_done().content[0].text == "It rains."
    first, last = provider.seen()
    results = [it[3] for it in wire.received(last["json"]) if it[0] == "result"]
    assert results == list(conversation.CITIES.values())
    betas = first["headers"].get("anthropic-beta", "")
    assert ("some-feature-2026-01-01" in betas) == (wire.name == "claude")


def test_a_thread_is_sent_whole_in_every_request(client, provider, wire):
    """The client refers to a stored thread, and sends it whole when the field is rejected."""
    thread = client.beta.messages.thread(model=wire.model(), max_tokens=2000)
    provider.script(wire.whole(ScriptedResponse("Hi.")))
    assert thread.send(*HELLO).content[0].text == "Hi."
    provider.script(wire.whole(ScriptedResponse("Bye.")))
    assert thread.send({"role": "user", "content": "And?"}).content[0].text == "Bye."
    assert conversation.received(provider, wire) == [
        ("user", conversation.HELLO), ("assistant", "Hi."), ("user", "And?"),
    ]


def test_reasoning_of_one_provider_is_not_sent_to_another(client, provider, wire):
    others = [other for other in wire_formats.ALL if other.signs and other.name != wire.name]
    scripted = ScriptedResponse("I look.", reasoning="Where?", signature=conversation.SIGNATURE)
    for other in others:
        provider.script(other.whole(scripted))
        message = ask(client, other.model())
        provider.script(wire.whole(ScriptedResponse("Hi")))
        ask(client, wire.model(), [*HELLO, message.to_param(), *HELLO])
        user = ("user", conversation.HELLO)
        assert conversation.received(provider, wire) == [user, ("assistant", "I look."), user]
        [request] = provider.seen()
        assert conversation.SIGNATURE not in request["body"]


@pytest.mark.parametrize("stream", [False, True])
def test_structured_output(client, provider, wire, stream):
    provider.script(wire.answers(JSON, stream))
    if stream:
        with streamed(client, wire.model(), output_format=conversation.Place) as events:
            message = events.get_final_message()
    else:
        message = client.messages.parse(
            model=wire.model(), max_tokens=99, messages=HELLO, output_format=conversation.Place,
        )
    assert message.parsed_output == conversation.PLACE
    conversation.check_schema(provider, wire)


def test_an_image(client, provider, wire):
    provider.script(wire.whole(ScriptedResponse("A cat.")))
    data = base64.b64encode(conversation.IMAGE).decode()
    source = {"type": "base64", "media_type": "image/png", "data": data}
    parts = [{"type": "image", "source": source}, {"type": "text", "text": "What is it?"}]
    message = ask(client, wire.model(), [{"role": "user", "content": parts}])
    assert message.content[0].text == "A cat."
    assert conversation.received(provider, wire) == [("image", conversation.IMAGE), ("user", "What is it?")]


def test_tokens_are_counted_or_estimated(client, provider, wire):
    provider.script({"json": wire.count or {}})
    more = {"system": "Be brief.", "tools": [WEATHER], "messages": HELLO}
    raw = client.messages.with_raw_response.count_tokens(model=wire.model(), **more)
    if wire.count:
        assert (raw.parse().input_tokens, raw.headers.get("x-gateway-estimated")) == (7, None)
    else:
        assert 10 < raw.parse().input_tokens < 100
        assert raw.headers["x-gateway-estimated"] == "true"


@pytest.mark.parametrize("stream", [False, True])
def test_a_failover_over_formats(client, provider, stream):
    provider.script(*conversation.failover(ScriptedResponse("Hello!"), stream))
    if stream:
        with streamed(client, ANY) as events:
            assert events.get_final_text() == "Hello!"
            headers = events.response.headers
    else:
        raw = client.messages.with_raw_response.create(model=ANY, max_tokens=9, messages=HELLO)
        assert raw.parse().content[0].text == "Hello!"
        headers = raw.headers
    conversation.check_failover(headers, provider)
    assert headers["request-id"] == headers["x-request-id"]


def test_models_are_listed_and_found(client):
    assert [model.id for model in client.models.list()] == conversation.MODELS
    found = client.models.retrieve(ANY)
    assert (found.id, found.type, found.created_at.year) == (ANY, "model", 1970)
    with pytest.raises(anthropic.NotFoundError):
        client.models.retrieve("no-such-model")
    with pytest.raises(anthropic.AuthenticationError):
        client.with_options(api_key="sk-wrong").models.list()


@pytest.mark.parametrize("base", ["", "/anthropic"])
def test_the_environment_sets_base_url_and_key(host, provider, base, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_BASE_URL", host + base)
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", KEY)
    provider.script(wire_formats.BY_NAME["chat"].whole(ScriptedResponse("Hi")))
    with anthropic.Anthropic() as client:
        assert ask(client, "chat/some-model").content[0].text == "Hi"
        assert [model.id for model in client.models.list()] == conversation.MODELS


def test_a_wrong_key_raises_authentication_error(client):
    with pytest.raises(anthropic.AuthenticationError) as raised:
        ask(client.with_options(api_key="sk-wrong"), ANY)
    assert raised.value.type == "authentication_error"
    assert raised.value.request_id == raised.value.body["request_id"]


def test_an_unknown_model_raises_not_found_error(client):
    with pytest.raises(anthropic.NotFoundError) as raised:
        ask(client, "no-such-model")
    assert raised.value.type == "not_found_error"


@pytest.mark.parametrize("stream", [False, True])
def test_an_invalid_field_raises_bad_request_error(client, provider, wire, stream):
    provider.script(wire.failure(400, "max_tokens: too many"))
    with pytest.raises(anthropic.BadRequestError) as raised:
        answer(client, wire.model(), stream)
    assert raised.value.type == "invalid_request_error"
    assert f"Provider {wire.name}: max_tokens: too many" in raised.value.message


@pytest.mark.parametrize("stream", [False, True])
def test_a_rate_limit_raises_rate_limit_error_with_retry_after(client, provider, wire, stream):
    provider.script(wire.failure(429, "slow down", retry_after="7"))
    with pytest.raises(anthropic.RateLimitError) as raised:
        answer(client, wire.model("limited"), stream)
    assert raised.value.type == "rate_limit_error"
    assert 1 <= int(raised.value.response.headers["retry-after"]) <= 7


@pytest.mark.parametrize("stream", [False, True])
def test_a_failure_raises_internal_server_error(client, provider, wire, stream):
    provider.script(wire.failure(500, "we broke"))
    with pytest.raises(anthropic.InternalServerError) as raised:
        answer(client, wire.model("broken"), stream)
    assert (raised.value.status_code, raised.value.type) == (502, "api_error")


@pytest.mark.parametrize("end", ["broken", "cut"])
def test_a_broken_stream_raises_api_error(client, provider, wire, end):
    provider.script(getattr(wire, end)(ScriptedResponse("Hello!")))
    received = []
    with streamed(client, wire.model("cut")) as stream:
        with pytest.raises(anthropic.APIStatusError) as raised:
            received.extend(stream.text_stream)
    assert received == ["Hel", "lo!"]
    assert raised.value.type in ("api_error", "overloaded_error")
    assert wire.name in raised.value.message


def test_a_too_large_request_raises_content_too_large_error(client):
    with pytest.raises(anthropic.ContentTooLargeError):
        ask(client, ANY, [{"role": "user", "content": conversation.TOO_LARGE}])
