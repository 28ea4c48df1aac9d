"""Vercel's AI SDK, before providers of every format.

It reads each API's answers by schemas of its own, and goes over several turns by itself.
"""

import json

import pytest

import programs
import stack
import conversation
from conftest import KEY
from wire_formats import ScriptedResponse

CLIENTS = ["chat", "responses", "anthropic", "google", "compatible"]


@pytest.fixture(scope="session")
def sdk(tmp_path_factory):
    """The SDK as a program of its own, controlled line by line."""
    folder = tmp_path_factory.mktemp("ai_sdk")
    script = stack.ROOT / "e2e" / "ai_sdk.mjs"
    program = programs.InteractiveProgram(stack.TOOLS / "node", script, log=folder / "log")
    yield program
    program.stop()


@pytest.fixture(params=CLIENTS)
def ask(request, sdk, laptop):
    """Asks as one of the SDK's clients."""

    def ask(model, stream, **more):
        return sdk.ask({
            "url": laptop, "key": KEY, "client": request.param, "model": model,
            "stream": stream, "prompt": conversation.HELLO, **more,
        })

    ask.client = request.param
    return ask


def unwrapped(word):
    """A result as it is. The client for Gemini puts the tool's name beside it."""
    match word:
        case ("result", name, arguments, str(text)) if text.startswith("{"):
            beside = json.loads(text)
            assert beside.pop("name") == name
            return ("result", name, arguments, beside["content"])
    return word


@pytest.mark.parametrize("stream", [False, True])
def test_a_response(ask, provider, wire, stream):
    provider.script(wire.answers(ScriptedResponse("Grüße 🌍"), stream))
    answer = ask(wire.model(), stream, system="Be brief.")
    assert answer == {
        "text": "Grüße 🌍", "finish": "stop", "thoughts": [""], "calls": [[]],
        "usage": [9, 12], "warnings": [],
    }
    assert conversation.received(provider, wire) == [("system", "Be brief."), ("user", conversation.HELLO)]


@pytest.mark.parametrize("stream", [False, True])
def test_reasoning_and_tools_over_two_turns(ask, provider, wire, stream):
    scripted = ScriptedResponse("I look.", reasoning="Where?", signature=conversation.SIGNATURE, calls=conversation.CALLS)
    provider.script(wire.answers(scripted, stream), wire.answers(ScriptedResponse("It rains."), stream))
    answer = ask(wire.model(), stream, weather={"schema": conversation.SCHEMA, "of": conversation.CITIES})
    assert (answer["text"], answer["finish"]) == ("It rains.", "stop")
    calls = [["weather", {"city": city}] for city in conversation.CITIES]
    assert answer["calls"] == [calls, []]
    # Its client for OpenAI's own models has no reasoning; its signature is in the calls' ids.
    assert answer["thoughts"] == ["" if ask.client == "chat" else "Where?", ""]
    first, second = provider.seen()
    assert list(wire.tools(first["json"])["weather"]["properties"]) == ["city"]
    messages = wire.received(second["json"])
    conversation.check_messages([unwrapped(word) for word in messages] if ask.client == "google" else messages, wire)


@pytest.mark.parametrize("stream", [False, True])
def test_structured_output(ask, provider, wire, stream):
    provider.script(wire.answers(ScriptedResponse(conversation.PLACE.model_dump_json()), stream))
    schema = conversation.Place.model_json_schema() | {"additionalProperties": False}
    answer = ask(wire.model(), stream, schema=schema)
    assert answer["output"] == conversation.PLACE.model_dump()
    conversation.check_schema(provider, wire)


@pytest.mark.parametrize("stream", [False, True])
def test_a_rate_limit_is_a_retryable_error(ask, provider, wire, stream):
    provider.script(wire.failure(429, "slow down", retry_after="7"))
    error = ask(wire.model("limited"), stream)["error"]
    assert (error["name"], error["status"], error["isRetryable"]) == ("AI_APICallError", 429, True)
    assert 1 <= int(error["wait"]) <= 7
    assert wire.name in error["message"]


@pytest.mark.parametrize("end", ["broken", "cut"])
def test_a_broken_stream_is_an_error_after_its_text(ask, provider, wire, end):
    provider.script(getattr(wire, end)(ScriptedResponse("Hello!")))
    answer = ask(wire.model("cut"), True)
    assert answer["heard"] == "Hello!"
    assert wire.name in answer["error"]["message"]
