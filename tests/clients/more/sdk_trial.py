"""Tries pydantic-ai and LiteLLM's SDK: a stream, and a tool. Base URL and key are the arguments."""
import asyncio
import sys

import litellm
from pydantic_ai import Agent
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider

base, key = sys.argv[1:]
TOOL = {"type": "function", "function": {"name": "get_weather", "description": "The weather", "parameters": {
    "type": "object", "properties": {"text": {"type": "string"}}}}}


def check(got, wanted, name):
    if got != wanted:
        sys.exit(f"{name}: got {got!r}, wanted {wanted!r}")


async def streamed(agent):
    async with agent.run_stream("hello there") as answer:
        return await answer.get_output()


def try_pydantic(model):
    name, agent, given = type(model).__name__, Agent(model), []

    @agent.tool_plain
    def get_weather(text: str) -> str:
        """The weather."""
        given.append(text)
        return "sunny"

    check(asyncio.run(streamed(agent)), "Mock LLM response: hello there", name)
    check(agent.run_sync("call get_weather").output, "Mock LLM response: sunny", name)
    check(given, ["call get_weather"], name)


def try_litellm(model, api_base):
    said = lambda text, **more: litellm.completion(model=model, api_base=api_base, api_key=key, **more,
                                                   messages=[{"role": "user", "content": text}])
    text = "".join(chunk.choices[0].delta.content or "" for chunk in said("hello there", stream=True))
    check(text, "Mock LLM response: hello there", model)
    called = said("call get_weather", tools=[TOOL]).choices[0].message.tool_calls
    check([call.function.name for call in called], ["get_weather"], model)


openai, anthropic = OpenAIProvider(base_url=base + "/v1", api_key=key), AnthropicProvider(base_url=base, api_key=key)
try_pydantic(OpenAIChatModel("mock-llm", provider=openai))
try_pydantic(OpenAIResponsesModel("mock-llm", provider=openai))
try_pydantic(AnthropicModel("mock-llm", provider=anthropic))
try_litellm("litellm_proxy/mock-llm", base + "/v1")
try_litellm("openai/mock-llm", base + "/v1")
try_litellm("anthropic/mock-llm", base)
