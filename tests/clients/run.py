#!/usr/bin/env python3
"""Starts the targets of the client tests, runs the tests, and stops the targets. Called by scripts/clients.sh.

Targets, each an OpenAI base URL without /v1:
  mock      llm-proxy in mock mode
  litellm   llm-proxy in front of a real LiteLLM, whose provider is another llm-proxy in mock mode
  direct    that LiteLLM itself, for comparison
  scripted  llm-proxy in front of scripted.py, which fails as the model's name says
The suites `agents` and `more` need none of them.
"""
import argparse
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HERE = os.path.join(ROOT, "tests", "clients")
BINARY = os.environ.get("LLM_PROXY_BIN") or os.path.join(ROOT, "build", "release", "llm-proxy")
KEY = "client-test-key"
started = []


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(command, env, name):
    with open(os.path.join(ROOT, "build", "clients", f"{name}.log"), "w") as log:
        started.append(subprocess.Popen(command, env={**os.environ, **env}, stdout=log, stderr=subprocess.STDOUT,
                                        cwd=HERE))
    return started[-1]


def wait_for(url, process):
    for _ in range(200):
        try:
            urllib.request.urlopen(url, timeout=2).read()
            return
        except OSError:
            if process.poll() is not None:
                sys.exit(f"run.py: {process.args[0]} ended with {process.returncode} before it answered")
            time.sleep(0.05)
    sys.exit(f"run.py: no answer from {url}")


def start_proxy(name, port=None, **options):
    port = port or free_port()
    env = {f"LLM_PROXY__{key}": str(value) for key, value in options.items()}
    env["LLM_PROXY__PORT"] = str(port)
    process = start([BINARY], env, name)
    wait_for(f"http://127.0.0.1:{port}/health", process)
    return f"http://127.0.0.1:{port}"


def start_scripted(name):
    port = free_port()
    process = start([sys.executable, os.path.join(HERE, "scripted.py"), str(port)], {}, name)
    wait_for(f"http://127.0.0.1:{port}/v1/models", process)
    return f"http://127.0.0.1:{port}"


def stop_all():
    for process in reversed(started):
        process.send_signal(signal.SIGTERM)
    for process in started:
        process.wait(timeout=20)
    started.clear()


def start_litellm(provider, stored):
    config = os.path.join(ROOT, "build", "clients", "litellm.yaml")
    with open(os.path.join(HERE, "litellm.yaml")) as template, open(config, "w") as out:
        out.write(template.read().replace("PROVIDER", provider).replace("STORED", stored))
    command = [os.path.join(ROOT, "scripts", "litellm.sh"), "start", "--config", config]
    # Some of what is stored it asks of the provider of these variables, whatever the configuration says.
    command += ["--env", "OPENAI_API_KEY=sk-stored", "--env", f"OPENAI_BASE_URL={stored}/v1", "--env",
                f"OPENAI_API_BASE={stored}/v1"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode == 3:
        print("SKIPPED: no real LiteLLM on this machine (above): the clients are tested against mock mode alone",
              file=sys.stderr)
        return None
    if done.returncode != 0:
        sys.exit(f"run.py: scripts/litellm.sh ended with {done.returncode}")
    return dict(line.split("=", 1) for line in done.stdout.splitlines())


def start_targets():
    """Returns the environment of the tests, and LiteLLM, if there is one."""
    provider = start_proxy("provider", LLM_MODE="mock", INTERNAL_API_KEY="sk-provider", MOCK_CHUNK_DELAY_MS=2)
    env = {"CLIENT_TEST_KEY": KEY}
    env["TARGET_MOCK"] = start_proxy("mock", LLM_MODE="mock", INTERNAL_API_KEY=KEY, MOCK_CHUNK_DELAY_MS=2)
    env["SCRIPTED_ITSELF"] = start_scripted("scripted")
    env["TARGET_SCRIPTED"] = start_proxy("scripted-proxy", LITELLM_PROXY_URL=env["SCRIPTED_ITSELF"],
                                         INTERNAL_API_KEY=KEY)
    litellm = start_litellm(provider, env["SCRIPTED_ITSELF"])
    if litellm:
        env["TARGET_DIRECT"] = litellm["URL"]
        env["DIRECT_KEY"] = litellm["KEY"]
        env["TARGET_LITELLM"] = start_proxy("litellm-proxy", LITELLM_PROXY_URL=litellm["URL"],
                                            LITELLM_API_KEY=litellm["KEY"], INTERNAL_API_KEY=KEY)
    return env, litellm


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suites", nargs="*", default=["python", "node"], metavar="python|node|agents|more")
    suites = parser.parse_args().suites
    os.makedirs(os.path.join(ROOT, "build", "clients"), exist_ok=True)
    commands = {
        "python": [sys.executable, "-m", "unittest", "-v", "openai_test", "websocket_test", "anthropic_test",
                   "langchain_test", "original_client_test", "differential_test", "crowd_test",
                   "stored_test"],
        "node": [os.environ.get("NODE", "node"), "--test", "openai_test.mjs", "websocket_test.mjs"],
        "agents": [sys.executable, "-m", "unittest", "-v", "claude_test", "codex_test"],
        "more": [sys.executable, "-m", "unittest", "-v", "more.more_test"],
    }
    if unknown := set(suites) - set(commands):
        parser.error(f"unknown suite {sorted(unknown)[0]} (known: {', '.join(commands)})")
    env, litellm = {}, None
    failed = 0
    try:
        if set(suites) - {"agents", "more"}:  # each of those tests starts what it needs
            env, litellm = start_targets()
        for suite in suites:
            print(f"-- {suite} clients", file=sys.stderr, flush=True)
            failed |= subprocess.run(commands[suite], env={**os.environ, **env}, cwd=HERE).returncode
    finally:
        if litellm:
            subprocess.run([os.path.join(ROOT, "scripts", "litellm.sh"), "stop", "--pid", litellm["PID"]])
        stop_all()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
