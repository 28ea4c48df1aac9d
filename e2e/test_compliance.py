"""llm-comply, which knows each vendor's reference, as a client of every format before every provider.

Its warnings count as failures. What does not hold is listed in `EXCEPTIONS`, with the reason.
"""

import dataclasses
from pathlib import Path

import llm_comply
import pytest
from llm_comply.config import ComplianceConfig
from llm_comply.runner import TestRunner
from llm_comply.schema import SpecLoader
from llm_comply.tests import get_tests

import strict

SPECS = Path(llm_comply.__file__).parent / "specs"
# Per format of the client: the file of its reference, the path below the gateway, the key's header.
FORMATS = {
    "openai-chat": ("openai_chat.json", "/v1", "authorization"),
    "open-responses": ("openresponses.json", "/v1", "authorization"),
    "anthropic": ("anthropic.json", "/v1", "x-api-key"),
    "google-genai": (None, "", "x-goog-api-key"),
}
CASES = [(name, case) for name in FORMATS for case in get_tests(name)]
# Errors that are the provider's own or the tool's, by the start of a case's id and the provider.
EXCEPTIONS = {}


def response(case):
    """What a provider has to respond for a case to be about the gateway alone."""
    if "tool" in case.id:
        return {"calls": [["call_1", "get_weather", {"location": "San Francisco"}]]}
    if any(word in case.id for word in ("thinking", "reasoning")):
        return {"reasoning": "15 times 37.", "text": "555"}
    return {"text": "Hello there, friend."}


def run(case, client, url, model):
    """The errors and warnings of one case, against one model."""
    spec, path, header = FORMATS[client]
    config = ComplianceConfig(
        base_url=url + path, api_key=strict.KEY, model=model, auth_header=header,
        use_bearer_prefix=header == "authorization",
        extra_headers={"anthropic-version": "2023-06-01"} if client == "anthropic" else None,
    )
    loader = SpecLoader(str(SPECS / spec) if spec else None)
    # Whether a model can reason is guessed from its name; all of ours can.
    case = dataclasses.replace(case, skip_reason=None)
    result = TestRunner(config, [case], loader).run_one(case)
    return [*result.errors, *result.warnings]


@pytest.mark.parametrize("client, case", CASES, ids=[case.id for _, case in CASES])
def test_a_case_of_the_reference(client, case, target, strict_providers, strict_gateway):
    strict_providers.script(response(case))
    errors = run(case, client, strict_gateway, strict.model(target))
    assert errors == EXCEPTIONS.get((case.id, target), [])
    strict_providers.requests(target)
