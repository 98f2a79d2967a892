#!/usr/bin/env bash
# Measures llm-proxy beside nginx (as a plain reverse proxy that checks one header) in front of the same upstream.
#
# ## Benchmark
#   scripts/bench.sh                        all scenarios: about 22 minutes; writes tests/bench/BENCHMARK.md
#   scripts/bench.sh requests stream20ms    some scenarios; writes the table to build/bench/BENCHMARK.md
#   scripts/bench.sh streams:connections=1000,events=50,delay-ms=20    any other scenario, with options of bench_load
# Scenarios:
#   requests (64 keep-alive connections), stream2ms (64 streams), stream20ms (500 streams), unpaced (64 streams)
#   memory and memory9500 (2,000 and 9,500 streams at 1 event/s, whose clients leave), memory-ended (2,000 that end)
#   latency (1 connection, also directly to the upstream)
#   growth (not in the default run): CPU per event with 10 to 5,000 streams, per request with 1 to 1,000 connections, per
#     stream with 10 to 10,000 chunks, and memory with 500 to 9,500 streams, with plots. It takes about 7 minutes.
#     The published figures are from:
#     BENCH_OUT=tests/bench/GROWTH.md ROUNDS=3 BENCH_TARGETS="nginx llm-proxy" scripts/bench.sh growth
# ROUNDS=5 DURATION=4 THREADS=1 set the number of interleaved rounds, the seconds per run, and the threads (nginx: workers).
# BENCH_ENV="LLM_PROXY__NAME=value …" adds settings. tests/bench/selftest.sh proves that wrong answers are noticed.
# PIN=1 runs load and upstream on core 0 and the measured program on core 1. Otherwise the system chooses the cores, and so
#   how often one process wakes another across cores, which changes the CPU per event by a third (docs/speed.md). The
#   published figures are from:
#   PIN=1 BENCH_OUT=tests/bench/PINNED.md scripts/bench.sh requests stream2ms stream20ms unpaced latency
# To compare two builds: BENCH_TARGETS="nginx old=/tmp/llm-proxy.old new=build/release/llm-proxy" scripts/bench.sh requests
#   The other targets are divided by the first one. `direct` is the upstream itself. `haproxy` is another program to compare
#   with; it is in the default run if it is installed. Settings for one target: "one=PATH,LLM_PROXY__THREADS=1".
# How to read the results: they are medians with min–max. A ratio is computed for each round, so both sides ran under the
# same conditions. "CPU / (load + upstream)" divides by the CPU time of the two helpers in the same run, which cancels
# noise. Every answer is checked byte for byte, and the script exits with 1 if one was wrong. All figures of each run are
# in build/bench/results.jsonl.
set -euo pipefail
cd "$(dirname "$0")/.."

rounds=${ROUNDS:-5}
duration=${DURATION:-4}
threads=${THREADS:-1}
key=bench-key
helper_core=() measured_core=()
if [ -n "${PIN:-}" ]; then helper_core=(taskset -c 0) measured_core=(taskset -c 1); fi
default_scenarios=(requests stream2ms stream20ms unpaced memory memory9500 memory-ended latency)
growth=()
for n in 10 100 1000 5000; do growth+=("streams:connections=$n,events=$((n > 1000 ? 20 : 100)),delay-ms=$((n / 10))"); done
for n in 1 10 100 1000; do growth+=("requests:connections=$n"); done
for n in 10 100 1000 10000; do growth+=("streams:connections=64,events=$n"); done
for n in 500 2000 5000 9500; do growth+=("hold:connections=$n"); done
default_targets="nginx llm-proxy"
if command -v haproxy >/dev/null; then
  default_targets+=" haproxy"
else
  echo 'bench: haproxy is not installed and left out' >&2
