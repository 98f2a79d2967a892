#!/bin/sh
# Installs, builds and checks everything: generated documents, include rules, all tests. Ends with ctest's summary.
set -eu
cd "$(dirname "$0")/.."
scripts/build.sh --all
scripts/generate-docs.sh --check
scripts/check-includes.py
ctest --preset release --output-on-failure
