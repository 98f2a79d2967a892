#!/usr/bin/env bash
# Installs and runs a real LiteLLM proxy for the tests, in a virtual environment of its own and never in the system's
# Python.
#
#   scripts/litellm.sh install                 installs the packages that tests/litellm/requirements.txt pins, by hash
#   scripts/litellm.sh start [--port N] [--config FILE] [--upstream URL] [--env NAME=VALUE]…
#                                              prints PORT=… PID=… URL=… KEY=… LOG=… once it answers
#   scripts/litellm.sh stop [--pid N | --port N]   stops that one, or all that were started with this LITELLM_DIR
#   scripts/litellm.sh version                 prints the pinned version
#
# Environment: LITELLM_DIR (default build/litellm), PYTHON (default python3), UPSTREAM_URL (".../v1", the default of
# --upstream). Exit codes: 0 done, 1 failed, 2 wrong usage, 3 can't be installed on this machine (the reason is on stderr).
# LiteLLM gets a clean environment without our variables, and makes no calls to the outside.
set -euo pipefail
# uv comes with certificate authorities of its own. With these settings it uses the system's, which may include those of a
# company.
export UV_NATIVE_TLS=1 UV_SYSTEM_CERTS=1

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
dir=${LITELLM_DIR:-$root/build/litellm}
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
requirements=$root/tests/litellm/requirements.txt
tools=$root/tests/litellm/requirements-tools.txt
python=${PYTHON:-python3}
key=sk-litellm-test

say() { echo "litellm.sh: $*" >&2; }
fail() { local code=$1; shift; say "$*"; exit "$code"; }
pinned() { sed -n 's/^litellm==\([^ ;]*\).*/\1/p' "$requirements"; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif sudo -n true 2>/dev/null; then sudo "$@"
  else return 1; fi
}

need_python() {
  command -v "$python" >/dev/null && "$python" -c 'import ensurepip, venv' 2>/dev/null && return
  command -v apt-get >/dev/null || fail 3 "needs python3 with the venv module, and there is no apt-get to install it"
  say "installing python3-venv"
  { as_root apt-get -qq update && as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y python3-venv; } \
    >&2 || fail 3 "needs python3 with the venv module: apt-get install python3-venv did not work"
}

installed() {  # stamp: whether the installation is complete and has these pins, and its Python still works
  [ "$(cat "$dir/venv/.installed" 2>/dev/null)" = "$1" ] && "$dir/venv/bin/python" -c '' 2>/dev/null
}

install() {
  local stamp
  case "$(pinned)" in
    1.82.7|1.82.8|1.107.0) fail 3 "litellm $(pinned) is a compromised release: never install it" ;;
    '') fail 1 "no litellm pin in $requirements" ;;
  esac
  stamp=$(cat "$requirements" "$tools" | sha256sum | cut -d' ' -f1)
  if installed "$stamp"; then return 0; fi
  exec 9>"$dir/install.lock"
  flock 9
  if installed "$stamp"; then exec 9>&-; return 0; fi
  need_python
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || fail 3 "needs Python 3.11 or newer"
  local begun=$SECONDS
  rm -rf "$dir/venv"
  "$python" -m venv "$dir/venv" >&2 || fail 3 "$python -m venv failed"
  # Only wheels, so that no package can run code of its own during the installation.
  local flags=(--no-deps --require-hashes --only-binary :all:)
  if "$dir/venv/bin/python" -m pip install -q "${flags[@]}" -r "$tools" >&2; then
    "$dir/venv/bin/uv" pip install -q --python "$dir/venv/bin/python" "${flags[@]}" -r "$requirements" >&2 ||
      say "uv could not install it; pip tries the same"
  fi
  # If uv has installed everything this only confirms it. Otherwise it takes a minute or two.
  "$dir/venv/bin/python" -m pip install -q "${flags[@]}" -r "$requirements" >&2 ||
    fail 3 "the packages of tests/litellm/requirements.txt could not be installed"
  "$dir/venv/bin/python" -m pip check -q >&2 || fail 3 "the installed packages do not fit together"
  echo "$stamp" >"$dir/venv/.installed"
  say "installed litellm $(pinned) in $((SECONDS - begun)) s"
  exec 9>&-
}

