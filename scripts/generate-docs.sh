#!/bin/sh
# Writes the documents that are generated from the tables in the code and from the recipes that the tests build. These are
# .env.example and docs/llm-proxy.1, and the parts of docs/api.md, docs/options.md and docs/extend.md between a pair of
# lines <!-- NAME:begin --> and <!-- NAME:end -->. NAME is options, errors, or recipe:FILE, which stands for the lines of
# tests/extend/FILE between `// recipe: begin` and `// recipe: end`.
# Then it checks links and the translation (scripts/check-docs.py).
# With --check it writes nothing, and fails if something is out of date. It asks build/release/llm-proxy, or
# $LLM_PROXY_BIN.
set -eu
binary=${LLM_PROXY_BIN-}
case "$binary" in '' | /*) ;; *) binary=$PWD/$binary ;; esac
cd "$(dirname "$0")/.."
binary=${binary:-build/release/llm-proxy}

fail() {
  echo "$(basename "$0"): $*" >&2
  exit 1
}

case "${1-}" in '' | --check) ;; *) fail "unknown argument '$1' (known: --check)" ;; esac
[ -x "$binary" ] || fail "no $binary: run scripts/build.sh first"

new=$(mktemp -d)
trap 'rm -rf "$new"' EXIT
mkdir "$new/docs" "$new/parts"
"$binary" --print-env-example >"$new/.env.example"
"$binary" --print-man-page >"$new/docs/llm-proxy.1"
"$binary" --print-options-table >"$new/parts/options"
"$binary" --print-errors-table >"$new/parts/errors"
for recipe in tests/extend/*.cpp; do
  part=$new/parts/recipe:$(basename "$recipe")
  echo '```cpp' >"$part"
  awk '$0 == "// recipe: end" { inside = 0 }
    inside { print }
    $0 == "// recipe: begin" { inside = 1; found = 1 }
    END { exit !found }' "$recipe" >>"$part" || fail "$recipe needs a line '// recipe: begin'"
  echo '```' >>"$part"
done

# fill FILE NAME...: writes $new/FILE. FILE must have each of the named parts exactly once, and no other parts.
fill() {
  file=$1
  shift
  for name in "$@"; do
    for marker in "<!-- $name:begin -->" "<!-- $name:end -->"; do
      [ "$(grep -cFx "$marker" "$file")" = 1 ] || fail "$file needs the line '$marker' once"
    done
  done
  [ "$(grep -c '^<!-- .*:begin -->$' "$file")" = $# ] || fail "$file has a part that nothing generates"
  awk -v parts="$new/parts/" '
    /^<!-- .*:end -->$/ { inside = 0 }
    !inside { print }
    /^<!-- .*:begin -->$/ {
      inside = 1
      part = parts substr($2, 1, length($2) - length(":begin"))
      while ((getline line < part) > 0) print line
    }' "$file" >"$new/$file"
}
fill docs/api.md errors
fill docs/options.md options
fill docs/extend.md recipe:own_adapter_test.cpp recipe:own_auth_test.cpp recipe:own_routes_test.cpp

for file in .env.example docs/api.md docs/options.md docs/extend.md docs/llm-proxy.1; do
  if [ "${1-}" = --check ]; then
    diff -u "$file" "$new/$file" >&2 || fail "$file is out of date: run scripts/generate-docs.sh"
  elif ! cmp -s "$file" "$new/$file"; then
    cat "$new/$file" >"$file"
    echo "wrote $file"
  fi
done
scripts/check-docs.py
