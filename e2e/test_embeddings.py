"""OpenAI's own client asks for embeddings: it must not see a difference to OpenAI."""

import base64
import struct

import openai
import pytest

MODEL = "gpt-4o"
ROUTE = "dynamic/n8n"


def answer(*vectors, packed=True):
    """A provider's response, in the encoding that the client requests by default."""
    def written(vector):
        return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()

    data = [
        {"object": "embedding", "index": i, "embedding": written(v) if packed else v}
        for i, v in enumerate(vectors)
    ]
    usage = {"prompt_tokens": 8, "total_tokens": 8}
    return {"json": {"object": "list", "data": data, "model": "fast", "usage": usage}}


def test_a_list_is_embedded_in_base64_by_default(client, provider):
    provider.script(answer([1.0, -2.5], [0.5, 0.25]))
    found = client.embeddings.create(model=ROUTE, input=["Grüße 🌍", "second"])
    assert [item.embedding for item in found.data] == [[1.0, -2.5], [0.5, 0.25]]
    assert (found.usage.prompt_tokens, found.usage.total_tokens) == (8, 8)
    [request] = provider.seen()
    assert request["target"] == "/first/embeddings"
    assert request["json"] == {
        "input": ["Grüße 🌍", "second"], "model": "fast", "encoding_format": "base64",
    }


def test_floats_are_returned_when_requested(client, provider):
    provider.script(answer([1.0, -2.5], packed=False))
    more = {"encoding_format": "float", "dimensions": 2, "user": "u"}
    found = client.embeddings.create(model=ROUTE, input=[791, 3691], **more)
    assert found.data[0].embedding == [1.0, -2.5]
    assert provider.seen()[0]["json"] == {"input": [791, 3691], "model": "fast", **more}


def test_a_failure_advances_to_the_next_target(client, provider):
    provider.script(
        {"error": {"type": "server_error", "message": "we broke"}, "status": 500}, answer([1.0]),
    )
    found = client.embeddings.with_raw_response.create(model=ROUTE, input="a")
    assert found.headers["x-gateway-provider"] == "second"
    assert found.parse().data[0].embedding == [1.0]
    assert provider.requested_providers() == ["first", "second"]


def test_an_invalid_input_raises_bad_request_error_with_its_name(client, provider):
    provider.script(answer([1.0]))
    with pytest.raises(openai.BadRequestError) as raised:
        client.embeddings.create(model=ROUTE, input=[])
    assert raised.value.param == "input"
    assert provider.requested_providers() == []


def test_a_rejection_and_a_rate_limit_raise_their_own_errors(client, provider):
    with pytest.raises(openai.NotFoundError):
        client.embeddings.create(model="no-such-model", input="a")
    provider.script({"error": {"type": "tokens", "message": "slow down"}, "status": 429})
    with pytest.raises(openai.RateLimitError) as raised:
        client.embeddings.create(model=MODEL, input="a")
    assert raised.value.code == "rate_limit"
