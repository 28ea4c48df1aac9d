"""Prints why a deployment failed, in AWS's words, nested stacks and deleted ones included.

`sam deploy` shows the events of the stack itself only, where a nested stack that failed is named
without its reason; and by then a first deployment is taken away.
"""

import argparse
import os
from datetime import datetime, timedelta, timezone

import boto3

# Longer than any deployment of this stack takes, and short enough to be about the last one.
RECENT = timedelta(hours=1)
# What CloudFormation says of a resource only because another one failed.
FOLLOWED = ("Resource creation cancelled", "Resource update cancelled", "Embedded stack")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stack", required=True)
    stack = parser.parse_args().stack
    client = boto3.client("cloudformation", region_name=os.environ.get("AWS_REGION"))
    for stack_id in recent_stacks(client, stack):
        for event in failures(client, stack_id):
            print(f"deploy: {event['LogicalResourceId']}: {event['ResourceStatusReason']}")


def recent_stacks(client, name):
    """The ids of the stack and its nested stacks that were made or changed lately."""
    for page in client.get_paginator("list_stacks").paginate():
        for found in page["StackSummaries"]:
            nested = found["StackName"].startswith(f"{name}-")
            if found["StackName"] == name or nested:
                if is_recent(found.get("LastUpdatedTime", found["CreationTime"])):
                    yield found["StackId"]


def failures(client, stack_id):
    """The failures of a stack's last deployment that did not follow from others, oldest first."""
    pages = client.get_paginator("describe_stack_events").paginate(StackName=stack_id)
    events = [event for page in pages for event in page["StackEvents"]]
    for event in reversed(events):
        reason = event.get("ResourceStatusReason", "")
        failed = event["ResourceStatus"].endswith("_FAILED")
        if failed and reason and not reason.startswith(FOLLOWED) and is_recent(event["Timestamp"]):
            yield event


def is_recent(moment):
    return datetime.now(timezone.utc) - moment < RECENT


if __name__ == "__main__":
    main()
