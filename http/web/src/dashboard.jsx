// What goes on: requests in flight, and sums since the page was opened.
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { useEffect, useRef, useState } from 'preact/hooks';
import { labels, makeStatistics, take } from './statistics.js';
import { events, request } from './stream.js';

const time = (ms) => (ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);
const shownAtOnce = 40;

function Bar({ each, longest }) {
  const perSecond = each.ttft !== null && each.ms > each.ttft ? (each.chunks * 1000) / (each.ms - each.ttft) : 0;
  return (
    <li class="request">
      <div class="request-head">
        <span class="model">{each.model || each.route}</span>
        <span class="key">{each.key}</span>
        <span class="numbers">
          {each.tokens === null ? `${each.chunks} chunks` : `${each.tokens} tokens`}
          {perSecond > 0 && ` · ${perSecond.toFixed(1)}/s`} · {time(each.ms)}
        </span>
      </div>
      <div class="track" aria-hidden="true">
        <div class={each.chunks > 0 ? 'bar' : 'bar waiting'} style={{ width: `${Math.max(1.5, (100 * each.chunks) / longest)}%` }} />
      </div>
    </li>
  );
}

function Requests({ snapshot }) {
  const longest = Math.max(40, ...snapshot.requests.map((each) => each.chunks));
  // The oldest first: those that are shown stay where they are.
  const shown = snapshot.requests.toSorted((a, b) => b.ms - a.ms).slice(0, shownAtOnce);
  return (
    <section class="panel wide" aria-label="Requests in flight">
      <h2>In flight <span class="count">{snapshot.active}</span></h2>
      {shown.length === 0 && <p class="quiet">Nothing at the moment. A request from the playground shows up here.</p>}
      <ul class="requests">{shown.map((each) => <Bar key={each.id} each={each} longest={longest} />)}</ul>
      {snapshot.active > shown.length && <p class="quiet">and {snapshot.active - shown.length} more</p>}
    </section>
  );
}

function Histogram({ title, hint, counts }) {
  const most = Math.max(1, ...counts);
  const all = counts.reduce((a, b) => a + b, 0);
  return (
    <section class="panel" aria-label={title}>
      <h2>{title} <span class="count">{all}</span></h2>
      <p class="quiet">{hint}</p>
      <ol class="histogram">
        {counts.map((number, i) => (
          <li key={labels[i]} aria-label={`up to ${labels[i]}: ${number}`}>
            <span class="column" style={{ height: `${(100 * number) / most}%` }} />
            <span class="edge" aria-hidden="true">{labels[i]}</span>
          </li>
        ))}
      </ol>
    </section>
  );
}

function Rate({ line }) {
  const host = useRef(null);
  const plot = useRef(null);
  const data = [line.map((_, i) => i - line.length + 1), line.map((at) => at.active), line.map((at) => at.ended), line.map((at) => at.chunks)];
  useEffect(() => {
    if (!host.current) return undefined;  // gone before it was painted
    const style = getComputedStyle(document.documentElement);
    const color = (name) => style.getPropertyValue(name).trim();
    const axis = { stroke: color('--soft'), grid: { stroke: color('--line'), width: 1 }, ticks: { show: false }, font: '11px system-ui' };
    const width = () => Math.max(200, host.current?.clientWidth ?? 0);
    plot.current = new uPlot({
      width: width(), height: 190, scales: { x: { time: false }, few: { range: (u, low, high) => [0, Math.max(4, high)] }, many: { range: (u, low, high) => [0, Math.max(10, high)] } },
      cursor: { show: false }, legend: { show: false },
      axes: [{ ...axis, values: (u, all) => all.map((s) => `${s} s`) }, { ...axis, scale: 'few', size: 36 }, { ...axis, scale: 'many', side: 1, grid: { show: false }, size: 44 }],
      series: [{}, { scale: 'few', stroke: color('--accent'), width: 2 }, { scale: 'few', stroke: color('--warm'), width: 2 }, { scale: 'many', stroke: color('--cool'), width: 2 }],
    }, data, host.current);
    const follow = new ResizeObserver(() => plot.current.setSize({ width: width(), height: 190 }));
    follow.observe(host.current);
    return () => { follow.disconnect(); plot.current.destroy(); };
  }, []);
  useEffect(() => plot.current?.setData(data));
  const now = line.at(-2) ?? line.at(-1);
  return (
    <section class="panel wide" aria-label="Rate">
      <h2>Last minute</h2>
      <p class="legend">
        <span class="dot active">in flight {now.active}</span> <span class="dot ended">ended/s {now.ended}</span> <span class="dot chunks">chunks/s {now.chunks} (right)</span>
      </p>
      <div ref={host} class="plot" aria-hidden="true" />
    </section>
  );
}

