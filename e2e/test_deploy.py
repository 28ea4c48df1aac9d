"""The template deployed to an emulator of AWS, with the functions as they are built for tests.

The emulator leaves out what it does not know: expiry, recovery and the way through CloudFront.
test_template.py looks at those on paper.
"""

import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import boto3
import openai
import pytest

import stack

SECRET = "an-origin-secret-for-tests-and-nothing-else"
PREVIOUS = "the-origin-secret-before-that-one-was-made"
NAME = "gateway"
KEY = "sk-for-tests"
CONFIG = """
api_key: ${GATEWAY_KEY}
providers:
  - name: scripted
    type: mock
models:
  - name: parrot
    provider: scripted
"""


@pytest.fixture(scope="module")
def aws(tmp_path_factory):
    """The address of an emulator of AWS that lives as long as these tests."""
    home = tmp_path_factory.mktemp("aws")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    # It hands its own address down to the functions, which would look for the real AWS otherwise.
    env = stack.environment(
        home / "sam", AWS_ENDPOINT_URL=address, BIND_HOST="127.0.0.1", GATEWAY_PORT=str(port),
        HOME=str(home), LOG_LEVEL="WARNING", TMPDIR=str(home),
    )
    with (home / "log").open("w") as log:
        emulator = subprocess.Popen(
            [stack.TOOLS / "ministack"], cwd=home, env=env, stdout=log, stderr=log,
        )
    try:
        wait_for(f"{address}/_ministack/health", emulator)
        yield address
    finally:
        emulator.terminate()
        emulator.wait(timeout=10)


def wait_for(url, process):
    for _ in range(200):
        assert process.poll() is None, "the emulator stopped"
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    pytest.fail("the emulator did not start")


@pytest.fixture(scope="module")
def binaries():
    """Every program of the workspace by name, built the quick way."""
    built = subprocess.run(
        ["cargo", "build", "--workspace", "--bins", "--message-format", "json"],
        cwd=stack.ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True, text=True,
    )
    messages = [json.loads(line) for line in built.stdout.splitlines()]
    return {m["target"]["name"]: Path(m["executable"]) for m in messages if m.get("executable")}


@pytest.fixture(scope="module")
def built(binaries, tmp_path_factory):
    """What `sam build` leaves behind: the template, each function's code as one `bootstrap`."""
    folder = tmp_path_factory.mktemp("build")
    template = stack.template()
    for name, function in stack.functions().items():
        bootstrap = folder / name / "bootstrap"
        bootstrap.parent.mkdir()
        shutil.copy(binaries[Path(function["CodeUri"]).name], bootstrap)
        subprocess.run(["strip", bootstrap], check=True)
        template["Resources"][name]["Properties"]["CodeUri"] = name
        del template["Resources"][name]["Metadata"]
    (folder / "template.yaml").write_text(json.dumps(template))
    return folder / "template.yaml"


@pytest.fixture(scope="module")
def deployed(aws, built, tmp_path_factory):
    """The stack after one `sam deploy`: its outputs, the ids of its resources, clients to ask."""
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    env = stack.environment(tmp_path_factory.mktemp("notes") / "sam", AWS_ENDPOINT_URL=aws, **keys)
    stack.run(
        "sam", "deploy", "--config-file", stack.ROOT / "samconfig.toml",
        "--template-file", built, "--stack-name", NAME,
        "--no-confirm-changeset", "--no-progressbar",
        "--parameter-overrides", "Architecture=x86_64", f"OriginSecret={SECRET},{PREVIOUS}",
        "AlarmEmail=someone@example.com",
        env=env,
    )

    def client(service):
        return boto3.client(
            service, endpoint_url=aws, region_name=stack.REGION,
            aws_access_key_id="test", aws_secret_access_key="test",
        )

    [described] = client("cloudformation").describe_stacks(StackName=NAME)["Stacks"]
    listed = client("cloudformation").list_stack_resources(StackName=NAME)
    resources = listed["StackResourceSummaries"]
    return SimpleNamespace(
        aws=aws,
        client=client,
        outputs={o["OutputKey"]: o["OutputValue"] for o in described["Outputs"]},
        ids={r["LogicalResourceId"]: r["PhysicalResourceId"] for r in resources},
    )


def url_of(deployed, output, path):
    """Where a function's URL is: the emulator has no names for hosts, but a path for each."""
    name = deployed.outputs[output].removeprefix("https://").split(".")[0]
    return f"{deployed.aws}/_aws/lambda-url/{name}{path}"


def call(deployed, output, path, headers=()):
    """Calls a function by its URL: the status and the JSON of the answer."""
    request = urllib.request.Request(url_of(deployed, output, path), headers=dict(headers))
    try:
        return answer_of(urllib.request.urlopen(request, timeout=30))
    except urllib.error.HTTPError as refusal:
        return answer_of(refusal)


def answer_of(response):
    """The status and the JSON of an answer that carries our mark."""
    with response:
        assert response.headers["x-request-id"], "the emulator answered, not the function"
        return response.status, json.load(response)


def test_tables_and_keys_are_called_after_the_stack(deployed):
    assert deployed.outputs["ConfigTable"] == f"{NAME}-config"
    assert deployed.outputs["StateTable"] == f"{NAME}-state"
    assert deployed.outputs["ParameterPrefix"] == f"/lockgate/{NAME}"


