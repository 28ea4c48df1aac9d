"""What an operator does with a stack in AWS: apply, look, take away, get back."""

import pytest

from conftest import VARIABLES

SMALLER = """
providers:
  - { name: first, base_url: "https://provider.example/first", api_key: "${FIRST_KEY}" }
models:
  - { name: gpt-4o, provider: first }
"""


@pytest.fixture
def someone(operator, config):
    """An operator with a configuration at hand and nothing applied."""
    someone = operator()
    someone.write(config)
    return someone


def test_applying_twice_changes_nothing(someone):
    assert "+ provider/first" in someone.apply()
    before = someone.rows(), someone.parameters()
    assert someone.apply() == "nothing to change\n"
    after = someone.rows(), someone.parameters()
    assert before == after


def test_keys_are_secure_strings_and_never_rows(someone):
    printed = someone.apply()
    kept = someone.parameters()
    assert kept["providers/first"]["Value"] == VARIABLES["FIRST_KEY"]
    assert {parameter["Type"] for parameter in kept.values()} == {"SecureString"}
    for secret in VARIABLES.values():
        assert secret not in printed
        assert not any(secret in value for value in someone.rows().values())


def test_a_changed_key_is_the_only_change(someone):
    someone.apply()
    printed = someone.apply(SECOND_KEY="sk-another")
    assert printed == f"~ parameter /lockgate/{someone.name}/providers/second\napplied\n"
    assert someone.parameters()["providers/second"]["Value"] == "sk-another"


def test_a_dry_run_shows_the_plan_and_writes_nothing(someone):
    printed = someone.apply("--dry-run")
    assert "+ route/dynamic/n8n" in printed
    assert printed.endswith("dry run: nothing was written\n")
    assert (someone.rows(), someone.parameters()) == ({}, {})


def test_removed_entries_stay_without_prune(someone):
    someone.apply()
    someone.write(SMALLER)
    assert "stays; --prune removes it" in someone.apply()
    assert "route/dynamic/n8n" in someone.rows()


def test_prune_keeps_the_entries_of_the_file(someone):
    someone.apply()
    someone.write(SMALLER)
    assert "- route/dynamic/n8n" in someone.apply("--prune")
    assert set(someone.rows()) == {"model/gpt-4o", "provider/first", "settings", "version"}
    assert set(someone.parameters()) == {"providers/first"}
    assert someone.apply("--prune") == "nothing to change\n"


def test_an_exported_config_changes_nothing(someone):
    someone.apply()
    exported = someone.run("export", "--stack", someone.name)
    assert exported.returncode == 0, exported.stderr
    assert "${FIRST_KEY}" in exported.stdout
    assert not any(secret in exported.stdout for secret in VARIABLES.values())
    someone.write(exported.stdout)
    checked = someone.run("check")
    assert checked.returncode == 0, checked.stdout
    assert someone.apply() == "nothing to change\n"


def test_an_invalid_file_writes_nothing(someone, config):
    someone.write(config.replace("provider: limited", "provider: nobody") + "colour: blue\n")
    done = someone.run("apply", "--stack", someone.name)
    assert done.returncode == 2
    assert "nobody" in done.stderr
    assert "colour" in done.stderr
    assert someone.rows() == {}


def test_a_missing_stack_is_reported(someone):
    done = someone.run("apply", "--stack", "elsewhere")
    assert done.returncode == 1
    assert "elsewhere-config" in done.stderr


def test_explain_reads_the_deployed_config(someone):
    someone.apply()
    done = someone.run("explain", "--aws", "--stack", someone.name, "dynamic/n8n")
    assert done.returncode == 0, done.stderr
    assert "1. first fast: tried first" in done.stdout
