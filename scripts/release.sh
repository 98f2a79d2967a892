#!/usr/bin/env bash
# Makes build/dist: the source of HEAD as a tarball, the Debian package built from that tarball, the SBOM of the linked
# libraries and compiled headers (SPDX 2.3), and their SHA256SUMS. The version is that of CMakeLists.txt, and CHANGELOG.md
# must have a section for it.
#   scripts/release.sh              needs a clean work tree
#   scripts/release.sh --snapshot   of any HEAD, without uncommitted changes, and needs no section in CHANGELOG.md
set -euo pipefail
cd "$(dirname "$0")/.."
fail() { echo "release.sh: $*" >&2; exit 1; }
case "${1-}" in '' | --snapshot) ;; *) fail "unknown argument '$1' (known: --snapshot)" ;; esac

version=$(sed -n 's/^project(llm-proxy VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
[ -n "$version" ] || fail 'no version in CMakeLists.txt'
if [ "${1-}" != --snapshot ]; then
  [ -z "$(git status --porcelain)" ] || fail 'the work tree has changes that are not committed (or: --snapshot)'
  grep -q "^## \[\?$version" CHANGELOG.md || fail "CHANGELOG.md has no section of $version (or: --snapshot)"
fi
commit=$(git describe --always --tags)
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH

name=llm-proxy-$version
dist=build/dist
source=$PWD/build/dist-source
rm -rf "$dist" "$source"
mkdir -p "$dist" "$source"
# Outside of git config/commit.cmake reads the commit from this file.
echo "$commit" >"$source/COMMIT"
git archive --format=tar --prefix="$name/" --add-file="$source/COMMIT" HEAD | gzip -9n >"$dist/$name.tar.gz"

tar -xzf "$dist/$name.tar.gz" -C "$source"
echo "Building the package from $name.tar.gz" >&2
deb=$(cd "$source/$name" && GIT_DIR=/nowhere scripts/package.sh)
cp "$source/$name/$deb" "$dist/"
binary=$source/$name/build/release/llm-proxy
case "$("$binary" --version)" in
  *"$version ($commit)") ;;
  *) fail "the binary says '$("$binary" --version)', expected $version and $commit" ;;
esac
scripts/sbom.py "$source/$name/build/release" "$version" "$commit" >"$dist/$name.spdx.json"
rm -rf "$source"
cd "$dist"
sha256sum -- * >SHA256SUMS
sha256sum --quiet -c SHA256SUMS
cat SHA256SUMS
