#!/usr/bin/env python3
"""Refreshes models.json from LiteLLM's public price map: facts only, and our own lines stay.

    python3 refresh.py model_prices_and_context_window.json --seen 2026-11-21 [--version 1.109.1]

The price map comes with the Python package `litellm`. An entry whose source is not `litellm` is
ours and is kept as it is. A model that the map no longer names stays too, and is listed, because
somebody may still use it. What is new at a provider is listed and added with `--add`.
"""

import argparse
import json
import pathlib
import sys

DATA = pathlib.Path(__file__).with_name("models.json")

# Our types of provider, by the name that the price map has for them.
PROVIDERS = {
    "anthropic": "anthropic",
    "azure": "azure-openai",
    "bedrock": "bedrock",
    "bedrock_converse": "bedrock",
    "cerebras": "cerebras",
    "cohere": "cohere",
    "cohere_chat": "cohere",
    "deepseek": "deepseek",
    "fireworks_ai": "fireworks",
    "gemini": "gemini",
    "groq": "groq",
    "mistral": "mistral",
    "openai": "openai",
    "openrouter": "openrouter",
    "perplexity": "perplexity",
    "together_ai": "together",
    "xai": "xai",
}
MODES = {"chat": None, "completion": None, "responses": None, "embedding": "embeddings"}
TIER = "_above_"


def micro(rate):
    """Dollars per token as micro-dollars per million tokens."""
    return round(rate * 1_000_000 * 1_000_000)


def rates(facts, suffix=""):
    """The rates of one tier; a class that costs what input costs is left out."""
    found = {}
    for ours, theirs in (
        ("input", "input_cost_per_token"),
        ("output", "output_cost_per_token"),
        ("cached_input", "cache_read_input_token_cost"),
        ("cache_write", "cache_creation_input_token_cost"),
    ):
        rate = facts.get(theirs + suffix)
        if rate is not None:
            found[ours] = micro(rate)
    for ours in ("cached_input", "cache_write"):
        if found.get(ours) == found.get("input"):
            found.pop(ours, None)
    return found


def tier(facts):
    """The tier for long prompts, such as `input_cost_per_token_above_200k_tokens`."""
    for key in facts:
        start, _, size = key.partition(TIER)
        if start == "input_cost_per_token" and size.endswith("k_tokens"):
            above = int(size.removesuffix("k_tokens")) * 1000
            return {"above": above, **rates(facts, TIER + size)}
    return None


def entry(model, facts):
    """One line of our file, or None where the map does not say enough."""
    if facts.get("mode") not in MODES or not facts.get("input_cost_per_token"):
        return None
    window = facts.get("max_input_tokens") or facts.get("max_tokens")
    if not window:
        return None
    line = {"model": model, **rates(facts), "context_window": int(window)}
    if MODES[facts["mode"]]:
        line.pop("output", None)
        line["api"] = MODES[facts["mode"]]
    elif facts.get("max_output_tokens"):
        line["max_output"] = min(int(facts["max_output_tokens"]), int(window))
    long = tier(facts)
    if long and "output" in long:
        line["long"] = long
    return line | {"source": "litellm"}


def published(price_map):
    """Every usable entry of the map, by our type of provider and the provider's own name."""
    found = {}
    for name, facts in price_map.items():
        provider = PROVIDERS.get(facts.get("litellm_provider"))
        if provider is None:
            continue
        prefix = facts["litellm_provider"] + "/"
        line = entry(name.removeprefix(prefix), facts)
        if line:
            found.setdefault(provider, {})[line["model"]] = line
    return found


def family(rule):
    """A family of models, which is ours alone: its rules for some models stand on lines of their own."""
    models = rule.get("models", [])
    text = json.dumps({key: value for key, value in rule.items() if key != "models"})
    if models:
        lines = ",\n".join("      " + json.dumps(model) for model in models)
        text = f'{text[:-1]}, "models": [\n{lines}\n    ]}}'
    return "    " + text


def write(file):
    """One line for each model, so that a diff shows what changed."""
    sources = [f"    {json.dumps(name)}: {json.dumps(source)}" for name, source in file["sources"].items()]
    out = ["{", '  "sources": {', ",\n".join(sources), "  },"]
    makers = [f"    {json.dumps(maker)}" for maker in file["makers"]]
    out += ['  "makers": [', ",\n".join(makers), "  ],"]
    out.append(f'  "same_as": {json.dumps(file["same_as"])},')
    out += ['  "families": [', ",\n".join(map(family, file["families"])), "  ],"]
    out.append('  "providers": {')
    providers = sorted(file["providers"].items())
    for place, (provider, lines) in enumerate(providers):
        out.append(f"    {json.dumps(provider)}: [")
        lines = sorted(lines, key=lambda line: line["model"])
        out.append(",\n".join("      " + json.dumps(line) for line in lines))
        out.append("    ]" + ("," if place + 1 < len(providers) else ""))
    return "\n".join([*out, "  }", "}"]) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("price_map", type=pathlib.Path)
    parser.add_argument("--seen", required=True, help="the day on which the map was taken, YYYY-MM-DD")
    parser.add_argument("--version", default="", help="the version of the package")
    parser.add_argument("--add", action="store_true", help="also add models that are new")
    options = parser.parse_args()

    file = json.loads(DATA.read_text())
    known = published(json.loads(options.price_map.read_text()))
    for provider, lines in file["providers"].items():
        current = known.get(provider, {})
        for place, line in enumerate(lines):
            if line["source"] != "litellm":
                continue
            if line["model"] in current:
                lines[place] = current[line["model"]]
            else:
                print(f"no longer published: {provider} {line['model']}", file=sys.stderr)
        for model in sorted(current.keys() - {line["model"] for line in lines}):
            print(f"new: {provider} {model}", file=sys.stderr)
            if options.add:
                lines.append(current[model])
    package = f"the Python package litellm {options.version}".strip()
    file["sources"]["litellm"] = {
        "seen": options.seen,
        "what": f"model_prices_and_context_window.json as shipped in {package}, which cites the vendors' price pages",
    }
    DATA.write_text(write(file))


if __name__ == "__main__":
    main()