free_port() {
  "$dir/venv/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

answers() (  # port: whether LiteLLM answers a GET. It uses only bash, so that polling is cheap.
  exec 3<>"/dev/tcp/127.0.0.1/$1" || exit 1
  printf 'GET /health/liveliness HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n' >&3
  read -r -t 2 -u 3 line && [[ $line == *" 200 "* ]]
) 2>/dev/null

start() {
  local port='' config=$root/tests/litellm/config.yaml upstream=${UPSTREAM_URL:-http://127.0.0.1:9/v1} more=()
  while [ $# -gt 0 ]; do
    [ $# -ge 2 ] || fail 2 "$1 needs a value"
    case $1 in
      --port) port=$2 ;;
      --config) config=$(realpath "$2") ;;
      --upstream) upstream=$2 ;;
      --env) more+=("$2") ;;
      *) fail 2 "start does not know $1" ;;
    esac
    shift 2
  done
  install
  [ -n "$port" ] || port=$(free_port)
  local log=$dir/litellm-$port.log home=$dir/home begun=$SECONDS pid
  mkdir -p "$home"
  find "$dir" -maxdepth 1 -name 'litellm-*.log' -mmin +1440 -delete
  # LITELLM_MODE=PRODUCTION keeps it from reading the .env of the working directory.
  (cd "$home" && exec setsid env -i PATH=/usr/bin:/bin HOME="$home" LANG=C.UTF-8 LITELLM_MODE=PRODUCTION \
    LITELLM_LOCAL_MODEL_COST_MAP=True LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS=True LITELLM_LOCAL_AUTOROUTER_PRESETS=True \
    LITELLM_LOCAL_BLOG_POSTS=True LITELLM_LOCAL_POLICY_TEMPLATES=True NO_DOCS=True DISABLE_ADMIN_UI=True \
    UPSTREAM_URL="$upstream" "${more[@]}" "$dir/venv/bin/litellm" --host 127.0.0.1 --port "$port" --config "$config" \
    --telemetry False) </dev/null >"$log" 2>&1 9>&- &
  pid=$!
  echo "$pid $(started_at "$pid")" >"$dir/litellm-$port.pid"
  until answers "$port"; do
    if ! kill -0 "$pid" 2>/dev/null; then
      rm -f "$dir/litellm-$port.pid"
      tail -n 20 "$log" >&2
      fail 1 "LiteLLM ended before it answered; its log is $log"
    fi
    if [ $((SECONDS - begun)) -gt "${LITELLM_START_SECONDS:-120}" ]; then
      kill "$pid" 2>/dev/null || true
      rm -f "$dir/litellm-$port.pid"
      tail -n 20 "$log" >&2
      fail 1 "LiteLLM did not answer in ${LITELLM_START_SECONDS:-120} s; its log is $log"
    fi
    sleep 0.2
  done
  kill -0 "$pid" 2>/dev/null || fail 1 "something else answers on port $port"
  say "LiteLLM $(pinned) answers after $((SECONDS - begun)) s"
  printf 'PORT=%s\nPID=%s\nURL=http://127.0.0.1:%s\nKEY=%s\nLOG=%s\n' "$port" "$pid" "$port" "$key" "$log"
}

# Prints when a process was started, as the kernel counts. Together with the id it identifies the process, so that no other
# process that has got the same id is killed.
started_at() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }

stop_file() {
  local pid began
  read -r pid began <"$1" || true
  rm -f "$1"
  [ -n "$pid" ] && [ "$(started_at "$pid")" = "$began" ] || return 0
  kill "$pid" 2>/dev/null || return 0
  for _ in $(seq 50); do
    [ "$(started_at "$pid")" = "$began" ] || return 0
    [ "$(sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null | cut -c1)" = Z ] && return 0
    sleep 0.1
  done
  kill -KILL "$pid" 2>/dev/null || true
}

stop() {
  local want_pid='' want_port='' file pid
  while [ $# -gt 0 ]; do
    [ $# -ge 2 ] || fail 2 "$1 needs a value"
    case $1 in
      --pid) want_pid=$2 ;;
      --port) want_port=$2 ;;
      *) fail 2 "stop does not know $1" ;;
    esac
    shift 2
  done
  for file in "$dir"/litellm-*.pid; do
    [ -e "$file" ] || continue
    read -r pid _ <"$file" || true
    if [ -n "$want_pid" ] && [ "$pid" != "$want_pid" ]; then continue; fi
    if [ -n "$want_port" ] && [ "$file" != "$dir/litellm-$want_port.pid" ]; then continue; fi
    stop_file "$file"
  done
}

command=${1:-}
[ $# -gt 0 ] && shift
case $command in
  install) install ;;
  start) start "$@" ;;
  stop) stop "$@" ;;
  version) pinned ;;
  *) sed -n '2,/^set/p' "${BASH_SOURCE[0]}" | sed '/^set/d; s/^# \{0,1\}//' >&2; exit 2 ;;
esac
