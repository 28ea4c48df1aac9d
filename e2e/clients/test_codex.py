"""OpenAI's Codex, which speaks Responses, before strict providers of every format."""

import json

import pytest

import agents
import strict

# Codex looks up what a model can do by its name, and takes what this says for any other.
CONFIG = """
model = "{model}"
model_provider = "gateway"
model_reasoning_effort = "high"
model_reasoning_summary = "detailed"
[model_providers.gateway]
name = "{name}"
base_url = "{url}/v1"
env_key = "GATEWAY_KEY"
wire_api = "responses"
"""


@pytest.fixture
def codex(tmp_path, strict_gateway, target):
    """Runs Codex with a prompt, and gives its last message."""
    agent = agents.Agent(tmp_path, {"CODEX_HOME": str(tmp_path), "GATEWAY_KEY": strict.KEY})
    last = tmp_path / "last"

    def run(prompt, name="gateway"):
        model = strict.model(target)
        config = CONFIG.format(model=model, name=name, url=strict_gateway)
        (tmp_path / "config.toml").write_text(config)
        agent.run(
            agents.NODE, agents.MODULES / "@openai/codex/bin/codex.js", "exec",
            "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox",
            "--output-last-message", last, prompt,
        )
        return last.read_text()

    run.work = agent.work
    return run


def test_a_prompt(codex, target, strict_providers):
    strict_providers.script({"reasoning": "Easy.", "text": "Grüße 🌍"})
    assert codex("ping") == "Grüße 🌍"
    [body] = strict_providers.requests(target)
    assert "ping" in json.dumps(body)


def test_a_prompt_with_the_openai_provider_of_codex(codex, target, strict_providers):
    strict_providers.script({"text": "pong"})
    assert codex("ping", name="OpenAI") == "pong"
    assert len(strict_providers.requests(target)) == 1


def test_a_tool_loop(codex, target, strict_providers):
    call = ["call_1", "exec_command", {"cmd": "printf 'Grüße 🌍' > note.txt && echo it-is-written"}]
    strict_providers.script(
        {"reasoning": "I write it.", "text": "I write.", "calls": [call]}, {"text": "Done."},
    )
    assert codex("Write a note.") == "Done."
    assert (codex.work / "note.txt").read_text() == "Grüße 🌍"
    _, second = strict_providers.requests(target)
    assert "it-is-written" in json.dumps(second)
