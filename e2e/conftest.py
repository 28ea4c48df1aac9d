"""A gateway on a laptop, and the same one in Lambda, before one scripted provider."""

import itertools
import json
import subprocess

import boto3
import openai
import pytest

import programs
import stack
import strict
import wire_formats

KEY = "sk-of-the-gateway"
SECRET = "an-origin-secret-for-tests-and-nothing-else"
CONFIG = """
api_key: ${GATEWAY_KEY}
default_timeout: 5s
idle_timeout: 2s
providers:
  - { name: first, base_url: "PROVIDER/first", api_key: "${FIRST_KEY}" }
  - { name: second, base_url: "PROVIDER/second", api_key: "${SECOND_KEY}" }
  - { name: limited, base_url: "PROVIDER/limited", api_key: "${FIRST_KEY}" }
  - { name: chat, base_url: "PROVIDER/chat" }
  - { name: claude, type: anthropic, base_url: "PROVIDER/claude" }
  - { name: gemini, type: gemini, base_url: "PROVIDER/gemini" }
  - { name: responses, type: openai-responses, base_url: "PROVIDER/responses" }
routes:
  - name: dynamic/n8n
    description: First one, then the other
    cooldown: 0s
    steps: [{ provider: first, model: fast }, { provider: second, model: slow }]
  - name: dynamic/any
    description: One of each format
    cooldown: 0s
    steps:
      - { provider: claude, model: one }
      - { provider: gemini, model: two }
      - { provider: responses, model: three }
      - { provider: chat, model: four }
models:
  - { name: gpt-4o, provider: limited }
"""
VARIABLES = {"GATEWAY_KEY": KEY, "FIRST_KEY": "sk-of-the-first", "SECOND_KEY": "sk-of-the-second"}


class Operator:
    """Somebody with the program, a folder and a stack of their own."""

    def __init__(self, lockgate, aws, folder, name):
        self.lockgate, self.aws, self.folder, self.name = lockgate, aws, folder, name
        for table in (f"{name}-config", f"{name}-state"):
            self.client("dynamodb").create_table(
                TableName=table, BillingMode="PAY_PER_REQUEST",
                AttributeDefinitions=[{"AttributeName": k, "AttributeType": "S"} for k in ("pk", "sk")],
                KeySchema=[
                    {"AttributeName": "pk", "KeyType": "HASH"},
                    {"AttributeName": "sk", "KeyType": "RANGE"},
                ],
            )

    def client(self, service):
        return boto3.client(
            service, endpoint_url=self.aws.url, region_name=stack.REGION,
            aws_access_key_id="test", aws_secret_access_key="test",
        )

    def write(self, text, file="config.yaml"):
        (self.folder / file).write_text(text)

    def run(self, *arguments, **variables):
        """Runs a command to its end, with nothing but these variables and the way to AWS."""
        return subprocess.run(
            [self.lockgate, *arguments], cwd=self.folder, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=60,
            env=self.aws.variables() | VARIABLES | variables,
        )

    def apply(self, *options, **variables):
        """Applies the file, which has to work, and gives what was printed."""
        done = self.run("apply", "--stack", self.name, *options, **variables)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def rows(self):
        """The rows of the configuration; its versions and the audit lie beside them."""
        found = self.client("dynamodb").scan(TableName=f"{self.name}-config")["Items"]
        return {row["sk"]["S"]: row["value"]["S"] for row in found if row["pk"]["S"] == "config"}

    def parameters(self):
        found = self.client("ssm").get_parameters_by_path(
            Path=f"/lockgate/{self.name}", Recursive=True, WithDecryption=True,
        )
        return {p["Name"].removeprefix(f"/lockgate/{self.name}/"): p for p in found["Parameters"]}


@pytest.fixture(scope="session")
def executables():
    return programs.built()


@pytest.fixture(scope="session")
def cloud(tmp_path_factory):
    aws = programs.Aws(tmp_path_factory.mktemp("cloud"))
    yield aws
    aws.stop()


@pytest.fixture(scope="session")
def provider(executables, tmp_path_factory):
    provider = programs.Provider(
        executables["fake-provider"], log=tmp_path_factory.mktemp("provider") / "log",
    )
    yield provider
    provider.stop()


@pytest.fixture(scope="session")
def strict_providers(executables, tmp_path_factory):
    """Providers of every format that reject what the real ones reject."""
    log = tmp_path_factory.mktemp("strict_providers") / "log"
    providers = strict.Providers(executables["strict-provider"], log)
    yield providers
    providers.stop()


