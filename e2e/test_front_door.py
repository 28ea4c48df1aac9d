"""What the front door must hold: paths, time-outs, errors, TLS, and the largest body."""

import json
import re
import subprocess
from fnmatch import fnmatchcase

import pytest

import stack

FRONT_DOOR = "infra/front-door.yaml"
CACHING_DISABLED = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
ALL_VIEWER_EXCEPT_HOST_HEADER = "b689b0a8-53d0-40ab-baf2-68738e2966ac"

# The contract's paths, and the folder of the function that serves them.
SERVED_BY = {
    "/v1/chat/completions": "chat-completions",
    "/chat/completions": "chat-completions",
    "/openai/v1/chat/completions": "chat-completions",
    "/v1/completions": "chat-completions",
    "/completions": "chat-completions",
    "/openai/v1/completions": "chat-completions",
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
    "/v1/audio/transcriptions": "tasks",
    "/v1/audio/translations": "tasks",
    "/openai/v1/audio/speech": "tasks",
    "/v1/images/generations": "tasks",
    "/images/edits": "tasks",
    "/v1/moderations": "tasks",
    "/v1/rerank": "tasks",
    "/v1/models": "models",
    "/v1/models/some/model:with-slashes": "models",
    "/openai/v1/models": "models",
    "/anthropic/v1/models/m": "models",
    "/v1beta/models": "models",
    "/v1beta/models/m": "models",
    "/gemini/v1beta/models": "models",
    "/gemini/v1/models/m": "models",
    "/admin": "operator",
    "/admin/assets/lockgate-1.css": "operator",
    "/openapi.json": "operator",
    "/admin/tenants/t_1/rotate-key": "operator",
    "/v1/diagnostics/upstream-models": "operator",
    "/health": "health",
    "/health/live": "health",
    "/health/ready": "health",
    "/": "health",
    "/no/such/path": "health",
    # Without /v1, with a slash too many, and under names that other paths end with.
    "/messages": "messages",
    "/responses": "responses",
    "/responses/compact": "responses",
    "/embeddings": "embeddings",
    "/models": "models",
    "/v1/chat/completions/": "chat-completions",
    "//v1//chat//completions": "chat-completions",
    "/v1beta/models/m:generateContent/": "generate-content",
    "/v1/models/chat/completions": "models",
}


def front_door():
    [properties] = stack.resources("AWS::CloudFront::Distribution", FRONT_DOOR).values()
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
    passed = stack.nested_parameters("CloudFront")[domain["Ref"]]
    [name] = re.findall(r'\["(\w+)Url", "FunctionUrl"\]', json.dumps(passed))
    return stack.functions()[name]["CodeUri"].removeprefix("functions/")


# Paths.


@pytest.mark.parametrize(("path", "folder"), SERVED_BY.items())
def test_a_path_reaches_its_function(path, folder):
    assert folder_behind(path) == folder


ENDPOINTS = stack.ROOT / "shared/edge/src/endpoints.rs"


def routes_of(folder):
    """The paths of a function's rows in the table of endpoints."""
    rows = ENDPOINTS.read_text().split("    Endpoint::")[1:]
    mine = [row for row in rows if f'"{folder}"' in row.partition(".at(")[0]]
    return [route for row in mine for route in re.findall(r'"(/[^"\s]*)"', row)]


@pytest.mark.parametrize("folder", stack.folders())
def test_every_route_in_the_code_reaches_its_function(folder):
    routes = routes_of(folder)
    assert routes
    for route in routes:
        # Both functions have this pattern; the method behind the model's name tells them apart.
        name = "x:generateContent" if folder == "generate-content" else "x"
        assert folder_behind(re.sub(r"\{[^}]*\}", name, route)) == folder, route


def test_no_behaviour_buffers_a_stream_or_drops_a_header():
    for behaviour in behaviours():
        # The pages' assets are no streams, and never change under their path.
        is_immutable = behaviour["PathPattern"] == "/admin/assets/*"
        assert behaviour["Compress"] is is_immutable
        assert (behaviour["CachePolicyId"] == CACHING_DISABLED) is not is_immutable
        assert behaviour["OriginRequestPolicyId"] == ALL_VIEWER_EXCEPT_HOST_HEADER
        assert behaviour["ViewerProtocolPolicy"] == "https-only"
        assert len(behaviour["AllowedMethods"]) == 7


def test_every_origin_is_attempted_once_with_the_secret():
    origins = front_door()["Origins"]
    assert len(origins) == len(stack.functions())
    for origin in origins:
        assert origin["ConnectionAttempts"] == 1
        assert origin["CustomOriginConfig"]["OriginProtocolPolicy"] == "https-only"
        assert origin["OriginCustomHeaders"] == [
            {"HeaderName": "x-origin-secret", "HeaderValue": {"Ref": "OriginSecret"}}
        ]


