"""The OpenAPI document is valid, and a running gateway keeps it: every answer, in every role."""

import base64
import json
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from openapi_spec_validator import validate

import programs

ROLES = ("admin", "editor", "viewer")
CONFIG = """
api_key: sk-of-the-gateway
providers:
  - { name: steady, type: mock, script: { answer: Hello } }
models:
  - { name: small, provider: steady }
admin:
  users:
    - { name: admin, password: admin-password, role: admin }
    - { name: editor, password: editor-password, role: editor }
    - { name: viewer, password: viewer-password, role: viewer }
"""
# What schemathesis has for each role, in seconds: enough to reach every operation and follow links.
SECONDS = {"admin": 9, "editor": 7, "viewer": 6}
# Guesses are slowed down with 429, which this check does not expect; the rules for that are tests of
# the program itself.
# The document says less than the rules of names, cursors and numbers, whose refusals tests in Rust hold.
EXCLUDED = "ignored_auth,positive_data_acceptance,negative_data_rejection"
SETTINGS = Path(__file__).with_name("schemathesis.toml")


@pytest.fixture(scope="module")
def administrated(executables, tmp_path_factory):
    """Where a gateway with an operator of each role listens."""
    folder = tmp_path_factory.mktemp("administrated")
    (folder / "config.yaml").write_text(CONFIG)
    server = programs.Process(
        executables["lockgate"], "serve", "--listen", "127.0.0.1:0",
        log=folder / "log", cwd=folder, env={"PATH": "/usr/bin:/bin"},
    )
    yield server.line().split()[-1]
    server.stop()


def basic(role):
    return "Basic " + base64.b64encode(f"{role}:{role}-password".encode()).decode()


def document(url):
    with urllib.request.urlopen(f"{url}/openapi.json", timeout=10) as answer:
        return json.load(answer)


def test_the_document_is_valid(administrated):
    validate(document(administrated))


@pytest.mark.parametrize("role", ROLES)
def test_every_answer_is_as_documented(administrated, role, tmp_path):
    done = subprocess.run(
        [
            sys.executable, "-m", "schemathesis.cli", "--config-file", SETTINGS, "run",
            f"{administrated}/openapi.json",
            "--include-path-regex", "^/(admin/(?!assets)|health|openapi)",
            "--header", f"Authorization: {basic(role)}",
            # A path without its identifier is another path here: doubled and last slashes do not count.
            "--mode", "positive",
            "--checks", "all", "--exclude-checks", EXCLUDED, "--phases", "coverage",
            "--max-time", str(SECONDS[role]), "--seed", "7", "--max-failures", "10",
        ],
        cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
