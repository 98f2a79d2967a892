#!/usr/bin/env bash
# Builds build/package/llm-proxy_VERSION_ARCH.deb for the distribution of this machine.
#   scripts/package.sh           builds it
#   scripts/package.sh --check   also installs, starts, upgrades, removes and purges it in a fresh system below
#                                build/roots, and checks its units (needs root; takes a minute)
set -euo pipefail
cd "$(dirname "$0")/.."
fail() { echo "package.sh: $*" >&2; exit 1; }
case "${1-}" in '' | --check) ;; *) fail "unknown argument '$1' (known: --check)" ;; esac

scripts/build.sh --package
rm -rf build/package
# The version has the number of commits, so that apt sees a package from later commits as newer.
version=$(sed -n 's/^project(llm-proxy VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
commits=$(git rev-list --count HEAD 2>/dev/null) && version=$version+$commits
(umask 022 && cpack -D CPACK_PACKAGE_VERSION="$version" --config build/release/CPackConfig.cmake -B build/package >build/package.log 2>&1) ||
  { tail -n 20 build/package.log >&2; fail 'cpack failed (above)'; }
rm -rf build/package/_CPack_Packages
deb=$(echo build/package/llm-proxy_*.deb)
echo "$deb"
[ "${1-}" = --check ] || exit 0

# ---- the check, in a system where it has never been installed

. scripts/debian-root.sh
root=$PWD/build/roots/package
service=
cleanup() {
  [ -z "$service" ] || kill -KILL "$service" 2>/dev/null || true
  rm -rf "$root"
}
trap cleanup EXIT
rm -rf "$root"
new_root "$root"

is() { # what command…: reports `what` as right, or fails if the command fails
  local what=$1
  shift
  "$@" || fail "$what: $* failed"
  echo "ok: $what"
}
not() { ! "$@"; }
files() { (cd "$root" && find etc usr lib var/lib/systemd -path '*llm-proxy*' | grep -v '^var/lib/dpkg' || true); }

in_root "$root" apt-get -qq update
cp "$deb" "$root/tmp/llm-proxy.deb"
in_root "$root" apt-get -qq install -y --no-install-recommends /tmp/llm-proxy.deb >build/package-install.log 2>&1 ||
  { tail build/package-install.log >&2; fail 'apt-get install failed (above)'; }
is 'its configuration is a conffile' grep -q ' /etc/llm-proxy/llm-proxy.env ' \
  <(in_root "$root" dpkg-query -W -f '${Conffiles}\n' llm-proxy | sed 's/$/ /')
is 'only root reads its configuration' test "$(stat -c %a:%u "$root/etc/llm-proxy/llm-proxy.env")" = 600:0
is 'dpkg finds every file as it was packed' test -z "$(in_root "$root" dpkg --verify llm-proxy)"
is 'no link of its documents points nowhere' scripts/installed-docs.py "$root/usr/share/doc/llm-proxy"
is 'it accepts the configuration it brings' in_root "$root" llm-proxy --check-config

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
mock=(env LLM_PROXY__LLM_MODE=mock LLM_PROXY__PORT="$port" setpriv --reuid 65532 --regid 65532 --clear-groups)
enter_root "$root" "${mock[@]}" llm-proxy >build/package-service.log 2>&1 &
service=$!
for _ in $(seq 50); do in_root "$root" "${mock[@]}" llm-proxy health >/dev/null 2>&1 && break; sleep 0.1; done
is 'it serves as a user without rights' in_root "$root" "${mock[@]}" llm-proxy health
kill -TERM $service
is 'it ends with 0 on SIGTERM' wait $service
service=

in_root "$root" apt-get -qq install -y --no-install-recommends systemd >/dev/null 2>&1
for unit in llm-proxy.service llm-proxy.socket; do
  complaints=$(in_root "$root" systemd-analyze verify --man=no "/lib/systemd/system/$unit" 2>&1 | grep llm-proxy || true)
  [ -z "$complaints" ] || fail "systemd complains of $unit: $complaints"
  echo "ok: systemd accepts $unit"
done
in_root "$root" systemd-analyze security --offline=yes --threshold=15 --no-pager /lib/systemd/system/llm-proxy.service \
  >build/package-security.log || fail "systemd rates the unit as unsafe: build/package-security.log"
echo "ok: $(tail -n 1 build/package-security.log)"

echo '# mine' >>"$root/etc/llm-proxy/llm-proxy.env"
is 'it is installed over itself' in_root "$root" dpkg -i /tmp/llm-proxy.deb >/dev/null
is 'an upgrade keeps a changed configuration' grep -q '# mine' "$root/etc/llm-proxy/llm-proxy.env"
in_root "$root" apt-get -qq remove -y llm-proxy >/dev/null 2>&1
is 'removed, it leaves its configuration alone' test "$(files)" = "$(printf 'etc/llm-proxy\netc/llm-proxy/llm-proxy.env')"
in_root "$root" apt-get -qq purge -y llm-proxy >/dev/null 2>&1
is 'purged, it leaves nothing' test -z "$(files)"
