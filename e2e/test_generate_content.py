"""Google's own client before providers of every format: it must not see a difference."""

import json
import urllib.error
import urllib.request

import pytest
from google import genai
from google.genai import errors, types

import conversation
import wire_formats
from conftest import KEY
from wire_formats import ScriptedResponse

ANY = "dynamic/any"
WEATHER = types.Tool(function_declarations=[
    types.FunctionDeclaration(name="weather", parameters_json_schema=conversation.SCHEMA),
])
# Calls are for the test to answer.
BY_HAND = types.AutomaticFunctionCallingConfig(disable=True)


def connected(host, key=KEY):
    return genai.Client(api_key=key, http_options={"base_url": host, "timeout": 30_000})


@pytest.fixture(scope="module")
def client(host):
    with connected(host) as client:
        yield client


def ask(client, model, contents=conversation.HELLO, **config):
    return client.models.generate_content(model=model, contents=contents, config=config)


def chunks(client, model, contents=conversation.HELLO, **config):
    return client.models.generate_content_stream(model=model, contents=contents, config=config)


def fail(client, model, stream):
    """An answer that does not come, for its failure."""
    if stream:
        list(chunks(client, model))
    else:
        ask(client, model)


def details(raised):
    """What a failure tells beside its words, by type."""
    details = raised.value.details["error"]["details"]
    return {detail["@type"].rpartition(".")[2]: detail for detail in details}


def test_a_response(client, provider, wire):
    provider.script(wire.whole(ScriptedResponse("Grüße 🌍")))
    answer = ask(client, wire.model(), system_instruction="Be brief.", temperature=0.25)
    assert (answer.text, answer.candidates[0].finish_reason) == ("Grüße 🌍", "STOP")
    usage = answer.usage_metadata
    assert (usage.prompt_token_count, usage.candidates_token_count) == (9, 12)
    assert conversation.received(provider, wire) == [("system", "Be brief."), ("user", conversation.HELLO)]


def test_a_streamed_response(client, provider, wire):
    provider.script(wire.stream(ScriptedResponse("Grüße 🌍")))
    stream_chunks = list(chunks(client, wire.model(), system_instruction="Be brief."))
    assert [chunk.text for chunk in stream_chunks if chunk.text] == ["Grüß", "e 🌍"]
    assert stream_chunks[-1].candidates[0].finish_reason == "STOP"
    usage = stream_chunks[-1].usage_metadata
    assert (usage.prompt_token_count, usage.candidates_token_count) == (9, 12)
    assert conversation.received(provider, wire) == [("system", "Be brief."), ("user", conversation.HELLO)]


@pytest.mark.parametrize("stream", [False, True])
def test_a_response_at_the_output_limit(client, provider, wire, stream):
    provider.script(wire.answers(ScriptedResponse("Grü", full=True), stream))
    answers = list(chunks(client, wire.model())) if stream else [ask(client, wire.model())]
    assert "".join(answer.text or "" for answer in answers) == "Grü"
    assert answers[-1].candidates[0].finish_reason == "MAX_TOKENS"


@pytest.mark.parametrize("stream", [False, True])
def test_reasoning_and_tools_over_two_turns(client, provider, wire, stream):
    scripted = ScriptedResponse("I look.", reasoning="Where?", signature=conversation.SIGNATURE, calls=conversation.CALLS)
    provider.script(wire.answers(scripted, stream))
    chat = client.chats.create(model=wire.model(), config={
        "tools": [WEATHER], "automatic_function_calling": BY_HAND,
        "thinking_config": {"include_thoughts": True, "thinking_budget": 1024},
    })
    parts = say(chat, conversation.HELLO, stream)
    assert "".join(part.text for part in parts if part.thought) == "Where?"
    assert "".join(part.text for part in parts if part.text and not part.thought) == "I look."
    calls = [part.function_call for part in parts if part.function_call]
    assert [(call.name, call.args) for call in calls] == [
        ("weather", {"city": city}) for city in conversation.CITIES
    ]
    conversation.check_tools(provider, wire)

    results = [
        types.Part(function_response=types.FunctionResponse(
            id=call.id, name=call.name, response={"output": conversation.CITIES[call.args["city"]]},
        ))
        for call in calls
    ]
    provider.script(wire.answers(ScriptedResponse("It rains."), stream))
    assert "".join(part.text for part in say(chat, results, stream)) == "It rains."
    conversation.check_second_turn(provider, wire)


