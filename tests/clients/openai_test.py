"""Tests with OpenAI's unmodified Python SDK, which has the internal key as its api_key."""
import json
import time
import unittest

import openai
import pydantic

from targets import KEY, LITELLM, MOCK, SCRIPTED, needs_litellm

MODEL = "mock-llm"
TOOLS = [{"type": "function", "function": {"name": name, "description": name, "parameters": {
    "type": "object", "properties": {"text": {"type": "string"}}}}} for name in ("get_weather", "get_time")]


def user(text):
    return [{"role": "user", "content": text}]


class Surface:
    base = None
    version = "/v1"

    def setUp(self):
        self.client = openai.OpenAI(base_url=self.base + self.version, api_key=KEY, max_retries=0, timeout=30)

    def tearDown(self):
        self.client.close()

    def test_create(self):
        answer = self.client.chat.completions.create(model=MODEL, messages=user("Echo test"))
        self.assertEqual(answer.choices[0].message.content, "Mock LLM response: Echo test")
        self.assertEqual(answer.choices[0].finish_reason, "stop")
        self.assertGreater(answer.usage.total_tokens, 0)

    def test_stream(self):
        text, reasons, usage = "", [], None
        for chunk in self.client.chat.completions.create(model=MODEL, messages=user("one two three"), stream=True,
                                                         stream_options={"include_usage": True}):
            for choice in chunk.choices:
                text += choice.delta.content or ""
                reasons += [choice.finish_reason] if choice.finish_reason else []
            usage = chunk.usage or usage
        self.assertEqual(text, "Mock LLM response: one two three")
        self.assertEqual(reasons, ["stop"])
        self.assertGreater(usage.completion_tokens, 0)

    def test_stream_helper(self):
        with self.client.chat.completions.stream(model=MODEL, messages=user("helper")) as stream:
            kinds = {event.type for event in stream}
            final = stream.get_final_completion()
        self.assertIn("content.delta", kinds)
        self.assertEqual(final.choices[0].message.content, "Mock LLM response: helper")

    def test_tool_loop_with_parallel_calls(self):
        for stream in (False, True):
            messages = user("call get_weather and call get_time")
            if stream:
                with self.client.chat.completions.stream(model=MODEL, messages=messages, tools=TOOLS) as events:
                    for _ in events:
                        pass
                    message = events.get_final_completion().choices[0].message
            else:
                message = self.client.chat.completions.create(model=MODEL, messages=messages, tools=TOOLS).choices[0].message
            self.assertEqual([c.function.name for c in message.tool_calls], ["get_weather", "get_time"])
            self.assertEqual(len({c.id for c in message.tool_calls}), 2)
            for call in message.tool_calls:
                self.assertTrue(call.id)
                self.assertEqual(json.loads(call.function.arguments)["text"], messages[0]["content"])
            messages.append({"role": "assistant", "tool_calls": [
                {"id": c.id, "type": "function", "function": {"name": c.function.name, "arguments": c.function.arguments}}
                for c in message.tool_calls]})
            messages += [{"role": "tool", "tool_call_id": c.id, "content": f"{c.function.name} says 42"}
                         for c in message.tool_calls]
            answer = self.client.chat.completions.create(model=MODEL, messages=messages, tools=TOOLS)
            self.assertEqual(answer.choices[0].message.content, "Mock LLM response: get_time says 42")

    def test_structured_output(self):
        class Answer(pydantic.BaseModel):
            text: str
            count: int

        answer = self.client.chat.completions.parse(model=MODEL, messages=user("shape"), response_format=Answer)
        self.assertEqual(answer.choices[0].message.parsed.text, "Mock LLM response: shape")

    def test_abort_leaves_the_connection_pool_usable(self):
        for _ in range(5):
            stream = self.client.chat.completions.create(model=MODEL, messages=user("a b c d e f"), stream=True)
            next(iter(stream))
            stream.close()
        self.test_create()

    def test_models(self):
        ids = [model.id for model in self.client.models.list()]
        self.assertIn(MODEL, ids)
        self.assertEqual(self.client.models.retrieve(MODEL).id, MODEL)
        with self.assertRaises(openai.NotFoundError):
            self.client.models.retrieve("no-such-model")

    def test_embeddings(self):
        model = "mock-embed"
        one = self.client.embeddings.create(model=model, input=["a", "b"], dimensions=4)
        self.assertEqual([len(item.embedding) for item in one.data], [4, 4])
        plain = self.client.embeddings.create(model=model, input="a", dimensions=4, encoding_format="float")
        for got, wanted in zip(one.data[0].embedding, plain.data[0].embedding):
            self.assertAlmostEqual(got, wanted, places=5)

    def test_responses(self):
        answer = self.client.responses.create(model=MODEL, input="respond")
        self.assertEqual(answer.output_text, "Mock LLM response: respond")
        text, last = "", None
        for event in self.client.responses.create(model=MODEL, input="respond now", stream=True):
            text += event.delta if event.type == "response.output_text.delta" else ""
            last = event.type
        self.assertEqual(text, "Mock LLM response: respond now")
        self.assertEqual(last, "response.completed")

    def test_completions(self):
        answer = self.client.completions.create(model=MODEL, prompt="old")
        self.assertIn("Mock LLM response: old", answer.choices[0].text)

    def test_wrong_key(self):
        with self.assertRaises(openai.AuthenticationError) as caught:
            self.client.with_options(api_key="wrong").models.list()
        self.assertEqual(caught.exception.code, "unauthorized")

    def test_bad_requests_name_the_field(self):
        with self.assertRaises(openai.UnprocessableEntityError) as caught:
            self.client.chat.completions.create(model=MODEL, messages="no list")
        self.assertEqual(caught.exception.param, "messages")


