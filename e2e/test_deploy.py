"""`make deploy` to an emulator of AWS, with the functions as they are built for tests.

The emulator leaves out what it does not know: expiry, recovery, budgets and error caching.
test_template.py looks at those on paper.
"""

import json
import re
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

EMAIL = "someone@example.com"
# What the emulator's CloudFormation has no resource for is left out.
PARAMETERS = "MonthlyBudget=0 OriginReadTimeout=60"
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
def built(executables, tmp_path_factory):
    """What `sam build` leaves behind: the templates, each function's code as one `bootstrap`."""
    folder = tmp_path_factory.mktemp("build")
    shutil.copytree(stack.ROOT / "infra", folder / "infra")
    template = stack.template()
    for name, function in stack.functions().items():
        bootstrap = folder / name / "bootstrap"
        bootstrap.parent.mkdir()
        program = executables[Path(function["CodeUri"]).name]
        subprocess.run(["strip", "-o", bootstrap, program], check=True)
        template["Resources"][name]["Properties"]["CodeUri"] = name
        del template["Resources"][name]["Metadata"]
    (folder / "template.yaml").write_text(json.dumps(template))
    return folder / "template.yaml"


def make_deploy(aws, built, notes, *variables):
    """Deploys what is built, which has to work."""
    done = try_to_deploy(aws, built, notes, *variables)
    assert done.returncode == 0, done.stdout


def try_to_deploy(aws, built, notes, *variables):
    """Runs `make deploy` on what is built, with nobody there to answer a question."""
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    return subprocess.run(
        ["make", "deploy", f"BUILT={built}", "ARCHITECTURE=x86_64", *variables],
        cwd=stack.ROOT, env=stack.environment(notes, AWS_ENDPOINT_URL=aws, **keys),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=300,
    )


@pytest.fixture(scope="module")
def notes(tmp_path_factory):
    return tmp_path_factory.mktemp("notes") / "sam"


@pytest.fixture(scope="module")
def deployed(aws, built, notes):
    """The stack after one `make deploy`."""
    named = f"STACK={NAME}", f"EMAIL={EMAIL}", f"PARAMETERS={PARAMETERS}"
    make_deploy(aws, built, notes, *named)
    return described(aws, NAME)


def described(aws, name):
    """A stack: its outputs, the ids of its resources, nested ones included, and clients."""

    def client(service):
        return boto3.client(
            service, endpoint_url=aws, region_name=stack.REGION,
            aws_access_key_id="test", aws_secret_access_key="test",
        )

    def ids_of(stack_id):
        listed = client("cloudformation").list_stack_resources(StackName=stack_id)
        for resource in listed["StackResourceSummaries"]:
            yield resource["LogicalResourceId"], resource["PhysicalResourceId"]
            if resource["ResourceType"] == "AWS::CloudFormation::Stack":
                yield from ids_of(resource["PhysicalResourceId"])

    [found] = client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    return SimpleNamespace(
        aws=aws,
        client=client,
        outputs={o["OutputKey"]: o["OutputValue"] for o in found["Outputs"]},
        ids=dict(ids_of(name)),
    )


def variables_of(deployed, function):
    ask = deployed.client("lambda")
    found = ask.get_function_configuration(FunctionName=deployed.ids[function])
    return found["Environment"]["Variables"]


@pytest.fixture(scope="module")
def secret(deployed):
    return variables_of(deployed, "Health")["ORIGIN_SECRET"]


def url_of(deployed, output, path):
    """Where a function's URL is: the emulator has no names for hosts, but a path for each."""
    name = deployed.outputs[output].removeprefix("https://").split(".")[0]
    return f"{deployed.aws}/_aws/lambda-url/{name}{path}"


def call(deployed, output, path, headers=()):
    """Calls a function by its URL, and gives the status and the JSON of its response."""
    request = urllib.request.Request(url_of(deployed, output, path), headers=dict(headers))
    try:
        return body_of(urllib.request.urlopen(request, timeout=30))
    except urllib.error.HTTPError as refusal:
        return body_of(refusal)


