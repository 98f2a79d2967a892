// Tests of the Responses API over WebSocket with OpenAI's unmodified Node SDK.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import OpenAI from "openai";
import { ResponsesWS } from "openai/resources/responses/ws";

const key = process.env.CLIENT_TEST_KEY;
const model = "mock-llm";
const tools = ["get_weather", "get_time"].map((name) => ({
  type: "function", name, parameters: { type: "object", properties: { text: { type: "string" } } },
}));
const isEnd = (event) => ["response.completed", "response.failed", "response.incomplete", "error"].includes(event.type);

/** Opens a socket. Its `events(request)` are those of one response, in order. */
function open(base, apiKey = key) {
  const client = new OpenAI({ baseURL: `${base}/v1`, apiKey, maxRetries: 0 });
  const socket = new ResponsesWS(client, { perMessageDeflate: true });
  const messages = socket.stream();
  const next = async () => {
    for (;;) {
      const { value, done } = await messages.next();
      assert.ok(!done && value.type !== "close", "the socket was closed");
      if (value.type === "message") return value.message;
      if (value.type === "error") {
        assert.ok(value.error.error, value.error.message);
        return value.error.error;
      }
    }
  };
  const events = async (request) => {
    socket.send({ type: "response.create", model, store: false, ...request });
    const all = [await next()];
    while (!isEnd(all.at(-1))) all.push(await next());
    return all;
  };
  const respond = async (request) => {
    const last = (await events(request)).at(-1);
    assert.equal(last.type, "response.completed", JSON.stringify(last));
    return last.response;
  };
  return { socket, next, events, respond };
}

const textOf = (response) => response.output.flatMap((item) => item.content ?? []).map((part) => part.text ?? "").join("");
const outputsFor = (response) => response.output.filter((item) => item.type === "function_call").map((item) => ({
  type: "function_call_output", call_id: item.call_id, output: `${item.name} says 42`,
}));

function surface(name, base) {
  describe(name, { skip: base ? false : "no real LiteLLM on this machine" }, () => {
    let ws;
    before(() => (ws = open(base)));
    after(() => ws.socket.close());

    test("turns and a continuation on one socket", async () => {
      const events = await ws.events({ input: "one two" });
      assert.deepEqual(events.map((event) => event.sequence_number), events.map((_, index) => index));
      const text = events.filter((event) => event.type === "response.output_text.delta").map((event) => event.delta);
      assert.equal(text.join(""), "Mock LLM response: one two");
      const second = await ws.respond({ input: "three", previous_response_id: events.at(-1).response.id });
      assert.equal(textOf(second), "Mock LLM response: three");
    });

    test("tool loop with parallel calls", async () => {
      const asked = await ws.respond({ input: "call get_weather and call get_time", tools });
      assert.deepEqual(outputsFor(asked).map((each) => each.output), ["get_weather says 42", "get_time says 42"]);
      const answer = await ws.respond({ input: outputsFor(asked), previous_response_id: asked.id, tools });
      assert.equal(textOf(answer), "Mock LLM response: get_time says 42");
    });

    test("warm-up", async () => {
      const warm = await ws.respond({ input: "instructions", generate: false });
      assert.deepEqual(warm.output, []);
      assert.equal(textOf(await ws.respond({ input: "q", previous_response_id: warm.id })), "Mock LLM response: q");
    });

    test("two lanes", async () => {
      for (const stream_id of ["left", "right"])
        ws.socket.send({ type: "response.create", model, store: false, stream_id, input: `I am ${stream_id}` });
      const texts = {};
      for (let ended = 0; ended < 2; ) {
        const event = await ws.next();
        assert.ok(["left", "right"].includes(event.stream_id), JSON.stringify(event));
        if (event.type === "response.output_text.delta") texts[event.stream_id] = (texts[event.stream_id] ?? "") + event.delta;
        if (isEnd(event)) ended += 1;
      }
      assert.deepEqual(texts, { left: "Mock LLM response: I am left", right: "Mock LLM response: I am right" });
    });

    test("an error leaves the socket open", async () => {
      const [missing] = await ws.events({ input: "x", previous_response_id: "resp_unknown" });
      assert.equal(missing.status, 400);
      assert.equal(missing.error.code, "previous_response_not_found");
      assert.equal(textOf(await ws.respond({ input: "here" })), "Mock LLM response: here");
    });

    test("wrong key", async () => {
      const { socket } = open(base, "wrong");
      const error = await new Promise((resolve) => socket.on("error", resolve));
      assert.match(error.message, /401/);
    });
  });
}

surface("websocket on mock", process.env.TARGET_MOCK);
surface("websocket on LiteLLM", process.env.TARGET_LITELLM);

describe("websocket on scripted", () => {
  let ws;
  before(() => (ws = open(process.env.TARGET_SCRIPTED)));
  after(() => ws.socket.close());

  test("what is not stored is posted whole", async () => {
    let response = await ws.respond({ input: [{ role: "user", content: "node: make 5 calls" }], tools });
    for (let input; (input = outputsFor(response)).length; )
      response = await ws.respond({ input, previous_response_id: response.id, tools });
    assert.equal(textOf(response), "done after 5 calls");
    const all = await (await fetch(`${process.env.SCRIPTED_ITSELF}/posts`)).json();
    const posts = all.filter(({ body }) => JSON.stringify(body.input).includes("node: make 5 calls"));
    assert.equal(posts.length, 5); // the first answer has two calls
    for (const [index, { body }] of posts.entries()) {
      assert.equal(body.stream, true);
      for (const member of ["previous_response_id", "type", "generate", "stream_id"]) assert.ok(!(member in body), member);
      if (index === 0) continue;
      const known = [...posts[index - 1].body.input, ...posts[index - 1].output];
      assert.deepEqual(body.input.slice(0, known.length), known);
      assert.ok(body.input.slice(known.length).every((item) => item.type === "function_call_output"));
    }
  });

  test("429 of upstream", async () => {
    const [event] = await ws.events({ model: "status-429", input: "x" });
    assert.equal(event.status, 429);
    assert.match(event.error.message, /scripted 429/);
    assert.equal(event.error.headers["retry-after"], "1");
    assert.equal(textOf(await ws.respond({ input: "after" })), "done after 0 calls");
  });
});
