"""Sends the same calls directly to LiteLLM and through llm-proxy, and compares the answers."""
import json
import re
import unittest

import httpx

from targets import DIRECT, DIRECT_KEY, KEY, LITELLM, needs_litellm

USER = [{"role": "user", "content": "same words"}]
CALLS = {
    "chat": ("/v1/chat/completions", {"model": "mock-llm", "messages": USER}),
    "chat stream": ("/v1/chat/completions", {"model": "mock-llm", "messages": USER, "stream": True,
                                             "stream_options": {"include_usage": True}}),
    "tools": ("/v1/chat/completions", {"model": "mock-llm", "messages": [{"role": "user", "content": "call f"}], "tools": [
        {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]}),
    "completions": ("/v1/completions", {"model": "mock-llm", "prompt": "same words"}),
    "embeddings": ("/v1/embeddings", {"model": "mock-embed", "input": ["a", "b"]}),
    "responses": ("/v1/responses", {"model": "mock-llm", "input": "same words"}),
    "responses stream": ("/v1/responses", {"model": "mock-llm", "input": "same words", "stream": True}),
    "messages": ("/v1/messages", {"model": "mock-claude", "max_tokens": 9, "messages": USER}),
    "messages stream": ("/v1/messages", {"model": "mock-claude", "max_tokens": 9, "messages": USER, "stream": True}),
}


def without_chance(text):
    """Returns the text with fixed values in place of ids and times, which differ from call to call."""
    text = re.sub(r'"(id|item_id|response_id|obfuscation|previous_response_id)":\s*"[^"]*"', r'"\1":"*"', text)
    return re.sub(r'"(created|created_at|completed_at)":\s*[0-9.]+', r'"\1":0', text)


@needs_litellm
class Differential(unittest.TestCase):
    def test_answers_are_the_same(self):
        for name, (path, body) in CALLS.items():
            with self.subTest(name):
                direct = httpx.post(DIRECT + path, json=body, headers={"authorization": "Bearer " + DIRECT_KEY}, timeout=30)
                through = httpx.post(LITELLM + path, json=body, headers={"x-internal-auth": KEY}, timeout=30)
                self.assertEqual(through.status_code, direct.status_code)
                self.assertEqual(direct.status_code, 200, direct.text)
                self.assertEqual(through.headers["content-type"], direct.headers["content-type"])
                self.assertEqual(without_chance(through.text), without_chance(direct.text))
                self.assertEqual({k for k in through.headers if k.startswith("x-litellm-")},
                                 {k for k in direct.headers if k.startswith("x-litellm-")}
                                 - {"x-litellm-key-spend", "x-litellm-model-api-base"})

    def test_errors_say_the_same_without_the_inside(self):
        direct = httpx.post(DIRECT + "/v1/chat/completions", json={"model": "nobody", "messages": USER},
                            headers={"authorization": "Bearer " + DIRECT_KEY}, timeout=30)
        through = httpx.post(LITELLM + "/v1/chat/completions", json={"model": "nobody", "messages": USER},
                             headers={"x-internal-auth": KEY}, timeout=30)
        self.assertEqual(through.status_code, direct.status_code)
        self.assertEqual(through.headers["x-llm-proxy-error-source"], "client")
        self.assertEqual(through.headers["x-should-retry"], "false")
        self.assertNotIn("None", json.dumps(through.json()))

    def test_management_is_out_of_reach(self):
        for path in ("/key/generate", "/user/new", "/model/new", "/config/update", "/v1/model/info", "/health", "/metrics",
                     "/v1/responses/..%2f..%2fkey%2fgenerate"):
            answer = httpx.post(LITELLM + path, json={}, headers={"x-internal-auth": KEY}, timeout=30)
            self.assertIn(answer.status_code, (404, 405), path)


if __name__ == "__main__":
    unittest.main()
