#!/bin/sh
# Fuzzes the parsers, each from its corpus in tests/fuzz/corpus, two at a time.
#   scripts/fuzz.sh [seconds] [target...]    by default all targets, for 60 s each
# New inputs are kept in build/fuzz/corpus. An input that causes a crash is written to build/fuzz/crashes, and the exit
# code is 1. Put its file into tests/fuzz/corpus/<target>/, where every test run replays it.
set -eu
cd "$(dirname "$0")/.."
fail() {
  echo "$(basename "$0"): $*" >&2
  exit 2
}

seconds=60
case "${1-}" in
  '') ;;
  *[!0-9]*) ;;
  *)
    seconds=$1
    shift
    ;;
esac
all=$(basename -a -s _fuzz.cpp tests/fuzz/*_fuzz.cpp)
for target in "$@"; do
  echo "$all" | grep -qx "$target" || fail "no target '$target' (known: $(echo $all))"
done
[ $# -gt 0 ] && all=$(printf '%s\n' "$@")

if ! command -v clang++ >/dev/null || ! ls /usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.fuzzer-*.a >/dev/null 2>&1; then
  command -v apt-get >/dev/null || fail 'clang++ with libFuzzer is needed'
  as_root=
  [ "$(id -u)" = 0 ] || as_root=sudo
  echo 'Installing clang and its sanitizer runtime' >&2
  $as_root apt-get -qq -y install --no-install-recommends clang >/dev/null
  version=$(clang++ -dumpversion | cut -d. -f1)
  $as_root apt-get -qq -y install --no-install-recommends "libclang-rt-$version-dev" >/dev/null
fi

cmake --preset fuzz -DLLM_PROXY_TESTS=OFF >/dev/null
# shellcheck disable=SC2046 # one word per target
cmake --build build/fuzz --parallel "$(nproc)" --target $(echo "$all" | sed 's/$/_fuzz/') >&2
mkdir -p build/fuzz/crashes build/fuzz/logs

# Runs one target, and prints how many inputs libFuzzer has tried.
cat >build/fuzz/one.sh <<'ONE'
target=$1 seconds=$2
mkdir -p "build/fuzz/corpus/$target"
if build/fuzz/"${target}"_fuzz -max_total_time="$seconds" -max_len=8192 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
  -artifact_prefix="build/fuzz/crashes/$target-" "build/fuzz/corpus/$target" "tests/fuzz/corpus/$target" \
  >"build/fuzz/logs/$target" 2>&1; then
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "build/fuzz/logs/$target")
  echo "$target: $runs inputs in $seconds s, no crash"
else
  tail -n 30 "build/fuzz/logs/$target" >&2
  echo "$target: CRASHED, see build/fuzz/logs/$target"
  exit 1
fi
ONE
status=0
echo "$all" | xargs -P 2 -I{} sh build/fuzz/one.sh {} "$seconds" || status=1
exit $status