@pytest.fixture(scope="session")
def strict_gateway(executables, strict_providers, tmp_path_factory):
    """Where a gateway before the strict providers listens."""
    folder = tmp_path_factory.mktemp("strict_gateway")
    (folder / "config.yaml").write_text(strict.config(strict_providers.urls))
    server = programs.Process(
        executables["lockgate"], "serve", "--listen", "127.0.0.1:0",
        log=folder / "log", cwd=folder, env={"PATH": "/usr/bin:/bin"},
    )
    yield server.line().split()[-1]
    server.stop()


@pytest.fixture(params=strict.PROVIDERS)
def target(request):
    """The name of each strict provider."""
    return request.param


@pytest.fixture(scope="session")
def config(provider):
    return CONFIG.replace("PROVIDER", provider.url)


@pytest.fixture(scope="session")
def operator(executables, cloud, tmp_path_factory):
    """Makes operators, each with an empty stack."""
    numbers = itertools.count()

    def new():
        name = f"stack{next(numbers)}"
        return Operator(executables["lockgate"], cloud, tmp_path_factory.mktemp(name), name)

    return new


@pytest.fixture(scope="session")
def laptop(executables, config, tmp_path_factory):
    """Where a gateway listens that runs by itself."""
    folder = tmp_path_factory.mktemp("laptop")
    (folder / "config.yaml").write_text(config)
    server = programs.Process(
        executables["lockgate"], "serve", "--listen", "127.0.0.1:0",
        log=folder / "log", cwd=folder, env=VARIABLES | {"PATH": "/usr/bin:/bin"},
    )
    yield server.line().split()[-1]
    server.stop()


@pytest.fixture(scope="session")
def lambda_(executables, cloud, config, operator, tmp_path_factory):
    """Where a gateway listens whose functions run as in Lambda, after an operator applied it."""
    deployer = operator()
    deployer.write(config)
    deployer.apply()
    variables = {
        "AWS_ENDPOINT_URL": cloud.url,
        "CONFIG_TABLE": f"{deployer.name}-config", "STATE_TABLE": f"{deployer.name}-state",
        "ORIGIN_SECRET": SECRET,
    }

    def function(name, mode, *paths):
        binary = str(executables[name])
        more = {"env": variables, "paths": paths, "mode": mode, "timeout": 30}
        return {"name": name, "binary": binary, **more}

    setup = {
        "origin_secret": SECRET,
        "functions": [
            function("chat-completions", "RESPONSE_STREAM", "*/completions"),
            function("embeddings", "RESPONSE_STREAM", "/v1/embeddings"),
            function(
                "tasks", "RESPONSE_STREAM",
                "*/audio/*", "*/images/*", "*/moderations", "*/rerank", "*/files*", "*/batches*",
            ),
            function(
                "messages", "RESPONSE_STREAM",
                "/v1/messages", "/v1/messages/*", "/anthropic/v1/messages*",
            ),
            function("responses", "RESPONSE_STREAM", "/v1/responses*", "/openai/v1/responses"),
            function(
                "generate-content", "RESPONSE_STREAM",
                "*/models/*:generateContent", "*/models/*:streamGenerateContent",
                "*/models/*:countTokens", "*/models/*:embedContent",
                "*/models/*:batchEmbedContents",
            ),
            function(
                "models", "BUFFERED",
                "/v1/models*", "/openai/v1/models*", "/anthropic/v1/models*", "/v1beta/models*",
                "/gemini/*",
            ),
            function("health", "BUFFERED", "*"),
        ],
    }
    folder = tmp_path_factory.mktemp("lambda")
    (folder / "emulator.json").write_text(json.dumps(setup))
    emulator = programs.Emulator(
        executables["lambda-emulator"], "--config", folder / "emulator.json", log=folder / "log",
    )
    yield emulator.url
    report = emulator.report()
    emulator.stop()
    assert report["warnings"] == []
    assert {call["outcome"] for call in report["invocations"]} == {"answered"}


@pytest.fixture(scope="session", params=["laptop", "lambda_"], ids=["laptop", "lambda"])
def host(request):
    """Each of the two places that a gateway runs in."""
    return request.getfixturevalue(request.param)


@pytest.fixture(params=wire_formats.ALL, ids=lambda wire: wire.name)
def wire(request):
    """Each format that providers speak. Its model is served by a provider of that format."""
    return request.param


@pytest.fixture(scope="session")
def client(host):
    """OpenAI's own client. It does not retry by itself, so that tests see the first response."""
    with openai.OpenAI(base_url=f"{host}/v1", api_key=KEY, max_retries=0, timeout=30) as client:
        yield client
