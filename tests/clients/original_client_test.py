"""A stand-in for the original service's own client: it sends plain POSTs with x-internal-auth and a timeout of 360 s,
tries again up to three times after 429, 503 and 504 only, and fails if a tool call has no id."""
import time
import unittest

import httpx

from targets import KEY, LITELLM, MOCK, SCRIPTED, needs_litellm


class OriginalClient:
    def __init__(self, base, pause=0.05):
        self.http = httpx.Client(base_url=base, headers={"X-Internal-Auth": KEY}, timeout=360)
        self.pause = pause
        self.attempts = 0

    def chat(self, **body):
        for attempt in range(4):
            self.attempts += 1
            answer = self.http.post("/v1/chat/completions", json=body)
            if answer.status_code not in (429, 503, 504) or attempt == 3:
                break
            time.sleep(self.pause * 2**attempt)
        answer.raise_for_status()
        parsed = answer.json()
        message = parsed["choices"][0]["message"]
        for call in message.get("tool_calls") or []:
            if not call.get("id"):
                raise AssertionError("CRITICAL: a tool call without id")
        return parsed


class Surface:
    base = None

    def setUp(self):
        self.client = OriginalClient(self.base)

    def tearDown(self):
        self.client.http.close()

    def test_chat(self):
        answer = self.client.chat(model="mock-llm", messages=[{"role": "user", "content": "Echo test"}])
        self.assertIn("Echo test", answer["choices"][0]["message"]["content"])
        self.assertEqual(answer["choices"][0]["finish_reason"], "stop")

    def test_tool_calls_have_ids(self):
        answer = self.client.chat(model="mock-llm", messages=[{"role": "user", "content": "call get_weather"}],
                                  tools=[{"type": "function", "function": {"name": "get_weather", "parameters": {
                                      "type": "object", "properties": {}}}}])
        call = answer["choices"][0]["message"]["tool_calls"][0]
        self.assertEqual(call["function"]["name"], "get_weather")

    def test_models(self):
        models = self.client.http.get("/v1/llm/models").json()
        self.assertTrue(all(set(m) == {"id", "name", "provider", "context_length", "is_available"} for m in models))
        self.assertIn("mock-llm", [m["id"] for m in models])


class OriginalOnMock(Surface, unittest.TestCase):
    base = MOCK


@needs_litellm
class OriginalOnLiteLLM(Surface, unittest.TestCase):
    base = LITELLM


class OriginalOnFailures(unittest.TestCase):
    def attempts(self, model):
        client = OriginalClient(SCRIPTED)
        try:
            client.chat(model=model, messages=[{"role": "user", "content": "x"}])
            return client.attempts
        except httpx.HTTPStatusError as error:
            return -client.attempts, error.response.status_code
        finally:
            client.http.close()

    def test_its_retries_still_work(self):
        self.assertEqual(self.attempts("status-503-2"), 3)
        self.assertEqual(self.attempts("status-504-1"), 2)
        self.assertEqual(self.attempts("status-429-1"), 2)
        self.assertEqual(self.attempts("status-500-9"), (-1, 502))
        self.assertEqual(self.attempts("status-408-9"), (-4, 504))


if __name__ == "__main__":
    unittest.main()
