"""The conversation that the tests of every format share."""

from pydantic import BaseModel

from wire_formats import BY_NAME, Call

HELLO = "Héllo 🌍?"
IMAGE = b"\x89PNG\r\n\x1a\n of bytes"
CITIES = {"Oslo": "Rain in Oslo", "Rome": "Sun in Rome"}
CALLS = [Call(f"call_{city}", "weather", {"city": city}) for city in CITIES]
SCHEMA = {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"],
    "additionalProperties": False,
}
# A reasoning signature. Google's client requires base64.
SIGNATURE = "c2lnbmF0dXJl"
# The configuration's, in its order.
MODELS = ["dynamic/n8n", "dynamic/any", "gpt-4o"]
# More than either host accepts.
TOO_LARGE = "x" * 11_000_000


class Place(BaseModel):
    """The content of a structured output."""

    city: str
    sunny: bool


PLACE = Place(city="Rome", sunny=True)


def received(provider, wire):
    """The messages of the one request that a provider got. Signatures are `signed`.

    Google's client sends the chunks of a streamed response back unchanged, so they are joined.
    """
    [request] = provider.seen()
    assert request["target"].split("/")[1] == wire.name
    messages = []
    for word in wire.received(request["json"]):
        if messages and word[0] == messages[-1][0] == "assistant":
            word = ("assistant", messages.pop()[1] + word[1])
        messages.append(word)
    return messages


def check_second_turn(provider, wire):
    """Calls and results came to the provider as they were, and its signature if it made one."""
    check_messages(received(provider, wire), wire)


def check_messages(messages, wire):
    """The same check for given messages."""
    assert [it for it in messages if it[0] == "signed"] == [("signed", SIGNATURE)] * wire.signs
    assert [it for it in messages if it[0] != "signed"] == [
        ("user", HELLO), ("assistant", "I look."),
        *(("call", "weather", {"city": city}) for city in CITIES),
        *(("result", "weather", {"city": city}, weather) for city, weather in CITIES.items()),
    ]


def check_tools(provider, wire):
    """The one request offered the tool."""
    [request] = provider.seen()
    schema = wire.tools(request["json"])["weather"]
    assert schema["properties"]["city"]["type"].lower() == "string"


def check_schema(provider, wire):
    """The one request had the schema of a place."""
    [request] = provider.seen()
    assert list(wire.schema(request["json"])["properties"]) == ["city", "sunny"]


def failover(scripted, stream):
    """The script of a route over all formats whose last provider alone succeeds."""
    failures = [("claude", 529), ("gemini", 429), ("responses", 500)]
    failed = [BY_NAME[name].failure(status, "not now") for name, status in failures]
    return [*failed, BY_NAME["chat"].answers(scripted, stream)]


def check_failover(headers, provider):
    """All four formats were attempted, and the last one responded."""
    assert provider.requested_providers() == ["claude", "gemini", "responses", "chat"]
    assert (headers["x-gateway-provider"], headers["x-gateway-model"]) == ("chat", "four")
    assert headers["x-gateway-attempts"] == "4"
