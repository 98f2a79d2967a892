"""Tests with Codex, OpenAI's coding agent, as it is used without a terminal (`codex exec`). The model behind the service
is scripted_responses.py. Nothing goes to the network."""
import concurrent.futures
import json
import os
import re
import signal
import time
import unittest

import run
import scripted_responses
from agent import FOLDER, Agent

CALLS = 20

# A model whose tools are functions, and whose name Codex knows; a provider that is not OpenAI; and nothing that asks the
# network: no updates, plugins, apps or analytics.
CONFIG = """
model = "gpt-5.5"
model_provider = "proxy"
approval_policy = "never"
sandbox_mode = "danger-full-access"
check_for_update_on_startup = false
[features]
plugins = false
apps = false
remote_plugin = false
[analytics]
enabled = false
[feedback]
enabled = false
[otel]
exporter = "none"
[model_providers.proxy]
name = "llm-proxy"
base_url = "BASE/v1"
env_key = "PROXY_KEY"
wire_api = "responses"
supports_websockets = true
request_max_retries = RETRIES
stream_max_retries = RETRIES
"""


class Codex(Agent):
    def codex(self, prompt, retries=0):
        """Runs Codex, and returns its events. What it said to stderr is in self.said. Without retries it gives up at the
        first failure."""
        with open(os.path.join(self.home, "config.toml"), "w") as config:
            config.write(CONFIG.replace("BASE", self.base).replace("RETRIES", str(retries)))
        command = [os.environ.get("NODE", "node"), f"{FOLDER}/node_modules/@openai/codex/bin/codex.js", "exec",
                   "--strict-config", "--skip-git-repo-check", "--ephemeral", "--json", "-C", self.work, prompt]
        return self.run_agent(command, {"CODEX_HOME": self.home, "PROXY_KEY": run.KEY, "RUST_LOG": "warn"})

    def final_text(self, events):
        """Asserts that nothing failed on the way to it."""
        for event in events:
            self.assertNotIn(event["type"], ("error", "turn.failed"), event)
            self.assertNotEqual(event.get("item", {}).get("type"), "error", event)
        self.assertEqual(events[-1]["type"], "turn.completed")
        return [event["item"]["text"] for event in events if event["type"] == "item.completed"
                and event["item"]["type"] == "agent_message"][-1]

    def check_calls(self, events, posts, calls=CALLS):
        """Asserts that all calls were made, each once, and that upstream got what came of them."""
        commands = [event["item"]["aggregated_output"] for event in events if event["type"] == "item.completed"
                    and event["item"]["type"] == "command_execution"]
        patches = [event for event in events if event["type"] == "item.completed"
                   and event["item"]["type"] == "file_change"]
        self.assertEqual(len(commands) + len(patches), calls)
        self.assertEqual(len(os.listdir(self.work)), len(patches))
        for post in posts:
            scripted_responses.check_items(self, post["body"]["input"])
        items = posts[-1]["body"]["input"]
        outputs = [json.dumps(item["output"]) for item in items if scripted_responses.is_output(item)]
        self.assertEqual(len(outputs), calls)
        for step, output in enumerate(outputs):
            self.assertRegex(output, rf"output of step {step}\b|step-{step}\.txt")

    def test_a_run_over_one_websocket(self):
        self.start()
        events = self.codex(f"Please make {CALLS} calls.")
        self.assertEqual(self.final_text(events), f"done after {CALLS} calls")
        self.assertNotRegex(self.said, re.compile(r"\b(WARN|ERROR)\b|websocket|falling back|reconnect", re.I))
        posts = self.posts()
        self.check_calls(events, posts)
        scripted_responses.check_history(self, posts)
        for post in posts:
            self.assertIs(post["body"]["store"], False)
        told = self.logged(len(posts) + 1)
        self.assertEqual(told, ["GET /v1/responses 101 complete"] +
                         ["POST /v1/responses 200 complete"] * len(posts))

    def recovers(self, prompt, calls):
        """Runs Codex with retries, asserts that it stays with WebSockets, and returns what was posted."""
        events = self.codex(prompt, retries=5)
        self.assertEqual(self.final_text(events), f"done after {calls} calls")
        self.assertNotIn("falling back", self.said)
        posts = self.posts()
        self.check_calls(events, posts, calls)
        return posts

    def opened(self, posts):
        """Returns how many WebSockets there were."""
        return sum(line.startswith("GET ") for line in self.logged(len(posts) + 1))

    def restart(self, after):
        """Ends the service when upstream has had so many posts, and starts it again at the same port."""
        give_up = time.monotonic() + 30
        while len(self.posts()) < after and time.monotonic() < give_up:
            time.sleep(0.01)
        service = run.started[-1]
        service.send_signal(signal.SIGTERM)
        self.assertEqual(service.wait(timeout=20), 0)
        self.start("agents-proxy-again", port=int(self.base.rpartition(":")[2]))

    def test_a_socket_whose_lifetime_is_over_is_replaced(self):
        self.start(WEBSOCKET_LIFETIME="300ms")
        self.assertGreater(self.opened(self.recovers(f"Please make {CALLS} calls.", CALLS)), 1)

    def test_what_the_service_forgot_is_sent_again(self):
        self.start(WEBSOCKET_MEMORY="1000")
        self.assertGreater(self.opened(self.recovers("Please make 4 calls.", 4)), 1)
        self.assertIn("not found", self.said)

    def test_a_429_of_upstream_is_retried_when_it_says(self):
        self.start()
        self.recovers("Please make 4 calls, fail once at step 3 with 429.", 4)
        # Without retry-after, which is 1 s, Codex would wait about 200 ms.
        self.assertRegex(self.said, r"retrying sampling request \(1/5 in (1s|1\.\d*s|9\d\d(\.\d+)?ms)\)")

    def test_a_service_that_restarts_is_found_again(self):
        self.start()
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            restarted = pool.submit(self.restart, after=6)
            self.recovers(f"Please make {CALLS} calls.", CALLS)
            restarted.result()
        self.assertEqual(self.logged(1, "agents-proxy-again")[0], "GET /v1/responses 101 complete")

    def test_a_broken_stream_is_begun_again(self):
        self.start()
        self.recovers("Please make 4 calls, break once at step 3.", 4)
        self.assertIn("ended its answer before it was whole", self.said)

    def test_without_websockets_it_uses_http_at_once(self):
        self.start(WEBSOCKETS="false")
        events = self.codex(f"Please make {CALLS} calls.")
        self.assertEqual(self.final_text(events), f"done after {CALLS} calls")
        self.assertIn("falling back to HTTP", self.said)
        posts = self.posts()
        self.check_calls(events, posts)
        told = self.logged(len(posts) + 1)
        self.assertEqual(told, ["GET /v1/responses 426 rejected_invalid"] +
                         ["POST /v1/responses 200 complete"] * len(posts))


if __name__ == "__main__":
    unittest.main()
