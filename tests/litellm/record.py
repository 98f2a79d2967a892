#!/usr/bin/env python3
"""Records the real answers of the pinned LiteLLM, byte for byte, in tests/data/litellm/.

    scripts/litellm.sh install && python3 tests/litellm/record.py

Starts LiteLLM with scripts/litellm.sh and plays the upstream behind it (which, like default_script() in
tests/support/default_script.cpp, answers as the model's name says). Then sends one request per case, and keeps the
head and the body as they came from the socket, including the chunk framing. Needs only the standard library.
"""
import json
import os
import re
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "tests/data/litellm"
KEY = "sk-litellm-test"
UPSTREAM_PORT = 18741  # fixed, because it appears in x-litellm-model-api-base


# ---- the upstream ----------------------------------------------------------------------------------------------

def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def event(delta: dict, finish=None, usage=None) -> bytes:
    body = {"id": "chatcmpl-up", "object": "chat.completion.chunk", "created": 1700000000, "model": "chat",
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
    if usage:
        body.update(choices=[], usage=usage)
    return chunk(b"data: " + json.dumps(body).encode() + b"\n\n")


USAGE = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}
TOOL = {"id": "call_up_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"Paris"}'}}


def plain(conn, status, body, content_type=b"application/json", extra=b""):
    conn.sendall(b"HTTP/1.1 %d Scripted\r\ncontent-type: %s\r\n%scontent-length: %d\r\n\r\n%s"
                 % (status, content_type, extra, len(body), body))


def reset(conn):
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    conn.close()


def play(conn, body):
    """Answers one request. Returns False if the connection cannot be used any more."""
    model, stream = body.get("model", ""), body.get("stream", False)
    if model.startswith("status-"):
        status = int(model[7:])
        error = {"error": {"message": f"scripted {status}", "type": "scripted_error", "param": None,
                           "code": f"scripted_{status}"}}
        plain(conn, status, json.dumps(error).encode(), extra=b"retry-after: 7\r\n" if status in (429, 503) else b"")
        return True
    if model == "html":
        plain(conn, 200, b"<html><body>It works!</body></html>", b"text/html")
        return True
    if model == "hang":
        time.sleep(4)
        return False
    if not stream:
        message = {"role": "assistant", "content": "Hello from upstream."}
        if model == "tools":
            message = {"role": "assistant", "content": None, "tool_calls": [TOOL]}
        answer = json.dumps({"id": "chatcmpl-up", "object": "chat.completion", "created": 1700000000, "model": "chat",
                             "choices": [{"index": 0, "message": message,
                                          "finish_reason": "tool_calls" if model == "tools" else "stop"}],
                             "usage": USAGE}).encode()
        if model in ("cut-body", "stall"):
            conn.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s"
                         % (len(answer), answer[:40]))
            if model == "stall":
                time.sleep(4)
            else:
                reset(conn)
            return False
        plain(conn, 200, answer)
        return True
    conn.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
    conn.sendall(event({"role": "assistant", "content": ""}))
    if model == "tools":
        head = {k: TOOL[k] for k in ("id", "type")} | {"index": 0, "function": {"name": "get_weather", "arguments": ""}}
        conn.sendall(event({"tool_calls": [head]}))
        for part in ('{"city":', '"Paris"}'):
            conn.sendall(event({"tool_calls": [{"index": 0, "function": {"arguments": part}}]}))
        conn.sendall(event({}, "tool_calls"))
    else:
        conn.sendall(event({"content": "Hello "}))
        time.sleep(0.05)
        if model == "cut-stream":
            time.sleep(0.3)
            reset(conn)
            return False
        if model == "stall":
            time.sleep(4)
            return False
        if model == "error-event":
            conn.sendall(chunk(b'data: {"error":{"message":"scripted failure","type":"server_error","code":500}}\n\n'))
            conn.sendall(b"0\r\n\r\n")
            return True
        conn.sendall(event({"content": "from upstream."}) + event({}, "stop"))
    if (body.get("stream_options") or {}).get("include_usage"):
        conn.sendall(event({}, usage=USAGE))
    conn.sendall(chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")
    return True


def serve(conn):
    buffered = b""
    try:
        while True:
            while b"\r\n\r\n" not in buffered:
                got = conn.recv(65536)
                if not got:
                    return
                buffered += got
            head, _, buffered = buffered.partition(b"\r\n\r\n")
            length = int((re.search(rb"(?im)^content-length: *(\d+)", head) or [0, 0])[1])
            while len(buffered) < length:
                buffered += conn.recv(65536)
            body, buffered = buffered[:length], buffered[length:]
            if not play(conn, json.loads(body or b"{}")):
                return
    except OSError:
        pass
    finally:
        conn.close()


# ---- the client ------------------------------------------------------------------------------------------------

def ask(port, method, target, body=None, key=KEY, wait=20.0) -> bytes:
    payload = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
    lines = [f"{method} {target} HTTP/1.1", f"host: 127.0.0.1:{port}"]
    if key is not None:
        lines.append(f"authorization: Bearer {key}")
    if payload:
        lines += ["content-type: application/json", f"content-length: {len(payload)}"]
    with socket.create_connection(("127.0.0.1", port), timeout=wait) as conn:
        conn.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + payload)
        got = b""
        while True:
            head, end, rest = got.partition(b"\r\n\r\n")
            if end:
                length = re.search(rb"(?im)^content-length: *(\d+)", head)
                if length and len(rest) >= int(length[1]):
                    return got
                if re.search(rb"(?im)^transfer-encoding: *chunked", head) and rest.endswith(b"0\r\n\r\n"):
                    return got
                if method == "HEAD":
                    return got
            more = conn.recv(65536)
            if not more:
                return got
            got += more


