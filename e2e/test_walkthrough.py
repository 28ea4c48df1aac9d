"""The walkthrough that another gateway's README gives, curl line by curl line, against what `make run` starts.

Source: the README of felipepmaragno/ai-gateway. Only what each installation has of its own is filled in:
the address, the key, the model, the id of a tenant, and the password, without which nobody administrates
this gateway.
"""

import json
import re
import subprocess
import time

import pytest

import programs

CALL = """
curl -s http://localhost:8080/v1/chat/completions \\
  -H "Authorization: Bearer gw-default-key" \\
  -H "Content-Type: application/json" \\
  -d '{
    "model": "llama3.2",
    "messages": [{"role": "user", "content": "What is 2+2?"}]
  }'
"""
STREAMED = """
curl -N http://localhost:8080/v1/chat/completions \\
  -H "Authorization: Bearer gw-default-key" \\
  -H "Content-Type: application/json" \\
  -d '{
    "model": "llama3.2",
    "messages": [{"role": "user", "content": "Tell me a joke"}],
    "stream": true
  }'
"""
CACHED = """
curl -s http://localhost:8080/v1/chat/completions \\
  -H "Authorization: Bearer gw-default-key" \\
  -H "Content-Type: application/json" \\
  -d '{"model": "llama3.2", "messages": [{"role": "user", "content": "Hi"}], "temperature": 0}'
"""
USAGE = """
curl -s http://localhost:8080/v1/usage \\
  -H "Authorization: Bearer gw-default-key"
"""
CREATE = """
curl -s -X POST http://localhost:8080/admin/tenants \\
  -H "Content-Type: application/json" \\
  -d '{
    "name": "my-service",
    "rate_limit_rpm": 100,
    "budget_usd": 50.0
  }'
"""
UPDATE = """
curl -s -X PUT http://localhost:8080/admin/tenants/{id} \\
  -H "Content-Type: application/json" \\
  -d '{"rate_limit_rpm": 200, "budget_usd": 100}'
"""
READ = "curl -s http://localhost:8080/admin/tenants/{id}"
DELETE = "curl -s -X DELETE http://localhost:8080/admin/tenants/{id}"
ROTATE = "curl -s -X POST http://localhost:8080/admin/tenants/{id}/rotate-key"
LIST = "curl -s http://localhost:8080/admin/tenants"
LIST_SIGNED = "curl -u admin:admin http://localhost:8080/admin/tenants"


class Walker:
    """Somebody who types the lines, with what this installation has of its own."""

    def __init__(self, url, password):
        self.url, self.password = url, password

    def type(self, line, key="demo", tenant="", signed=False):
        """The status and the body of the response to a line."""
        line = line.replace("http://localhost:8080", self.url).replace("{id}", tenant)
        line = line.replace("gw-default-key", key).replace("llama3.2", "demo")
        line = line.replace("admin:admin", f"admin:{self.password}")
        if signed:
            line = line.replace("curl ", f"curl -u admin:{self.password} ")
        done = subprocess.run(
            ["/bin/sh", "-c", line.strip() + " --silent --write-out '\\n%{http_code}'"],
            capture_output=True, text=True, timeout=60, check=True,
        )
        body, _, status = done.stdout.rpartition("\n")
        return int(status), body

    def json(self, line, **filled_in):
        """The JSON of a response, which has to be a good one."""
        status, body = self.type(line, **filled_in)
        assert status < 300, body
        return json.loads(body)


@pytest.fixture(scope="module")
def walker(executables, tmp_path_factory):
    folder = tmp_path_factory.mktemp("walkthrough")
    server = programs.Process(
        executables["lockgate"], "serve", "--listen", "127.0.0.1:0",
        log=folder / "log", cwd=folder, env={"PATH": "/usr/bin:/bin", "HOME": str(folder)},
    )
    url = server.line().split()[-1]
    printed = ""
    while "password" not in printed:
        printed += server.line()
    yield Walker(url, re.search(r"password\D*?\s(\S+)\s*$", printed).group(1))
    server.stop()


