"""How scripted.py answers POST /v1/messages: like a model that calls tools one step after the other, as often as the user's
text says ("make 3 calls"), and then says that it is done. With "fail once at step 2 with 529" or "break once at step 2" in
the text, that step is refused, or its stream ends too early, the first time. What was posted and answered is kept where
scripted_responses.py keeps it."""
import json
import re

from scripted_responses import failed, lock, posts


def blocks(message):
    """The content of a message as blocks. Where the cache ends is not part of what was said."""
    content = message["content"]
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [{name: value for name, value in block.items() if name != "cache_control"} for block in content]


def told(request, pattern):
    """Returns the match of `pattern` in the latest user's text that has one."""
    for message in reversed(request["messages"]):
        for block in blocks(message) if message["role"] == "user" else ():
            if block["type"] == "text" and (found := re.search(pattern, block["text"])):
                return found
    return None


def results(request):
    return [block for message in request["messages"] for block in blocks(message) if block["type"] == "tool_result"]


def take_failure(request):
    """Returns the status with which this request fails, or "break", or None."""
    found = told(request, r"fail once at step (\d+) with (\d+)") or told(request, r"(break) once at step (\d+)")
    if not found:
        return None
    step, how = (found[2], "break") if found[1] == "break" else (found[1], int(found[2]))
    with lock:
        if int(step) != len(results(request)) or found.string in failed:
            return None
        failed.add(found.string)
        return how


def call(step, work):
    """The call of a step: commands, and a file that is written, read and changed."""
    name, arguments = {
        1: ("Write", {"file_path": f"{work}/step.txt", "content": "output of step 1\n"}),
        2: ("Read", {"file_path": f"{work}/step.txt"}),
        3: ("Edit", {"file_path": f"{work}/step.txt", "old_string": "step 1", "new_string": "step 3",
                     "replace_all": False}),
        4: ("Bash", {"command": f"cat {work}/step.txt", "description": "Show the file"}),
    }.get(step, ("Bash", {"command": f"echo output of step {step}", "description": f"Step {step}"}))
    return {"type": "tool_use", "id": f"toolu_{step:04}", "name": name, "input": arguments}


def answer_to(request):
    """The blocks of the answer: thinking, if the client wants it, and a call, or two side by side, or the last text."""
    step, wanted, work = len(results(request)), told(request, r"make (\d+) calls"), told(request, r" in (/[\w./-]+\w)")
    wanted = int(wanted[1]) if wanted and request.get("tools") else 0
    content = []
    if request.get("thinking", {}).get("type") in ("enabled", "adaptive"):
        content.append({"type": "thinking", "thinking": f"Step {step}.", "signature": f"sealed-{step}"})
    if step >= wanted:
        return [*content, {"type": "text", "text": f"done after {step} calls"}]
    content += [{"type": "text", "text": f"Now step {step}."}, call(step, work and work[1])]
    if step % 7 == 5 and step + 1 < wanted:
        content.append(call(step + 1, work and work[1]))
    return content


def message_to(request, headers):
    """The whole answer. It is kept with the request."""
    content = answer_to(request)
    with lock:
        posts.append({"body": request, "headers": headers, "output": content})
        number = len(posts)
    reason = "tool_use" if content[-1]["type"] == "tool_use" else "end_turn"
    return {"id": f"msg_scripted_{number}", "type": "message", "role": "assistant", "model": request["model"],
            "content": content, "stop_reason": reason, "stop_sequence": None,
            "usage": {"input_tokens": 10, "output_tokens": 5}}


def deltas(block):
    """Yields the deltas of a block. What is long comes in two parts."""
    def halves(kind, name, text):
        for part in (text[:len(text) // 2], text[len(text) // 2:]):
            yield {"type": kind, name: part}
    if block["type"] == "text":
        yield from halves("text_delta", "text", block["text"])
    elif block["type"] == "thinking":
        yield from halves("thinking_delta", "thinking", block["thinking"])
        yield {"type": "signature_delta", "signature": block["signature"]}
    else:
        yield from halves("input_json_delta", "partial_json", json.dumps(block["input"]))


def events_of(request, headers):
    """Yields the events of the answer's stream."""
    message = message_to(request, headers)
    empty = {"text": {"text": ""}, "thinking": {"thinking": "", "signature": ""}, "tool_use": {"input": {}}}
    yield {"type": "message_start", "message": {**message, "content": [], "stop_reason": None,
                                                "usage": {"input_tokens": 10, "output_tokens": 1}}}
    for index, block in enumerate(message["content"]):
        yield {"type": "content_block_start", "index": index, "content_block": {**block, **empty[block["type"]]}}
        for delta in deltas(block):
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    yield {"type": "message_delta", "delta": {"stop_reason": message["stop_reason"], "stop_sequence": None},
           "usage": {"output_tokens": 5}}
    yield {"type": "message_stop"}


def check_history(test, posts):
    """Asserts with `test` that each of `posts`, the requests of one conversation, has the whole history before it exactly
    once and in order, that what was answered is in it as it was, and that each call has its result behind it. Calls side by
    side may end in any order, and the agent may add messages of the system."""
    for before, after in zip(posts, posts[1:]):
        old, new = ([(message["role"], blocks(message)) for message in post["body"]["messages"]]
                    for post in (before, after))
        test.assertEqual(new[:len(old)], old)
        test.assertEqual(new[len(old)], ("assistant", before["output"]))
        added = new[len(old) + 1:]
        test.assertEqual(added[0][0], "user")
        test.assertEqual({role for role, _ in added} - {"user", "system"}, set())
        calls = [block["id"] for block in before["output"] if block["type"] == "tool_use"]
        given = [block["tool_use_id"] for _, content in added for block in content if block["type"] == "tool_result"]
        test.assertEqual(sorted(given), calls)