def body_of(response):
    """The status and the JSON of a response that carries the gateway's header."""
    with response:
        assert response.headers["x-request-id"], "the emulator answered, not the function"
        return response.status, json.load(response)


def test_tables_and_parameters_are_named_after_the_stack(deployed):
    assert deployed.outputs["ConfigTable"] == f"{NAME}-config"
    assert deployed.outputs["StateTable"] == f"{NAME}-state"
    assert deployed.outputs["ParameterPrefix"] == f"/lockgate/{NAME}"


def test_the_base_url_can_be_pasted_into_a_client(deployed):
    domain = deployed.outputs["DistributionDomain"]
    assert deployed.outputs["BaseUrl"] == f"https://{domain}/v1"


@pytest.mark.parametrize("name", stack.functions())
def test_a_function_gets_its_settings(deployed, name):
    variables = variables_of(deployed, name)
    secrets = {variables.pop("ORIGIN_SECRET"), variables.pop("ORIGIN_SECRET_PREVIOUS")}
    assert len(secrets) == 2
    assert all(re.fullmatch("[0-9a-f]{64}", secret) for secret in secrets)
    if name == "Operator":
        assert variables.pop("ADMIN_PARAMETERS") == f"/lockgate/{NAME}"
        assert variables.pop("PUBLIC_URL") == ""
    assert variables == {
        "CONFIG_TABLE": deployed.outputs["ConfigTable"],
        "STATE_TABLE": deployed.outputs["StateTable"],
        "MAX_BODY_BYTES": "4500000",
        "ORIGIN_READ_TIMEOUT_SECONDS": "60",
        "ROOT_SECRET_PARAMETER": f"/lockgate/{NAME}/admin-secret",
    }


def test_only_model_functions_stream_and_have_long_timeouts(deployed):
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
        "Tasks": ("NONE", "RESPONSE_STREAM", 300),
        "Models": ("NONE", "BUFFERED", 10),
        "Health": ("NONE", "BUFFERED", 10),
        "Operator": ("NONE", "RESPONSE_STREAM", 60),
    }


def test_the_tables_take_rows_by_pk_and_sk(deployed):
    for output in ("ConfigTable", "StateTable"):
        table = deployed.client("dynamodb").describe_table(TableName=deployed.outputs[output])
        keys = [key["AttributeName"] for key in table["Table"]["KeySchema"]]
        assert keys == ["pk", "sk"]


def test_the_distribution_routes_to_the_urls_with_the_secret(deployed, secret):
    found = deployed.client("cloudfront").get_distribution_config(Id=deployed.ids["Distribution"])
    for origin in found["DistributionConfig"]["Origins"]["Items"]:
        assert deployed.outputs[f"{origin['Id']}Url"] == f"https://{origin['DomainName']}/"
        assert origin["CustomOriginConfig"]["OriginReadTimeout"] == 60
        [header] = origin["CustomHeaders"]["Items"]
        assert header == {"HeaderName": "x-origin-secret", "HeaderValue": secret}


def test_an_alarm_is_sent_to_the_configured_address(deployed):
    names = [name for name in deployed.ids if re.fullmatch(r"\w+Errors|Throttles", name)]
    found = deployed.client("cloudwatch").describe_alarms(
        AlarmNames=[deployed.ids[name] for name in names]
    )["MetricAlarms"]
    assert len(found) == len(stack.functions()) + 1
    [topic] = {action for alarm in found for action in alarm["AlarmActions"]}
    subscribed = deployed.client("sns").list_subscriptions_by_topic(TopicArn=topic)
    assert [s["Endpoint"] for s in subscribed["Subscriptions"]] == [EMAIL]


def test_aws_accepts_the_budget(deployed):
    # The emulator has budgets, but not as resources of a stack.
    [budget] = [
        resource["Properties"]
        for resource in stack.template("infra/budget.yaml")["Resources"].values()
    ]
    budget["Budget"] |= {"BudgetName": NAME, "BudgetLimit": {"Amount": "20", "Unit": "USD"}}
    for sent in budget["NotificationsWithSubscribers"]:
        sent["Subscribers"][0]["Address"] = EMAIL
    client = deployed.client("budgets")
    client.create_budget(AccountId="000000000000", **budget)
    made = client.describe_budget(AccountId="000000000000", BudgetName=NAME)["Budget"]
    assert made["TimeUnit"] == "MONTHLY"


