"""The script that refreshes the model catalog: facts of the public price map, our own lines kept."""

import json
import pathlib
import shutil
import subprocess
import sys

CATALOG = pathlib.Path(__file__).parent.parent / "shared" / "model-catalog"

PRICE_MAP = {
    "gpt-4o": {
        "litellm_provider": "openai",
        "mode": "chat",
        "input_cost_per_token": 2e-6,
        "output_cost_per_token": 9e-6,
        "cache_read_input_token_cost": 1e-6,
        "input_cost_per_token_above_200k_tokens": 4e-6,
        "output_cost_per_token_above_200k_tokens": 12e-6,
        "max_input_tokens": 256000,
        "max_output_tokens": 16384,
    },
    "xai/grok-new": {
        "litellm_provider": "xai",
        "mode": "chat",
        "input_cost_per_token": 1e-6,
        "output_cost_per_token": 2e-6,
        "max_input_tokens": 1000,
    },
    "dall-e-3": {"litellm_provider": "openai", "mode": "image_generation"},
}


def refresh(folder, *options):
    """Runs a copy of the script beside a copy of the data file."""
    for name in ("refresh.py", "models.json"):
        if not (folder / name).exists():
            shutil.copy(CATALOG / name, folder / name)
    (folder / "map.json").write_text(json.dumps(PRICE_MAP))
    command = [sys.executable, folder / "refresh.py", folder / "map.json", "--seen", "2026-12-01"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=True)
    return json.loads((folder / "models.json").read_text())["providers"], done.stderr


def find(lines, model):
    return next((line for line in lines if line["model"] == model), None)


def test_known_models_get_the_published_facts(tmp_path):
    providers, notes = refresh(tmp_path)
    assert find(providers["openai"], "gpt-4o") == {
        "model": "gpt-4o",
        "input": 2_000_000,
        "output": 9_000_000,
        "cached_input": 1_000_000,
        "context_window": 256_000,
        "max_output": 16_384,
        "long": {"above": 200_000, "input": 4_000_000, "output": 12_000_000},
        "source": "litellm",
    }
    assert "no longer published: openai gpt-4.1" in notes
    assert find(providers["openai"], "gpt-4.1")


def test_new_models_are_listed_and_added_only_on_request(tmp_path):
    providers, notes = refresh(tmp_path)
    assert "new: xai grok-new" in notes
    assert find(providers["xai"], "grok-new") is None
    providers, _ = refresh(tmp_path, "--add")
    assert find(providers["xai"], "grok-new")["input"] == 1_000_000


def test_manual_lines_are_kept(tmp_path):
    shutil.copy(CATALOG / "models.json", tmp_path / "models.json")
    data = json.loads((tmp_path / "models.json").read_text())
    data["sources"]["ours"] = {"seen": "2026-11-28", "what": "a vendor's page"}
    find(data["providers"]["openai"], "gpt-4o").update(input=7, source="ours")
    (tmp_path / "models.json").write_text(json.dumps(data))
    providers, _ = refresh(tmp_path)
    assert find(providers["openai"], "gpt-4o")["input"] == 7