def say(chat, message, stream):
    """The response of a chat to a message, part by part."""
    answers = chat.send_message_stream(message) if stream else [chat.send_message(message)]
    return [part for answer in answers for part in answer.parts or []]


def test_tools_called_automatically_by_the_client(client, provider, wire):
    def weather(city: str) -> str:
        """How it is there."""
        return conversation.CITIES[city]

    scripted = ScriptedResponse("I look.", signature=conversation.SIGNATURE, calls=conversation.CALLS)
    provider.script(wire.whole(scripted), wire.whole(ScriptedResponse("It rains.")))
    assert ask(client, wire.model(), tools=[weather]).text == "It rains."
    last = wire.received(provider.seen()[-1]["json"])
    results = [it for it in last if it[0] == "result"]
    assert [(arguments["city"], text_of(result)) for _, _, arguments, result in results] == list(
        conversation.CITIES.items()
    )


def text_of(result):
    """A result that the client put into an object."""
    return json.loads(result)["result"] if result.startswith("{") else result


def test_reasoning_of_one_provider_is_not_sent_to_another(client, provider, wire):
    scripted = ScriptedResponse("I look.", reasoning="Where?", signature=conversation.SIGNATURE)
    hello = types.UserContent(conversation.HELLO)
    for other in (other for other in wire_formats.ALL if other.signs and other.name != wire.name):
        provider.script(other.whole(scripted))
        answer = ask(client, other.model())
        provider.script(wire.whole(ScriptedResponse("Hi")))
        ask(client, wire.model(), [hello, answer.candidates[0].content, hello])
        user = ("user", conversation.HELLO)
        assert conversation.received(provider, wire) == [user, ("assistant", "I look."), user]
        [request] = provider.seen()
        assert conversation.SIGNATURE not in request["body"]


@pytest.mark.parametrize("name", ["response_schema", "response_json_schema"])
def test_structured_output(client, provider, wire, name):
    provider.script(wire.whole(ScriptedResponse(conversation.PLACE.model_dump_json())))
    schema = conversation.Place if name == "response_schema" else conversation.Place.model_json_schema()
    config = {"response_mime_type": "application/json", name: schema}
    answer = ask(client, wire.model(), **config)
    assert conversation.Place.model_validate(answer.parsed) == conversation.PLACE
    conversation.check_schema(provider, wire)


def test_an_image(client, provider, wire):
    provider.script(wire.whole(ScriptedResponse("A cat.")))
    picture = types.Part.from_bytes(data=conversation.IMAGE, mime_type="image/png")
    assert ask(client, wire.model(), [picture, "What is it?"]).text == "A cat."
    assert conversation.received(provider, wire) == [("image", conversation.IMAGE), ("user", "What is it?")]


def test_tokens_are_counted_or_estimated(client, provider, wire):
    provider.script({"json": wire.count or {}})
    counted = client.models.count_tokens(model=wire.model(), contents=[conversation.HELLO, "And you?"])
    if wire.count:
        assert counted.total_tokens == 7
    else:
        assert 1 < counted.total_tokens < 50
        assert counted.sdk_http_response.headers["x-gateway-estimated"] == "true"


@pytest.mark.parametrize("stream", [False, True])
def test_a_failover_over_formats(client, provider, stream):
    provider.script(*conversation.failover(ScriptedResponse("Hello!"), stream))
    answers = list(chunks(client, ANY)) if stream else [ask(client, ANY)]
    assert "".join(answer.text or "" for answer in answers) == "Hello!"
    conversation.check_failover(answers[0].sdk_http_response.headers, provider)