fi
targets_given=${BENCH_TARGETS:-$default_targets}
scenarios=("$@")
[ $# -gt 0 ] || scenarios=("${default_scenarios[@]}")
out=build/bench
mkdir -p "$out"
report_to=${BENCH_OUT:-}
if [ -z "$report_to" ]; then
  report_to=$out/BENCHMARK.md
  if [ $# -eq 0 ] && [ "$targets_given" = "$default_targets" ]; then report_to=tests/bench/BENCHMARK.md; fi
fi

case "${1:-}" in
  -h | --help) sed -n '2,/^set /p' "$0" | sed '$d; s/^# \{0,1\}//'; exit 0 ;;
esac

# ---- build

if [ -n "${BENCH_BIN:-}" ]; then # tools built elsewhere
  tools=$BENCH_BIN
else
  [ -f build/release/CMakeCache.txt ] || cmake --preset release >/dev/null
  build=(bench_upstream bench_load)
  case " $targets_given " in *" llm-proxy "*) build+=(llm-proxy) ;; esac
  cmake --build build/release --target "${build[@]}" >&2
  tools=build/release
fi
tool() {
  local found
  for found in "$tools/$1" "$tools/tests/$1"; do
    [ ! -x "$found" ] || { echo "$found"; return; }
  done
  echo "bench: $1 not found in $tools" >&2
  exit 2
}
load=$(tool bench_load)
upstream=$(tool bench_upstream)

# ---- processes, each of which is ended by its pid

ulimit -n "$(ulimit -Hn)" || true
work=$(mktemp -d /tmp/llm-proxy-bench.XXXXXX)
declare -A main_pid=() address=() binary=() own_settings=()
upstream_pid=

end() { # pid…: sends SIGTERM, and SIGKILL if that does not help
  local pid i
  for pid in "$@"; do kill -TERM "$pid" 2>/dev/null || true; done
  for pid in "$@"; do
    for ((i = 0; i < 50; i++)); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
    kill -KILL "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
}
cleanup() {
  trap - EXIT INT TERM
  end "${main_pid[@]}" $upstream_pid
  rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

await() { # name pid port: waits up to 10 s until GET /health is answered
  local i
  for ((i = 0; i < 200; i++)); do
    kill -0 "$2" 2>/dev/null || break
    if curl -s -o "$work/health" -m 1 "http://127.0.0.1:$3/health" 2>/dev/null; then return; fi
    sleep 0.05
  done
  echo "bench: $1 does not answer; its log ends with:" >&2
  tail -n 20 "$work/$1".log* "$work"/nginx-error.log >&2 2>/dev/null || true
  exit 2
}

start_upstream() {
  "${helper_core[@]}" "$upstream" --port 0 >"$work/upstream.log" &
  upstream_pid=$!
  local i port=
  for ((i = 0; i < 100 && ${#port} == 0; i++)); do
    sleep 0.02
    port=$(sed -n 's/^listening on //p' "$work/upstream.log")
  done
  upstream_address=127.0.0.1:$port
}

start_nginx() { # name port
  local user="user root;"
  [ "$(id -u)" = 0 ] || user=""
  sed -e "s/@USER@/$user/; s/@WORKERS@/$threads/; s/@FILES@/$(ulimit -n)/; s/@CONNECTIONS@/$(($(ulimit -n) * 11 / 10))/; s/@PORT@/$2/; s/@KEY@/$key/" \
    -e "s/@UPSTREAM@/$upstream_address/; s#@DIR@#$work#" tests/bench/nginx.conf.in >"$work/nginx.conf"
  "${measured_core[@]}" nginx -p "$work" -c "$work/nginx.conf" -e "$work/nginx-error.log" >"$work/$1.log" 2>&1 &
  main_pid[$1]=$!
}

start_haproxy() { # name port
  sed -e "s/@WORKERS@/$threads/; s/@CONNECTIONS@/$(($(ulimit -n) / 2 - 50))/; s/@PORT@/$2/; s/@KEY@/$key/; s/@UPSTREAM@/$upstream_address/" \
    tests/bench/haproxy.cfg.in >"$work/haproxy.cfg"
  "${measured_core[@]}" haproxy -f "$work/haproxy.cfg" >"$work/$1.log" 2>&1 &
  main_pid[$1]=$!
}

start_proxy() { # name port
  "${measured_core[@]}" env -i PATH="$PATH" HOME="$work" LLM_PROXY__LLM_MODE=litellm "LLM_PROXY__LITELLM_PROXY_URL=http://$upstream_address" \
    LLM_PROXY__PORT="$2" LLM_PROXY__THREADS="$threads" LLM_PROXY__INTERNAL_API_KEY=$key LLM_PROXY__LOG_LEVEL=INFO \
    ${BENCH_ENV:-} ${own_settings[$1]:-} "${binary[$1]}" >"$work/$1.log" 2>"$work/$1.log.err" &
  main_pid[$1]=$!
}

start() { # name
  [ "$1" != direct ] || { address[direct]=$upstream_address; return 0; }
  local port
  port=$(free_port)
  address[$1]=127.0.0.1:$port
  case "$1" in nginx) start_nginx "$1" "$port" ;; haproxy) start_haproxy "$1" "$port" ;; *) start_proxy "$1" "$port" ;; esac
  await "$1" "${main_pid[$1]}" "$port"
}

stop() { # name
  [ -n "${main_pid[$1]:-}" ] || return 0
  end "${main_pid[$1]}"
  unset "main_pid[$1]"
}

pid_options() { # name: prints --pid for the process and its children (nginx's workers), and nothing for direct
  [ -n "${main_pid[$1]:-}" ] || return 0
  local pid=${main_pid[$1]} child
  printf -- '--pid %s ' "$pid"
  for child in $(cat "/proc/$pid/task/$pid/children" 2>/dev/null); do printf -- '--pid %s ' "$child"; done
}

targets=()
for entry in $targets_given; do
  name=${entry%%=*}
  targets+=("$name")
  case "$entry" in
    *=*)
      path=${entry#*=}
      binary[$name]=$(realpath "${path%%,*}")
      case "$path" in *,*) settings=${path#*,} && own_settings[$name]=${settings//,/ } ;; esac ;;
    nginx | haproxy | direct) ;;
    llm-proxy) binary[$name]=$(realpath "$(tool llm-proxy)") ;;
    *) echo "bench: target $entry? (nginx, haproxy, direct, llm-proxy, or NAME=/path/to/llm-proxy)" >&2; exit 2 ;;
  esac
