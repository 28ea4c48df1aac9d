"""What template.yaml must say, beyond what SAM and cfn-lint know to ask."""

import json
import re
from fnmatch import fnmatchcase

import pytest
from samtranslator.translator.transform import transform

import stack

CACHING_DISABLED = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
ALL_VIEWER_EXCEPT_HOST_HEADER = "b689b0a8-53d0-40ab-baf2-68738e2966ac"
READ_CONFIG = {"dynamodb:GetItem", "dynamodb:Query"}

# The contract's paths, and which function answers them.
ANSWERS = {
    "/v1/chat/completions": "chat-completions",
    "/chat/completions": "chat-completions",
    "/openai/v1/chat/completions": "chat-completions",
    "/v1/messages": "messages",
    "/v1/messages/count_tokens": "messages",
    "/anthropic/v1/messages": "messages",
    "/anthropic/v1/messages/count_tokens": "messages",
    "/v1/responses": "responses",
    "/openai/v1/responses": "responses",
    "/v1beta/models/some/model:generateContent": "generate-content",
    "/v1beta/models/some/model:streamGenerateContent": "generate-content",
    "/v1beta/models/some/model:countTokens": "generate-content",
    "/v1/models/llama3:8b:generateContent": "generate-content",
    "/gemini/v1/models/m:generateContent": "generate-content",
    "/gemini/v1beta/models/m:embedContent": "generate-content",
    "/v1/embeddings": "embeddings",
    "/openai/v1/embeddings": "embeddings",
    "/v1/models": "models",
    "/v1/models/some/model:with-slashes": "models",
    "/openai/v1/models": "models",
    "/anthropic/v1/models/m": "models",
    "/v1beta/models": "models",
    "/v1beta/models/m": "models",
    "/gemini/v1beta/models": "models",
    "/gemini/v1/models/m": "models",
    "/health": "health",
    "/health/live": "health",
    "/health/ready": "health",
    "/": "health",
    "/no/such/path": "health",
}


@pytest.fixture
def env(tmp_path):
    return stack.environment(tmp_path / "sam")


def resources(kind):
    """The properties of every resource of a kind, by logical name."""
    return {
        name: resource.get("Properties", {})
        for name, resource in stack.template()["Resources"].items()
        if resource["Type"] == kind
    }


def front_door():
    [properties] = resources("AWS::CloudFront::Distribution").values()
    return properties["DistributionConfig"]


def behaviours():
    """Every behaviour in the order CloudFront tries them, the default last."""
    config = front_door()
    return [*config["CacheBehaviors"], {"PathPattern": "*", **config["DefaultCacheBehavior"]}]


def folder_behind(path):
    """The folder of the function that CloudFront would send a path to."""
    [first, *_] = [b for b in behaviours() if fnmatchcase(path, b["PathPattern"])]
    origin = first["TargetOriginId"]
    [domain] = [o["DomainName"] for o in front_door()["Origins"] if o["Id"] == origin]
    [name] = re.findall(r'\["(\w+)Url", "FunctionUrl"\]', json.dumps(domain))
    return stack.functions()[name]["CodeUri"].removeprefix("functions/")


def statements():
    """Every statement of every policy, those behind a condition included."""
    for policy in resources("AWS::IAM::ManagedPolicy").values():
        for statement in policy["PolicyDocument"]["Statement"]:
            yield statement["Fn::If"][1] if "Fn::If" in statement else statement


def as_list(one_or_more):
    return one_or_more if isinstance(one_or_more, list) else [one_or_more]


# What the tools say.


def test_sam_translates_the_template(env):
    # Another environment's section: the default one asks for the lint instead.
    run = stack.run("sam", "validate", "--config-env", "none", env=env)
    assert "is a valid SAM Template" in run


def test_sam_lint_finds_nothing(env):
    assert "is a valid SAM Template" in stack.run("sam", "validate", "--lint", env=env)


def test_cfn_lint_finds_nothing(env):
    assert stack.run("cfn-lint", "-r", stack.REGION, "--", "template.yaml", env=env) == ""


# Functions.


def test_every_function_folder_is_deployed_by_its_own_build():
    deployed = {f["CodeUri"]: f for f in stack.functions().values()}
    assert set(deployed) == {f"functions/{name}" for name in stack.folders()}
    for name, resource in stack.template()["Resources"].items():
        if resource["Type"] == "AWS::Serverless::Function":
            assert resource["Metadata"] == {"BuildMethod": "rust-cargolambda"}, name
    assert {f["Handler"] for f in deployed.values()} == {"bootstrap"}


