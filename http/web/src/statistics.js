// What the page makes of the snapshots: sums since it was opened, and the last minute second by second.

const edges = [5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, Infinity];
export const labels = edges.map((ms) => {
  if (ms === Infinity) return '> 10 s';
  return ms < 1000 ? `${ms} ms` : `${ms / 1000} s`;
});

const histogram = () => edges.map(() => 0);
const count = (into, ms) => { into[edges.findIndex((edge) => ms <= edge)] += 1; };
const seconds = 60;

export function makeStatistics() {
  return {
    ttft: histogram(),
    gap: histogram(),
    verdicts: new Map(),
    recent: [],
    total: 0,
    chunks: new Map(),
    line: Array.from({ length: seconds }, () => ({ active: 0, ended: 0, chunks: 0 })),
    second: 0,
  };
}

/** Takes a snapshot in; `now` in milliseconds. */
export function take(all, snapshot, now) {
  const second = Math.floor(now / 1000);
  if (all.second === 0) all.second = second;
  for (; all.second < second; all.second += 1) {
    all.line.push({ active: snapshot.active, ended: 0, chunks: 0 });
    if (all.line.length > seconds) all.line.shift();
  }
  const current = all.line.at(-1);
  current.active = snapshot.active;
  const seen = new Map();
  for (const each of [...snapshot.requests, ...snapshot.ended]) {
    const before = all.chunks.get(each.id) ?? (each.chunks > 0 && all.total === 0 && each.ms > 1000 ? each.chunks : 0);
    current.chunks += Math.max(0, each.chunks - before);
    seen.set(each.id, each.chunks);
  }
  for (const each of snapshot.ended) {
    seen.delete(each.id);
    all.verdicts.set(each.verdict, (all.verdicts.get(each.verdict) ?? 0) + 1);
    if (each.ttft !== null) count(all.ttft, each.ttft);
    if (each.stream && each.ttft !== null && each.chunks > 1) count(all.gap, (each.ms - each.ttft) / (each.chunks - 1));
  }
  all.chunks = seen;
  const ended = snapshot.ended.length + snapshot.missed;
  current.ended += ended;
  all.total += ended;
  if (snapshot.missed > 0) all.verdicts.set('(not listed)', (all.verdicts.get('(not listed)') ?? 0) + snapshot.missed);
  all.recent = [...snapshot.ended.toReversed(), ...all.recent].slice(0, 8);
}
