#!/bin/sh
# Runs the release build under mixed load with faults for a while, and reports whether it leaks.
#   scripts/soak.sh [minutes]    5 by default
# The load in front of a scripted upstream is requests, streams and uploads; upstreams that refuse, hang, cut answers or
# send wrong ones; clients that leave; and SIGHUPs. Samples of RSS and descriptors are written to build/soak/samples.csv,
# and their plot to build/soak/samples.svg. Exit code 0: no leak and no wrong answer, 1: a leak or a wrong answer, 2: it
# could not run.
set -eu
cd "$(dirname "$0")/.."
scripts/build.sh
mkdir -p build/soak
exec python3 tests/soak/soak.py --binary build/release/llm-proxy --minutes "${1-5}" --out build/soak
