"""Tests with LangChain's OpenAI chat model: invoke, stream and tools."""
import unittest

from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

from targets import KEY, LITELLM, MOCK, needs_litellm


@tool
def get_weather(text: str) -> str:
    """The weather."""
    return "sunny"


class Surface:
    base = None

    def model(self):
        return ChatOpenAI(base_url=self.base + "/v1", api_key=KEY, model="mock-llm", max_retries=0)

    def test_invoke(self):
        answer = self.model().invoke("hello")
        self.assertEqual(answer.content, "Mock LLM response: hello")

    def test_stream(self):
        self.assertEqual("".join(part.content for part in self.model().stream("one two")), "Mock LLM response: one two")

    def test_tools(self):
        answer = self.model().bind_tools([get_weather]).invoke("call get_weather")
        self.assertEqual(answer.tool_calls[0]["name"], "get_weather")
        self.assertTrue(answer.tool_calls[0]["id"])


class LangChainOnMock(Surface, unittest.TestCase):
    base = MOCK


@needs_litellm
class LangChainOnLiteLLM(Surface, unittest.TestCase):
    base = LITELLM


if __name__ == "__main__":
    unittest.main()
