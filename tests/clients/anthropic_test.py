"""Tests with Anthropic's Python SDK, which sends the key as x-api-key."""
import unittest

import anthropic

from targets import KEY, LITELLM, MOCK, SCRIPTED, needs_litellm

MESSAGES = [{"role": "user", "content": "hello claude"}]


class Surface:
    base = None

    def client(self, key=KEY):
        return anthropic.Anthropic(base_url=self.base, api_key=key, max_retries=0, timeout=30)

    def test_messages(self):
        with self.client() as client:
            answer = client.messages.create(model="mock-claude", max_tokens=50, messages=MESSAGES)
        self.assertEqual(answer.content[0].text, "Mock LLM response: hello claude")
        self.assertEqual(answer.stop_reason, "end_turn")
        self.assertGreater(answer.usage.output_tokens, 0)

    def test_stream(self):
        with self.client() as client:
            with client.messages.stream(model="mock-claude", max_tokens=50, messages=MESSAGES) as stream:
                text = "".join(stream.text_stream)
                final = stream.get_final_message()
        self.assertEqual(text, "Mock LLM response: hello claude")
        self.assertEqual(final.stop_reason, "end_turn")
        self.assertGreater(final.usage.output_tokens, 0)

    def test_wrong_key(self):
        with self.client("wrong") as client, self.assertRaises(anthropic.AuthenticationError) as caught:
            client.messages.create(model="mock-claude", max_tokens=50, messages=MESSAGES)
        self.assertEqual(caught.exception.body["error"]["type"], "authentication_error")

    def test_bad_request(self):
        with self.client() as client, self.assertRaises(anthropic.UnprocessableEntityError) as caught:
            client.messages.create(model="mock-claude", max_tokens=50, messages="none")
        self.assertEqual(caught.exception.body["type"], "error")


class AnthropicOnMock(Surface, unittest.TestCase):
    base = MOCK

    def test_count_tokens(self):
        with self.client() as client:
            self.assertEqual(client.messages.count_tokens(model="mock-claude", messages=MESSAGES).input_tokens, 2)


@needs_litellm
class AnthropicOnLiteLLM(Surface, unittest.TestCase):
    base = LITELLM


class AnthropicOnFailures(unittest.TestCase):
    def test_errors_have_anthropics_shape(self):
        for status, kind, name in ((400, anthropic.BadRequestError, "invalid_request_error"),
                                   (429, anthropic.RateLimitError, "rate_limit_error"),
                                   (529, anthropic.APIStatusError, "overloaded_error")):
            with self.subTest(status=status), self.assertRaises(kind) as caught:
                with anthropic.Anthropic(base_url=SCRIPTED, api_key=KEY, max_retries=0) as client:
                    client.messages.create(model=f"status-{status}", max_tokens=5, messages=MESSAGES)
            self.assertEqual(caught.exception.status_code, status)
            self.assertEqual(caught.exception.body["type"], "error")


if __name__ == "__main__":
    unittest.main()
