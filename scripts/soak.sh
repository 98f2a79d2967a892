#!/bin/sh
# Runs the release build under mixed load with faults for a while and says whether it leaks.
#   scripts/soak.sh [minutes]    5 by default
# Before a scripted upstream: requests, streams, uploads; upstreams that refuse, hang, cut and lie; clients that leave;
# SIGHUPs. Samples of RSS and descriptors go to build/soak/samples.csv, their plot to build/soak/samples.svg. Exit code
# 0: no leak and no wrong answer, 1: one of them, 2: it could not run.
set -eu
cd "$(dirname "$0")/.."
scripts/build.sh
mkdir -p build/soak
exec python3 tests/soak/soak.py --binary build/release/llm-proxy --minutes "${1-5}" --out build/soak
