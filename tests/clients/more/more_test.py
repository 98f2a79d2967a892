"""Tries the clients of docs/clients.md that the gate leaves out, because their packages are large or change often: SDKs in
mock mode, and agents with three calls of a scripted model."""
import json
import os
import platform
import shutil
import subprocess
import unittest

import run
from agent import Agent

FOLDER = os.path.join(run.ROOT, "build", "clients", "more")
HERE = os.path.dirname(os.path.abspath(__file__))
NODE = os.environ.get("NODE", "node")
MODULES = os.path.join(FOLDER, "node", "node_modules")


class More(Agent):
    def mock(self):
        return run.start_proxy("more-mock", LLM_MODE="mock", INTERNAL_API_KEY=run.KEY, MOCK_CHUNK_DELAY_MS=1)

    def said_by(self, command, **env):
        """Runs a client and returns what it wrote to stdout."""
        env = {"PATH": os.path.dirname(NODE) + ":" + os.environ["PATH"], "HOME": self.home, **env}
        done = subprocess.run(command, env=env, cwd=self.work, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=120, check=False)
        self.assertEqual(done.returncode, 0, done.stdout[-3000:] + done.stderr[-3000:])
        return done.stdout

    def check_agent(self, out, calls=3):
        """Asserts that the agent made its calls, and that the service refused nothing."""
        self.assertIn(f"done after {calls} calls", out)
        with open(os.path.join(self.work, "calls.txt")) as file:
            self.assertEqual(file.read(), "called\n" * calls)
        for line in self.logged(calls + 1):
            self.assertRegex(line, " 200 complete$")


class Sdks(More):
    def test_pydantic_ai_and_litellm(self):
        self.said_by([f"{FOLDER}/sdk/bin/python", f"{HERE}/sdk_trial.py", self.mock(), run.KEY],
                     LITELLM_LOCAL_MODEL_COST_MAP="True")

    def test_llamaindex(self):
        self.said_by([f"{FOLDER}/llama/bin/python", f"{HERE}/llama_trial.py", self.mock(), run.KEY])

    def test_ai_sdk_and_anthropic_for_typescript(self):
        self.said_by([NODE, f"{HERE}/more_test.mjs", self.mock(), run.KEY, f"{FOLDER}/node"])

    @unittest.skipUnless(shutil.which("go"), "no go on this machine")
    def test_go(self):
        """The first build takes 3 minutes."""
        caches = {"GOCACHE": f"{FOLDER}/go-build", "GOPATH": f"{FOLDER}/go", "GOFLAGS": "-mod=readonly -modcacherw"}
        built = subprocess.run(["go", "build", "-o", f"{FOLDER}/go-trial", "."], cwd=f"{HERE}/go",
                               env={**os.environ, **caches}, capture_output=True, text=True, check=False)
        self.assertEqual(built.returncode, 0, built.stderr)
        self.said_by([f"{FOLDER}/go-trial", self.mock(), run.KEY])

    def test_llm(self):
        with open(os.path.join(self.home, "extra-openai-models.yaml"), "w") as models:
            models.write(f"- model_id: proxy\n  model_name: mock-llm\n  api_base: {self.mock()}/v1\n"
                         "  api_key_name: proxy\n  supports_tools: true\n")
        llm = [f"{FOLDER}/sdk/bin/llm"]
        self.said_by([*llm, "keys", "set", "proxy", "--value", run.KEY], LLM_USER_PATH=self.home)
        ask = lambda *words: self.said_by([*llm, "-m", "proxy", *words], LLM_USER_PATH=self.home)
        self.assertEqual(ask("hello there"), "Mock LLM response: hello there\n")
        tool = 'def get_weather(text: str) -> str:\n    "The weather"\n    return "sunny"\n'
        self.assertEqual(ask("--functions", tool, "call get_weather"), "Mock LLM response: sunny\n")


class Agents(More):
    def test_aider(self):
        out = self.said_by([f"{FOLDER}/aider/bin/aider", "--model", "openai/mock-llm", "--no-git", "--no-check-update",
                            "--analytics-disable", "--yes-always", "--no-show-model-warnings", "--chat-mode", "ask",
                            "--chat-history-file", f"{self.home}/chat", "--input-history-file", f"{self.home}/input",
                            "--message", "hello there"],
                           OPENAI_API_KEY=run.KEY, OPENAI_API_BASE=self.mock() + "/v1", LITELLM_LOCAL_MODEL_COST_MAP="True")
        self.assertIn("Mock LLM response: hello there", out)

    def test_opencode(self):
        self.start()
        cpu = {"x86_64": "x64", "aarch64": "arm64"}[platform.machine()]
        program = f"{MODULES}/opencode-linux-{cpu}/bin/opencode"  # a script of npm's would link it
        model = {"name": "scripted", "limit": {"context": 128000, "output": 8192}}
        provider = {"npm": "@ai-sdk/openai-compatible", "name": "llm-proxy", "models": {"scripted": model},
                    "options": {"baseURL": self.base + "/v1", "apiKey": "{env:PROXY_KEY}"}}
        with open(os.path.join(self.work, "opencode.json"), "w") as config:
            json.dump({"provider": {"proxy": provider}, "model": "proxy/scripted", "small_model": "proxy/scripted",
                       "permission": "allow", "autoupdate": False, "share": "disabled"}, config)
        self.check_agent(self.said_by([program, "run", "Please make 3 calls."], PROXY_KEY=run.KEY,
                                      OPENCODE_DISABLE_MODELS_FETCH="1"))

    def test_qwen_code(self):
        self.start()
        self.check_agent(self.said_by([NODE, f"{MODULES}/@qwen-code/qwen-code/cli-entry.js", "--auth-type", "openai", "-y",
                                       "Please make 3 calls."], OPENAI_API_KEY=run.KEY, OPENAI_BASE_URL=self.base + "/v1",
                                      OPENAI_MODEL="scripted"))

    def test_cline(self):
        self.start()
        cline = f"{MODULES}/.bin/cline"
        self.said_by([cline, "auth", "openai-compatible", "--apikey", run.KEY, "--baseurl", self.base + "/v1", "--modelid",
                      "scripted"])
        self.check_agent(self.said_by([cline, "--json", "Please make 3 calls."]))


if __name__ == "__main__":
    unittest.main()
