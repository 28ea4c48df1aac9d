"""OpenAI's own client on Chat Completions, before providers of every format."""

import base64
import json

import openai
import pytest

import conversation
import wire_formats
from wire_formats import ScriptedResponse

ANY = "dynamic/any"
HELLO = [{"role": "user", "content": conversation.HELLO}]
FUNCTION = {"name": "weather", "parameters": conversation.SCHEMA, "strict": True}
WEATHER = {"type": "function", "function": FUNCTION}


def answer(client, model, stream, messages=HELLO, **more):
    """A whole completion, however it comes."""
    more = {"model": model, "messages": messages, **more}
    if not stream:
        return client.chat.completions.create(**more)
    with client.chat.completions.stream(**more) as events:
        return events.get_final_completion()


@pytest.mark.parametrize("stream", [False, True])
def test_a_response(client, provider, wire, stream):
    provider.script(wire.answers(ScriptedResponse("Grüße 🌍"), stream))
    messages = [{"role": "system", "content": "Be brief."}, *HELLO]
    more = {"stream_options": {"include_usage": True}} if stream else {}
    completion = answer(client, wire.model(), stream, messages, **more)
    [choice] = completion.choices
    assert (choice.message.content, choice.finish_reason) == ("Grüße 🌍", "stop")
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (9, 12)
    assert conversation.received(provider, wire) == [("system", "Be brief."), ("user", conversation.HELLO)]


@pytest.mark.parametrize("stream", [False, True])
def test_a_response_at_the_output_limit(client, provider, wire, stream):
    provider.script(wire.answers(ScriptedResponse("Grü", full=True), stream))
    result = client.chat.completions.create(model=wire.model(), messages=HELLO, stream=stream)
    if stream:
        reasons = [chunk.choices[0].finish_reason for chunk in result if chunk.choices]
        assert [reason for reason in reasons if reason] == ["length"]
    else:
        assert result.choices[0].finish_reason == "length"


@pytest.mark.parametrize("stream", [False, True])
def test_reasoning_and_tools_over_two_turns(client, provider, wire, stream):
    scripted = ScriptedResponse("I look.", reasoning="Where?", signature=conversation.SIGNATURE, calls=conversation.CALLS)
    provider.script(wire.answers(scripted, stream))
    more = {"tools": [WEATHER], "reasoning_effort": "low"}
    [choice] = answer(client, wire.model(), stream, **more).choices
    assert (choice.finish_reason, choice.message.content) == ("tool_calls", "I look.")
    assert choice.message.reasoning_content == "Where?"
    calls = choice.message.tool_calls
    assert [(call.function.name, json.loads(call.function.arguments)) for call in calls] == [
        ("weather", {"city": city}) for city in conversation.CITIES
    ]
    conversation.check_tools(provider, wire)

    results = [
        {"role": "tool", "tool_call_id": call.id, "content": conversation.CITIES[city]}
        for call, city in zip(calls, conversation.CITIES)
    ]
    # Many clients keep no more than this; the signature is on the ids then.
    bare = {"role": "assistant", "content": choice.message.content, "tool_calls": [
        call.to_dict(exclude_unset=True) for call in calls
    ]}
    for call in bare["tool_calls"]:
        call.pop("index", None)
        call["function"].pop("parsed_arguments", None)
    for message in (choice.message.to_dict(), bare):
        provider.script(wire.answers(ScriptedResponse("It rains."), stream))
        [last] = answer(client, wire.model(), stream, [*HELLO, message, *results], **more).choices
        assert last.message.content == "It rains."
        conversation.check_second_turn(provider, wire)


def test_reasoning_of_one_provider_is_not_sent_to_another(client, provider, wire):
    scripted = ScriptedResponse("I look.", reasoning="Where?", signature=conversation.SIGNATURE)
    for other in (other for other in wire_formats.ALL if other.signs and other.name != wire.name):
        provider.script(other.whole(scripted))
        message = answer(client, other.model(), stream=False).choices[0].message
        provider.script(wire.whole(ScriptedResponse("Hi")))
        answer(client, wire.model(), False, [*HELLO, message.to_dict(), *HELLO])
        user = ("user", conversation.HELLO)
        assert conversation.received(provider, wire) == [user, ("assistant", "I look."), user]
        [request] = provider.seen()
        assert conversation.SIGNATURE not in request["body"]


@pytest.mark.parametrize("stream", [False, True])
def test_structured_output(client, provider, wire, stream):
    provider.script(wire.answers(ScriptedResponse(conversation.PLACE.model_dump_json()), stream))
    if stream:
        completion = answer(client, wire.model(), stream, response_format=conversation.Place)
    else:
        completion = client.chat.completions.parse(
            model=wire.model(), messages=HELLO, response_format=conversation.Place,
        )
    assert completion.choices[0].message.parsed == conversation.PLACE
    conversation.check_schema(provider, wire)


def test_an_image(client, provider, wire):
    provider.script(wire.whole(ScriptedResponse("A cat.")))
    url = f"data:image/png;base64,{base64.b64encode(conversation.IMAGE).decode()}"
    parts = [
        {"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "What is it?"},
    ]
    completion = answer(client, wire.model(), False, [{"role": "user", "content": parts}])
    assert completion.choices[0].message.content == "A cat."
    assert conversation.received(provider, wire) == [("image", conversation.IMAGE), ("user", "What is it?")]


@pytest.mark.parametrize("stream", [False, True])
def test_a_failover_over_formats(client, provider, stream):
    provider.script(*conversation.failover(ScriptedResponse("Hello!"), stream))
    raw = client.chat.completions.with_raw_response.create(
        model=ANY, messages=HELLO, stream=stream,
    )
    result = raw.parse()
    metadata = (list(result)[-1] if stream else result).x_gateway
    assert [it["provider"] for it in metadata["attempts"]] == provider.requested_providers()
    conversation.check_failover(raw.headers, provider)


@pytest.mark.parametrize("stream", [False, True])
def test_a_rate_limit_raises_rate_limit_error_with_retry_after(client, provider, wire, stream):
    provider.script(wire.failure(429, "slow down", retry_after="7"))
    with pytest.raises(openai.RateLimitError) as raised:
        answer(client, wire.model("limited"), stream)
    assert raised.value.code == "rate_limit"
    assert 1 <= int(raised.value.response.headers["retry-after"]) <= 7


@pytest.mark.parametrize("end", ["broken", "cut"])
def test_a_broken_stream_raises_api_error(client, provider, wire, end):
    provider.script(getattr(wire, end)(ScriptedResponse("Hello!")))
    received = []
    with pytest.raises(openai.APIError) as raised:
        chunks = client.chat.completions.create(
            model=wire.model("cut"), messages=HELLO, stream=True,
        )
        received.extend(chunk.choices[0].delta.content for chunk in chunks)
    assert "".join(text or "" for text in received) == "Hello!"
    assert wire.name in raised.value.message
