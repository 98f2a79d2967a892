#!/bin/sh
# Fails if a C++ file is not formatted as .clang-format says, or if clang-tidy reports anything (.clang-tidy).
#   scripts/lint.sh            checks the format of all files (seconds)
#   scripts/lint.sh --all      and runs clang-tidy on all sources (up to half a minute for each file)
#   scripts/lint.sh FILE…      and runs clang-tidy on these files
# The tools are those of Debian 12, version 14, because other versions format differently. Without that version the exit
# code is 3.
set -eu
cd "$(dirname "$0")/.."
say() { echo "$(basename "$0"): $*" >&2; }

tidy=
case "${1-}" in
  '') ;;
  --all) tidy=$(git ls-files 'actors/*.cpp' 'adapters/*.cpp' 'config/*.cpp' 'http/*.cpp') ;;
  -*)
    say "unknown argument '$1' (known: --all)"
    exit 2
    ;;
  *) tidy=$* ;;
esac

wanted=clang-format
[ -z "$tidy" ] || wanted="$wanted clang-tidy"
for tool in $wanted; do
  if ! command -v "$tool-14" >/dev/null && command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends "$tool-14" >/dev/null 2>&1 || true
  fi
  if ! command -v "$tool-14" >/dev/null; then
    say "no $tool-14 here: nothing was checked"
    exit 3
  fi
done

# shellcheck disable=SC2046 # one word per file
clang-format-14 --dry-run --Werror $(git ls-files '*.cpp' '*.hpp')
say 'formats are right'
[ -n "$tidy" ] || exit 0

# The same options as in CMakeLists.txt. clang-tidy cannot use the compile commands of the build, because its precompiled
# headers are g++'s.
options='-std=gnu++20 -I. -DBOOST_ASIO_DISABLE_BOOST_COROUTINE -DBOOST_ASIO_NO_DEPRECATED -DSPDLOG_COMPILED_LIB
  -DSPDLOG_FMT_EXTERNAL -DFMT_SHARED'
[ ! -d build/release/generated ] || options="$options -Ibuild/release/generated"
mkdir -p build/lint
export options
# shellcheck disable=SC2016,SC2086 # for the inner shell; one word per file
printf '%s\n' $tidy | xargs -P "$(nproc)" -n 1 sh -c 'clang-tidy-14 --quiet "$1" -- $options 2>/dev/null' tidy >build/lint/found.log || true
if grep -qE 'warning:|error:' build/lint/found.log; then
  grep -E 'warning:|error:' build/lint/found.log | sort -u >&2
  exit 1
fi
say 'clang-tidy found nothing'
