"""How scripted.py answers POST /v1/responses: like a model that calls tools one step after the other, as often as the
user's text says ("make 3 calls"), and then says that it is done. With "fail once at step 2 with 429" or "break once at
step 2" in the text, that step is refused, or its stream ends too early, the first time. It keeps what was posted and what
it answered."""
import json
import re
import threading

lock = threading.Lock()
posts = []  # {"body": …, "headers": …, "output": […]}, in order
failed = set()  # steps that have failed, with their text


def texts(item):
    content = item.get("content")
    if isinstance(content, str):
        return [content]
    return [part["text"] for part in content or [] if "text" in part]


def is_output(item):
    return item.get("type", "").endswith("_call_output")


def items_of(request):
    items = request.get("input") or []
    return [{"role": "user", "content": items}] if isinstance(items, str) else items


def told(items, pattern):
    """Returns the match of `pattern` in the latest user's text that has one."""
    for item in reversed(items):
        for text in texts(item) if item.get("role") == "user" else ():
            if found := re.search(pattern, text):
                return found
    return None


def take_failure(request):
    """Returns the status with which this request fails, or "break", or None."""
    items = items_of(request)
    found = told(items, r"fail once at step (\d+) with (\d+)") or told(items, r"(break) once at step (\d+)")
    if not found:
        return None
    step, how = (found[2], "break") if found[1] == "break" else (found[1], int(found[2]))
    with lock:
        if int(step) != sum(map(is_output, items)) or found.string in failed:
            return None
        failed.add(found.string)
        return how


def call(step, tools):
    """The call of a step, of a tool that the client offers."""
    if "apply_patch" in tools and step % 5 == 3:
        patch = f"*** Begin Patch\n*** Add File: step-{step}.txt\n+step {step}\n*** End Patch\n"
        return {"type": "custom_tool_call", "id": f"ctc_{step}", "call_id": f"call_{step}", "name": "apply_patch",
                "input": patch, "status": "completed"}
    if "exec_command" in tools:
        name, arguments = "exec_command", {"cmd": f"echo output of step {step}"}
    else:
        name, arguments = next((each for each in tools if each), "none"), {"text": f"step {step}"}
    return {"type": "function_call", "id": f"fc_{step}", "call_id": f"call_{step}", "name": name,
            "arguments": json.dumps(arguments), "status": "completed"}


def answer_to(request):
    """The items of the answer: reasoning, and a call, or two side by side, or the last message."""
    items = items_of(request)
    step, wanted = sum(map(is_output, items)), told(items, r"make (\d+) calls")
    wanted = int(wanted[1]) if wanted else 0
    reasoning = {"type": "reasoning", "id": f"rs_{step}", "summary": [], "encrypted_content": f"sealed-{step}"}
    if step >= wanted:
        return [reasoning, {"type": "message", "id": f"msg_{step}_{len(items)}", "role": "assistant",
                            "status": "completed",
                            "content": [{"type": "output_text", "text": f"done after {step} calls",
                                         "annotations": []}]}]
    tools = [tool.get("name") for tool in request.get("tools") or []]
    calls = [call(step, tools)]
    if step % 7 == 0 and step + 1 < wanted:
        calls.append(call(step + 1, tools))
    return [reasoning, *calls]


def events_of(request, headers):
    """Yields the events of the answer's stream."""
    output = answer_to(request)
    with lock:
        posts.append({"body": request, "headers": headers, "output": output})
        number = len(posts)
    response = {"id": f"resp_scripted_{number}", "object": "response", "created_at": 1, "status": "in_progress",
                "model": request["model"], "output": [], "error": None, "incomplete_details": None,
                "instructions": None, "metadata": {}, "parallel_tool_calls": True, "temperature": None, "top_p": None,
                "tool_choice": "auto", "tools": [], "previous_response_id": None, "usage": None}
    yield {"type": "response.created", "response": response}
    yield {"type": "response.in_progress", "response": response}
    for index, item in enumerate(output):
        yield {"type": "response.output_item.added", "output_index": index,
               "item": {**item, "content": []} if item["type"] == "message" else item}
        if item["type"] == "message":
            place = {"item_id": item["id"], "output_index": index, "content_index": 0}
            part = item["content"][0]
            yield {"type": "response.content_part.added", **place, "part": {**part, "text": ""}}
            yield {"type": "response.output_text.delta", **place, "delta": part["text"], "logprobs": []}
            yield {"type": "response.output_text.done", **place, "text": part["text"], "logprobs": []}
            yield {"type": "response.content_part.done", **place, "part": part}
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
    usage = {"input_tokens": 10, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 5,
             "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 15}
    yield {"type": "response.completed",
           "response": {**response, "status": "completed", "output": output, "usage": usage}}


def check_items(test, items):
    """Asserts with `test` that no item is there twice and that each call has its output, in the order of the calls."""
    ids = [item["id"] for item in items if "id" in item]
    test.assertEqual(len(ids), len(set(ids)), "an item is there twice")
    calls = [item["call_id"] for item in items if item.get("type", "").endswith("_call")]
    test.assertEqual([item["call_id"] for item in items if is_output(item)], calls, "calls and outputs do not match")


def check_history(test, posts):
    """Asserts with `test` that each of `posts`, the requests of one conversation, has the whole history before it exactly
    once and in order: the input of the one before, what was answered to that, and something new."""
    for post in posts:
        for member in ("previous_response_id", "type", "generate", "stream_id"):
            test.assertNotIn(member, post["body"])
        test.assertIs(post["body"]["stream"], True)
        check_items(test, post["body"]["input"])
    for before, after in zip(posts, posts[1:]):
        known = before["body"]["input"] + before["output"]
        test.assertEqual(after["body"]["input"][:len(known)], known)
        test.assertGreater(len(after["body"]["input"]), len(known))
