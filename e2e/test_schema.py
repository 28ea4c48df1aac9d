"""The JSON Schema that `lockgate schema` prints, held against every configuration in the repository."""

import copy
import json
import re
import subprocess

import jsonschema
import pytest
from ruamel.yaml import YAML

from stack import ROOT

EXAMPLES = [
    ROOT / "shared/config/src/example.yaml",
    ROOT / "functions/lockgate/demo.yaml",
]
FENCE = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)


def load(text):
    """The document as YAML 1.2's core schema reads it: `off` is a word, and a date is a text."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Constructor.add_constructor(
        "tag:yaml.org,2002:timestamp", lambda _, node: str(node.value)
    )
    return yaml.load(text)


@pytest.fixture(scope="module")
def schema(executables):
    printed = subprocess.run(
        [executables["lockgate"], "schema"], capture_output=True, check=True, text=True
    )
    schema = json.loads(printed.stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    return schema


def complaints(schema, document):
    errors = jsonschema.Draft202012Validator(schema).iter_errors(document)
    return [f"{error.json_path}: {error.message}" for error in errors]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_example_is_valid(schema, path):
    assert complaints(schema, load(path.read_text())) == []


def documented():
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    return [text for page in pages for text in FENCE.findall(page.read_text())]


def test_every_documented_configuration_is_valid(schema):
    """Parts of a configuration are valid but for what a whole one must have."""
    part = copy.deepcopy(schema)
    del part["required"]
    known = set(schema["properties"])
    checked = 0
    for text in documented():
        document = load(text)
        if isinstance(document, dict) and set(document) & known:
            assert complaints(part, document) == [], text
            checked += 1
    assert checked >= 3


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("providers: [{name: a}]\nport: eighty", "$.port"),
        ("providers: [{name: a, type: openay}]", "$.providers[0].type"),
        ("providers: [{name: a, timeout: 30}]", "$.providers[0].timeout"),
        ("providers: [{nome: a}]", "$.providers[0]"),
        ("providers: [{name: a}]\nroutes: [{name: r}]", "$.routes[0]"),
        ("routes: []", "$"),
    ],
)
def test_what_the_gateway_refuses_is_invalid(schema, text, path):
    assert any(complaint.startswith(f"{path}:") for complaint in complaints(schema, load(text)))
