"""A tenant's own provider, made from a terminal: on a laptop, and by a function that opens the sealed key."""

import json

import openai
import pytest

import programs
import wire_formats
from conftest import SECRET, VARIABLES

CONFIG = """
api_key: ${GATEWAY_KEY}
providers: [{ name: first, base_url: "PROVIDER/first", api_key: "${FIRST_KEY}" }]
models: [{ name: small, provider: first }]
"""
OWN_KEY = "sk-of-the-tenant-alone"


def created(operator, *options):
    """The key of a tenant with a provider of its own, made from a terminal."""
    settings = ["provider=first", f"provider_api_key={OWN_KEY}"]
    done = operator.run("tenants", "create", "mail", *settings, "--json", *options)
    assert done.returncode == 0, done.stderr
    assert OWN_KEY not in done.stdout + done.stderr
    shown = operator.run("tenants", "show", "mail", "--json", *options)
    assert OWN_KEY not in shown.stdout and json.loads(shown.stdout)["provider"] == "first"
    return json.loads(done.stdout)["api_key"]


@pytest.fixture
def place(request, operator, executables, provider, cloud, tmp_path):
    """Where a gateway listens, and the key of the tenant."""
    someone = operator()
    someone.write(CONFIG.replace("PROVIDER", provider.url))
    if request.param == "laptop":
        key = created(someone)
        server = programs.Process(
            executables["lockgate"], "serve", "--listen", "127.0.0.1:0",
            log=tmp_path / "log", cwd=someone.folder, env=VARIABLES | {"PATH": "/usr/bin:/bin"},
        )
        yield server.line().split()[-1], key
        server.stop()
        return

    someone.apply()
    secret = f"/lockgate/{someone.name}/admin-secret"
    someone.client("ssm").put_parameter(Name=secret, Value="0a" * 32, Type="SecureString")
    key = created(someone, "--aws", "--stack", someone.name)
    table = f"{someone.name}-config"
    assert OWN_KEY not in str(someone.client("dynamodb").scan(TableName=table))
    setup = {
        "origin_secret": SECRET,
        "functions": [{
            "name": "chat-completions", "binary": str(executables["chat-completions"]),
            "mode": "RESPONSE_STREAM", "timeout": 30, "paths": ["*"],
            "env": {
                "AWS_ENDPOINT_URL": cloud.url, "ORIGIN_SECRET": SECRET,
                "CONFIG_TABLE": table, "STATE_TABLE": f"{someone.name}-state",
                "ROOT_SECRET_PARAMETER": secret,
            },
        }],
    }
    (tmp_path / "emulator.json").write_text(json.dumps(setup))
    emulator = programs.Emulator(
        executables["lambda-emulator"], "--config", tmp_path / "emulator.json", log=tmp_path / "log",
    )
    yield emulator.url, key
    emulator.stop()


@pytest.mark.parametrize("place", ["laptop", "lambda"], indirect=True)
def test_a_tenant_calls_its_own_provider_under_its_own_key(place, provider):
    url, key = place
    provider.script(wire_formats.BY_NAME["chat"].whole(wire_formats.ScriptedResponse("Hello!")))
    keys = []
    for shown in (key, VARIABLES["GATEWAY_KEY"]):
        with openai.OpenAI(base_url=f"{url}/v1", api_key=shown, max_retries=0, timeout=30) as client:
            client.chat.completions.create(
                model="small", messages=[{"role": "user", "content": "Hello"}],
            )
        keys.append(provider.seen()[-1]["headers"]["authorization"])
    assert keys == [f"Bearer {OWN_KEY}", f"Bearer {VARIABLES['FIRST_KEY']}"]