def test_the_front_door_and_the_functions_know_the_same_read_timeout():
    for origin in front_door()["Origins"]:
        timeout = origin["CustomOriginConfig"]["OriginReadTimeout"]
        assert timeout == {"Ref": "OriginReadTimeout"}
    parameter = {"Ref": "OriginReadTimeout"}
    assert stack.nested_parameters("CloudFront")["OriginReadTimeout"] == parameter
    for function in stack.functions().values():
        variables = function["Environment"]["Variables"]
        assert variables["ORIGIN_READ_TIMEOUT_SECONDS"] == parameter
    # More than 120 s needs a quota that an account has to ask for.
    assert stack.template()["Parameters"]["OriginReadTimeout"]["Default"] == 120


def test_no_failure_is_repeated_from_a_cache():
    kept = {e["ErrorCode"]: e["ErrorCachingMinTTL"] for e in front_door()["CustomErrorResponses"]}
    assert {500, 501, 502, 503, 504, 400, 403, 404, 405, 414} == set(kept)
    assert set(kept.values()) == {0}
    # An error page would take the place of the gateway's own words.
    assert not any("ResponsePagePath" in e for e in front_door()["CustomErrorResponses"])


def test_clients_need_tls_1_2():
    certificate = front_door()["ViewerCertificate"]
    assert certificate["MinimumProtocolVersion"] == "TLSv1.2_2021"
    for origin in front_door()["Origins"]:
        assert origin["CustomOriginConfig"]["OriginSSLProtocols"] == ["TLSv1.2"]


# The largest body.

LAMBDA_EVENT_BYTES = 6 * 1024 * 1024
# What else is in an event: headers of at most 20 KB at CloudFront, escaped, and the context.
EVENT_OVERHEAD_BYTES = 64 * 1024
MAX_BODY_BYTES = stack.template()["Parameters"]["MaxBodyBytes"]["Default"]


def test_a_body_of_the_largest_size_fits_into_an_event_as_base64():
    assert MAX_BODY_BYTES * 4 / 3 + EVENT_OVERHEAD_BYTES <= LAMBDA_EVENT_BYTES


def test_the_front_door_and_the_functions_know_the_same_body_limit():
    parameter = {"Ref": "MaxBodyBytes"}
    assert stack.nested_parameters("CloudFront")["MaxBodyBytes"] == parameter
    for function in stack.functions().values():
        assert function["Environment"]["Variables"]["MAX_BODY_BYTES"] == parameter
    for behaviour in behaviours():
        [association] = behaviour["FunctionAssociations"]
        assert association["EventType"] == "viewer-request"
        assert association["FunctionARN"] == {"Fn::GetAtt": ["BodyLimit", "FunctionARN"]}


def body_limit_function(uri, headers):
    """Runs the front door's function on a request, and gives what it returns."""
    [function] = stack.resources("AWS::CloudFront::Function", FRONT_DOOR).values()
    code = function["FunctionCode"]["Fn::Sub"].replace("${MaxBodyBytes}", str(MAX_BODY_BYTES))
    assert "${" not in code
    event = {
        "context": {"requestId": "id-of-the-request"},
        "request": {
            "method": "POST", "uri": uri,
            "headers": {name: {"value": value} for name, value in headers.items()},
        },
    }
    code += f"\nconsole.log(JSON.stringify(handler({json.dumps(event)})));"
    done = subprocess.run(
        [stack.TOOLS / "node", "--eval", code], check=True, capture_output=True, text=True,
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize("headers", [{}, {"content-length": str(MAX_BODY_BYTES)}])
def test_a_body_within_the_limit_passes_the_distribution(headers):
    assert body_limit_function("/v1/chat/completions", headers)["uri"] == "/v1/chat/completions"


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        (
            "/v1/chat/completions",
            {
                "error": {
                    "type": "invalid_request_error", "code": "request_too_large", "param": None,
                    "request_id": "id-of-the-request",
                },
            },
        ),
        (
            "/anthropic/v1/messages",
            {
                "type": "error", "error": {"type": "request_too_large"},
                "request_id": "id-of-the-request",
            },
        ),
        (
            "/v1/models/m:generateContent",
            {"error": {"code": 413, "status": "INVALID_ARGUMENT", "details": []}},
        ),
    ],
    ids=["openai", "anthropic", "gemini"],
)
def test_a_larger_body_is_rejected_in_the_format_of_its_api(uri, expected):
    response = body_limit_function(uri, {"content-length": str(MAX_BODY_BYTES + 1)})
    assert response["statusCode"] == 413
    body = json.loads(response["body"]["data"])
    assert body["error"].pop("message") == "Lockgate: The body is larger than 4.5 MB."
    assert body == expected
