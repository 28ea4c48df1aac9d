"""The clients of the README, as it shows them."""

import re

import pytest

import stack
import wire_formats
from conftest import KEY

README = (stack.ROOT / "README.md").read_text()
SNIPPETS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("snippet", SNIPPETS, ids=["openai", "anthropic", "google"])
def test_a_client_is_connected_as_the_readme_says(host, provider, snippet, capsys):
    claude = wire_formats.BY_NAME["claude"]
    provider.script(claude.whole(wire_formats.ScriptedResponse("Hello yourself!")))
    for shown, real in (
        ("http://127.0.0.1:8080", host), ('"..."', f'"{KEY}"'), ('"fast"', '"dynamic/any"'),
    ):
        assert snippet.count(shown) == 1
        snippet = snippet.replace(shown, real)
    exec(snippet, {})
    assert capsys.readouterr().out == "Hello yourself!\n"
    [request] = provider.seen()
    assert claude.received(request["json"]) == [("user", "Hello")]
