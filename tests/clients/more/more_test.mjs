// Tries the AI SDK and Anthropic's SDK for TypeScript: a stream, and a tool. Base URL and key are the arguments.
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

const [base, key, folder] = process.argv.slice(2)
const require = createRequire(folder + '/')
const load = (name) => import(pathToFileURL(require.resolve(name)))
const { generateText, jsonSchema, isStepCount, stepCountIs, streamText, tool } = await load('ai')
const { createAnthropic } = await load('@ai-sdk/anthropic')
const { createOpenAI } = await load('@ai-sdk/openai')
const { createOpenAICompatible } = await load('@ai-sdk/openai-compatible')
const { default: Anthropic } = await load('@anthropic-ai/sdk')
const schema = { type: 'object', properties: { text: { type: 'string' } } }

const v1 = { baseURL: base + '/v1', apiKey: key }
const models = {
  'openai, responses': createOpenAI(v1)('mock-llm'),
  'openai, chat': createOpenAI(v1).chat('mock-llm'),
  'openai-compatible': createOpenAICompatible({ name: 'proxy', ...v1 })('mock-llm'),
  anthropic: createAnthropic(v1)('mock-llm'),
}
for (const [name, model] of Object.entries(models)) {
  let text = ''
  for await (const part of streamText({ model, prompt: 'hello there', maxOutputTokens: 50 }).textStream) text += part
  assert.equal(text, 'Mock LLM response: hello there', name)
  const given = []
  const get_weather = tool({ description: 'The weather', inputSchema: jsonSchema(schema),
    execute: async ({ text }) => { given.push(text); return 'sunny' } })
  const answer = await generateText({ model, prompt: 'call get_weather', maxOutputTokens: 50, tools: { get_weather },
    stopWhen: (isStepCount ?? stepCountIs)(2) })
  assert.deepEqual([given, answer.text], [['call get_weather'], 'Mock LLM response: sunny'], name)
}

const ask = (client, content, more) => client.messages.stream(
  { model: 'mock-llm', max_tokens: 50, messages: [{ role: 'user', content }], ...more })
const client = new Anthropic({ baseURL: base, apiKey: key, maxRetries: 0 })
assert.equal(await ask(client, 'hello there').finalText(), 'Mock LLM response: hello there')
const called = await ask(client, 'call get_weather', { tools: [{ name: 'get_weather', input_schema: schema }] }).finalMessage()
assert.deepEqual([called.content[0].type, called.content[0].input], ['tool_use', { text: 'call get_weather' }])
await assert.rejects(ask(new Anthropic({ ...v1, maxRetries: 0 }), 'hello').finalText(), /must not end in \/v1/)
