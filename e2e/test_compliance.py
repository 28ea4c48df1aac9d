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
# What does not hold, and why: cases, providers, and a part of the error.
EXCEPTIONS = [
    # A provider that does not count reasoning tokens apart has none to report.
    ("chat-reasoning-summary", ("anthropic", "bedrock"), "reasoning_tokens is 0"),
    ("google-thinking", ("anthropic", "bedrock"), "thoughtsTokenCount is missing or 0"),
    # The scripted provider does not repeat the request, and bytes of its format stay as they are.
    ("reasoning-summary", ("openai_responses",), "response.reasoning.summary is null"),
    # The scripted provider writes null there, which OpenAI's reference allows.
    ("reasoning-summary", ("openai_responses",), "'encrypted_content': None"),
    # The case sends OpenAI chat a parameter that only Responses has, and OpenAI rejects it.
    ("chat-reasoning-summary", ("openai_chat",), ""),
    # Most of Gemini's own calls have no identifier, and bytes of its format stay as they are.
    ("google-tool-calling", ("gemini",), "functionCall part has no id field"),
]


def is_exception(case, target, error):
    """Whether an error is listed with its reason."""
    return any(
        case.startswith(start) and target in targets and part in error
        for start, targets, part in EXCEPTIONS
    )


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
def test_a_case_of_the_compliance_suite(client, case, target, strict_providers, strict_gateway):
    strict_providers.script(response(case))
    errors = run(case, client, strict_gateway, strict.model(target))
    assert [error for error in errors if not is_exception(case.id, target, error)] == []
    # OpenAI's chat rejects what one case sends; see above. And who may have compaction is asked for it
    # before a summary is, so that one scripted provider without it says so.
    is_compaction = case.id == "compact-response"
    mended = "POST /v1/responses/compact" if is_compaction else "Unknown parameter: 'reasoning'"
    strict_providers.requests(target, mended)
