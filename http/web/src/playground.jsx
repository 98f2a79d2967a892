// One question, the answer as it streams, its timing, and the same as a curl line.
import { useEffect, useRef, useState } from 'preact/hooks';
import { events, request } from './stream.js';

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
const curlOf = (body) => `curl -N ${location.origin}/v1/chat/completions \\
  -H 'x-internal-auth: ••••••' -H 'content-type: application/json' \\
  -d ${quoted(JSON.stringify(body))}`;

export function Playground({ apiKey }) {
  const [models, setModels] = useState([]);
  const [model, setModel] = useState('');
  const [text, setText] = useState('Say hello in five languages.');
  const [answer, setAnswer] = useState('');
  const [status, setStatus] = useState('');
  const [fault, setFault] = useState('');
  const running = useRef(null);
  const [busy, setBusy] = useState(false);

  useEffect(() => {
    const controller = new AbortController();
    request('/v1/models', apiKey, { signal: controller.signal })
      .then((list) => list.json())
      .then((list) => {
        const ids = list.data.map((each) => each.id);
        setModels(ids);
        setModel(ids[0] ?? '');
        setFault('');
      })
      .catch((error) => { if (!controller.signal.aborted) setFault(`The list of models: ${error.message}`); });
    return () => { controller.abort(); running.current?.abort(); };
  }, [apiKey]);

  const body = { model, stream: true, messages: [{ role: 'user', content: text }] };
  const send = async (event) => {
    event.preventDefault();
    const controller = new AbortController();
    running.current = controller;
    setBusy(true);
    setAnswer('');
    setFault('');
    setStatus('waiting for the first chunk …');
    const begun = performance.now();
    let first = 0;
    let chunks = 0;
    let whole = '';
    const timing = (word) => {
      const ms = performance.now() - begun;
      const speed = chunks > 1 ? ` · ${((1000 * (chunks - 1)) / (ms - first)).toFixed(1)} chunks/s` : '';
      return `${word} · ${first ? `first chunk ${Math.round(first)} ms · ` : ''}${chunks} chunks${speed} · ${Math.round(ms)} ms`;
    };
    try {
      const stream = await request('/v1/chat/completions', apiKey, {
        method: 'POST', signal: controller.signal, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body),
      });
      for await (const data of events(stream)) {
        if (data === '[DONE]') continue;
        const chunk = JSON.parse(data);
        if (chunk.error) throw new Error(chunk.error.message);
        if (chunks === 0) first = performance.now() - begun;
        chunks += 1;
        const delta = chunk.choices?.[0]?.delta ?? {};
        whole += (delta.content ?? '') + (delta.tool_calls ? JSON.stringify(delta.tool_calls) : '');
        setAnswer(whole);
        setStatus(timing('streaming'));
      }
      setStatus(timing('complete'));
    } catch (error) {
      setStatus(timing(controller.signal.aborted ? 'stopped' : 'failed'));
      if (!controller.signal.aborted) setFault(error.message);
    }
    setBusy(false);
  };

  return (
    <section class="panel playground" aria-label="Playground">
      <h2>Playground</h2>
      <form onSubmit={send}>
        <label>Model
          <select value={model} onChange={(event) => setModel(event.target.value)}>
            {models.map((id) => <option key={id} value={id}>{id}</option>)}
          </select>
        </label>
        <label>Message
          <textarea rows={4} value={text} onInput={(event) => setText(event.target.value)} />
        </label>
        <div class="buttons">
          <button type="submit" class="primary" disabled={busy || text === ''}>Send</button>
          <button type="button" disabled={!busy} onClick={() => running.current?.abort()}>Stop</button>
        </div>
      </form>
      {fault && <p class="fault" role="alert">{fault}</p>}
      <p class="quiet" role="status" data-testid="timing">{status}</p>
      <div class="answer" tabIndex={0} aria-label="Answer" aria-busy={busy}>{answer}</div>
      <h3>The same with curl</h3>
      <pre class="curl" tabIndex={0} aria-label="curl line">{curlOf(body)}</pre>
    </section>
  );
}
