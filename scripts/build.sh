#!/bin/sh
# Installs missing packages with apt and builds build/release/llm-proxy.
#   scripts/build.sh                  builds only the service
#   scripts/build.sh --all            builds the tests, too, and installs what they need
#   scripts/build.sh --package        builds the service, and installs what scripts/package.sh needs
#   scripts/build.sh --browser        builds the service, and installs what scripts/browser.sh needs
#   scripts/build.sh … --install-only   only installs
set -eu
cd "$(dirname "$0")/.."

fail() {
  echo "$(basename "$0"): $*" >&2
  exit 1
}

all=no package=no browser=no build=yes
for argument; do
  case "$argument" in
    --all) all=yes ;;
    --package) package=yes ;;
    --browser) browser=yes ;;
    --install-only) build=no ;;
    *) fail "unknown argument '$argument' (known: --all, --package, --browser, --install-only)" ;;
  esac
done

# Each word is a package. Of alternatives (a|b) the first one that the distribution has is installed. On Debian 12
# libboost-dev is 1.74, which is too old, but there is also 1.81. Debian 13 and Ubuntu 24.04 have 1.83.
packages='g++ cmake ninja-build ccache libcaf-dev libspdlog-dev rapidjson-dev catch2 libssl-dev zlib1g-dev
  libboost1.83-dev|libboost1.81-dev|libboost-dev libboost-url1.83-dev|libboost-url1.81-dev|libboost-url-dev'
[ $all = yes ] && packages="$packages python3 python3-venv openssl"
[ $package = yes ] && packages="$packages dpkg-dev file"
[ $browser = yes ] && packages="$packages chromium"
least_boost=1.81

new_enough() { # package version
  case "$1" in
    libboost-dev | libboost-url-dev) dpkg --compare-versions "$2" ge $least_boost ;;
    *) [ -n "$2" ] ;;
  esac
}

installed() { # alternatives: whether one of them is installed and new enough
  for package in $(echo "$1" | tr '|' ' '); do
    version=$(dpkg-query -W -f='${db:Status-Status} ${Version}' "$package" 2>/dev/null) || continue
    [ "${version%% *}" = installed ] && new_enough "$package" "${version#* }" && return 0
  done
  return 1
}

available() { # alternatives: prints the one to install
  for package in $(echo "$1" | tr '|' ' '); do
    version=$(LC_ALL=C apt-cache policy "$package" | sed -n 's/^  Candidate: //p')
    [ "$version" = '(none)' ] && version=
    [ -n "$version" ] && new_enough "$package" "$version" && echo "$package" && return 0
  done
  return 1
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

apt() {
  log=$(mktemp)
  if ! as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120 "$@" >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    rm -f "$log"
    return 1
  fi
  rm -f "$log"
}

install_missing() {
  missing=
  for alternatives in $packages; do
    installed "$alternatives" || missing="$missing $alternatives"
  done
  [ -z "$missing" ] && return
  [ "$(id -u)" = 0 ] || command -v sudo >/dev/null ||
    fail "missing packages, and neither root nor sudo to install them:$missing"
  echo "Installing:$missing" >&2
  apt update || echo "$(basename "$0"): 'apt-get update' failed; trying with the lists that are here" >&2
  wanted=
  for alternatives in $missing; do
    package=$(available "$alternatives") || fail "no package $alternatives for this system (README.md names what a build needs)"
    wanted="$wanted $package"
  done
  # shellcheck disable=SC2086 # one word per package
  apt install --no-install-recommends $wanted || fail "apt-get can't install:$wanted"
}

if command -v apt-get >/dev/null && command -v dpkg-query >/dev/null; then
  install_missing
else
  echo "$(basename "$0"): no apt here; taking for granted that these are installed: $packages" >&2
fi

[ $build = yes ] || exit 0

# When CMakeLists.txt has changed ninja runs cmake again by itself, but it does not know of changes of the presets.
stamp=build/release/build.ninja
if [ ! -f $stamp ] || [ -n "$(find CMakePresets.json -newer $stamp)" ]; then
  cmake --preset release >&2 || fail 'cmake failed (above)'
  touch $stamp
fi
if [ $all = yes ]; then set --; else set -- --target llm-proxy; fi
cmake --build --preset release --parallel "$(nproc)" "$@" >&2 || fail 'the build failed (above)'