@pytest.mark.parametrize("base", ["", "/gemini"])
@pytest.mark.parametrize("version", ["v1", "v1beta"])
def test_versions_and_paths(host, provider, base, version):
    provider.script(wire_formats.BY_NAME["chat"].whole(ScriptedResponse("Hi")))
    options = {"base_url": host + base, "api_version": version}
    with genai.Client(api_key=KEY, http_options=options) as client:
        assert ask(client, "chat/some-model").text == "Hi"
        assert len(list(client.models.list())) == len(conversation.MODELS)


def test_models_are_listed_and_found(host, client):
    assert [model.name for model in client.models.list()] == [f"models/{it}" for it in conversation.MODELS]
    assert client.models.get(model=ANY).description == "One of each format"
    with pytest.raises(errors.ClientError) as raised:
        client.models.get(model="no-such-model")
    assert (raised.value.code, raised.value.status) == (404, "NOT_FOUND")
    with connected(host, "sk-wrong") as stranger, pytest.raises(errors.ClientError) as raised:
        stranger.models.list()
    assert raised.value.code == 401


def test_a_wrong_key_raises_client_error(host):
    with connected(host, "sk-wrong") as client, pytest.raises(errors.ClientError) as raised:
        ask(client, ANY)
    assert (raised.value.code, raised.value.status) == (401, "UNAUTHENTICATED")


def test_an_unknown_model_raises_client_error(client):
    with pytest.raises(errors.ClientError) as raised:
        ask(client, "no-such-model")
    assert (raised.value.code, raised.value.status) == (404, "NOT_FOUND")


@pytest.mark.parametrize("stream", [False, True])
def test_an_invalid_field_raises_client_error(client, provider, wire, stream):
    provider.script(wire.failure(400, "too many tools"))
    with pytest.raises(errors.ClientError) as raised:
        fail(client, wire.model(), stream)
    assert (raised.value.code, raised.value.status) == (400, "INVALID_ARGUMENT")
    assert raised.value.message == f"Provider {wire.name}: too many tools"


@pytest.mark.parametrize("stream", [False, True])
def test_a_rate_limit_raises_client_error_with_retry_after(client, provider, wire, stream):
    provider.script(wire.failure(429, "slow down", retry_after="7"))
    with pytest.raises(errors.ClientError) as raised:
        fail(client, wire.model("limited"), stream)
    assert (raised.value.code, raised.value.status) == (429, "RESOURCE_EXHAUSTED")
    assert 1 <= int(raised.value.response.headers["retry-after"]) <= 7
    assert 0 < float(details(raised)["RetryInfo"]["retryDelay"].removesuffix("s")) <= 7


@pytest.mark.parametrize("stream", [False, True])
def test_a_failure_raises_server_error(client, provider, wire, stream):
    provider.script(wire.failure(500, "we broke"))
    with pytest.raises(errors.ServerError) as raised:
        fail(client, wire.model("broken"), stream)
    assert (raised.value.code, raised.value.status) == (502, "UNAVAILABLE")
    [attempt] = details(raised)["Struct"]["value"]["attempts"]
    assert attempt["provider"] == wire.name


@pytest.mark.parametrize("end", ["broken", "cut"])
def test_a_broken_stream_raises_server_error(client, provider, wire, end):
    provider.script(getattr(wire, end)(ScriptedResponse("Hello!")))
    received = []
    with pytest.raises(errors.ServerError) as raised:
        received.extend(chunk.text for chunk in chunks(client, wire.model("cut")))
    assert "".join(text or "" for text in received) == "Hello!"
    assert wire.name in raised.value.message


def test_a_too_large_request_raises_an_error_of_413(client):
    with pytest.raises(errors.ClientError) as raised:
        ask(client, ANY, conversation.TOO_LARGE)
    assert raised.value.code == 413


def test_an_unknown_method_raises_an_error_of_404(host):
    headers = {"x-goog-api-key": KEY, "content-type": "application/json"}
    for path in ("/v1beta/models/m:predict", "/gemini/v1/models/chat/some-model:predict"):
        request = urllib.request.Request(host + path, b"{}", headers)
        with pytest.raises(urllib.error.HTTPError) as raised:
            urllib.request.urlopen(request)
        error = json.load(raised.value)["error"]
        assert (raised.value.code, error["status"]) == (404, "NOT_FOUND")
        assert "generateContent" in error["message"]
