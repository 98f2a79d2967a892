#!/bin/sh
# Installs, builds and checks everything: generated documents, include rules, and all tests. The last lines are ctest's
# summary and what was skipped, if anything. The first run takes about 15 minutes on two processors.
#   scripts/test.sh                    everything
#   scripts/test.sh --without-clients  without the real SDKs and the browser, for a machine without a package registry
set -eu
cd "$(dirname "$0")/.."
fail() {
  echo "$(basename "$0"): $*" >&2
  exit 1
}

skips=0 skipped=
skip() { # what: reports it now, and again in the last lines
  skips=$((skips + 1))
  skipped="$skipped
  $1"
  echo "SKIPPED: $1" >&2
}
node_is_new_enough() {
  command -v node >/dev/null && command -v npm >/dev/null && [ "$(node -p 'process.versions.node.split(".")[0]')" -ge 20 ]
}

clients=yes
case "${1-}" in
  '') ;;
  --without-clients) clients=no ;;
  *) fail "unknown argument '$1' (known: --without-clients)" ;;
esac

scripts/build.sh --all
scripts/generate-docs.sh --check
scripts/check-includes.py
if ! command -v promtool >/dev/null; then
  # It is only extracted from its package, because installing the package would start a server.
  if [ ! -x build/promtool/usr/bin/promtool ]; then
    echo 'Fetching promtool for the tests into build/promtool' >&2
    mkdir -p build/promtool
    (cd build/promtool && apt-get -qq download prometheus && dpkg-deb -x prometheus_*.deb . && rm prometheus_*.deb) ||
      skip 'promtool on the scrape and the alert rules: it cannot be fetched here (above)'
  fi
  PATH=$PATH:$PWD/build/promtool/usr/bin
  export PATH
fi
echo 'Installing a real LiteLLM proxy for the tests into build/litellm (1 to 2 minutes the first time)' >&2
scripts/litellm.sh install || skip 'the tests with a real LiteLLM (reason above)'
labels='^$'
if [ $clients = yes ]; then
  echo 'Installing the SDKs for the tests, and a Node, into build/clients (about 15 s the first time)' >&2
  scripts/clients.sh install || skip 'the tests with real SDKs (reason above)'
  echo 'Installing Claude Code and Codex for the tests into build/clients (800 MB, about 20 s the first time)' >&2
  scripts/clients.sh install agents || skip 'the tests with agents (reason above)'
  if ! node_is_new_enough && node=$(scripts/clients.sh node); then
    PATH=$node:$PATH
    export PATH
  fi
  if ! command -v chromium >/dev/null && ! command -v chromium-browser >/dev/null && ! command -v google-chrome >/dev/null; then
    echo 'Installing Chromium for the tests (about a minute)' >&2
    scripts/build.sh --browser --install-only || true
  fi
  echo 'Installing what the pages are built and tested with into build/web and build/browser (about 10 s the first time)' >&2
  status=0
  scripts/web.sh --check || status=$?
  case $status in
    0) ;;
    3) skip 'whether http/web/dist is what http/web makes (reason above)' ;;
    *) exit $status ;;
  esac
  scripts/browser.sh install || skip 'the tests of the pages in a browser (reason above)'
else
  skip 'the tests with real SDKs and a browser (--without-clients)'
  labels='clients|browser'
fi
# The status of ctest is kept in a file, because the status of the pipe is that of tee.
mkdir -p build/test
{
  status=0
  ctest --preset release --output-on-failure --label-exclude "$labels" || status=$?
  echo $status >build/test/status
} | tee build/test/ctest.log
if [ "$(cat build/test/status)" = 0 ] && [ -n "$skipped" ]; then
  printf '\n%s: all that ran passed; SKIPPED %s of its parts:%s\n' "$(basename "$0")" "$skips" "$skipped" >&2
fi
exit "$(cat build/test/status)"