def through_the_front_door(deployed, path, **more):
    """Calls the gateway as a client does, by the name that CloudFront gives it."""
    more["headers"] = {"host": deployed.outputs["DistributionDomain"]} | more.get("headers", {})
    more["headers"]["x-forwarded-proto"] = "https"
    request = urllib.request.Request(f"{deployed.aws}{path}", **more)
    try:
        return urllib.request.urlopen(request, timeout=30)
    except urllib.error.HTTPError as refusal:
        return refusal


def test_the_distribution_rejects_a_body_over_lambdas_limit(deployed):
    body = b"x" * 4_500_001
    with through_the_front_door(deployed, "/v1/messages", data=body) as response:
        assert response.status == 413
        error = json.load(response)
    assert error["error"]["type"] == "request_too_large"
    assert error["request_id"] == response.headers["x-request-id"]


def test_health_serves_calls_with_the_secret(deployed, secret):
    status, _ = call(deployed, "HealthUrl", "/health", {"x-origin-secret": secret})
    assert status == 200


def test_health_rejects_calls_without_the_secret(deployed):
    status, body = call(deployed, "HealthUrl", "/health")
    assert status == 403
    assert "error" in body


def test_an_unknown_path_is_rejected_in_the_gateways_format(deployed, secret):
    status, body = call(deployed, "HealthUrl", "/no/such/path", {"x-origin-secret": secret})
    assert status == 404
    assert "error" in body


@pytest.fixture(scope="module")
def applied(deployed, executables, tmp_path_factory):
    """The stack with a configuration in it, written as an operator would."""
    folder = tmp_path_factory.mktemp("operator")
    (folder / "config.yaml").write_text(CONFIG)
    subprocess.run(
        [executables["lockgate"], "apply", "--stack", NAME],
        cwd=folder, check=True, stdin=subprocess.DEVNULL, timeout=60,
        env={
            "AWS_ENDPOINT_URL": deployed.aws, "AWS_REGION": stack.REGION,
            "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
            "GATEWAY_KEY": KEY,
        },
    )
    return deployed


def test_the_models_function_lists_the_applied_config(applied, secret):
    headers = {"x-origin-secret": secret, "authorization": f"Bearer {KEY}"}
    status, body = call(applied, "ModelsUrl", "/v1/models", headers)
    assert status == 200
    assert [model["id"] for model in body["data"]] == ["parrot"]


def test_a_call_comes_through_the_front_door(applied):
    with through_the_front_door(
        applied, "/v1/models", headers={"authorization": f"Bearer {KEY}"},
    ) as response:
        assert response.status == 200
        assert [model["id"] for model in json.load(response)["data"]] == ["parrot"]


def test_a_stream_comes_through_the_front_door(applied):
    request_body = {
        "model": "parrot", "stream": True, "messages": [{"role": "user", "content": "Hello?"}],
    }
    with through_the_front_door(
        applied, "/v1/chat/completions", data=json.dumps(request_body).encode(),
        headers={"authorization": f"Bearer {KEY}", "content-type": "application/json"},
    ) as response:
        assert response.status == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.read().endswith(b"data: [DONE]\n\n")


def test_a_function_rejects_a_body_over_the_stacks_limit(applied, secret):
    # Its length is not announced to the front door, so the function is the first to know.
    request = urllib.request.Request(
        url_of(applied, "ChatCompletionsUrl", "/v1/chat/completions"), data=b"x" * 4_500_001,
        headers={
            "x-origin-secret": secret, "authorization": f"Bearer {KEY}",
            "content-type": "application/json",
        },
    )
    with pytest.raises(urllib.error.HTTPError) as refusal:
        urllib.request.urlopen(request, timeout=30)
    status, body = body_of(refusal.value)
    assert (status, body["error"]["code"]) == (413, "request_too_large")
    assert body["error"]["message"] == "Lockgate: The body is larger than 4.5 MB."


