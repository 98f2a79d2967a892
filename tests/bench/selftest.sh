#!/usr/bin/env bash
# Proves that bench_load notices wrong answers. bench_upstream breaks its answers on purpose, with and without nginx in
# between, and processes die in the middle of a run.
# Usage: tests/bench/selftest.sh DIRECTORY_OF_BINARIES (default build/release/tests)
set -euo pipefail
cd "$(dirname "$0")/../.."
tools=${1:-build/release/tests}
work=$(mktemp -d /tmp/llm-proxy-selftest.XXXXXX)
pids=()
cleanup() {
  local pid
  for pid in "${pids[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
  wait
  rm -rf "$work"
}
trap cleanup EXIT
ulimit -n "$(ulimit -Hn)"

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
start_upstream() { # port
  "$tools/bench_upstream" --port "$1" >"$work/upstream.log" &
  upstream=$!
  pids+=("$upstream")
  sleep 0.3
}
port=$(free_port)
start_upstream "$port"
nginx_port=$(free_port)
sed -e "s/@USER@/$([ "$(id -u)" = 0 ] && echo 'user root;')/; s/@WORKERS@/1/; s/@FILES@/$(ulimit -n)/; s/@CONNECTIONS@/22000/; s/@PORT@/$nginx_port/" \
  -e "s/@KEY@/bench-key/; s/@UPSTREAM@/127.0.0.1:$port/; s#@DIR@#$work#" tests/bench/nginx.conf.in >"$work/nginx.conf"
nginx -p "$work" -c "$work/nginx.conf" -e "$work/error.log" &
nginx=$!
pids+=("$nginx")
sleep 0.5

failed=0
expect() { # exit-code kinds(regular expression) what load-options…
  local want=$1 kinds=$2 what=$3 got=0
  shift 3
  timeout 60 "$tools/bench_load" "$@" --timeout 1 >"$work/result" || got=$?
  local seen
  seen=$(sed -n 's/.*"errors_by_kind":\({[^}]*}\).*/\1/p' "$work/result")
  if [ $got -eq "$want" ] && grep -qE "$kinds" <<<"$seen"; then
    echo "ok    $what: $seen"
  else
    echo "FAIL  $what: exit code $got, $seen"
    failed=1
  fi
}

for to in "straight 127.0.0.1:$port" "nginx 127.0.0.1:$nginx_port"; do
  read -r name address <<<"$to"
  stream=(streams --to "$address" --connections 5 --events 20 --once --duration 3)
  for pace in 0 1; do
    expect 0 '{}' "$name, streams every $pace ms, nothing broken" "${stream[@]}" --delay-ms $pace
    while read -r fault kinds; do
      expect 1 "$kinds" "$name, streams every $pace ms, $fault" "${stream[@]}" --delay-ms $pace --fault "$fault"
    done <<'FAULTS'
skip "event_order":5}
twice "event_order":5}
swap "event_order":5}
corrupt "event_text":5}
wrong_id "event_id":5}
no_stop "no_stop":5}
no_done "no_done":5}
no_zero incomplete|reset
cut incomplete|reset
reset incomplete|reset
bad_chunk framing|incomplete|reset|closed_early
stall "timeout":5}
status "status":5}
FAULTS
  done
  json=(requests --to "$address" --connections 5 --once --duration 3)
  expect 0 '{}' "$name, requests, nothing broken" "${json[@]}"
  while read -r fault kinds; do
    expect 1 "$kinds" "$name, requests, $fault" "${json[@]}" --fault "$fault"
  done <<'FAULTS'
corrupt "answer_text":5}
wrong_id "answer_id":5}
cut incomplete|reset|status
stall "timeout":5}
status "status":5}
FAULTS
  expect 0 '{}' "$name, 3,000 streams once" streams --to "$address" --connections 3000 --events 5 --delay-ms 20 --once --duration 20
  expect 0 '{}' "$name, events of 70,000 bytes" streams --to "$address" --connections 5 --events 50 --event-bytes 70000 --once
  expect 0 '{}' "$name, prompts of 500,000 bytes" requests --to "$address" --connections 5 --body-bytes 500000 --duration 1 --warmup 0
  expect 0 '{}' "$name, answers of 3,000,000 bytes" requests --to "$address" --connections 5 --answer-bytes 3000000 --duration 1 --warmup 0
done
expect 1 status "nginx, wrong key" requests --to "127.0.0.1:$nginx_port" --key other --connections 1 --once --duration 2
expect 3 connect "nobody listens" requests --to "127.0.0.1:$(free_port)" --connections 1 --once --duration 2

(sleep 1.5; kill -KILL "$upstream") &
expect 1 'incomplete|reset|status' "nginx, upstream killed on the way" \
  streams --to "127.0.0.1:$nginx_port" --connections 20 --events 100 --delay-ms 5 --duration 2
start_upstream "$port"
expect 0 '{}' "nginx, upstream is back" streams --to "127.0.0.1:$nginx_port" --connections 20 --events 100 --delay-ms 5 --duration 1
(sleep 1.5; kill -TERM "$nginx") &
expect 1 'service_gone' "nginx ended on the way" requests --to "127.0.0.1:$nginx_port" --pid "$nginx" --connections 5 --duration 2
exit $failed