done

# ---- runs

wrong=0
run() { # scenario target round load-options…
  local scenario=$1 target=$2 round=$3 status=0
  shift 3
  # shellcheck disable=SC2046
  timeout 180 "${helper_core[@]}" "$load" "$@" --to "${address[$target]}" --key $key --ref-pid "$upstream_pid" $(pid_options "$target") \
    --tag "row=$scenario" --tag "target=$target" --tag "round=$round" >"$work/result" || status=$?
  cat "$work/result" >>"$out/results.jsonl"
  if [ $status -ne 0 ]; then
    wrong=1
    echo "bench: $scenario $target round $round: exit code $status" >&2
  fi
  python3 tests/bench/report.py --line "$work/result" >&2 || true
}

options_of() { # scenario: prints the options for bench_load
  case "$1" in
    requests) echo requests --connections 64 ;;
    stream2ms) echo streams --connections 64 --events 500 --delay-ms 2 ;;
    stream20ms) echo streams --connections 500 --events 100 --delay-ms 20 ;;
    unpaced) echo streams --connections 64 --events 2000 ;;
    memory) echo hold --connections 2000 ;;
    memory9500) echo hold --connections 9500 ;;
    memory-ended) echo hold --connections 2000 --events $((duration + 6)) ;; # longer than opening, warm-up and run together
    latency) echo requests --connections 1 ;;
    first-event) echo streams --connections 1 --events 1 ;;
    requests:* | streams:* | hold:*)
      local kind=${1%%:*} settings=${1#*:} setting
      echo -n "$kind"
      for setting in ${settings//,/ }; do echo -n " --${setting%%=*} ${setting#*=}"; done
      echo
      ;;
    *) echo "bench: scenario $1? (${default_scenarios[*]}, or requests:…, streams:…, hold:… with bench_load's options)" >&2; return 2 ;;
  esac
}

