"""The template as plain values, and SAM to ask about it.

No test may reach a real account: SAM runs without the caller's AWS settings and keeps its own
notes in a folder of its own.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
TOOLS = Path(sys.executable).parent
REGION = "eu-west-1"


def template(file="template.yaml"):
    """The template, or a nested one, its anchors and short forms written out."""
    # Here, since the environment of the coding agents' tests lacks it.
    from samtranslator.yaml_helper import yaml_parse

    return yaml_parse((ROOT / file).read_text())


def resources(kind, file="template.yaml"):
    """The properties of every resource of a kind, by logical name."""
    return {
        name: resource.get("Properties", {})
        for name, resource in template(file)["Resources"].items()
        if resource["Type"] == kind
    }


def nested_parameters(name):
    """What the template passes to a nested stack."""
    return template()["Resources"][name]["Properties"]["Parameters"]


def nested():
    """The file of every nested stack, by the logical name that the template gives it."""
    return {
        name: resource["Properties"]["TemplateURL"]
        for name, resource in template()["Resources"].items()
        if resource["Type"] == "AWS::CloudFormation::Stack"
    }


def functions():
    """The properties of every function, by logical name, over what all of them share."""
    whole = template()
    shared = whole["Globals"]["Function"]
    return {
        name: merged(shared, resource["Properties"])
        for name, resource in whole["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
    }


def merged(shared, own):
    """Properties of a function over the shared ones, as SAM merges them: maps are added to each other."""
    both = {
        key: merged(shared[key], own[key]) for key in shared.keys() & own.keys()
        if isinstance(shared[key], dict) and isinstance(own[key], dict)
    }
    return shared | own | both


def folders():
    """The folders of what is deployed: all functions but the one that serves them locally."""
    return {path.name: path for path in (ROOT / "functions").iterdir() if path.name != "lockgate"}


def environment(notes, **more):
    """What SAM gets to see: nothing of the caller's AWS settings, nothing to report or update."""
    notes.mkdir(exist_ok=True)
    today = {"lastVersionCheck": time.time(), "telemetryEnabled": False}
    (notes / "metadata.json").write_text(json.dumps(today))
    ours = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return ours | {
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "SAM_CLI_TELEMETRY": "0",
        "__SAM_CLI_APP_DIR": str(notes),
        **more,
    }


def run(*command, env):
    """Runs one of the tools beside this Python, and gives its output once it has succeeded."""
    program, *arguments = command
    done = subprocess.run(
        [TOOLS / program, *arguments],
        cwd=ROOT, env=env, stdin=subprocess.DEVNULL, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout
