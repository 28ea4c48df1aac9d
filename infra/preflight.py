"""Checks before a deployment what would otherwise fail in the middle of it, minutes later.

Prints the stack's parameters for `sam deploy` when nothing is missing. Otherwise prints one
sentence for each thing that is, and exits with 1. Changes nothing: every call to AWS is a read, and
one that this operator may not make is left out.
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

import boto3
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

TOOLS = Path(sys.executable).parent
RUST_TARGETS = {"arm64": "aarch64-unknown-linux-gnu", "x86_64": "x86_64-unknown-linux-gnu"}
# From the Lambda Developer Guide, "Creating and managing Lambda function URLs".
REGIONS_WITHOUT_FUNCTION_URLS = {
    "ap-east-2", "ap-south-2", "ap-southeast-4", "ap-southeast-5", "ap-southeast-6",
    "ap-southeast-7", "ca-west-1", "eu-central-2", "eu-south-2", "il-central-1", "me-central-1",
}
# CloudFront and its certificates are at home here, whatever the stack's region.
CLOUDFRONT_REGION = "us-east-1"
# "Response timeout per origin" of CloudFront in Service Quotas, in seconds.
READ_TIMEOUT_QUOTA = {"ServiceCode": "cloudfront", "QuotaCode": "L-AECE9FA7"}
DEFAULT_READ_TIMEOUT = 120
FAILED_FIRST_DEPLOYMENTS = {"CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED"}
# Below this, a handful of slow responses turns other clients away.
SMALL_CONCURRENCY = 50


def main():
    arguments = parse_arguments()
    parameters = {"Architecture": arguments.architecture}
    parameters |= dict(pair.split("=", 1) for pair in arguments.parameters)
    problems = [*tool_problems(arguments.architecture, arguments.built)]
    # boto3 by itself knows AWS_DEFAULT_REGION only, and the AWS CLI and Rust prefer this one.
    session = boto3.Session(region_name=os.environ.get("AWS_REGION"))
    access_problem = find_access_problem(session)
    if access_problem:
        problems.append(access_problem)
    else:
        add_certificate(session, parameters)
        problems += account_problems(session, arguments.stack, parameters)
    for problem in problems:
        print(f"deploy: {problem}", file=sys.stderr)
    if problems:
        sys.exit(1)
    print(*(f"{name}={value}" for name, value in parameters.items()))


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stack", required=True)
    parser.add_argument("--architecture", choices=RUST_TARGETS, required=True)
    parser.add_argument("--built", action="store_true", help="the functions are built already")
    parser.add_argument("parameters", nargs="*", type=parameter, metavar="NAME=VALUE")
    return parser.parse_args()


def parameter(text):
    """A parameter of the stack, as `sam` takes it."""
    name, equals, _ = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"`{text}` is no parameter: write NAME=VALUE")
    return text


def tool_problems(architecture, built):
    """What the build would fail for."""
    if not (TOOLS / "sam").exists():
        yield "SAM is not installed beside this Python: `make deploy` installs it."
    if built:
        return
    if not shutil.which("cargo"):
        yield "Rust is not installed: see https://rustup.rs."
    elif not has_rust_target(RUST_TARGETS[architecture]):
        yield (
            f"Rust cannot build for {architecture} here: run "
            f"`rustup target add {RUST_TARGETS[architecture]}`, or set ARCHITECTURE to what it can."
        )
    if not (TOOLS / "cargo-lambda").exists():
        yield "cargo-lambda is not installed beside this Python: `make deploy` installs it."


def has_rust_target(target):
    """Whether the standard library of a target is there, which rustc names in any case."""
    found = subprocess.run(
        ["rustc", "--print", "target-libdir", "--target", target],
        stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )
    return found.returncode == 0 and any(Path(found.stdout.strip()).glob("libstd-*"))


def find_access_problem(session):
    """Why AWS cannot be called as somebody, in some region."""
    if not session.region_name:
        return "No AWS region is set: set AWS_REGION, or a region in your AWS profile."
    try:
        session.client("sts").get_caller_identity()
    except NoCredentialsError:
        return "There are no AWS credentials: set AWS_PROFILE, or run `aws configure`."
    except (BotoCoreError, ClientError) as error:
        return f"AWS refuses these credentials, or cannot be reached: {error}"
    if session.region_name in REGIONS_WITHOUT_FUNCTION_URLS:
        return f"The region {session.region_name} has no Lambda function URLs: choose another one."
    return None


def account_problems(session, stack, parameters):
    """What the account has or lacks, so that the stack would fail."""
    status = stack_status(session, stack)
    if status in FAILED_FIRST_DEPLOYMENTS:
        yield (
            f"The stack {stack} is what a failed first deployment left ({status}): "
            f"run `sam delete --stack-name {stack}` first."
        )
    elif status.endswith("_IN_PROGRESS") and status != "REVIEW_IN_PROGRESS":
        yield f"The stack {stack} is being changed ({status}): wait until that is over."
    elif not status and has_table(session, f"{stack}-config"):
        yield (
            f"The table {stack}-config is left from a stack that was deleted: delete the table, or "
            "deploy under another name with STACK=NAME."
        )
    if "DomainName" in parameters and "CertificateArn" not in parameters:
        yield (
            f"ACM has no issued certificate for {parameters['DomainName']} in {CLOUDFRONT_REGION}: "
            "request one there and prove that the name is yours, or name one with CERTIFICATE=ARN."
        )
    if parameters.get("FrontDoor") != "none":
        wanted = int(parameters.get("OriginReadTimeout", DEFAULT_READ_TIMEOUT))
        allowed = read_timeout_quota(session)
        if allowed and allowed < wanted:
            yield (
                f"CloudFront waits at most {allowed} s in this account: deploy with "
                f"PARAMETERS=OriginReadTimeout={allowed}, or ask AWS to raise the quota."
            )
    note_small_concurrency(session)


def stack_status(session, stack):
    """The stack's status, empty where there is none or nobody may know."""
    try:
        [found] = session.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    except ClientError:
        return ""
    return found["StackStatus"]


