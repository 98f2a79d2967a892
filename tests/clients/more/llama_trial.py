"""Tries LlamaIndex: a stream, and a tool. Base URL and key are the arguments."""
import sys

from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike

base, key = sys.argv[1:]


def get_weather(text: str) -> str:
    """The weather."""
    return "sunny"


model = OpenAILike(model="mock-llm", api_base=base + "/v1", api_key=key, is_chat_model=True,
                   is_function_calling_model=True, context_window=128000)
text = "".join(part.delta for part in model.stream_chat([ChatMessage(role="user", content="hello there")]))
if text != "Mock LLM response: hello there":
    sys.exit(f"got {text!r}")
answer = model.chat_with_tools([FunctionTool.from_defaults(fn=get_weather)], user_msg="call get_weather")
calls = [(call.tool_name, call.tool_kwargs) for call in model.get_tool_calls_from_response(answer)]
if calls != [("get_weather", {"text": "call get_weather"})]:
    sys.exit(f"got {calls}")