def test_the_base_url_can_be_pasted_into_a_client(deployed):
    domain = deployed.outputs["DistributionDomain"]
    assert deployed.outputs["BaseUrl"] == f"https://{domain}/v1"


@pytest.mark.parametrize("name", stack.functions())
def test_a_function_is_told_where_its_memory_is(deployed, name):
    found = deployed.client("lambda").get_function_configuration(FunctionName=deployed.ids[name])
    assert found["Environment"]["Variables"] == {
        "CONFIG_TABLE": deployed.outputs["ConfigTable"],
        "STATE_TABLE": deployed.outputs["StateTable"],
        "ORIGIN_SECRET": SECRET,
        "ORIGIN_SECRET_PREVIOUS": PREVIOUS,
    }


def test_only_what_asks_a_model_streams_and_may_take_long(deployed):
    modes = {}
    for name in stack.functions():
        ask = deployed.client("lambda")
        url = ask.get_function_url_config(FunctionName=deployed.ids[name])
        timeout = ask.get_function_configuration(FunctionName=deployed.ids[name])["Timeout"]
        modes[name] = (url["AuthType"], url["InvokeMode"], timeout)
    assert modes == {
        "ChatCompletions": ("NONE", "RESPONSE_STREAM", 300),
        "Messages": ("NONE", "RESPONSE_STREAM", 300),
        "Responses": ("NONE", "RESPONSE_STREAM", 300),
        "GenerateContent": ("NONE", "RESPONSE_STREAM", 300),
        "Embeddings": ("NONE", "RESPONSE_STREAM", 300),
        "Models": ("NONE", "BUFFERED", 10),
        "Health": ("NONE", "BUFFERED", 10),
    }


def test_the_tables_take_rows_by_pk_and_sk(deployed):
    for output in ("ConfigTable", "StateTable"):
        table = deployed.client("dynamodb").describe_table(TableName=deployed.outputs[output])
        keys = [key["AttributeName"] for key in table["Table"]["KeySchema"]]
        assert keys == ["pk", "sk"]


def test_the_front_door_leads_to_the_urls_and_shows_the_secret(deployed):
    found = deployed.client("cloudfront").get_distribution_config(Id=deployed.ids["FrontDoor"])
    for origin in found["DistributionConfig"]["Origins"]["Items"]:
        assert deployed.outputs[f"{origin['Id']}Url"] == f"https://{origin['DomainName']}/"
        [header] = origin["CustomHeaders"]["Items"]
        assert header == {"HeaderName": "x-origin-secret", "HeaderValue": SECRET}


def test_an_alarm_reaches_the_address_that_was_given(deployed):
    [alarm] = deployed.client("cloudwatch").describe_alarms(
        AlarmNames=[deployed.ids["ChatCompletionsNearTimeout"]]
    )["MetricAlarms"]
    assert alarm["Threshold"] == 270_000
    [topic] = alarm["AlarmActions"]
    subscribed = deployed.client("sns").list_subscriptions_by_topic(TopicArn=topic)
    assert [s["Endpoint"] for s in subscribed["Subscriptions"]] == ["someone@example.com"]


def test_health_answers_who_shows_the_secret(deployed):
    status, _ = call(deployed, "HealthUrl", "/health", {"x-origin-secret": SECRET})
    assert status == 200


def test_health_turns_away_who_does_not(deployed):
    status, body = call(deployed, "HealthUrl", "/health")
    assert status == 403
    assert "error" in body


def test_an_unknown_path_is_refused_in_our_own_words(deployed):
    status, body = call(deployed, "HealthUrl", "/no/such/path", {"x-origin-secret": SECRET})
    assert status == 404
    assert "error" in body


@pytest.fixture(scope="module")
def applied(deployed, binaries, tmp_path_factory):
    """The stack with a configuration in it, written as an operator would."""
    folder = tmp_path_factory.mktemp("operator")
    (folder / "config.yaml").write_text(CONFIG)
    subprocess.run(
        [binaries["lockgate"], "apply", "--stack", NAME],
        cwd=folder, check=True, stdin=subprocess.DEVNULL, timeout=60,
        env={
            "AWS_ENDPOINT_URL": deployed.aws, "AWS_REGION": stack.REGION,
            "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
            "GATEWAY_KEY": KEY,
        },
    )
    return deployed


def test_what_was_applied_is_what_the_models_function_lists(applied):
    headers = {"x-origin-secret": SECRET, "authorization": f"Bearer {KEY}"}
    status, body = call(applied, "ModelsUrl", "/v1/models", headers)
    assert status == 200
    assert [model["id"] for model in body["data"]] == ["parrot"]


def test_a_client_gets_an_answer_whole_and_streamed(applied):
    client = openai.OpenAI(
        base_url=url_of(applied, "ChatCompletionsUrl", "/v1"), api_key=KEY, max_retries=0,
        default_headers={"x-origin-secret": SECRET},
    )
    asked = {"model": "parrot", "messages": [{"role": "user", "content": "Hello?"}]}
    whole = client.chat.completions.create(**asked).choices[0].message.content
    pieces = client.chat.completions.create(**asked, stream=True)
    streamed = [piece.choices[0].delta.content or "" for piece in pieces if piece.choices]
    assert whole
    assert whole == "".join(streamed)
