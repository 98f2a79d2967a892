"""Tests with Claude Code, Anthropic's coding agent, as it is used without a terminal (`claude -p`). The model behind the
service is scripted_messages.py. Nothing goes to the network."""
import json
import os
import unittest
import urllib.error
import urllib.request

import run
import scripted_messages
from agent import FOLDER, Agent

# The wrapper that npm makes would be replaced by the platform's program after the installation; this starts the same one.
COMMAND = [os.environ.get("NODE", "node"), f"{FOLDER}/node_modules/@anthropic-ai/claude-code/cli-wrapper.cjs"]
CALLS = 10
QUIET = {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1", "DISABLE_TELEMETRY": "1",
         "DISABLE_ERROR_REPORTING": "1"}


class Claude(Agent):
    def claude(self, prompt, base=None, status=0, **env):
        """Runs Claude Code and returns its last event, the result."""
        command = [*COMMAND, "-p", prompt, "--output-format", "stream-json", "--verbose", "--allowedTools",
                   "Bash,Read,Write,Edit"]
        env = {"ANTHROPIC_BASE_URL": base or self.base, "ANTHROPIC_AUTH_TOKEN": run.KEY,
               "ANTHROPIC_MODEL": "claude-opus-4-8", **QUIET, **env}
        return self.run_agent(command, env, status)[-1]

    def check_posts(self, posts, calls):
        """Asserts that upstream got the whole history each time, and in the end what came of all calls."""
        scripted_messages.check_history(self, posts)
        results = sorted(scripted_messages.results(posts[-1]["body"]), key=lambda result: result["tool_use_id"])
        self.assertEqual(len(results), calls)
        for result in results:
            self.assertFalse(result.get("is_error"), result)
        return results

    def test_a_run(self):
        self.start()
        result = self.claude(f"Please make {CALLS} calls in {self.work}.")
        self.assertEqual((result["subtype"], result["result"]), ("success", f"done after {CALLS} calls"))
        self.assertEqual(result["permission_denials"], [])
        posts = self.posts()
        results = self.check_posts(posts, CALLS)
        for step in (0, *range(5, CALLS)):
            self.assertIn(f"output of step {step}", str(results[step]["content"]))
        self.assertIn("output of step 3", str(results[4]["content"]))
        with open(os.path.join(self.work, "step.txt")) as file:
            self.assertEqual(file.read(), "output of step 3\n")
        for post in posts:
            self.assertIs(post["body"]["stream"], True)
        self.assertEqual(self.logged(len(posts)), ["POST /v1/messages 200 complete"] * len(posts))

    def recovers(self, how):
        """Asserts that Claude Code asks again at step 2 and ends its task, and returns what was posted and logged."""
        self.start()
        result = self.claude(f"Please make 4 calls in {self.work}, {how}.")
        self.assertEqual(result["result"], "done after 4 calls")
        posts = self.posts()
        return posts, self.logged(len(posts) + ("fail" in how))

    def refused(self, status):
        posts, told = self.recovers(f"fail once at step 2 with {status}")
        self.check_posts(posts, 4)
        self.assertEqual(told, ["POST /v1/messages 200 complete"] * 2 + [f"POST /v1/messages {status} upstream_error"] +
                         ["POST /v1/messages 200 complete"] * 3)

    def test_a_429_is_retried(self):
        self.refused(429)

    def test_an_overloaded_upstream_is_retried(self):
        self.refused(529)

    def test_a_broken_stream_is_not_taken_for_an_answer(self):
        """It breaks amid the arguments of a call. Claude Code may begin again, or keep what came before and go on."""
        posts, told = self.recovers("break once at step 2")
        self.assertEqual(sum(line == "POST /v1/messages 200 truncated" for line in told), 1)
        self.assertEqual(sum(line == "POST /v1/messages 200 complete" for line in told), len(told) - 1)
        calls = [block for message in posts[-1]["body"]["messages"] for block in scripted_messages.blocks(message)
                 if block["type"] == "tool_use"]
        self.assertEqual(calls, [scripted_messages.call(step, self.work) for step in range(4)])
        results = scripted_messages.results(posts[-1]["body"])
        self.assertEqual([result["tool_use_id"] for result in results], [call["id"] for call in calls])

    def test_it_can_ask_for_the_models(self):
        self.start()
        self.claude("Hello.", CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY="1")
        self.assertEqual(sorted(self.logged(2)), ["GET /v1/models 200 complete", "POST /v1/messages 200 complete"])

    def test_a_base_url_with_v1_is_refused_with_a_hint(self):
        """Claude Code takes each 404 for one of the model and does not show what it says."""
        self.start()
        result = self.claude("Hello.", base=self.base + "/v1", status=1)
        self.assertIn("There's an issue with the selected model", result["result"])
        self.assertEqual(set(self.logged(1)), {"POST /v1/v1/messages 404 rejected_invalid"})
        request = urllib.request.Request(self.base + "/v1/v1/messages?beta=true", b"{}", {"x-api-key": run.KEY})
        with self.assertRaises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request)
        with caught.exception as answer:
            self.assertIn("must not end in /v1", json.load(answer)["error"]["message"])

    def test_a_wrong_key_is_said(self):
        self.start()
        result = self.claude("Hello.", status=1, ANTHROPIC_AUTH_TOKEN="wrong")
        self.assertIn("Please run /login", result["result"])
        self.assertEqual(set(self.logged(1)), {"POST /v1/messages 401 rejected_auth"})


if __name__ == "__main__":
    unittest.main()