function Verdicts({ all }) {
  const sorted = [...all.verdicts].sort((a, b) => b[1] - a[1]);
  return (
    <section class="panel" aria-label="Ends by verdict">
      <h2>Ends by verdict <span class="count">{all.total}</span></h2>
      {sorted.length === 0 && <p class="quiet">None since this page was opened.</p>}
      <ul class="verdicts">
        {sorted.map(([name, number]) => <li key={name} class={name === 'complete' ? 'good' : 'bad'}><span>{name}</span><b>{number}</b></li>)}
      </ul>
      {all.recent.length > 0 && <h3>Last ones</h3>}
      <ul class="recent">
        {all.recent.map((each) => <li key={each.id}><b>{each.status}</b> <span>{each.model || each.route}</span> <span class="quiet">{time(each.ms)}{each.ttft !== null && `, first byte ${time(each.ttft)}`}</span></li>)}
      </ul>
    </section>
  );
}

function Upstreams({ list }) {
  return (
    <section class="panel" aria-label="Upstreams">
      <h2>Upstreams</h2>
      {list.length === 0 && <p class="quiet">Mock mode: answers are made up here.</p>}
      <ul class="verdicts">
        {list.map((each) => <li key={each.name} class={each.usable ? 'good' : 'bad'}><span>{each.name}</span><b>{each.usable ? `${each.load} in flight` : 'left out'}</b></li>)}
      </ul>
    </section>
  );
}

const empty = { active: 0, requests: [], ended: [], missed: 0, upstreams: [] };

/** `onState` is told `live`, `waiting` or `refused`, and why. */
export function Dashboard({ apiKey, onState }) {
  const [snapshot, setSnapshot] = useState(empty);
  const statistics = useRef(makeStatistics());
  useEffect(() => {
    const controller = new AbortController();
    const watch = async () => {
      for (;;) {
        try {
          const answer = await request('/ui/events', apiKey, { signal: controller.signal });
          onState('live', '');
          for await (const data of events(answer)) {
            const next = JSON.parse(data);
            take(statistics.current, next, performance.now());
            setSnapshot(next);
          }
          continue;  // every five minutes, or the service is ending: what refuses the next one says so
        } catch (error) {
          if (controller.signal.aborted) return;
          if (error.status === 401) {
            onState('refused', error.message);
            return;
          }
          onState('waiting', `${error.message}; trying again.`);
        }
        setSnapshot(empty);
        await new Promise((resolve) => { setTimeout(resolve, 2000); });
        if (controller.signal.aborted) return;
      }
    };
    watch();
    return () => controller.abort();
  }, [apiKey]);
  const all = statistics.current;
  return (
    <div class="grid">
      <Requests snapshot={snapshot} />
      <Rate line={all.line} />
      <Histogram title="Time to first byte" hint="of ended requests" counts={all.ttft} />
      <Histogram title="Between two chunks" hint="mean of each ended stream" counts={all.gap} />
      <Verdicts all={all} />
      <Upstreams list={snapshot.upstreams} />
    </div>
  );
}
