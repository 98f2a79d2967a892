#!/usr/bin/env bash
# Builds the pages of http/web into http/web/dist, which is committed, so that building the service needs no Node.
#
#   scripts/web.sh           builds them
#   scripts/web.sh --check   fails if http/web/dist does not match its sources
#
# Exit codes: 0 done, 1 differs or failed, 2 wrong usage, 3 can't be built on this machine (the reason is on stderr).
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
dir=$root/build/web

fail() { local code=$1; shift; echo "web.sh: $*" >&2; exit "$code"; }

case ${1:-} in '' | --check) ;; *) fail 2 "unknown argument '$1' (known: --check)" ;; esac
command -v node >/dev/null && command -v npm >/dev/null || fail 3 "needs node and npm"
node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' || fail 3 "needs Node 20 or newer"

# Build in a copy beside the tree, so that only files that git knows are used.
mkdir -p "$dir"
rm -rf "$dir/src" "$dir/public" "$dir/dist"
cp -r "$root/http/web/src" "$root/http/web/public" "$dir/"
cp "$root/http/web/"{package.json,package-lock.json,.npmrc,vite.config.js} "$dir/"
cd "$dir"
npm ci --silent >&2 || fail 3 "the packages of http/web/package-lock.json could not be installed"
npx vite build --logLevel warn >&2 || fail 1 "the build failed (above)"
if [ "${1:-}" = --check ]; then
  diff -r "$dir/dist" "$root/http/web/dist" >/dev/null || fail 1 "http/web/dist is not what http/web makes; run scripts/web.sh"
  echo 'web.sh: http/web/dist is up to date'
else
  rm -rf "$root/http/web/dist"
  cp -r "$dir/dist" "$root/http/web/dist"
fi