class OpenAIOnMock(Surface, unittest.TestCase):
    base = MOCK

    def test_the_rest_of_the_surface(self):
        client = self.client
        self.assertFalse(client.moderations.create(input="a").results[0].flagged)
        self.assertTrue(client.images.generate(model=MODEL, prompt="p").data[0].b64_json)
        self.assertTrue(client.images.edit(model=MODEL, prompt="p", image=("a.png", b"\x89PNG" * 1000)).data[0].b64_json)
        wav = client.audio.speech.create(model="tts-1", input="hello", voice="alloy").read()
        self.assertEqual(wav[:4], b"RIFF")
        heard = client.audio.transcriptions.create(model="whisper-1", file=("a.wav", wav * 1000))
        self.assertEqual(heard.text, "Mock transcription")
        self.assertEqual(client.audio.translations.create(model="whisper-1", file=("a.wav", wav)).text,
                         "Mock transcription")
        self.assertEqual(client.responses.input_tokens.count(model=MODEL, input="one two").input_tokens, 2)
        compacted = client.responses.compact(model=MODEL, input="long talk")
        self.assertEqual([item.type for item in compacted.output], ["message", "compaction"])
        for call in (client.responses.retrieve, client.responses.delete, client.responses.cancel,
                     client.responses.input_items.list):
            with self.assertRaises(openai.NotFoundError):
                call("resp_1")


class OpenAIWithoutVersion(OpenAIOnMock):
    version = ""


@needs_litellm
class OpenAIOnLiteLLM(Surface, unittest.TestCase):
    base = LITELLM


@needs_litellm
class OpenAIOnLiteLLMWithoutVersion(OpenAIOnLiteLLM):
    version = ""


class OpenAIOnFailures(unittest.TestCase):
    def client(self, retries=0, timeout=30):
        return openai.OpenAI(base_url=SCRIPTED + "/v1", api_key=KEY, max_retries=retries, timeout=timeout)

    def ask(self, model, **options):
        with self.client(**options) as client:
            return client.chat.completions.create(model=model, messages=user("x"))

    def test_every_error_class(self):
        for status, kind in ((400, openai.BadRequestError), (403, openai.PermissionDeniedError),
                             (404, openai.NotFoundError), (409, openai.ConflictError),
                             (422, openai.UnprocessableEntityError), (429, openai.RateLimitError),
                             (500, openai.InternalServerError), (503, openai.InternalServerError)):
            with self.subTest(status=status), self.assertRaises(kind) as caught:
                self.ask(f"status-{status}")
            self.assertEqual(caught.exception.status_code, 502 if status == 500 else status)
            self.assertIn(f"scripted {status}", str(caught.exception))
            self.assertIn("x-llm-proxy-error-source", caught.exception.response.headers)

    def test_our_own_key_is_not_the_callers_401(self):
        with self.assertRaises(openai.InternalServerError) as caught:
            self.ask("status-401")
        self.assertEqual(caught.exception.status_code, 502)
        self.assertEqual(caught.exception.code, "upstream_auth")

    def test_retries_a_429_after_retry_after(self):
        begun = time.time()
        answer = self.ask(f"status-429-2", retries=3)
        self.assertEqual(answer.choices[0].message.content, "after 3")
        self.assertGreaterEqual(time.time() - begun, 1.9)

    def test_does_not_retry_what_is_not_worth_it(self):
        with self.assertRaises(openai.BadRequestError):
            self.ask("status-400-1", retries=2)
        self.assertEqual(self.ask("status-400-1").choices[0].message.content, "after 2")

    def test_timeout(self):
        with self.assertRaises(openai.APITimeoutError):
            self.ask("hang", timeout=0.5)

    def test_a_cut_stream_raises(self):
        with self.client() as client, self.assertRaises(openai.APIError) as caught:
            for _ in client.chat.completions.create(model="cut", messages=user("x"), stream=True):
                pass
        self.assertEqual(caught.exception.code, "upstream_disconnected")


if __name__ == "__main__":
    unittest.main()
