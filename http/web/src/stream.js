// Server-sent events by fetch: EventSource could send no header, and a key does not belong into a URL.

/** An answer that is no 2xx, with what it says. */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export async function request(path, key, options = {}) {
  const answer = await fetch(path, { ...options, headers: { ...options.headers, 'x-internal-auth': key } });
  if (answer.ok) return answer;
  const text = await answer.text();
  let message = text.slice(0, 300) || answer.statusText;
  try {
    message = JSON.parse(text).error.message;
  } catch { /* no error of ours: its text says what there is */ }
  throw new Refused(answer.status, message);
}

/** The data of each event of an answer; this service ends its lines with LF, LiteLLM may not. */
export async function* events(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  let data = [];
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + value).split(/\r\n|\n/);
    rest = lines.pop();
    for (const line of lines) {
      if (line.startsWith('data:')) data.push(line.slice(5).replace(/^ /, ''));
      if (line === '' && data.length > 0) {
        yield data.join('\n');
        data = [];
      }
    }
  }
}
