#!/bin/sh
# Writes what is generated from the options' table in config/option_table.cpp: .env.example, docs/llm-proxy.1, and the
# README between its two markers. With --check it writes nothing and fails when something is out of date.
# The binary: build/release/llm-proxy, or $LLM_PROXY_BIN.
set -eu
binary=${LLM_PROXY_BIN-}
case "$binary" in '' | /*) ;; *) binary=$PWD/$binary ;; esac
cd "$(dirname "$0")/.."
binary=${binary:-build/release/llm-proxy}
begin='<!-- options:begin -->' end='<!-- options:end -->'

fail() {
  echo "$(basename "$0"): $*" >&2
  exit 1
}

case "${1-}" in '' | --check) ;; *) fail "unknown argument '$1' (known: --check)" ;; esac
[ -x "$binary" ] || fail "no $binary: run scripts/build.sh first"
for marker in "$begin" "$end"; do
  [ "$(grep -cFx "$marker" README.md)" = 1 ] || fail "README.md needs the line '$marker' once"
done

new=$(mktemp -d)
trap 'rm -rf "$new"' EXIT
"$binary" --print-env-example >"$new/.env.example"
"$binary" --print-options-table >"$new/table"
mkdir "$new/docs"
"$binary" --print-man-page >"$new/docs/llm-proxy.1"
awk -v begin="$begin" -v end="$end" -v table="$new/table" '
  $0 == end { inside = 0 }
  !inside { print }
  $0 == begin { inside = 1; while ((getline line < table) > 0) print line }' README.md >"$new/README.md"

for file in .env.example README.md docs/llm-proxy.1; do
  if [ "${1-}" = --check ]; then
    diff -u "$file" "$new/$file" >&2 || fail "$file is out of date: run scripts/generate-docs.sh"
  elif ! cmp -s "$file" "$new/$file"; then
    cat "$new/$file" >"$file"
    echo "wrote $file"
  fi
done
