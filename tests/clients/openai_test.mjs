// Tests with OpenAI's unmodified Node SDK, which has the internal key as its apiKey.
import assert from "node:assert/strict";
import { describe, test } from "node:test";

import OpenAI, { toFile } from "openai";

const key = process.env.CLIENT_TEST_KEY;
const model = "mock-llm";
const user = (content) => [{ role: "user", content }];
const tools = ["get_weather", "get_time"].map((name) => ({
  type: "function",
  function: { name, description: name, parameters: { type: "object", properties: { text: { type: "string" } } } },
}));

function surface(name, base, extra = () => {}) {
  describe(name, { skip: base ? false : "no real LiteLLM on this machine" }, () => {
    const client = new OpenAI({ baseURL: `${base}/v1`, apiKey: key, maxRetries: 0, timeout: 30_000 });

    test("create", async () => {
      const answer = await client.chat.completions.create({ model, messages: user("Echo test") });
      assert.equal(answer.choices[0].message.content, "Mock LLM response: Echo test");
    });

    test("stream", async () => {
      let text = "";
      let usage = null;
      const stream = await client.chat.completions.create({
        model, messages: user("one two"), stream: true, stream_options: { include_usage: true },
      });
      for await (const chunk of stream) {
        text += chunk.choices[0]?.delta?.content ?? "";
        usage = chunk.usage ?? usage;
      }
      assert.equal(text, "Mock LLM response: one two");
      assert.ok(usage.completion_tokens > 0);
    });

    test(".stream() helper", async () => {
      const runner = client.chat.completions.stream({ model, messages: user("helper") });
      let text = "";
      runner.on("content", (delta) => (text += delta));
      const final = await runner.finalChatCompletion();
      assert.equal(text, "Mock LLM response: helper");
      assert.equal(final.choices[0].finish_reason, "stop");
    });

    test("tool loop with parallel calls", async () => {
      const messages = user("call get_weather and call get_time");
      const runner = client.chat.completions.stream({ model, messages, tools });
      const message = (await runner.finalChatCompletion()).choices[0].message;
      assert.deepEqual(message.tool_calls.map((call) => call.function.name), ["get_weather", "get_time"]);
      messages.push(message);
      for (const call of message.tool_calls) {
        assert.equal(JSON.parse(call.function.arguments).text, messages[0].content);
        messages.push({ role: "tool", tool_call_id: call.id, content: `${call.function.name} says 42` });
      }
      const answer = await client.chat.completions.create({ model, messages, tools });
      assert.equal(answer.choices[0].message.content, "Mock LLM response: get_time says 42");
    });

    test("structured output", async () => {
      const answer = await client.chat.completions.parse({
        model, messages: user("shape"),
        response_format: { type: "json_schema", json_schema: { name: "answer", strict: true, schema: {
          type: "object", properties: { text: { type: "string" }, count: { type: "integer" } }, required: ["text", "count"],
          additionalProperties: false } } },
      });
      assert.equal(JSON.parse(answer.choices[0].message.content).text, "Mock LLM response: shape");
    });

    test("abort", async () => {
      const stream = await client.chat.completions.create({ model, messages: user("a b c d e f g"), stream: true });
      for await (const chunk of stream) {
        assert.ok(chunk.id);
        break;
      }
      stream.controller.abort();
      assert.ok(await client.chat.completions.create({ model, messages: user("after") }));
    });

    test("models", async () => {
      const ids = [];
      for await (const entry of client.models.list()) ids.push(entry.id);
      assert.ok(ids.includes(model));
      await assert.rejects(client.models.retrieve("no-such-model"), OpenAI.NotFoundError);
    });

    test("embeddings", async () => {
      const answer = await client.embeddings.create({ model: "mock-embed", input: ["a", "b"], dimensions: 4 });
      assert.deepEqual(answer.data.map((item) => item.embedding.length), [4, 4]);
    });

    test("responses", async () => {
      const answer = await client.responses.create({ model, input: "respond" });
      assert.equal(answer.output_text, "Mock LLM response: respond");
      let text = "";
      let last = "";
      for await (const event of await client.responses.create({ model, input: "respond now", stream: true })) {
        if (event.type === "response.output_text.delta") text += event.delta;
        last = event.type;
      }
      assert.equal(text, "Mock LLM response: respond now");
      assert.equal(last, "response.completed");
    });

    test("a wrong key", async () => {
      await assert.rejects(client.withOptions({ apiKey: "wrong" }).models.list(), OpenAI.AuthenticationError);
    });

    extra(client);
  });
}

