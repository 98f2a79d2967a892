#!/bin/sh
# Installs, builds and checks everything: generated documents, include rules, all tests. Ends with ctest's summary.
set -eu
cd "$(dirname "$0")/.."
scripts/build.sh --all
scripts/generate-docs.sh --check
scripts/check-includes.py
echo 'Installing a real LiteLLM proxy for the tests into build/litellm (about 20 s the first time)' >&2
scripts/litellm.sh install || echo 'LiteLLM cannot be installed here (above): its tests will be SKIPPED' >&2
ctest --preset release --output-on-failure
