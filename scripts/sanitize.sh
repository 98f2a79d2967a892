#!/bin/sh
# Builds and runs the tests with sanitizers: all layers with ASan, LeakSanitizer and UBSan, and the service tests with
# TSan. Every report is a failure.
#   scripts/sanitize.sh               both builds
#   scripts/sanitize.sh dev|tsan      one of them
set -eu
cd "$(dirname "$0")/.."

run() { # preset, ctest labels, targets
  echo "Building and running $1 ($2)" >&2
  stamp=build/$1/build.ninja
  if [ ! -f "$stamp" ] || [ -n "$(find CMakePresets.json -newer "$stamp")" ]; then
    cmake --preset "$1" >&2
    touch "$stamp"
  fi
  # shellcheck disable=SC2086 # one word per target
  cmake --build "build/$1" --parallel "$(nproc)" --target $3 >&2
  ctest --preset "$1" --output-on-failure --label-regex "^($2)\$"
}

export ASAN_OPTIONS="detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1${ASAN_OPTIONS+:$ASAN_OPTIONS}"
export UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1${UBSAN_OPTIONS+:$UBSAN_OPTIONS}"
export TSAN_OPTIONS="suppressions=$PWD/tests/tsan.supp:second_deadlock_stack=1${TSAN_OPTIONS+:$TSAN_OPTIONS}"
replays=$(basename -a -s _fuzz.cpp tests/fuzz/*_fuzz.cpp | sed 's/$/_replay/')
case "${1-both}" in
  dev | both) run dev 'unit|actor|service|fuzz' "unit_tests actor_tests service_tests fault_tests $replays" ;;
esac
case "${1-both}" in
  tsan | both) run tsan 'service' 'service_tests fault_tests' ;;
  dev) ;;
  *)
    echo "$(basename "$0"): unknown argument '$1' (known: dev, tsan)" >&2
    exit 2
    ;;
esac
