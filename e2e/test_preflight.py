"""What `make deploy` checks before it builds anything: one sentence for each thing that is missing."""

import http.server
import json
import os
import subprocess
import sys
import threading

import boto3
import pytest
from botocore.exceptions import WaiterError

import stack

STACK = ["--stack", "preflight", "--architecture", "x86_64"]


def client(cloud, service, region=stack.REGION):
    return boto3.client(
        service, endpoint_url=cloud.url, region_name=region,
        aws_access_key_id="test", aws_secret_access_key="test",
    )


def preflight(*arguments, env):
    """Runs the check with these variables and nothing of the caller's AWS settings."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    nowhere = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    return subprocess.run(
        [sys.executable, stack.ROOT / "infra/preflight.py", *arguments],
        env=ours | nowhere | {"AWS_EC2_METADATA_DISABLED": "true"} | env,
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
    )


@pytest.fixture
def account(cloud):
    """An account in which everything is there."""
    return cloud.variables()


def problems(*arguments, env):
    """The sentences of a check that has to fail, and must not have printed parameters."""
    done = preflight(*arguments, env=env)
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    lines = done.stderr.splitlines()
    return [line.removeprefix("deploy: ") for line in lines if not line.startswith("deploy: note")]


def test_without_problems_the_parameters_are_printed(account):
    done = preflight(*STACK, "--built", "Bedrock=true", "Email=a@example.com", env=account)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "Architecture=x86_64 Bedrock=true Email=a@example.com\n"


def test_a_region_is_needed():
    [problem] = problems(*STACK, "--built", env={})
    assert problem.startswith("No AWS region is set: set AWS_REGION")


def test_credentials_are_needed():
    [problem] = problems(*STACK, "--built", env={"AWS_DEFAULT_REGION": stack.REGION})
    assert problem.startswith("There are no AWS credentials: set AWS_PROFILE")


def test_the_region_must_have_function_urls(account):
    [problem] = problems(*STACK, "--built", env=account | {"AWS_REGION": "ca-west-1"})
    assert problem == "The region ca-west-1 has no Lambda function URLs: choose another one."


def tool(folder, name, script):
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


def test_rust_is_needed(account, tmp_path):
    [problem] = problems(*STACK, env=account | {"PATH": str(tmp_path)})
    assert problem == "Rust is not installed: see https://rustup.rs."


def test_rust_must_be_able_to_build_for_the_processor(account, tmp_path):
    # rustc names the folder whether or not a standard library is in it.
    tool(tmp_path, "rustc", f"echo {tmp_path}/lib")
    tool(tmp_path, "cargo", "exit 0")
    arguments = "--stack", "preflight", "--architecture", "arm64"
    [problem] = problems(*arguments, env=account | {"PATH": f"{tmp_path}:/bin"})
    assert "run `rustup target add aarch64-unknown-linux-gnu`" in problem


def test_every_problem_is_printed_at_once(tmp_path):
    assert len(problems(*STACK, env={"PATH": str(tmp_path)})) == 2


def test_leftovers_of_a_failed_first_deployment_are_reported(account, cloud):
    nobody = f"arn:aws:lambda:{stack.REGION}:000000000000:function:nobody"
    broken = {"Type": "Custom::Broken", "Properties": {"ServiceToken": nobody}}
    template = {"Resources": {"Broken": broken}}
    cloudformation = client(cloud, "cloudformation")
    cloudformation.create_stack(StackName="failed", TemplateBody=json.dumps(template))
    with pytest.raises(WaiterError):
        cloudformation.get_waiter("stack_create_complete").wait(
            StackName="failed", WaiterConfig={"Delay": 1}
        )
    [problem] = problems("--built", *with_stack("failed"), env=account)
    assert "(ROLLBACK_COMPLETE)" in problem
    assert "`sam delete --stack-name failed`" in problem


def with_stack(name):
    return ["--stack", name, "--architecture", "x86_64"]


def test_a_table_left_by_a_deleted_stack_is_reported(account, operator):
    someone = operator()
    [problem] = problems("--built", *with_stack(someone.name), env=account)
    assert problem.startswith(f"The table {someone.name}-config is left from a stack")


def test_the_certificate_of_a_domain_is_found(account, cloud):
    acm = client(cloud, "acm", "us-east-1")
    arn = acm.request_certificate(DomainName="*.example.com")["CertificateArn"]
    done = preflight(*STACK, "--built", "DomainName=ai.example.com", env=account)
    assert done.returncode == 0, done.stderr
    assert f" CertificateArn={arn}\n" in done.stdout


def test_a_domain_without_a_certificate_is_named(account):
    [problem] = problems(*STACK, "--built", "DomainName=ai.example.org", env=account)
    assert problem.startswith("ACM has no issued certificate for ai.example.org in us-east-1")


@pytest.fixture
def quota():
    """Service Quotas of an account whose CloudFront waits a minute: the emulator has none."""

    class Quota(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"Quota": {"QuotaCode": "L-AECE9FA7", "Value": 60.0}}')

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quota) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield {"AWS_ENDPOINT_URL_SERVICE_QUOTAS": f"http://127.0.0.1:{server.server_port}"}
        server.shutdown()


def test_the_cloudfront_quota_must_allow_the_read_timeout(account, quota):
    [problem] = problems(*STACK, "--built", env=account | quota)
    assert "PARAMETERS=OriginReadTimeout=60" in problem
    done = preflight(*STACK, "--built", "OriginReadTimeout=60", env=account | quota)
    assert done.returncode == 0, done.stderr
    done = preflight(*STACK, "--built", "FrontDoor=none", env=account | quota)
    assert done.returncode == 0, done.stderr