def test_a_client_gets_a_response_whole_and_streamed(applied, secret):
    client = openai.OpenAI(
        base_url=url_of(applied, "ChatCompletionsUrl", "/v1"), api_key=KEY, max_retries=0,
        default_headers={"x-origin-secret": secret},
    )
    request_body = {"model": "parrot", "messages": [{"role": "user", "content": "Hello?"}]}
    whole = client.chat.completions.create(**request_body).choices[0].message.content
    chunks = client.chat.completions.create(**request_body, stream=True)
    streamed = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert whole
    assert whole == "".join(streamed)


# What changes later. These tests come last, for they deploy again.


def test_a_new_version_of_the_secret_leaves_the_old_one_valid(deployed, built, notes, secret):
    # The emulator forgets the attributes of what does not change in a nested stack, so that the
    # front door's function has to change too.
    more = "PARAMETERS=OriginSecretVersion=2 MaxBodyBytes=4000000"
    make_deploy(deployed.aws, built, notes, f"STACK={NAME}", more)
    changed = described(deployed.aws, NAME)
    variables = variables_of(changed, "Health")
    assert variables["ORIGIN_SECRET_PREVIOUS"] == secret
    assert variables["ORIGIN_SECRET"] != secret
    # What the second deployment did not name keeps its value.
    assert variables["ORIGIN_READ_TIMEOUT_SECONDS"] == "60"
    found = changed.client("cloudfront").get_distribution_config(Id=changed.ids["Distribution"])
    for origin in found["DistributionConfig"]["Origins"]["Items"]:
        [header] = origin["CustomHeaders"]["Items"]
        assert header["HeaderValue"] == variables["ORIGIN_SECRET"]


def test_a_deployment_without_changes_succeeds(deployed, built, notes):
    make_deploy(deployed.aws, built, notes, f"STACK={NAME}")


def test_the_secret_is_deleted_with_its_stack(aws, built, notes):
    make_deploy(aws, built, notes, "STACK=short-lived")
    short_lived = described(aws, "short-lived")
    ssm = short_lived.client("ssm")
    name = "/lockgate/short-lived/origin-secret"
    assert ssm.get_parameter(Name=name)["Parameter"]["Type"] == "SecureString"
    cloudformation = short_lived.client("cloudformation")
    cloudformation.delete_stack(StackName="short-lived")
    cloudformation.get_waiter("stack_delete_complete").wait(
        StackName="short-lived", WaiterConfig={"Delay": 1}
    )
    with pytest.raises(ssm.exceptions.ParameterNotFound):
        ssm.get_parameter(Name=name)


def test_without_a_distribution_each_url_is_public(aws, built, notes):
    make_deploy(aws, built, notes, "STACK=doorless", "PARAMETERS=FrontDoor=none")
    doorless = described(aws, "doorless")
    assert "Distribution" not in doorless.ids
    assert "Alarms" not in doorless.ids
    assert doorless.outputs["BaseUrl"] == doorless.outputs["ChatCompletionsUrl"] + "v1"
    status, _ = call(doorless, "HealthUrl", "/health")
    assert status == 200


def test_a_failed_first_deployment_is_removed_and_explained(aws, built, notes):
    # The emulator has no budgets as resources of a stack, so that this nested stack fails.
    done = try_to_deploy(aws, built, notes, "STACK=broken", f"EMAIL={EMAIL}")
    assert done.returncode != 0
    reasons = [line for line in done.stdout.splitlines() if line.startswith("deploy: Budget: ")]
    assert "AWS::Budgets::Budget" in reasons[0]
    client = boto3.client(
        "cloudformation", endpoint_url=aws, region_name=stack.REGION,
        aws_access_key_id="test", aws_secret_access_key="test",
    )
    with pytest.raises(client.exceptions.ClientError, match="does not exist"):
        client.describe_stacks(StackName="broken")
