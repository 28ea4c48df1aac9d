"""A gateway that has its configuration says so, without a key."""

import json
import urllib.request

import pytest


@pytest.mark.parametrize("path, status", [
    ("/health", "healthy"), ("/health/live", "healthy"), ("/health/ready", "ready"),
])
def test_health_reports_the_gateways_state(host, path, status):
    with urllib.request.urlopen(host + path, timeout=30) as answer:
        assert json.load(answer)["status"] == status


def test_a_head_request_to_the_root_is_ok(host):
    request = urllib.request.Request(f"{host}/", method="HEAD")
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 200
