// Pages of other origins in Chromium: one that LLM_PROXY__CORS_ORIGINS lists, and one that it does not.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';
import { key, startService } from './service.mjs';

let pages;
let service;
let browser;
let listed;
let foreign;

/** Opens an empty page of that origin. */
async function open(origin) {
  const page = await browser.newPage();
  await page.goto(origin);
  return page;
}

before(async () => {
  pages = createServer((_, answer) => answer.setHeader('content-type', 'text/html').end('<!doctype html><title>a page</title>'));
  await new Promise((resolve) => pages.listen(0, '127.0.0.1', resolve));
  const { port } = pages.address();
  // The service is at 127.0.0.1 too, so it is the port that makes this another origin.
  service = await startService({ LLM_PROXY__CORS_ORIGINS: `HTTP://LOCALHOST:${port},https://app.example.com` });
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ['--no-sandbox'] });
  listed = await open(`http://localhost:${port}`);
  foreign = await open(`http://127.0.0.1:${port}`);
});
after(async () => {
  await browser?.close();
  await service?.stop();
  pages?.close();
});

/**
 * Sends a chat from the page, with the headers of an SDK. Resolves with what the page can see of the answer, and with
 * how many pieces its body came in.
 */
const chat = (page, { key: given = key, ...body }) => page.evaluate(async ({ url, given, body }) => {
  let answer;
  try {
    answer = await fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${given}`, 'content-type': 'application/json', 'x-internal-auth': given,
        'x-stainless-lang': 'js', 'x-stainless-retry-count': '0', 'x-stainless-runtime': 'browser:chrome',
      },
      body: JSON.stringify(body),
    });
  } catch (error) {
    return { failed: String(error) };
  }
  const seen = { status: answer.status, headers: Object.fromEntries(answer.headers), text: '', pieces: 0 };
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
    seen.text += piece.value;
    seen.pieces += 1;
  }
  return seen;
}, { url: service.url, given, body });

const messages = [{ role: 'user', content: 'one two three four' }];

test('a page of a listed origin gets an answer, and reads the headers that tell about it', async () => {
  const seen = await chat(listed, { model: 'mock-llm', messages });
  assert.equal(seen.status, 200, JSON.stringify(seen));
  assert.match(JSON.parse(seen.text).choices[0].message.content, /four/);
  assert.ok(seen.headers['x-request-id']);
  assert.match(seen.headers['server-timing'], /total/);
});

test('a page of a listed origin reads a stream as it comes', async () => {
  const seen = await chat(listed, { model: 'mock-llm', messages, stream: true });
  assert.equal(seen.status, 200, JSON.stringify(seen));
  assert.ok(seen.pieces > 2, `${seen.pieces} pieces`);
  assert.match(seen.text, /data: \[DONE\]\n\n$/);
});

test('a page of a listed origin reads why it was refused', async () => {
  const wrongKey = await chat(listed, { key: 'wrong', model: 'mock-llm', messages });
  assert.equal(wrongKey.status, 401, JSON.stringify(wrongKey));
  assert.equal(JSON.parse(wrongKey.text).error.code, 'unauthorized');
  assert.equal(wrongKey.headers['x-should-retry'], 'false');
  const noMessages = await chat(listed, { model: 'mock-llm' });
  assert.equal(noMessages.status, 422, JSON.stringify(noMessages));
  assert.ok(noMessages.headers['x-llm-proxy-error-source']);
});

test('a page of a listed origin may use other methods and simple requests', async () => {
  const statuses = await listed.evaluate(async ({ url, given }) => {
    const ask = async (path, options) => (await fetch(url + path, options)).status;
    return [
      await ask('/health'),
      await ask('/v1/models', { headers: { 'x-api-key': given } }),
      await ask('/v1/responses/resp_1', { method: 'DELETE', headers: { 'x-api-key': given } }),
      await ask('/no/such/path', { method: 'PUT', headers: { 'x-api-key': given } }),
    ];
  }, { url: service.url, given: key });
  assert.deepEqual([statuses[0], statuses[1], statuses[3]], [200, 200, 404]);
});

test('a page of a listed origin cannot make the browser send its cookies', async () => {
  const failed = await listed.evaluate((url) => fetch(`${url}/health`, { credentials: 'include' }).then(() => '', String), service.url);
  assert.match(failed, /Failed to fetch/);
});

test('a page of another origin gets no answer', async () => {
  assert.match((await chat(foreign, { model: 'mock-llm', messages })).failed ?? 'an answer', /Failed to fetch/);
  const simple = await foreign.evaluate((url) => fetch(`${url}/health`).then(() => '', String), service.url);
  assert.match(simple, /Failed to fetch/);
});

/** Opens a WebSocket from the page, asks for a response, and resolves with what came: the events' types and the end. */
const respond = (page, protocols) => page.evaluate(({ url, protocols }) => new Promise((resolve) => {
  const seen = { types: [], protocol: null };
  const socket = new WebSocket(`${url.replace('http', 'ws')}/v1/responses`, protocols);
  socket.onopen = () => {
    seen.protocol = socket.protocol;
    socket.send(JSON.stringify({ type: 'response.create', model: 'mock-llm', input: 'one two' }));
  };
  socket.onmessage = ({ data }) => {
    seen.types.push(JSON.parse(data).type);
    if (seen.types.at(-1) === 'response.completed') socket.close(1000);
  };
  socket.onclose = ({ code }) => resolve({ ...seen, code });
}), { url: service.url, protocols });

test('a page of a listed origin uses a WebSocket, with its key as a subprotocol', async () => {
  const seen = await respond(listed, ['realtime', `openai-insecure-api-key.${key}`]);
  assert.equal(seen.protocol, 'realtime');
  assert.equal(seen.types[0], 'response.created');
  assert.equal(seen.types.at(-1), 'response.completed');
  assert.equal(seen.code, 1000);
});

test('a page of another origin gets no WebSocket, and neither does one with a wrong key', async () => {
  const refused = { types: [], protocol: null, code: 1006 };
  assert.deepEqual(await respond(foreign, ['realtime', `openai-insecure-api-key.${key}`]), refused);
  assert.deepEqual(await respond(listed, ['realtime', 'openai-insecure-api-key.wrong']), refused);
  assert.deepEqual(await respond(listed, [`openai-insecure-api-key.${key}`]), refused);
});
