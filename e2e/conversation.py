"""What the tests of every format talk about."""

from pydantic import BaseModel

from wires import BY_NAME, Call

HELLO = "Héllo 🌍?"
PICTURE = b"\x89PNG\r\n\x1a\n of bytes"
CITIES = {"Oslo": "Rain in Oslo", "Rome": "Sun in Rome"}
CALLS = [Call(f"call_{city}", "weather", {"city": city}) for city in CITIES]
SCHEMA = {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"],
    "additionalProperties": False,
}
# What proves a thought. Google's client wants base64.
SIGNATURE = "c2lnbmF0dXJl"
# The configuration's, in its order.
MODELS = ["dynamic/n8n", "dynamic/any", "gpt-4o"]
# More than either host takes.
TOO_MUCH = "x" * 11_000_000


class Place(BaseModel):
    """What a structured answer is about."""

    city: str
    sunny: bool


PLACE = Place(city="Rome", sunny=True)


def heard(provider, wire):
    """What the one request that a provider got said. Signatures are `signed`.

    Google's client sends the pieces of a streamed answer back as they came, so they are joined.
    """
    [request] = provider.seen()
    assert request["target"].split("/")[1] == wire.name
    told = []
    for word in wire.heard(request["json"]):
        if told and word[0] == told[-1][0] == "assistant":
            word = ("assistant", told.pop()[1] + word[1])
        told.append(word)
    return told


def check_second_turn(provider, wire):
    """Calls and results came to the provider as they were, and its signature if it made one."""
    check_told(heard(provider, wire), wire)


def check_told(told, wire):
    """The same of what a provider heard."""
    assert [it for it in told if it[0] == "signed"] == [("signed", SIGNATURE)] * wire.signs
    assert [it for it in told if it[0] != "signed"] == [
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
    """The one request asked for a place."""
    [request] = provider.seen()
    assert list(wire.schema(request["json"])["properties"]) == ["city", "sunny"]


def fallback(said, stream):
    """The script of a route over all formats whose last provider alone is well."""
    failures = [("claude", 529), ("gemini", 429), ("responses", 500)]
    failed = [BY_NAME[name].failure(status, "not now") for name, status in failures]
    return [*failed, BY_NAME["chat"].answers(said, stream)]


def check_fallback(headers, provider):
    """All four formats were asked, and the last one answered."""
    assert provider.asked() == ["claude", "gemini", "responses", "chat"]
    assert (headers["x-gateway-provider"], headers["x-gateway-model"]) == ("chat", "four")
    assert headers["x-gateway-attempts"] == "4"