first_answer() { # binary: prints the milliseconds from exec to the answer to GET /health
  python3 - "$1" "$work" <<'END'
import os, socket, statistics, subprocess, sys, time
times = []
for _ in range(9):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    began = time.monotonic()
    service = subprocess.Popen([sys.argv[1]], cwd=sys.argv[2], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               env={"PATH": os.environ["PATH"], "LLM_PROXY__PORT": str(port), "LLM_PROXY__LLM_MODE": "mock"})
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), 1) as client:
                client.sendall(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
                client.recv(100)
            break
        except ConnectionRefusedError:
            time.sleep(0.0002)
    times.append((time.monotonic() - began) * 1000)
    service.terminate()
    service.wait()
print(f"{statistics.median(times):.1f}")
END
}

second_opinion() { # prints the requests per second that wrk measures with the request of scenario requests
  local target rate
  printf '%s' 'wrk.method = "POST"' >"$work/post.lua"
  printf '\nwrk.headers["x-internal-auth"] = "%s"\nwrk.headers["content-type"] = "application/json"\n' "$key" >>"$work/post.lua"
  printf '%s\n' "wrk.body = '{\"model\":\"bench\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}'" >>"$work/post.lua"
  for target in "${targets[@]}"; do
    start "$target"
    rate=$(wrk -t1 -c64 -d"$duration" -s "$work/post.lua" "http://${address[$target]}/v1/chat/completions" |
      sed -n 's/^Requests\/sec: *//p; s/^ *Non-2xx/, WRONG ANSWERS/p' | tr -d '\n')
    printf ' %s %s,' "$target" "$rate"
    stop "$target"
  done
}

expanded=()
for scenario in "${scenarios[@]}"; do
  if [ "$scenario" = growth ]; then
    expanded+=("${growth[@]}")
    continue
  fi
  options_of "$scenario" >/dev/null
  expanded+=("$scenario")
  [ "$scenario" != latency ] || expanded+=(first-event)
done

: >"$out/results.jsonl"
start_upstream
for scenario in "${expanded[@]}"; do
  read -ra options < <(options_of "$scenario")
  these=("${targets[@]}")
  case "$scenario" in latency | first-event)
    case " ${targets[*]} " in *" direct "*) ;; *) these=(direct "${targets[@]}") ;; esac ;;
  esac
  for target in "${these[@]}"; do start "$target"; done
  for ((round = 1; round <= rounds; round++)); do
    for target in "${these[@]}"; do
      if [ "${options[0]}" = hold ]; then # memory is measured in a new process
        stop "$target"
        start "$target"
      fi
      run "$scenario" "$target" "$round" "${options[@]}" --duration "$duration"
    done
  done
  for target in "${these[@]}"; do stop "$target"; done
done

{
  echo "nginx: $(nginx -v 2>&1 | sed 's/.*: //')"
  case " ${targets[*]} " in *" haproxy "*) echo "haproxy: $(haproxy -v | head -n 1 | cut -d' ' -f3)" ;; esac
  for target in "${targets[@]}"; do
    [ -n "${binary[$target]:-}" ] || continue
    strip -o "$work/stripped" "${binary[$target]}"
    echo "$target: $("${binary[$target]}" --version 2>/dev/null | head -n 1), $(stat -c %s "$work/stripped") bytes stripped," \
      "first answer $(first_answer "${binary[$target]}") ms after its start (median of 9)"
  done
  if [ $# -eq 0 ] && command -v wrk >/dev/null; then
    opinion=$(second_opinion)
    echo "second opinion, requests/s by wrk -t1 -c64 for $duration s, one run each:${opinion%,}"
  fi
  [ -z "${PIN:-}" ] || echo "placement: load and upstream on core 0, what is measured on core 1 (PIN=1)"
  echo "commit: $(git describe --always --dirty 2>/dev/null || echo unknown)"
} >"$work/versions"
python3 tests/bench/report.py --results "$out/results.jsonl" --targets "${targets[*]}" --versions "$work/versions" \
  --rounds "$rounds" --duration "$duration" --threads "$threads" --write "$report_to" --plots "$(dirname "$report_to")" \
  --plots-prefix "${PIN:+pinned_}" || wrong=1
echo "written to $report_to" >&2
exit $wrong
