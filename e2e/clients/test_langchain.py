"""LangChain's clients of OpenAI, Anthropic and Google, before strict providers of every format."""

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_google_genai import ChatGoogleGenerativeAI
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

import strict


def chat(url, model):
    return ChatOpenAI(base_url=f"{url}/v1", api_key=strict.KEY, model=model, max_retries=0)


def responses(url, model):
    return ChatOpenAI(
        base_url=f"{url}/v1", api_key=strict.KEY, model=model, max_retries=0,
        use_responses_api=True,
    )


def anthropic(url, model):
    return ChatAnthropic(base_url=url, api_key=strict.KEY, model=model, max_retries=0)


def google(url, model):
    return ChatGoogleGenerativeAI(base_url=url, api_key=strict.KEY, model=model, max_retries=0)


@pytest.fixture(params=[chat, responses, anthropic, google], ids=lambda make: make.__name__)
def client(request, strict_gateway, target):
    """A client of each of LangChain's packages, before each provider."""
    return request.param(strict_gateway, strict.model(target))


@tool
def weather(city: str, unit: str = "C") -> str:
    """Tells the weather of a city."""
    return f"Rain in {city}"


class Place(BaseModel):
    """A city."""

    city: str
    # Not required, which OpenAI's strict mode rejects.
    sunny: bool = False


QUESTION = [SystemMessage("Be brief."), HumanMessage("How is the weather in Oslo?")]


def text(message):
    """A message's text, whatever its blocks."""
    return message.text if isinstance(message.text, str) else message.text()


def test_a_response(client, target, strict_providers):
    strict_providers.script({"text": "Grüße 🌍"})
    message = client.invoke(QUESTION)
    assert text(message) == "Grüße 🌍"
    assert message.usage_metadata["input_tokens"] == 9
    assert len(strict_providers.requests(target)) == 1


def test_a_stream(client, target, strict_providers):
    strict_providers.script({"text": "Grüße 🌍"})
    chunks = list(client.stream(QUESTION))
    assert "".join(text(chunk) for chunk in chunks) == "Grüße 🌍"
    assert len(strict_providers.requests(target)) == 1


def test_a_tool_loop(client, target, strict_providers):
    call = ["call_Oslo", "weather", {"city": "Oslo"}]
    strict_providers.script({"text": "I look.", "calls": [call]}, {"text": "It rains."})
    with_tools = client.bind_tools([weather])
    asking = with_tools.invoke(QUESTION)
    [wanted] = asking.tool_calls
    assert (wanted["name"], wanted["args"]) == ("weather", {"city": "Oslo"})

    result = ToolMessage(weather.invoke(wanted["args"]), tool_call_id=wanted["id"], name="weather")
    message = with_tools.invoke([*QUESTION, asking, result])
    assert isinstance(message, AIMessage)
    assert text(message) == "It rains."
    assert "Rain in Oslo" in str(strict_providers.requests(target)[1])


def test_structured_output(client, target, strict_providers):
    place = {"city": "Rome", "sunny": True}
    answer = Place(**place)
    strict_providers.script({"text": answer.model_dump_json()})
    structured = client.with_structured_output(Place, method="json_schema")
    assert structured.invoke("Where is it sunny?") == answer
    assert len(strict_providers.requests(target)) == 1


def test_structured_output_by_a_tool(client, target, strict_providers):
    place = {"city": "Rome", "sunny": True}
    strict_providers.script({"calls": [["call_1", "Place", place]]})
    structured = client.with_structured_output(Place, method="function_calling")
    assert structured.invoke("Where is it sunny?") == Place(**place)
    assert len(strict_providers.requests(target)) == 1