surface("on mock mode", process.env.TARGET_MOCK, (client) => {
  test("audio and images", async () => {
    const wav = Buffer.from(await (await client.audio.speech.create({ model: "tts", input: "hi", voice: "alloy" })).arrayBuffer());
    assert.equal(wav.subarray(0, 4).toString(), "RIFF");
    const file = await toFile(Buffer.concat(Array(1000).fill(wav)), "a.wav");
    assert.equal((await client.audio.transcriptions.create({ model: "whisper-1", file })).text, "Mock transcription");
    const image = await toFile(Buffer.from([0x89, 0x50]), "a.png", { type: "image/png" });
    assert.ok((await client.images.edit({ model, prompt: "p", image })).data[0].b64_json);
  });
});
surface("through a real LiteLLM", process.env.TARGET_LITELLM);

describe("on failures", () => {
  const client = new OpenAI({ baseURL: `${process.env.TARGET_SCRIPTED}/v1`, apiKey: key, maxRetries: 0 });
  const ask = (name, options) => client.chat.completions.create({ model: name, messages: user("x") }, options);

  test("every error class", async () => {
    const classes = { 400: OpenAI.BadRequestError, 403: OpenAI.PermissionDeniedError, 404: OpenAI.NotFoundError,
      409: OpenAI.ConflictError, 422: OpenAI.UnprocessableEntityError, 429: OpenAI.RateLimitError,
      500: OpenAI.InternalServerError, 503: OpenAI.InternalServerError };
    for (const [status, kind] of Object.entries(classes)) {
      await assert.rejects(ask(`status-${status}`), (error) => {
        assert.ok(error instanceof kind, `${status}: ${error.constructor.name}`);
        assert.match(error.message, new RegExp(`scripted ${status}`));
        return true;
      });
    }
  });

  test("retries a 429 after Retry-After", async () => {
    const begun = Date.now();
    const answer = await ask("status-429-1-node", { maxRetries: 2 });
    assert.equal(answer.choices[0].message.content, "after 2");
    assert.ok(Date.now() - begun >= 950);
  });

  test("a cut stream throws", async () => {
    await assert.rejects(async () => {
      for await (const chunk of await client.chat.completions.create({ model: "cut", messages: user("x"), stream: true })) {
        assert.ok(chunk.choices);
      }
    }, (error) => error.code === "upstream_disconnected");
  });
});

describe("what is stored", () => {
  const client = new OpenAI({ baseURL: `${process.env.TARGET_SCRIPTED}/v1`, apiKey: key, maxRetries: 0 });

  test("files", async () => {
    const bytes = Buffer.from('{"custom_id":"1"}\n'.repeat(5000));
    const made = await client.files.create({ file: await toFile(bytes, "a.jsonl"), purpose: "batch" });
    assert.equal(made.bytes, bytes.length);
    assert.equal((await client.files.retrieve(made.id)).id, made.id);
    assert.ok(bytes.equals(Buffer.from(await (await client.files.content(made.id)).arrayBuffer())));
    assert.ok((await client.files.delete(made.id)).deleted);
    await assert.rejects(client.files.retrieve(made.id), OpenAI.NotFoundError);
  });

  test("batches, vector stores, conversations, videos", async () => {
    const batch = await client.batches.create({ input_file_id: "file-1", endpoint: "/v1/chat/completions", completion_window: "24h" });
    assert.equal((await client.batches.cancel(batch.id)).status, "cancelled");
    const store = await client.vectorStores.create({ name: "mine" });
    assert.equal((await client.vectorStores.retrieve(store.id)).name, "mine");
    assert.ok((await client.vectorStores.delete(store.id)).deleted);
    const conversation = await client.conversations.create({ metadata: { topic: "demo" } });
    assert.equal((await client.conversations.retrieve(conversation.id)).metadata.topic, "demo");
    const video = await client.videos.create({ prompt: "a cat" });
    assert.equal((await client.videos.retrieve(video.id)).id, video.id);
    assert.ok((await (await client.videos.downloadContent(video.id)).arrayBuffer()).byteLength > 0);
  });

  test("variations of an image", async () => {
    const image = await toFile(Buffer.from([0x89, 0x50]), "a.png", { type: "image/png" });
    assert.ok((await client.images.createVariation({ image })).data[0].b64_json);
  });
});