def test_health_check(walker):
    health = walker.json("curl -s http://localhost:8080/health")
    assert health["status"] == "healthy"


def test_list_available_models(walker):
    line = 'curl -s http://localhost:8080/v1/models -H "Authorization: Bearer gw-default-key"'
    assert [model["id"] for model in walker.json(line)["data"]] == ["demo"]


def test_chat_completion(walker):
    answer = walker.json(CALL)
    assert answer["choices"][0]["message"]["content"].startswith("Hello from Lockgate!")
    told = answer["x_gateway"]
    assert told["provider"] == "steady" and told["cache_hit"] is False
    assert told["cost_usd"] > 0 and told["latency_ms"] >= 0
    assert told["request_id"] and told["trace_id"]


def test_chat_completion_streamed(walker):
    status, stream = walker.type(STREAMED)
    assert status == 200
    frames = [frame.removeprefix("data: ") for frame in stream.split("\n\n") if frame.strip()]
    assert frames[-1] == "[DONE]"
    chunks = [json.loads(frame) for frame in frames[:-1]]
    text = "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"])
    assert text.startswith("Hello from Lockgate!")


def test_response_caching(walker):
    assert walker.json(CACHED)["x_gateway"]["cache_hit"] is False
    # A response is kept behind the call that made it.
    for _ in range(100):
        hit = walker.json(CACHED)["x_gateway"]
        if hit["cache_hit"]:
            break
        time.sleep(0.05)
    assert hit["cache_hit"] is True and hit["cost_usd"] == 0


def test_usage_and_cost(walker):
    key = walker.json(CREATE.replace("my-service", "counted"), signed=True)["api_key"]
    answered = walker.json(CALL, key=key)
    # What a call used is settled behind it.
    for _ in range(100):
        usage = walker.json(USAGE, key=key)
        if usage["total_cost_usd"]:
            break
        time.sleep(0.05)
    assert usage["total_cost_usd"] == pytest.approx(answered["x_gateway"]["cost_usd"])
    assert usage["budget_usd"] == 50
    assert usage["budget_used_pct"] == pytest.approx(usage["total_cost_usd"] / 50 * 100, rel=0.01)
    assert usage["request_count"] >= 1
    assert usage["period_start"].endswith("-01T00:00:00Z")
    default = walker.json(USAGE)
    assert default["tenant_id"] == "default" and default["request_count"] >= 1


def test_a_tenants_life(walker):
    made = walker.json(CREATE, signed=True)
    assert (made["rate_limit_rpm"], made["budget_usd"]) == (100, 50)
    tenant, key = made["id"], made["api_key"]
    assert made["name"] in [it["name"] for it in walker.json(LIST, signed=True)["tenants"]]
    assert walker.json(CALL, key=key)["choices"]

    read = walker.json(READ, tenant=tenant, signed=True)
    assert read["name"] == "my-service" and "api_key" not in read
    changed = walker.json(UPDATE, tenant=tenant, signed=True)
    assert (changed["rate_limit_rpm"], changed["budget_usd"]) == (200, 100)

    rotated = walker.json(ROTATE, tenant=tenant, signed=True)["api_key"]
    assert rotated != key
    assert walker.json(CALL, key=rotated)["choices"]
    assert walker.type(DELETE, tenant=tenant, signed=True)[0] == 204
    assert walker.type(CALL, key=rotated)[0] == 401
    assert walker.type(READ, tenant=tenant, signed=True)[0] == 404


def test_a_budget_ends_calls(walker):
    small = CREATE.replace("my-service", "poor").replace("50.0", "0.00001")
    key = walker.json(small, signed=True)["api_key"]
    status, body = walker.type(CALL, key=key)
    assert status == 402, body
    assert json.loads(body)["error"]["code"] == "budget_exceeded"


def test_the_admin_api_is_closed(walker):
    assert walker.type(LIST)[0] == 401
    status, body = walker.type(LIST_SIGNED)
    assert status == 200 and "tenants" in json.loads(body)
