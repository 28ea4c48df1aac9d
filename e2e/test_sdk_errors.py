"""What the official SDKs make of refusals: their own typed errors, and retries exactly where waiting helps."""

import re
import threading
import time

import anthropic
import openai
import pytest

import programs
import wire_formats

CONFIG = """
api_key: key-of-the-gateway
providers: [{ name: chat, base_url: "PROVIDER/chat" }]
models: [{ name: m, provider: chat }, { name: other, provider: chat }]
prices: [{ provider: chat, model: m, input: 1, output: 1 }]
tenants:
  - { name: broke, api_key: key-of-broke, budget_usd: 0 }
  - { name: slow, api_key: key-of-slow, requests_per_day: 0 }
  - { name: daily-openai, api_key: key-of-daily-openai, requests_per_day: 1 }
  - { name: daily-anthropic, api_key: key-of-daily-anthropic, requests_per_day: 1 }
  - { name: single, api_key: key-of-single, max_concurrent: 1 }
  - { name: narrow, api_key: key-of-narrow, allowed_models: [other] }
"""
QUESTION = [{"role": "user", "content": "Hello"}]
SDKS = ["openai", "anthropic"]


@pytest.fixture(scope="module")
def gateway(executables, provider, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sdk_errors")
    (folder / "config.yaml").write_text(CONFIG.replace("PROVIDER", provider.url))
    server = programs.Process(
        executables["lockgate"], "serve", "--listen", "127.0.0.1:0",
        log=folder / "log", cwd=folder, env={"PATH": "/usr/bin:/bin"},
    )
    yield server.line().split()[-1]
    server.stop()


class Caller:
    """A client of one SDK with its own number of retries, which counts its requests."""

    def __init__(self, sdk, url, key):
        self.sdk, self.statuses = sdk, []
        note = lambda response: self.statuses.append(response.status_code)
        http = {"event_hooks": {"response": [note]}, "timeout": 30}
        if sdk == "openai":
            self.client = openai.OpenAI(
                base_url=f"{url}/v1", api_key=key, http_client=openai.DefaultHttpxClient(**http),
            )
        else:
            self.client = anthropic.Anthropic(
                base_url=url, api_key=key, http_client=anthropic.DefaultHttpxClient(**http),
            )
        self.errors = openai if sdk == "openai" else anthropic

    def call(self):
        if self.sdk == "openai":
            return self.client.chat.completions.create(model="m", messages=QUESTION)
        return self.client.messages.create(model="m", max_tokens=50, messages=QUESTION)

    def refusal(self, error):
        """The error that a call has to raise, as the SDK's own class of this name."""
        with pytest.raises(getattr(self.errors, error)) as raised:
            self.call()
        return raised.value


@pytest.fixture(params=SDKS)
def sdk(request):
    return request.param


@pytest.mark.parametrize(
    "tenant, error, status, type_",
    [
        ("nobody", "AuthenticationError", 401, "authentication_error"),
        ("broke", "APIStatusError", 402, "billing_error"),
        ("narrow", "PermissionDeniedError", 403, "permission_error"),
        ("slow", "RateLimitError", 429, "rate_limit_error"),
    ],
)
def test_a_refusal_is_a_typed_error_and_is_not_asked_again(
    gateway, provider, sdk, tenant, error, status, type_,
):
    provider.script(wire_formats.BY_NAME["chat"].whole(wire_formats.ScriptedResponse("Hello!")))
    caller = Caller(sdk, gateway, f"key-of-{tenant}")
    raised = caller.refusal(error)
    assert raised.status_code == status
    assert raised.request_id
    assert caller.statuses == [status], "no retry: waiting would not help"
    if sdk == "openai":
        codes = {401: "auth", 402: "budget_exceeded", 403: "forbidden", 429: "rate_limit"}
        assert raised.code == codes[status]
    else:
        assert raised.body["error"]["type"] == type_
    if status in (402, 429):
        assert raised.response.headers["x-should-retry"] == "false"
    assert provider.seen() == []


def test_a_client_waits_as_long_as_it_is_told_and_tries_again(
    gateway, provider, sdk, monkeypatch,
):
    wire = wire_formats.BY_NAME["chat"]
    scripted = wire_formats.ScriptedResponse("Hello!")
    steps = [*wire.chunks(scripted), {"latch": "held"}, *wire.end(scripted)]
    provider.script({"stream": steps}, wire.whole(wire_formats.ScriptedResponse("Hello again!")))
    first = openai.OpenAI(base_url=f"{gateway}/v1", api_key="key-of-single", max_retries=0)
    running = first.chat.completions.create(model="m", messages=QUESTION, stream=True)
    while not provider.seen():
        time.sleep(0.02)

    waits, ended = [], threading.Event()
    really_sleep = time.sleep

    def sleep(seconds):
        waits.append(seconds)
        if not ended.is_set():
            ended.set()
            provider.open("held")
            list(running)
        # What the first call held is free once it is settled behind its end.
        really_sleep(1)

    caller = Caller(sdk, gateway, "key-of-single")
    with monkeypatch.context() as patched:
        patched.setattr(time, "sleep", sleep)
        answer = caller.call()
    assert answer
    assert caller.statuses[0] == 429 and caller.statuses[-1] == 200
    assert 1 <= waits[0] <= 10, "what `Retry-After` says, to the second"
    assert waits[0] == int(waits[0])


def test_a_refusal_says_what_limits_whom_and_until_when(gateway, provider, sdk):
    provider.script(wire_formats.BY_NAME["chat"].whole(wire_formats.ScriptedResponse("Hello!")))
    spent = Caller(sdk, gateway, "key-of-broke").refusal("APIStatusError")
    headers = spent.response.headers
    assert "retry-after" not in headers
    assert re.search(r"budget", spent.message)
    daily = Caller(sdk, gateway, f"key-of-daily-{sdk}")
    daily.call()
    late = daily.refusal("RateLimitError")
    assert daily.statuses == [200, 429], "nobody waits until midnight"
    assert int(late.response.headers["retry-after"]) >= 1
    assert "requests_per_day" in late.message