@pytest.mark.parametrize("name", stack.functions())
def test_a_url_streams_exactly_when_its_function_does(name):
    function = stack.functions()[name]
    main = (stack.ROOT / function["CodeUri"] / "src/main.rs").read_text()
    starts = re.findall(r"\bedge::(run|run_buffered)\(", main)
    assert len(starts) == 1, "main.rs starts neither way, or both"
    expected = {"run": "RESPONSE_STREAM", "run_buffered": "BUFFERED"}[starts[0]]
    assert function["FunctionUrlConfig"] == {"AuthType": "NONE", "InvokeMode": expected}


def test_the_public_may_call_every_url_and_only_by_its_url(monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", stack.REGION)

    class NoManagedPolicies:
        def load(self):
            return {}

    uploaded = stack.template()
    for name in stack.functions():
        uploaded["Resources"][name]["Properties"]["CodeUri"] = "s3://bucket/code"
    translated = transform(uploaded, {}, NoManagedPolicies())["Resources"].values()
    permissions = [r["Properties"] for r in translated if r["Type"] == "AWS::Lambda::Permission"]
    granted = {(p["FunctionName"]["Ref"], p["Action"]) for p in permissions}
    actions = ("lambda:InvokeFunction", "lambda:InvokeFunctionUrl")
    assert granted == {(name, action) for name in stack.functions() for action in actions}
    for permission in permissions:
        by_url = permission.get("InvokedViaFunctionUrl")
        assert by_url or permission.get("FunctionUrlAuthType") == "NONE"


def test_every_function_logs_to_the_group_that_forgets():
    for function in stack.functions().values():
        assert function["LoggingConfig"]["LogGroup"] == {"Ref": "Logs"}
        assert function["LoggingConfig"]["LogFormat"] == "JSON"
    assert resources("AWS::Logs::LogGroup")["Logs"]["RetentionInDays"] == {"Ref": "LogRetention"}


def test_every_function_has_its_alarms():
    watched = set()
    for alarm in resources("AWS::CloudWatch::Alarm").values():
        [dimension] = alarm["Dimensions"]
        watched.add((dimension["Value"]["Ref"], alarm["MetricName"]))
    expected = set()
    for name, function in stack.functions().items():
        expected |= {(name, "Errors"), (name, "Throttles")}
        if function["FunctionUrlConfig"]["InvokeMode"] == "RESPONSE_STREAM":
            expected.add((name, "Duration"))
    assert watched == expected


def test_every_timeout_on_offer_has_its_alarm():
    whole = stack.template()
    for seconds in whole["Parameters"]["StreamTimeout"]["AllowedValues"]:
        nearly_over = whole["Mappings"]["StreamTimeouts"][str(seconds)]["NearlyOver"]
        assert nearly_over == seconds * 900


def test_concurrency_is_reserved_only_on_request():
    assert stack.template()["Parameters"]["ReservedConcurrency"]["Default"] == -1
    for name, function in stack.functions().items():
        streams = function["FunctionUrlConfig"]["InvokeMode"] == "RESPONSE_STREAM"
        assert ("ReservedConcurrentExecutions" in function) == streams, name
        if streams:
            assert function["ReservedConcurrentExecutions"]["Fn::If"][0] == "HasReservation"


# The front door.


@pytest.mark.parametrize(("path", "folder"), ANSWERS.items())
def test_a_path_reaches_its_function(path, folder):
    assert folder_behind(path) == folder


@pytest.mark.parametrize("folder", stack.folders())
def test_every_route_in_the_code_reaches_its_function(folder):
    code = (stack.folders()[folder] / "src/lib.rs").read_text()
    for route in re.findall(r'"(/[^"\s]*)"', code):
        path = re.sub(r"\{[^}]*\}", "x", route.replace("{method}", "generateContent"))
        assert folder_behind(path) == folder, route


def test_no_behaviour_holds_a_stream_or_a_header_back():
    for behaviour in behaviours():
        assert behaviour["Compress"] is False
        assert behaviour["CachePolicyId"] == CACHING_DISABLED
        assert behaviour["OriginRequestPolicyId"] == ALL_VIEWER_EXCEPT_HOST_HEADER
        assert behaviour["ViewerProtocolPolicy"] == "https-only"
        assert len(behaviour["AllowedMethods"]) == 7


def test_every_origin_waits_long_tries_once_and_shows_the_secret():
    origins = front_door()["Origins"]
    assert len(origins) == len(stack.functions())
    for origin in origins:
        assert origin["ConnectionAttempts"] == 1
        assert origin["CustomOriginConfig"]["OriginReadTimeout"] == 120
        assert origin["CustomOriginConfig"]["OriginProtocolPolicy"] == "https-only"
        [header] = origin["OriginCustomHeaders"]
        assert header["HeaderName"] == "x-origin-secret"
        assert "OriginSecret" in json.dumps(header["HeaderValue"])


# Who may do what.


def test_no_policy_reaches_everything():
    for statement in statements():
        assert not [action for action in as_list(statement["Action"]) if "*" in action]
        for resource in as_list(statement["Resource"]):
            arn = resource.get("Fn::Sub", "") if isinstance(resource, dict) else resource
            assert not re.search(r"(^|parameter/?|secret:)\*", arn), arn


def test_functions_only_read_the_configuration():
    about_config = [s for s in statements() if "ConfigTable" in json.dumps(s["Resource"])]
    assert about_config
    for statement in about_config:
        assert set(as_list(statement["Action"])) == READ_CONFIG


def test_models_may_be_asked_and_nothing_else_of_bedrock():
    [statement] = [s for s in statements() if "bedrock" in json.dumps(s)]
    assert set(as_list(statement["Action"])) == {
        "bedrock:InvokeModel",
        "bedrock:InvokeModelWithResponseStream",
    }
    # Models are AWS's own; profiles are this account's and nobody else's.
    assert [resource["Fn::Sub"] for resource in statement["Resource"]] == [
        "arn:${AWS::Partition}:bedrock:*::foundation-model/*",
        "arn:${AWS::Partition}:bedrock:*:${AWS::AccountId}:inference-profile/*",
        "arn:${AWS::Partition}:bedrock:*:${AWS::AccountId}:application-inference-profile/*",
    ]


def test_each_function_may_do_what_it_does_and_no_more():
    allowed = {
        name: {policy["Ref"] for policy in function["Policies"]}
        for name, function in stack.functions().items()
    }
    conversation = {"ReadConfig", "ReadKeys", "ReadState", "WriteState", "AskModels"}
    assert allowed == {
        "ChatCompletions": conversation,
        "Messages": conversation,
        "Responses": conversation,
        "GenerateContent": conversation,
        "Embeddings": conversation,
        "Models": {"ReadConfig", "ReadKeys", "ReadState"},
        "Health": {"ReadConfig"},
    }


def test_the_secret_has_no_default_and_is_not_shown():
    parameters = stack.template()["Parameters"]
    hidden = {name for name, parameter in parameters.items() if parameter.get("NoEcho")}
    # `sam deploy --guided` never takes an empty answer for a hidden parameter.
    assert hidden == {"OriginSecret"}
    assert "Default" not in parameters["OriginSecret"]
    assert parameters["OriginSecret"]["MinLength"] >= 32
    assert "OriginSecret" not in (stack.ROOT / "samconfig.toml").read_text()
    assert "OriginSecret" not in json.dumps(stack.template()["Outputs"])


# Memory between calls.


def test_the_configuration_survives_its_stack_and_mistakes():
    table = stack.template()["Resources"]["ConfigTable"]
    # Plain Retain would keep the table of a first deployment that failed, and its name.
    assert table["DeletionPolicy"] == "RetainExceptOnCreate"
    assert table["UpdateReplacePolicy"] == "Retain"
    recovery = table["Properties"]["PointInTimeRecoverySpecification"]
    assert recovery == {"PointInTimeRecoveryEnabled": True}


def test_state_expires():
    state = resources("AWS::DynamoDB::Table")["StateTable"]
    assert state["TimeToLiveSpecification"] == {"AttributeName": "expires", "Enabled": True}


def test_tables_have_the_keys_that_storage_uses_and_cost_nothing_at_rest():
    for table in resources("AWS::DynamoDB::Table").values():
        assert table["BillingMode"] == "PAY_PER_REQUEST"
        keys = [(k["AttributeName"], k["KeyType"]) for k in table["KeySchema"]]
        assert keys == [("pk", "HASH"), ("sk", "RANGE")]


def test_sam_does_not_trust_its_own_cache():
    # It looks at a function's folder only, and would miss a change in shared/.
    assert "cached = false" in (stack.ROOT / "samconfig.toml").read_text()
