// Starts a service in mock mode on a free port.
import { spawn } from 'node:child_process';

export const key = 'browser-test-key';

/** Resolves with the address of the service and a function that stops it. */
export async function startService(environment = {}) {
  const child = spawn(process.env.LLM_PROXY_BIN, [], {
    cwd: '/',
    env: {
      LLM_PROXY__LLM_MODE: 'mock', LLM_PROXY__PORT: '0', LLM_PROXY__INTERNAL_API_KEY: key,
      LLM_PROXY__MOCK_CHUNK_DELAY_MS: '150', LLM_PROXY__DRAIN_TIMEOUT: '2s', ...environment,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  const url = await new Promise((resolve, reject) => {
    const hear = (bytes) => {
      said += bytes;
      const found = /http:\/\/127\.0\.0\.1:(\d+)/.exec(said) ?? /127\.0\.0\.1:(\d+)/.exec(said);
      if (found) resolve(`http://127.0.0.1:${found[1]}`);
    };
    child.stdout.on('data', hear);
    child.stderr.on('data', hear);
    child.on('exit', () => reject(new Error(`the service ended: ${said}`)));
  });
  return {
    url,
    stop: () => new Promise((resolve) => {
      child.once('exit', resolve);
      child.kill('SIGTERM');
    }),
  };
}
