// openapi.json is valid OpenAPI 3.1 and describes the running service correctly: the tests send each of its examples,
// and check that the answer has a status and a shape that it describes.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Validator } from '@seriousme/openapi-schema-validator';
import Ajv2020 from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { key, startService } from './service.mjs';

let service;
let api;
let ajv;

before(async () => {
  service = await startService({ LLM_PROXY__MOCK_CHUNK_DELAY_MS: '1' });
  api = await (await fetch(`${service.url}/openapi.json`)).json();
  ajv = new Ajv2020({ strict: false, allErrors: true });
  addFormats(ajv);
  ajv.addSchema({ $id: 'api', ...api });
});
after(() => service.stop());

const pointer = (parts) => `api#/${parts.map((part) => encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'))).join('/')}`;
const referred = (value) => (value?.$ref ? value.$ref.slice(2).split('/').reduce((at, part) => at[part], api) : value);
const placeOf = (value, parts) => (value.$ref ? value.$ref.slice(2).split('/') : parts);

function fits(parts, value, what) {
  const check = ajv.getSchema(pointer(parts));
  assert.ok(check(value), `${what}: ${ajv.errorsText(check.errors)}`);
}

const operations = () => Object.entries(api.paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, operation]) => ({ path, method, operation, parts: ['paths', path, method] })));

async function send({ path, method, parts, operation }, body, headers, name) {
  const target = path.replace(/{(\w+)}/g, (_, param) => operation.parameters?.find((each) => each.name === param)?.example ?? 'x');
  const answer = await fetch(service.url + target, {
    method: method.toUpperCase(), headers, body, redirect: 'manual', signal: AbortSignal.timeout(10000),
  });
  const status = String(answer.status);
  const what = `${method} ${path} ${name} (${status})`;
  const described = operation.responses[status];
  assert.ok(described, `${what}: not described`);
  const place = placeOf(described, [...parts, 'responses', status]);
  const response = referred(described);
  for (const header of Object.keys(response.headers ?? {})) {
    if (!['retry-after', 'www-authenticate'].includes(header) || status === '401') assert.ok(header === 'retry-after' || answer.headers.has(header), `${what}: no ${header}`);
  }
  return { answer, response, place, what, status };
}

async function checkBody({ answer, response, place, what }) {
  if (!response.content) return;
  const type = answer.headers.get('content-type').split(';')[0];
  const media = Object.keys(response.content).find((each) => each === type || (each.endsWith('/*') && type.startsWith(each.slice(0, -1))));
  assert.ok(media, `${what}: ${type} is not described`);
  if (media === 'application/json') {
    fits([...place, 'content', media, 'schema'], await answer.json(), what);
  } else if (type === 'text/event-stream') {
    return answer.text();
  } else {
    assert.ok((await answer.arrayBuffer()).byteLength > 0, what);
  }
  return undefined;
}

test('openapi.json is a valid OpenAPI 3.1 document', async () => {
  const validator = new Validator();
  const result = await validator.validate(structuredClone(api));
  assert.ok(result.valid, JSON.stringify(result.errors));
  assert.equal(validator.version, '3.1');
  const ids = operations().map((each) => each.operation.operationId);
  assert.equal(new Set(ids).size, ids.length);
});

test('its own examples fit their schemas', () => {
  let seen = 0;
  for (const { operation, parts, path } of operations()) {
    for (const [media, content] of Object.entries(operation.requestBody?.content ?? {})) {
      for (const [name, example] of Object.entries(content.examples ?? {})) {
        fits([...parts, 'requestBody', 'content', media, 'schema'], example.value, `${path} ${name}`);
        seen += 1;
      }
    }
  }
  for (const [name, response] of Object.entries(api.components.responses)) {
    for (const example of Object.values(response.content['application/json'].examples ?? {})) {
      fits(['components', 'responses', name, 'content', 'application/json', 'schema'], example.value, name);
      seen += 1;
    }
  }
  assert.ok(seen > 40, `only ${seen}`);
});

test('each example is answered by 200, in the shape that is described', async () => {
  let sent = 0;
  for (const each of operations()) {
    const content = each.operation.requestBody?.content?.['application/json'];
    for (const [name, example] of Object.entries(content?.examples ?? {})) {
      const headers = { 'content-type': 'application/json', 'x-internal-auth': key };
      const got = await send(each, JSON.stringify(example.value), headers, name);
      assert.equal(got.status, '200', got.what);
      const stream = await checkBody(got);
      assert.equal(stream !== undefined, example.value.stream === true, got.what);
      if (each.path.endsWith('/chat/completions') && stream) {
        const events = stream.split('\n\n').filter((event) => event.startsWith('data: ')).map((event) => event.slice(6));
        assert.equal(events.pop(), '[DONE]');
        for (const event of events) fits(['components', 'schemas', 'ChatChunk'], JSON.parse(event), got.what);
      }
      sent += 1;
    }
  }
  assert.ok(sent >= 18, `only ${sent}`);
});

test('each GET answers as described, with the key and without', async () => {
  for (const each of operations().filter(({ method }) => method === 'get')) {
    if (each.path === '/ui/events') continue;
    await checkBody(await send(each, undefined, { 'x-internal-auth': key }, 'with the key'));
    const got = await send(each, undefined, {}, 'without a key');
    if (each.operation.security?.length === 0) assert.notEqual(got.status, '401', got.what);
    else assert.equal(got.status, '401', got.what);
    await checkBody(got);
  }
});

test('bodies of the wrong shape get the errors that are described', async () => {
  for (const each of operations().filter(({ method, operation }) => method === 'post' && operation.responses['422'] && operation.requestBody.content['application/json'])) {
    const headers = { 'content-type': 'application/json', 'x-internal-auth': key };
    const broken = await send(each, '{"model":', headers, 'no JSON');
    assert.equal(broken.status, '400', broken.what);
    await checkBody(broken);
    const array = await send(each, '[]', headers, 'an array');
    assert.equal(array.status, '422', array.what);
    await checkBody(array);
    const text = await send(each, 'x', { ...headers, 'content-type': 'text/plain' }, 'text');
    assert.equal(text.status, '415', text.what);
    await checkBody(text);
    const bare = await send(each, '{}', { 'content-type': 'application/json' }, 'no key');
    assert.equal(bare.status, '401', bare.what);
    await checkBody(bare);
  }
});

test('each way to send the key that is described lets a request in', async () => {
  const schemes = api.components.securitySchemes;
  for (const [name, scheme] of Object.entries(schemes)) {
    const headers = scheme.type === 'http' ? { authorization: `Bearer ${key}` } : { [scheme.name]: key };
    assert.equal((await fetch(`${service.url}/v1/models`, { headers })).status, 200, name);
  }
  assert.equal(Object.keys(schemes).length, 3);
});

test('what /ui/events sends fits its schema', async () => {
  const controller = new AbortController();
  const answer = await fetch(`${service.url}/ui/events`, { headers: { 'x-internal-auth': key }, signal: controller.signal });
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  const body = JSON.stringify({ model: 'mock-llm', stream: true, messages: [{ role: 'user', content: 'one two three' }] });
  let text = (await reader.read()).value;
  await (await fetch(`${service.url}/v1/chat/completions`, { method: 'POST', headers: { 'content-type': 'application/json', 'x-internal-auth': key }, body })).text();
  while (!text.includes('"verdict"')) text += (await reader.read()).value;
  controller.abort();
  for (const event of text.split('\n\n').filter(Boolean)) fits(['components', 'schemas', 'Snapshot'], JSON.parse(event.slice(6)), 'snapshot');
});
