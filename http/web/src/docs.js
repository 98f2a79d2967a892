// Swagger UI over /openapi.json. It shows an answer once it is whole; what streams is shown as it comes, in a panel
// below its operation.
import './docs.css';

/** The operation whose "Execute" was pressed last. */
let operation = null;
document.addEventListener('click', (event) => {
  if (event.target.closest?.('.execute')) operation = event.target.closest('.opblock');
}, true);

function openPanel(stop) {
  const host = operation ?? document.querySelector('#docs');
  host.querySelector(':scope > .live')?.remove();
  const panel = document.createElement('section');
  panel.className = 'live';
  panel.setAttribute('aria-label', 'Stream as it arrives');
  const head = document.createElement('div');
  const state = document.createElement('span');
  state.setAttribute('role', 'status');
  const button = document.createElement('button');
  button.type = 'button';
  button.className = 'btn stop';
  button.textContent = 'Stop';
  button.addEventListener('click', stop);
  head.append(state, button);
  const text = document.createElement('pre');
  text.tabIndex = 0;
  panel.append(head, text);
  host.append(panel);
  return {
    say: (words) => { state.textContent = words; },
    add: (words) => { text.append(words); text.scrollTop = text.scrollHeight; },
    end: () => button.remove(),
  };
}

async function liveFetch(url, options) {
  const controller = new AbortController();
  const begun = performance.now();
  const since = () => `${Math.round(performance.now() - begun)} ms`;
  const panel = openPanel(() => controller.abort());
  panel.say('waiting …');
  let answer;
  let whole = '';
  try {
    answer = await fetch(url, {
      method: options.method, headers: options.headers, body: options.body, signal: controller.signal,
    });
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let events = 0;
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      whole += value;
      events += value.split('\n\n').length - 1;
      panel.add(value);
      panel.say(`${answer.status}, ${events} events, ${since()}`);
    }
    panel.say(`${answer.status}, ended after ${events} events, ${since()}`);
  } catch (error) {
    panel.say(controller.signal.aborted ? `stopped after ${since()}` : `broke off after ${since()}: ${error.message}`);
    if (!answer) throw error;
  } finally {
    panel.end();
  }
  const copy = new Response(whole, { status: answer.status, statusText: answer.statusText, headers: answer.headers });
  Object.defineProperty(copy, 'url', { value: answer.url });
  return copy;
}

function asksForStream(body) {
  if (typeof body !== 'string') return false;
  try {
    return JSON.parse(body).stream === true;
  } catch {
    return false;
  }
}

window.SwaggerUIBundle({
  url: '/openapi.json',
  domNode: document.querySelector('#docs'),
  presets: [window.SwaggerUIBundle.presets.apis],
  layout: 'BaseLayout',
  deepLinking: true,
  validatorUrl: null,
  tryItOutEnabled: true,
  defaultModelsExpandDepth: 0,
  requestInterceptor: (request) => {
    const endless = new URL(request.url, location.href).pathname === '/ui/events';
    if (endless || asksForStream(request.body)) request.userFetch = liveFetch;
    return request;
  },
});
