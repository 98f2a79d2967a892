"""Tests with the SDKs of OpenAI and Anthropic for what providers store. The provider is stored.py, directly behind the
service and behind a real LiteLLM."""
import unittest

import anthropic
import openai

from targets import KEY, LITELLM, MOCK, SCRIPTED, needs_litellm

LINES = b'{"custom_id":"1","method":"POST","url":"/v1/chat/completions","body":{"model":"mock-llm","messages":[]}}\n' * 2000


class Surface:
    base = None

    def setUp(self):
        self.client = openai.OpenAI(base_url=self.base + "/v1", api_key=KEY, max_retries=0, timeout=30)

    def tearDown(self):
        self.client.close()

    def test_files(self):
        files = self.client.files
        made = files.create(file=("lines.jsonl", LINES), purpose="batch")
        self.assertEqual(made.bytes, len(LINES))
        self.assertEqual(files.retrieve(made.id).id, made.id)
        self.assertIn(made.id, [each.id for each in files.list()])
        self.assertEqual(files.content(made.id).content, LINES)
        self.assertTrue(files.delete(made.id).deleted)
        with self.assertRaises(openai.NotFoundError):
            files.retrieve(made.id)

    def test_batches(self):
        batches = self.client.batches
        made = batches.create(input_file_id="file-1", endpoint="/v1/chat/completions", completion_window="24h")
        self.assertEqual(batches.retrieve(made.id).id, made.id)
        self.assertIn(made.id, [each.id for each in batches.list()])
        self.assertEqual(batches.cancel(made.id).status, "cancelled")

    def test_vector_stores(self):
        stores = self.client.vector_stores
        made = stores.create(name="mine")
        self.assertEqual(stores.retrieve(made.id).name, "mine")
        added = stores.files.create(made.id, file_id="file-7")
        self.assertEqual(stores.files.retrieve(added.id, vector_store_id=made.id).id, "file-7")
        self.assertEqual(list(stores.search(made.id, query="q")), [])
        self.assertTrue(stores.files.delete("file-7", vector_store_id=made.id).deleted)
        self.assertTrue(stores.delete(made.id).deleted)

    def test_containers(self):
        containers = self.client.containers
        made = containers.create(name="box")
        self.assertEqual(containers.retrieve(made.id).name, "box")
        self.assertIn(made.id, [each.id for each in containers.list()])

    def test_videos(self):
        videos = self.client.videos
        made = videos.create(prompt="a cat", model="sora-2", seconds="4")
        self.assertEqual(videos.retrieve(made.id).status, "completed")
        self.assertEqual(videos.download_content(made.id).content, b"\0\0\0\x18ftypmp42")

    def test_client_secrets(self):
        made = self.client.realtime.client_secrets.create(session={"type": "realtime", "model": "gpt-realtime"})
        self.assertTrue(made.value)


class StoredOnScripted(Surface, unittest.TestCase):
    base = SCRIPTED

    # LiteLLM 1.103 does not have these, or not all of them, or only in its paid edition.

    def test_conversations(self):
        conversations = self.client.conversations
        made = conversations.create(metadata={"topic": "demo"})
        self.assertEqual(conversations.retrieve(made.id).metadata, {"topic": "demo"})
        item = conversations.items.create(made.id, items=[{"type": "message", "role": "user", "content": "x"}])
        self.assertTrue(item.to_dict())
        self.assertTrue(conversations.delete(made.id).deleted)

    def test_fine_tuning(self):
        jobs = self.client.fine_tuning.jobs
        made = jobs.create(model="gpt-4o-mini", training_file="file-1")
        self.assertEqual(jobs.retrieve(made.id).id, made.id)
        self.assertIn(made.id, [each.id for each in jobs.list()])
        self.assertEqual(jobs.cancel(made.id).status, "cancelled")

    def test_evals(self):
        evals = self.client.evals
        made = evals.create(name="e", data_source_config={"type": "custom", "item_schema": {}}, testing_criteria=[])
        self.assertEqual(evals.retrieve(made.id).name, "e")
        run = evals.runs.create(made.id, data_source={"type": "jsonl", "source": {"type": "file_id", "id": "file-1"}})
        self.assertEqual(evals.runs.retrieve(run.id, eval_id=made.id).id, run.id)
        self.assertTrue(evals.delete(made.id).deleted)

    def test_a_part_of_a_file(self):
        made = self.client.files.create(file=("lines.jsonl", LINES), purpose="batch")
        part = self.client.files.with_raw_response.content(made.id, extra_headers={"range": "bytes=3-9"})
        self.assertEqual(part.status_code, 206)
        self.assertEqual(part.content, LINES[3:10])
        self.assertEqual(part.headers["content-range"], f"bytes 3-9/{len(LINES)}")
        self.assertEqual(part.headers["content-disposition"], 'attachment; filename="a"')

    def test_files_of_containers_and_a_204(self):
        containers = self.client.containers
        made = containers.create(name="box")
        added = containers.files.create(made.id, file=("a.bin", LINES))
        self.assertEqual(containers.files.content.retrieve(added.id, container_id=made.id).content, LINES)
        self.assertIsNone(containers.delete(made.id))

    def test_videos_end(self):
        made = self.client.videos.create(prompt="a cat", input_reference=("a.png", b"\x89PNG", "image/png"))
        self.assertTrue(self.client.videos.delete(made.id).deleted)

    def test_image_variations(self):
        made = self.client.images.create_variation(image=("a.png", b"\x89PNG", "image/png"))
        self.assertEqual(made.data[0].b64_json, "AAAA")

    def test_message_batches(self):
        with anthropic.Anthropic(base_url=self.base, api_key=KEY, max_retries=0) as client:
            batches = client.messages.batches
            made = batches.create(requests=[{"custom_id": "1", "params": {
                "model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "x"}]}}])
            self.assertEqual(batches.retrieve(made.id).id, made.id)
            self.assertIn(made.id, [each.id for each in batches.list()])
            batches.cancel(made.id)
            self.assertEqual(batches.delete(made.id).id, made.id)
            with self.assertRaises(anthropic.NotFoundError) as caught:
                batches.retrieve(made.id)
        self.assertEqual(caught.exception.body["type"], "error")


@needs_litellm
class StoredOnLiteLLM(Surface, unittest.TestCase):
    base = LITELLM


class SpeechOnMock(unittest.TestCase):
    def test_events(self):
        with openai.OpenAI(base_url=MOCK + "/v1", api_key=KEY, max_retries=0) as client:
            with client.audio.speech.with_streaming_response.create(model="tts", input="hi", voice="alloy",
                                                                    stream_format="sse") as answer:
                text = answer.read().decode()
        self.assertIn('"type":"speech.audio.delta"', text)
        self.assertTrue(text.rstrip().splitlines()[-1].startswith('data: {"type":"speech.audio.done"'))

    def test_nothing_is_kept(self):
        with openai.OpenAI(base_url=MOCK + "/v1", api_key=KEY, max_retries=0) as client:
            with self.assertRaises(openai.NotFoundError) as caught:
                client.files.create(file=("a", b"a"), purpose="batch")
        self.assertIn("Mock mode keeps nothing", str(caught.exception))


if __name__ == "__main__":
    unittest.main()
