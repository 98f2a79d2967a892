#!/bin/sh
# Runs the long checks that the gate leaves out, one after the other. They take hours, and nothing else should run at the
# same time. Put the results into the notes of the change that was checked.
#   scripts/nightly.sh            all checks
#   scripts/nightly.sh NAME…      some of them: tidy, package, fuzz, soak, bench, clients
# The output of each check is kept in build/nightly/NAME.log. The last lines say which have passed. Exit code 1: one failed.
set -eu
cd "$(dirname "$0")/.."
parts=${*:-tidy package fuzz soak bench clients}
mkdir -p build/nightly
status=0 summary=
for part in $parts; do
  case "$part" in
    tidy) set -- scripts/lint.sh --all ;;
    package) set -- scripts/package.sh --check ;;
    fuzz) set -- scripts/fuzz.sh 120 ;;
    soak) set -- scripts/soak.sh 15 ;;
    bench) set -- env BENCH_OUT=build/nightly/BENCHMARK.md scripts/bench.sh ;;
    clients) set -- scripts/clients.sh run more ;;
    *)
      echo "$(basename "$0"): unknown part '$part' (known: tidy, package, fuzz, soak, bench, clients)" >&2
      exit 2
      ;;
  esac
  echo "$part: $*" >&2
  began=$(date +%s)
  if "$@" >"build/nightly/$part.log" 2>&1; then said=passed; else said=FAILED status=1; fi
  summary="$summary
$part: $said in $(($(date +%s) - began)) s (build/nightly/$part.log)"
  tail -n 3 "build/nightly/$part.log" >&2
done
echo "$summary"
exit $status