def has_table(session, table):
    try:
        session.client("dynamodb").describe_table(TableName=table)
    except ClientError:
        return False
    return True


def add_certificate(session, parameters):
    """Adds the issued certificate of the domain to the parameters that name a domain alone."""
    domain = parameters.get("DomainName")
    if not domain or "CertificateArn" in parameters:
        return
    acm = session.client("acm", region_name=CLOUDFRONT_REGION)
    try:
        pages = acm.get_paginator("list_certificates").paginate(CertificateStatuses=["ISSUED"])
        certificates = [found for page in pages for found in page["CertificateSummaryList"]]
    except ClientError:
        return
    wildcard = "*." + domain.partition(".")[2]
    for certificate in certificates:
        names = {certificate["DomainName"], *certificate.get("SubjectAlternativeNameSummaries", [])}
        if names & {domain, wildcard}:
            parameters["CertificateArn"] = certificate["CertificateArn"]
            return


def read_timeout_quota(session):
    """How long CloudFront may wait for an origin in this account, in seconds. None if unknown."""
    quotas = session.client("service-quotas", region_name=CLOUDFRONT_REGION)
    try:
        return int(quotas.get_service_quota(**READ_TIMEOUT_QUOTA)["Quota"]["Value"])
    except (BotoCoreError, ClientError):
        return None


def note_small_concurrency(session):
    """Says that the account runs few functions at once, which is no reason not to deploy."""
    try:
        limit = session.client("lambda").get_account_settings()["AccountLimit"]
    except (BotoCoreError, ClientError):
        return
    if limit["ConcurrentExecutions"] < SMALL_CONCURRENCY:
        print(
            f"deploy: note: Lambda runs at most {limit['ConcurrentExecutions']} calls at once in "
            "this account and answers 429 to more: ask AWS to raise `Concurrent executions`.",
            file=sys.stderr,
        )


if __name__ == "__main__":
    main()
