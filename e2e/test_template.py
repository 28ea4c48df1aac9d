"""What template.yaml and its nested stacks must hold, beyond what SAM and cfn-lint check."""

import json
import re

import pytest
import tomlkit
from samtranslator.translator.transform import transform

import stack

FRONT_DOOR = "infra/front-door.yaml"
ALARMS = "infra/alarms.yaml"
BUDGET = "infra/budget.yaml"
DASHBOARD = "infra/dashboard.yaml"
ALL = ["template.yaml", FRONT_DOOR, ALARMS, BUDGET, DASHBOARD]
READ_CONFIG = {"dynamodb:GetItem", "dynamodb:Query"}
WRITE_ROWS = {"dynamodb:DeleteItem", "dynamodb:PutItem", "dynamodb:UpdateItem"}


@pytest.fixture
def env(tmp_path):
    return stack.environment(tmp_path / "sam")


def statements():
    """Every statement of every policy, those behind a condition included."""
    for policy in stack.resources("AWS::IAM::ManagedPolicy").values():
        for statement in policy["PolicyDocument"]["Statement"]:
            yield statement["Fn::If"][1] if "Fn::If" in statement else statement


def as_list(one_or_more):
    return one_or_more if isinstance(one_or_more, list) else [one_or_more]


# Tools.


def test_sam_translates_the_template(env):
    # Another environment's section: the default one asks for the lint instead.
    run = stack.run("sam", "validate", "--config-env", "none", env=env)
    assert "is a valid SAM Template" in run


def test_sam_lint_finds_nothing(env):
    assert "is a valid SAM Template" in stack.run("sam", "validate", "--lint", env=env)


@pytest.mark.parametrize("file", ALL)
def test_cfn_lint_finds_nothing(env, file):
    assert stack.run("cfn-lint", "-r", stack.REGION, "--", file, env=env) == ""


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


def test_every_function_logs_to_the_group_that_expires():
    functions = [*stack.functions().values(), *stack.resources("AWS::Lambda::Function").values()]
    for function in functions:
        assert function["LoggingConfig"]["LogGroup"] == {"Ref": "Logs"}
        assert function["LoggingConfig"]["LogFormat"] == "JSON"
    assert stack.resources("AWS::Logs::LogGroup")["Logs"]["RetentionInDays"] == {"Ref": "LogRetention"}


def test_every_call_leaves_its_report_line():
    # Lambda drops the REPORT lines, which hold the duration and the memory, at any higher level.
    for function in stack.functions().values():
        assert function["LoggingConfig"]["SystemLogLevel"] == "INFO"


def test_every_function_has_an_alarm_and_the_account_has_one():
    watched = []
    for alarm in stack.resources("AWS::CloudWatch::Alarm", ALARMS).values():
        dimensions = alarm["Dimensions"]
        if dimensions == {"Ref": "AWS::NoValue"}:
            watched.append(("the account", alarm["MetricName"]))
            continue
        [dimension] = dimensions
        function = stack.nested_parameters("Alarms")[dimension["Value"]["Ref"]]["Ref"]
        watched.append((function, alarm["MetricName"]))
    expected = [(name, "Errors") for name in stack.functions()] + [("the account", "Throttles")]
    assert sorted(watched) == sorted(expected)


def test_an_alarm_notifies_the_configured_address():
    [topic] = stack.resources("AWS::SNS::Topic", ALARMS).values()
    assert topic["Subscription"] == [{"Protocol": "email", "Endpoint": {"Ref": "Email"}}]
    for alarm in stack.resources("AWS::CloudWatch::Alarm", ALARMS).values():
        assert alarm["AlarmActions"] == [{"Ref": "Topic"}]


def test_the_budget_notifies_before_and_beyond_its_limit():
    [budget] = stack.resources("AWS::Budgets::Budget", BUDGET).values()
    assert budget["Budget"]["BudgetLimit"] == {"Amount": {"Ref": "MonthlyBudget"}, "Unit": "USD"}
    thresholds = set()
    for sent in budget["NotificationsWithSubscribers"]:
        notification = sent["Notification"]
        thresholds.add((notification["NotificationType"], notification["Threshold"]))
        assert sent["Subscribers"] == [{"SubscriptionType": "EMAIL", "Address": {"Ref": "Email"}}]
    assert thresholds == {("ACTUAL", 80), ("FORECASTED", 100)}


# What a stack costs, and what it is made of.

# Types that cost nothing while nobody calls. Tables are on demand, which a test of its own checks.
FREE_AT_REST = {
    "AWS::CloudFormation::Stack",
    "AWS::CloudFront::Distribution",
    "AWS::CloudFront::Function",
    "AWS::DynamoDB::Table",
    "AWS::IAM::ManagedPolicy",
    "AWS::IAM::Role",
    "AWS::Lambda::Function",
    "AWS::Logs::LogGroup",
    "AWS::Serverless::Function",
    "Custom::AdminSecrets",
    "Custom::OriginSecret",
}
# What each nested stack depends on.
CONDITIONS = {"CloudFront": "HasFrontDoor", "Alarms": "HasEmail", "Budget": "HasBudget", "CloudWatchDashboard": "HasDashboard"}


