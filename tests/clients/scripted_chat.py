"""How scripted.py answers POST /v1/chat/completions to an agent whose user says "make 3 calls": with so many commands, one
after the other, and then "done after 3 calls". Each request must have the results of all calls before it, or the answer
says which is missing."""
import json
import re

COMMAND = "echo called >>calls.txt"
# By the name of the tool with which an agent runs commands.
ARGUMENTS = {
    "bash": {"command": COMMAND, "description": "Call"},  # opencode
    "run_shell_command": {"command": COMMAND, "is_background": False},  # Qwen Code
    "run_commands": {"commands": [COMMAND]},  # Cline
}


def texts(content):
    return [content] if isinstance(content, str) else [part["text"] for part in content or [] if "text" in part]


def wanted(request):
    """Returns the match of what the user wants, or None if this is no such request."""
    if not request.get("tools"):
        return None
    for message in reversed(request.get("messages", [])):
        for text in texts(message.get("content")) if message.get("role") == "user" else ():
            if found := re.search(r"make (\d+) calls", text):
                return found
    return None


def delta_of(request, found):
    """Returns what the model says, and why it ends."""
    results = [message["tool_call_id"] for message in request["messages"] if message["role"] == "tool"]
    calls = [call["id"] for message in request["messages"] for call in message.get("tool_calls") or []]
    if results != calls:
        return {"content": f"calls {calls} have results {results}"}, "stop"
    if len(calls) >= int(found[1]):
        return {"content": f"done after {len(calls)} calls"}, "stop"
    names = [tool["function"]["name"] for tool in request["tools"]]
    name = next((name for name in names if name in ARGUMENTS), None)
    if not name:
        return {"content": f"no tool for commands among {names}"}, "stop"
    function = {"name": name, "arguments": json.dumps(ARGUMENTS[name])}
    return {"tool_calls": [{"index": 0, "id": f"call_{len(calls):04}", "type": "function", "function": function}]}, "tool_calls"


def chunks_of(request, found):
    """Yields the chunks of the answer's stream."""
    said, reason = delta_of(request, found)
    chunk = {"id": "chatcmpl-scripted", "object": "chat.completion.chunk", "created": 1, "model": request["model"]}
    for delta, finish in (({"role": "assistant", **said}, None), ({}, reason)):
        yield {**chunk, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
    yield {**chunk, "choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}}


def whole(request, found):
    """The answer to a request that is not for a stream."""
    said, reason = delta_of(request, found)
    return {"id": "chatcmpl-scripted", "object": "chat.completion", "created": 1, "model": request["model"],
            "choices": [{"index": 0, "finish_reason": reason, "message": {"role": "assistant", "content": None, **said}}],
            "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}}
