"""OpenAI's own client asks for completions: prompts that are continued, and gaps that are filled."""

import openai
import pytest

ROUTE = "dynamic/n8n"


def test_a_prompt_is_continued_through_a_chat(client, provider):
    provider.script({"completion": " there, friend."})
    found = client.completions.create(model=ROUTE, prompt="Hello", max_tokens=5, echo=True)
    assert found.object == "text_completion" and found.id.startswith("cmpl-")
    [choice] = found.choices
    assert (choice.text, choice.finish_reason) == ("Hello there, friend.", "stop")
    [request] = provider.seen()
    assert request["target"] == "/first/chat/completions"
    assert request["json"]["messages"][-1] == {"role": "user", "content": "Hello"}


def test_a_gap_is_filled_in_a_stream(client, provider):
    provider.script({"chunks": ["a, ", "b"]})
    stream = client.completions.create(
        model=ROUTE, prompt="def add(", suffix="):\n    return a + b", stream=True,
    )
    chunks = list(stream)
    assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices) == "a, b"
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    content = provider.seen()[0]["json"]["messages"][-1]["content"]
    assert content == "<prefix>def add(</prefix>\n<suffix>):\n    return a + b</suffix>"


def test_a_prompt_that_is_missing_raises_bad_request_error_with_its_name(client, provider):
    before = provider.requested_providers()
    with pytest.raises(openai.BadRequestError) as raised:
        client.completions.create(model=ROUTE, prompt=[])
    assert raised.value.param == "prompt"
    assert provider.requested_providers() == before
