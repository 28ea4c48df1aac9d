"""Anthropic's Claude Code, which speaks Messages, before strict providers of every format."""

import json

import pytest

import agents
import strict

PROGRAM = agents.MODULES / "@anthropic-ai/claude-code/cli-wrapper.cjs"


@pytest.fixture
def claude(tmp_path, strict_gateway, target):
    """Runs Claude Code with a prompt, and gives what it reports."""
    model = strict.model(target)
    agent = agents.Agent(tmp_path, {
        "ANTHROPIC_BASE_URL": strict_gateway, "ANTHROPIC_API_KEY": strict.KEY,
        "ANTHROPIC_DEFAULT_HAIKU_MODEL": model, "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    })

    def run(prompt):
        return json.loads(agent.run(
            agents.NODE, PROGRAM, "--print", prompt, "--model", model,
            "--output-format", "json", "--permission-mode", "acceptEdits",
        ))

    run.work = agent.work
    return run


def test_a_prompt(claude, target, strict_providers):
    strict_providers.script({"reasoning": "Easy.", "text": "Grüße 🌍"})
    report = claude("ping")
    assert (report["result"], report["is_error"]) == ("Grüße 🌍", False)
    assert report["usage"]["output_tokens"] > 0
    [body] = strict_providers.requests(target)
    assert "ping" in json.dumps(body)


def test_a_tool_loop(claude, target, strict_providers):
    note = claude.work / "note.txt"
    call = ["toolu_1", "Write", {"file_path": str(note), "content": "Grüße 🌍"}]
    strict_providers.script(
        {"reasoning": "I write it.", "text": "I write.", "calls": [call]}, {"text": "Done."},
    )
    assert claude("Write a note.")["result"] == "Done."
    assert note.read_text() == "Grüße 🌍"
    _, second = strict_providers.requests(target)
    assert "note.txt" in json.dumps(second)