def test_an_idle_stack_costs_nothing():
    without_email = ["template.yaml", FRONT_DOOR]
    for file in without_email:
        kinds = {resource["Type"] for resource in stack.template(file)["Resources"].values()}
        assert kinds <= FREE_AT_REST
    for parameter in ("Email", "SecretsManagerPrefix"):
        assert stack.template()["Parameters"][parameter]["Default"] == ""


def test_nested_stacks_are_there_only_when_wanted():
    assert stack.nested() == {"CloudFront": FRONT_DOOR, "Alarms": ALARMS, "Budget": BUDGET, "CloudWatchDashboard": DASHBOARD}
    whole = stack.template()
    for name, condition in CONDITIONS.items():
        assert whole["Resources"][name]["Condition"] == condition
    assert whole["Conditions"]["HasFrontDoor"] == {
        "Fn::Equals": [{"Ref": "FrontDoor"}, "cloudfront"]
    }
    assert whole["Conditions"]["HasEmail"] == {
        "Fn::Not": [{"Fn::Equals": [{"Ref": "Email"}, ""]}]
    }


@pytest.mark.parametrize(("name", "file"), stack.nested().items())
def test_a_nested_stack_gets_exactly_its_parameters(name, file):
    assert set(stack.nested_parameters(name)) == set(stack.template(file)["Parameters"])


def test_a_deployment_needs_no_input():
    for name, parameter in stack.template()["Parameters"].items():
        assert "Default" in parameter, name
    settings = tomlkit.parse((stack.ROOT / "samconfig.toml").read_text())["default"]["deploy"]
    parameters = settings["parameters"]
    assert parameters["confirm_changeset"] is False
    assert parameters["fail_on_empty_changeset"] is False
    # CloudFormation cannot update what a first deployment that failed leaves behind.
    assert parameters["on_failure"] == "DELETE"
    assert parameters["capabilities"].split() == ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
    assert "guided" not in (stack.ROOT / "Makefile").read_text()


def test_functions_are_built_for_the_cheaper_processor_by_default():
    assert stack.template()["Parameters"]["Architecture"]["Default"] == "arm64"
    assert "ARCHITECTURE ?= arm64\n" in (stack.ROOT / "Makefile").read_text()
    for function in [*stack.functions().values(), *stack.resources("AWS::Lambda::Function").values()]:
        assert function["Architectures"] == [{"Ref": "Architecture"}]


def test_deploying_needs_no_test_tools():
    needed = (stack.ROOT / "infra/requirements.txt").read_text()
    names = re.findall(r"^([a-z0-9-]+)==", needed, re.MULTILINE)
    assert names == ["aws-sam-cli", "boto3", "cargo-lambda", "ziglang"]


def test_concurrency_is_reserved_only_on_request():
    assert stack.template()["Parameters"]["ReservedConcurrency"]["Default"] == -1
    for name, function in stack.functions().items():
        # Its playground streams, but operators are few.
        streams = function["FunctionUrlConfig"]["InvokeMode"] == "RESPONSE_STREAM"
        is_reserved = streams and name != "Operator"
        assert ("ReservedConcurrentExecutions" in function) == is_reserved, name
        if is_reserved:
            assert function["ReservedConcurrentExecutions"]["Fn::If"][0] == "HasReservation"


# Rights.


def test_no_policy_has_a_wildcard_resource():
    for statement in statements():
        assert not [action for action in as_list(statement["Action"]) if "*" in action]
        for resource in as_list(statement["Resource"]):
            arn = resource.get("Fn::Sub", "") if isinstance(resource, dict) else resource
            assert not re.search(r"(^|parameter/?|secret:)\*", arn), arn


def test_only_the_administration_writes_the_configuration():
    about_config = [s for s in statements() if "ConfigTable" in json.dumps(s["Resource"])]
    actions = sorted(sorted(as_list(statement["Action"])) for statement in about_config)
    assert actions == sorted([sorted(READ_CONFIG), sorted(WRITE_ROWS)])
    writers = [
        name for name, function in stack.functions().items()
        if {"Ref": "WriteConfig"} in function["Policies"]
    ]
    assert writers == ["Operator"]


def test_bedrock_models_may_be_invoked_only_when_enabled():
    assert stack.template()["Parameters"]["Bedrock"]["Default"] == "false"
    assert stack.template()["Resources"]["InvokeModels"]["Condition"] == "HasBedrock"
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


def name_of(policy):
    """A policy's logical name, which a condition may leave out."""
    if "Fn::If" in policy:
        condition, chosen, other = policy["Fn::If"]
        assert other == {"Ref": "AWS::NoValue"}
        return f"{chosen['Ref']} if {condition}"
    return policy["Ref"]


