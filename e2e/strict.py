"""Providers that reject what the real ones reject, one of each format, and a gateway before them."""

import json

import programs

KEY = "sk-of-the-gateway"
# The configuration's type of a provider of each format, and a model that has all of its features.
PROVIDERS = {
    "openai_chat": ("openai", "gpt-5.1"),
    "openai_responses": ("openai-responses", "gpt-5.1"),
    "anthropic": ("anthropic", "claude-opus-4-5"),
    "gemini": ("gemini", "gemini-3-pro-preview"),
    "bedrock": ("bedrock", "anthropic.claude-opus-4-5-20251101-v1"),
}


def model(name):
    """A client's name for the model of one provider."""
    return f"{name}/{PROVIDERS[name][1]}"


def config(urls):
    """A configuration of all providers, with these addresses by name."""
    providers = [
        {"name": name, "type": kind, "base_url": urls[name], "api_key": "provider-key"}
        for name, (kind, _) in PROVIDERS.items()
    ]
    return json.dumps({"api_key": KEY, "providers": providers})


class Providers(programs.InteractiveProgram):
    """The providers. A response has `reasoning`, `text` and `calls`, as the program describes."""

    def __init__(self, executable, log):
        super().__init__(executable, log=log)
        self.urls = json.loads(self.line())

    def script(self, *responses):
        """Sets what every provider responds, in order; the last one repeats."""
        self.ask(list(responses))

    def requests(self, name, mended=None):
        """The bodies that a provider got. None was rejected, but for the reason that is mended."""
        report = self.ask("requests")[name]
        others = [why for why in report["rejected"] if mended is None or mended not in why]
        assert others == [], others
        return report["bodies"]
