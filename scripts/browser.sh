#!/usr/bin/env bash
# Tests the pages and the CORS protocol in a real Chromium, and openapi.json against the running service.
#
#   scripts/browser.sh install   installs the packages that tests/browser pins into build/browser
#   scripts/browser.sh run       starts a service in mock mode and runs the tests
#   scripts/browser.sh pictures  does the same, and writes docs/images
#
# Exit codes: 0 done, 1 failed, 2 wrong usage, 3 can't be run on this machine (the reason is on stderr).
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
dir=$root/build/browser
pins=$root/tests/browser

fail() { local code=$1; shift; echo "browser.sh: $*" >&2; exit "$code"; }

# Chromium is the distribution's package. Playwright's own download is not used.
find_chromium() { command -v chromium || command -v chromium-browser || command -v google-chrome; }

install() {
  command -v node >/dev/null && command -v npm >/dev/null || fail 3 "needs node and npm (apt-get install nodejs npm)"
  node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' || fail 3 "needs Node 20 or newer"
  find_chromium >/dev/null || fail 3 "needs chromium (apt-get install chromium)"
  local stamp
  stamp=$(sha256sum <"$pins/package-lock.json")
  [ "$(cat "$dir/.installed" 2>/dev/null)" = "$stamp" ] && return 0
  mkdir -p "$dir"
  cp "$pins/package.json" "$pins/package-lock.json" "$pins/.npmrc" "$dir/"
  npm ci --prefix "$dir" --silent >&2 || fail 3 "the packages of tests/browser/package-lock.json could not be installed"
  printf '%s' "$stamp" >"$dir/.installed"
}

run() {
  install
  # Node looks for node_modules beside the tests.
  ln -sfn "$dir/node_modules" "$pins/node_modules"
  CHROMIUM=$(find_chromium) LLM_PROXY_BIN=${LLM_PROXY_BIN:-$root/build/release/llm-proxy} \
    node --test --test-reporter=spec --test-concurrency=1 "$pins/openapi_test.mjs" "$pins/cors_test.mjs" \
      "$pins/pages_test.mjs"
}

case ${1:-} in
  install) install ;;
  run) run ;;
  pictures) PICTURES=$root/docs/images run ;;
  *) sed -n '2,/^set/p' "${BASH_SOURCE[0]}" | sed '/^set/d; s/^# \{0,1\}//' >&2; exit 2 ;;
esac