def test_each_function_has_least_privilege():
    allowed = {
        name: {name_of(policy) for policy in function["Policies"]}
        for name, function in stack.functions().items()
    }
    conversation = {
        "ReadConfig", "ReadKeys", "ReadState", "WriteState", "Announce if HasReceivers",
        "InvokeModels if HasBedrock",
    }
    assert allowed == {
        "ChatCompletions": conversation,
        "Messages": conversation,
        "Responses": conversation,
        "GenerateContent": conversation,
        "Embeddings": conversation,
        "Tasks": conversation,
        # It keeps what providers list.
        "Models": {"ReadConfig", "ReadKeys", "ReadState", "WriteState"},
        "Operator": conversation | {"WriteConfig"},
        "Health": {"ReadConfig"},
    }


# The origin secret.


def test_the_stack_generates_its_secret_and_outputs_it_nowhere():
    parameters = stack.template()["Parameters"]
    assert not any(parameter.get("NoEcho") for parameter in parameters.values())
    assert stack.template(FRONT_DOOR)["Parameters"]["OriginSecret"]["NoEcho"] is True
    for file in ALL:
        assert "OriginSecret" not in json.dumps(stack.template(file).get("Outputs", {}))


def test_functions_accept_the_secret_and_the_one_before():
    for function in stack.functions().values():
        variables = function["Environment"]["Variables"]
        # Without a front door nobody could show it, and everybody would be turned away.
        expected = {"ORIGIN_SECRET": "Current", "ORIGIN_SECRET_PREVIOUS": "Previous"}
        for name, attribute in expected.items():
            condition, secret, nothing = variables[name]["Fn::If"]
            assert (condition, nothing) == ("HasFrontDoor", {"Ref": "AWS::NoValue"})
            assert secret == {"Fn::GetAtt": ["OriginSecret", attribute]}
    current = {"Fn::GetAtt": ["OriginSecret", "Current"]}
    assert stack.nested_parameters("CloudFront")["OriginSecret"] == current


def test_the_secret_generator_may_access_only_its_parameters():
    [role] = stack.resources("AWS::IAM::Role").values()
    [policy] = role["Policies"]
    origin, administration = policy["PolicyDocument"]["Statement"]
    assert set(origin["Action"]) == {
        "ssm:GetParameter", "ssm:PutParameter", "ssm:DeleteParameters",
    }
    parameter = ":parameter/lockgate/${AWS::StackName}/origin-secret"
    assert origin["Resource"]["Fn::Sub"].endswith(parameter)
    # What is there is never read or replaced: it is the operators' from then on.
    assert administration["Action"] == "ssm:PutParameter"
    parameters = ":parameter/lockgate/${AWS::StackName}/admin-*"
    assert administration["Resource"]["Fn::Sub"].endswith(parameters)


# Tables.


def test_the_config_table_is_retained_and_protected():
    table = stack.template()["Resources"]["ConfigTable"]
    # Plain Retain would keep the table of a first deployment that failed, and its name.
    assert table["DeletionPolicy"] == "RetainExceptOnCreate"
    assert table["UpdateReplacePolicy"] == "Retain"
    recovery = table["Properties"]["PointInTimeRecoverySpecification"]
    assert recovery == {"PointInTimeRecoveryEnabled": True}


@pytest.mark.parametrize("table", ["ConfigTable", "StateTable"])
def test_what_has_an_end_goes(table):
    table = stack.resources("AWS::DynamoDB::Table")[table]
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires", "Enabled": True}


def test_tables_have_the_keys_that_storage_uses_and_cost_nothing_at_rest():
    for table in stack.resources("AWS::DynamoDB::Table").values():
        assert table["BillingMode"] == "PAY_PER_REQUEST"
        keys = [(k["AttributeName"], k["KeyType"]) for k in table["KeySchema"]]
        assert keys == [("pk", "HASH"), ("sk", "RANGE")]


def test_sam_does_not_trust_its_own_cache():
    # It looks at a function's folder only, and would miss a change in shared/.
    assert "cached = false" in (stack.ROOT / "samconfig.toml").read_text()


# The dashboard.


def test_the_dashboard_reads_what_calls_log():
    body = stack.resources("AWS::CloudWatch::Dashboard", DASHBOARD)["Dashboard"]["DashboardBody"]
    widgets = json.loads(body["Fn::Sub"])["widgets"]
    queries = [it["properties"]["query"] for it in widgets if it["type"] == "log"]
    logged = (stack.ROOT / "shared/telemetry/src/log.rs").read_text()
    fields = {field for query in queries for field in re.findall(r"fields\.(\w+)", query)}
    assert {field for field in fields - {"message"} if f"{field} =" not in logged} == set()
    assert all("call ended" in query for query in queries) and "call ended" in logged
    taken = {(it["x"], it["y"]) for it in widgets}
    assert len(taken) == len(widgets)
