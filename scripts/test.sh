#!/bin/sh
# Installs, builds and checks everything: generated documents, include rules, all tests. Ends with ctest's summary.
#   scripts/test.sh                    everything
#   scripts/test.sh --without-clients  without the real SDKs and the browser, for a machine that reaches no package registry
set -eu
cd "$(dirname "$0")/.."
fail() {
  echo "$(basename "$0"): $*" >&2
  exit 1
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
  # Taken out of its package: installed, that would start a server.
  if [ ! -x build/promtool/usr/bin/promtool ]; then
    echo 'Fetching promtool for the tests into build/promtool' >&2
    mkdir -p build/promtool
    (cd build/promtool && apt-get -qq download prometheus && dpkg-deb -x prometheus_*.deb . && rm prometheus_*.deb) ||
      echo 'promtool cannot be fetched here (above): nothing will check the scrape and the alert rules' >&2
  fi
  PATH=$PATH:$PWD/build/promtool/usr/bin
  export PATH
fi
echo 'Installing a real LiteLLM proxy for the tests into build/litellm (about 20 s the first time)' >&2
scripts/litellm.sh install || echo 'LiteLLM cannot be installed here (above): its tests will be SKIPPED' >&2
if [ $clients = yes ]; then
  echo 'Installing what the pages are built and tested with into build/web and build/browser (about 10 s the first time)' >&2
  if command -v npm >/dev/null; then
    status=0
    scripts/web.sh --check || status=$?
    [ $status = 0 ] || [ $status = 3 ] || exit $status
    [ $status = 0 ] || echo 'SKIPPED: whether http/web/dist is what http/web makes (reason above)' >&2
  else
    echo 'SKIPPED: whether http/web/dist is what http/web makes (no npm here)' >&2
  fi
  scripts/browser.sh install || echo 'No browser tests here (reason above): they will be SKIPPED' >&2
  echo 'Installing the SDKs for the tests into build/clients (about 15 s the first time)' >&2
  scripts/clients.sh install || echo 'The SDKs cannot be installed here (above): their tests will be SKIPPED' >&2
  ctest --preset release --output-on-failure
else
  echo 'LEFT OUT: the tests with real SDKs and a browser (--without-clients)' >&2
  ctest --preset release --output-on-failure --label-exclude 'clients|browser'
fi
