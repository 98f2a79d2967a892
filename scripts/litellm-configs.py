#!/usr/bin/env python3
"""Starts the pinned LiteLLM (scripts/litellm.sh) with every file of config/litellm/ and tests it.

It must load the file, list its models, and refuse a wrong key. It must also answer a chat if an llm-proxy in mock mode
can play the provider: OpenAI, vLLM, and Anthropic as the fallback for an OpenAI and an Azure that cannot be reached. Exit
code 0: all is right, 3: LiteLLM can't be installed here. Needs build/release/llm-proxy, or $LLM_PROXY_BIN."""
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

HERE = os.path.realpath(os.path.join(os.path.dirname(__file__), ".."))
BINARY = os.environ.get("LLM_PROXY_BIN", os.path.join(HERE, "build/release/llm-proxy"))
MASTER = "sk-of-this-test"
# An address where nobody listens.
GONE = "http://127.0.0.1:9"

# For each file: the environment (MOCK is replaced by the mock's address), the model for the chat, and whether a fallback
# answers it.
CASES = {
    "basic.yaml": ({"OPENAI_API_KEY": "sk-provider", "OPENAI_BASE_URL": "MOCK/v1", "OPENAI_API_BASE": "MOCK/v1"}, "gpt-4o-mini", False),
    "fallbacks.yaml": ({"OPENAI_API_KEY": "sk-provider", "OPENAI_BASE_URL": GONE, "OPENAI_API_BASE": GONE, "AZURE_API_KEY": "k",
                        "AZURE_API_BASE": GONE, "ANTHROPIC_API_KEY": "sk-provider", "ANTHROPIC_API_BASE": "MOCK"}, "smart", True),
    "ollama.yaml": ({"OLLAMA_URL": GONE}, None, False),
    "vllm.yaml": ({"VLLM_URL": "MOCK/v1", "VLLM_API_KEY": "sk-provider"}, "qwen3-8b", False),
}


def fail(text):
    sys.exit(f"litellm-configs: {text}")


def start_mock():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {"LLM_PROXY__LLM_MODE": "mock", "LLM_PROXY__PORT": str(port), "LLM_PROXY__INTERNAL_API_KEY": "sk-provider",
           "LLM_PROXY__MOCK_CHUNK_DELAY_MS": "1", "LLM_PROXY__LOG_LEVEL": "WARNING"}
    mock = subprocess.Popen([BINARY], env=env, cwd=tempfile.gettempdir(), stdin=subprocess.DEVNULL)
    for _ in range(100):
        if subprocess.run([BINARY, "health"], env=env, capture_output=True).returncode == 0:
            return mock, f"http://127.0.0.1:{port}"
        time.sleep(0.1)
    mock.kill()
    fail("the mock does not come up")


def ask(url, key, body=None):
    """Returns (status, headers, JSON)."""
    request = urllib.request.Request(url, json.dumps(body).encode() if body else None,
                                     {"authorization": f"Bearer {key}", "content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.status, answer.headers, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def try_out(name, url, names, model, by_fallback):
    status, _, models = ask(f"{url}/v1/models", MASTER)
    listed = {entry["id"] for entry in models["data"]} if status == 200 else models
    if listed != names:
        fail(f"{name}: lists {listed}, the file has {names}")
    if ask(f"{url}/v1/models", "sk-wrong")[0] not in (400, 401, 403):
        fail(f"{name}: takes a wrong key")
    if model is None:
        return "its provider can't be played here: no chat tried"
    body = {"model": model, "messages": [{"role": "user", "content": "Hello there"}]}
    status, headers, answer = ask(f"{url}/v1/chat/completions", MASTER, body)
    if status != 200 or not answer["choices"][0]["message"]["content"]:
        fail(f"{name}: chat with {model}: {status} {answer}")
    fallbacks = int(headers.get("x-litellm-attempted-fallbacks") or 0)
    if (fallbacks > 0) != by_fallback:
        fail(f"{name}: chat with {model} took {fallbacks} fallbacks")
    return f"chat with {model} answered after {fallbacks} fallback(s)"


def main():
    litellm = os.path.join(HERE, "scripts/litellm.sh")
    if subprocess.run([litellm, "install"]).returncode:
        sys.exit(3)
    folder = os.path.join(HERE, "config/litellm")
    if sorted(n for n in os.listdir(folder) if n.endswith(".yaml")) != sorted(CASES):
        fail("config/litellm/ and this script's table differ")
    mock, address = start_mock()
    try:
        for name, (env, model, by_fallback) in CASES.items():
            path = os.path.join(folder, name)
            with open(path, encoding="utf-8") as file:
                names = set(re.findall(r"^  - model_name: (\S+)", file.read(), re.M))
            settings = []
            for key, value in {**env, "LITELLM_MASTER_KEY": MASTER}.items():
                settings += ["--env", f"{key}={value.replace('MOCK', address)}"]
            started = subprocess.run([litellm, "start", "--config", path, *settings], text=True, stdout=subprocess.PIPE)
            if started.returncode:
                fail(f"{name}: LiteLLM does not start with it")
            facts = dict(line.split("=", 1) for line in started.stdout.split())
            try:
                print(f"ok: {name}: {try_out(name, facts['URL'], names, model, by_fallback)}", flush=True)
            finally:
                subprocess.run([litellm, "stop", "--port", facts["PORT"]])
    finally:
        mock.kill()
        mock.wait()


if __name__ == "__main__":
    main()