def chat(model, **fields):
    return {"model": model, "messages": [{"role": "user", "content": "Say hello"}], **fields}


def cases():
    post = "/v1/chat/completions"
    yield "liveliness", "GET", "/health/liveliness", None, None
    yield "readiness", "GET", "/health/readiness", None, None
    yield "models", "GET", "/v1/models", None, KEY
    yield "model-info", "GET", "/model/info", None, KEY
    yield "unknown-path", "GET", "/v1/nope", None, KEY
    yield "wrong-method", "GET", post, None, KEY
    yield "no-key", "GET", "/v1/models", None, None
    yield "bad-key", "POST", post, chat("mock-text"), "sk-wrong"
    yield "unknown-model", "POST", post, chat("no-such-model"), KEY
    yield "unknown-model-stream", "POST", post, chat("no-such-model", stream=True), KEY
    yield "bad-json", "POST", post, b'{"model":', KEY
    yield "no-messages", "POST", post, {"model": "mock-text"}, KEY
    yield "no-model", "POST", post, {"messages": [{"role": "user", "content": "hi"}]}, KEY
    yield "mock-chat", "POST", post, chat("mock-text"), KEY
    yield "mock-stream", "POST", post, chat("mock-text", stream=True), KEY
    yield "mock-stream-usage", "POST", post, chat("mock-text", stream=True, stream_options={"include_usage": True}), KEY
    yield "mock-tools", "POST", post, chat("mock-tools"), KEY
    yield "mock-tools-stream", "POST", post, chat("mock-tools", stream=True), KEY
    yield "mock-midstream", "POST", post, chat("mock-midstream", stream=True), KEY
    for stream in ("", "-stream"):
        more = {"stream": True} if stream else {}
        for model in ("mock-rate-limit", "mock-internal", "up-chat", "up-tools", "vendor/with/slash", "wild/chat",
                      "up-400", "up-401", "up-403", "up-404", "up-408", "up-422", "up-429", "up-500", "up-503",
                      "up-html", "up-hang", "up-stall", "up-unreachable"):
            yield model.replace("/", "-") + stream, "POST", post, chat(model, **more), KEY
    yield "up-stream-usage", "POST", post, chat("up-chat", stream=True, stream_options={"include_usage": True}), KEY
    yield "up-cut-body", "POST", post, chat("up-cut-body"), KEY
    yield "up-cut-stream", "POST", post, chat("up-cut-stream", stream=True), KEY
    yield "up-error-event-stream", "POST", post, chat("up-error-event", stream=True), KEY


def accept(listener):
    while True:
        conn, _ = listener.accept()
        threading.Thread(target=serve, args=(conn,), daemon=True).start()


def main():
    listener = socket.create_server(("127.0.0.1", UPSTREAM_PORT))
    threading.Thread(target=accept, args=(listener,), daemon=True).start()
    tool = str(ROOT / "scripts/litellm.sh")
    env = {**os.environ, "UPSTREAM_URL": f"http://127.0.0.1:{UPSTREAM_PORT}/v1"}
    version = subprocess.run([tool, "version"], check=True, capture_output=True, text=True).stdout.strip()
    started = subprocess.run([tool, "start"], env=env, check=True, capture_output=True, text=True).stdout
    told = dict(line.split("=", 1) for line in started.split())
    rows = []
    try:
        OUT.mkdir(parents=True, exist_ok=True)
        for name, method, target, body, key in cases():
            begun = time.monotonic()
            try:
                answer = ask(int(told["PORT"]), method, target, body, key)
            except OSError as problem:
                sys.exit(f"{name}: {problem!r}")
            (OUT / f"{name}.txt").write_bytes(answer)
            sent = "" if body is None else body.decode() if isinstance(body, bytes) else json.dumps(body)
            status = answer.split(b"\r\n", 1)[0].decode()
            rows.append(f"| {name}.txt | `{method} {target}`{' without a key' if key is None else ''}"
                        f"{' with a wrong key' if key not in (None, KEY) else ''} {'`' + sent + '`' if sent else ''} "
                        f"| {status[9:]} |")
            print(f"{name:28} {status}  {len(answer)} bytes  {time.monotonic() - begun:.2f} s")
    finally:
        subprocess.run([tool, "stop", "--pid", told["PID"]], check=True)
    (OUT / "README.md").write_text(
        f"# Recorded answers of LiteLLM {version}\n\n"
        f"Taken on {time.strftime('%Y-%m-%d')} from a real LiteLLM {version} with `tests/litellm/config.yaml` by "
        "`python3 tests/litellm/record.py`.\nEach file is one answer as it came off the socket: head, then body with its "
        "chunk framing. They stand in for LiteLLM where\nit can't be installed, and show what changed when the pin is "
        "moved. `up-*` models were answered by a scripted upstream.\n\n"
        "| file | request | status |\n|---|---|---|\n" + "\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
