import { render } from 'preact';
import { useState } from 'preact/hooks';
import './app.css';
import { Dashboard } from './dashboard.jsx';
import { Playground } from './playground.jsx';

const place = 'llm-proxy-key';  // of this tab alone, gone with it

function KeyForm({ onKey, fault }) {
  const [text, setText] = useState('');
  return (
    <form class="panel key-form" onSubmit={(event) => { event.preventDefault(); onKey(text.trim()); }}>
      <h2>Key</h2>
      <label>Internal key
        <input type="password" autocomplete="off" required value={text} onInput={(event) => setText(event.target.value)} autofocus />
      </label>
      <button type="submit" class="primary">Open</button>
      {fault && <p class="fault" role="alert">{fault}</p>}
      <p class="quiet">It is kept by this tab alone and sent as x-internal-auth.</p>
    </form>
  );
}

function App() {
  const [key, setKey] = useState(sessionStorage.getItem(place) ?? '');
  const [state, setState] = useState({ word: 'waiting', why: '' });
  const use = (next) => {
    if (next) sessionStorage.setItem(place, next);
    else sessionStorage.removeItem(place);
    setState({ word: 'waiting', why: '' });
    setKey(next);
  };
  const onState = (word, why) => {
    if (word === 'refused') {
      sessionStorage.removeItem(place);
      setKey('');
    }
    setState({ word, why });
  };
  return (
    <>
      <header>
        <h1>llm-proxy</h1>
        {key && <span class={`state ${state.word}`} role="status">{state.word === 'live' ? 'live' : 'connecting'}</span>}
        <nav aria-label="Pages"><a href="/docs">API</a>{key && <button type="button" onClick={() => use('')}>Forget key</button>}</nav>
      </header>
      <main>
        {!key && <KeyForm onKey={use} fault={state.word === 'refused' ? state.why : ''} />}
        {key && state.word === 'waiting' && state.why && <p class="fault" role="alert">{state.why}</p>}
        {key && <div class="columns"><Dashboard apiKey={key} onState={onState} /><Playground apiKey={key} /></div>}
      </main>
    </>
  );
}

document.querySelector('#app').replaceChildren();
render(<App />, document.querySelector('#app'));
