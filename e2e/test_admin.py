"""The second seed's walkthrough, with its own curl lines: a tenant is made, limited, rotated, removed."""

import json
import shlex
import subprocess

import pytest

import programs

CONFIG = """
api_key: sk-of-the-gateway
providers:
  - { name: ollama, type: mock, script: { answer: Hello } }
models:
  - { name: llama3.2, provider: ollama }
prices:
  - { provider: ollama, model: llama3.2, input: 0, output: 0 }
"""
JSON = "-H 'Content-Type: application/json'"
CHAT = (
    f"curl -s URL/v1/chat/completions -H 'Authorization: Bearer KEY' {JSON} "
    """-d '{"model": "llama3.2", "messages": [{"role": "user", "content": "Hello"}]}'"""
)


class Walk:
    """Somebody who types curl lines at a fresh gateway."""

    def __init__(self, url, password):
        self.url, self.password, self.key = url, password, ""

    def curl(self, line):
        """Runs a line; gives the status and the body."""
        line = line.replace("URL", self.url).replace("KEY", self.key)
        line = line.replace("ADMIN", f"-u admin:{self.password}")
        done = subprocess.run(
            [*shlex.split(line), "-w", "\n%{http_code}"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=True,
        )
        body, status = done.stdout.rsplit("\n", 1)
        return int(status), json.loads(body) if body else None


@pytest.fixture
def walk(executables, tmp_path):
    (tmp_path / "config.yaml").write_text(CONFIG)
    server = programs.Process(
        executables["lockgate"], "serve", "--listen", "127.0.0.1:0",
        log=tmp_path / "log", cwd=tmp_path, env={"PATH": "/usr/bin:/bin"},
    )
    url = server.line().split()[-1]
    password = server.line().split()[-1]
    yield Walk(url, password)
    server.stop()


def test_the_second_seeds_walkthrough(walk):
    assert walk.curl("curl -s URL/health")[1]["status"] == "healthy"
    assert walk.curl("curl -s URL/admin/tenants")[0] == 401

    status, tenant = walk.curl(
        f"curl -s -X POST ADMIN URL/admin/tenants {JSON} "
        """-d '{"name": "my-tenant", "budget_usd": 100.0, "rate_limit_rpm": 60}'"""
    )
    assert status == 201 and tenant["budget_usd"] == 100 and tenant["rate_limit_rpm"] == 60
    walk.key = tenant["api_key"]

    status, answer = walk.curl(CHAT)
    assert status == 200 and answer["choices"][0]["message"]["content"] == "Hello"
    assert answer["x_gateway"]["provider"] == "ollama"
    assert walk.curl("curl -s URL/v1/models -H 'Authorization: Bearer KEY'")[1]["data"]

    status, listed = walk.curl("curl -s ADMIN URL/admin/tenants")
    assert status == 200 and listed["count"] == len(listed["tenants"]) == 2
    path = f"URL/admin/tenants/{tenant['id']}"
    status, changed = walk.curl(
        f"""curl -s -X PUT ADMIN {path} {JSON} -d '{{"rate_limit_rpm": 1, "enabled": true}}'"""
    )
    assert status == 200 and changed["rate_limit_rpm"] == 1 and changed["name"] == "my-tenant"
    statuses = [walk.curl(CHAT)[0] for _ in range(3)]
    assert statuses[-1] == 429

    assert walk.curl(f"""curl -s -X PUT ADMIN {path} {JSON} -d '{{"rate_limit_rpm": null}}'""")[0] == 200
    old = walk.key
    status, rotated = walk.curl(
        f"""curl -s -X POST ADMIN {path}/rotate-key {JSON} -d '{{"grace_seconds": 0}}'"""
    )
    assert status == 200
    assert walk.curl(CHAT)[0] == 401, "the old key is refused"
    walk.key = rotated["api_key"]
    assert walk.key != old and walk.curl(CHAT)[0] == 200, "the new key works"

    assert walk.curl(f"curl -s -X DELETE ADMIN {path}") == (204, None)
    assert walk.curl(CHAT)[0] == 401
    _, audit = walk.curl("curl -s ADMIN URL/admin/audit")
    actions = [entry["action"] for entry in reversed(audit["entries"])]
    assert actions == [
        "create_tenant", "create_key", "update_tenant", "update_tenant", "rotate_key", "delete_tenant",
    ]
