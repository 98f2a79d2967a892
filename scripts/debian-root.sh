# Functions for scripts that try something in a fresh Debian system below a folder. They need root and debootstrap. No
# service runs in that system, and it uses the network of this machine. Scripts source this file.

# The same distribution as this machine's, so that a package that was built here can be installed there.
suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
pristine=build/roots/$suite

new_root() { # folder: makes a minimal system there, as a copy of one that is made once
  [ "$(id -u)" = 0 ] || { echo "$(basename "$0"): needs root, for chroot" >&2; exit 3; }
  command -v debootstrap >/dev/null || DEBIAN_FRONTEND=noninteractive apt-get -qq install -y debootstrap >&2
  if [ ! -f "$pristine.done" ]; then
    rm -rf "$pristine"
    mkdir -p "$(dirname "$pristine")"
    echo "Making a minimal $suite in $pristine (once, a minute or two)" >&2
    debootstrap --variant=minbase "$suite" "$pristine" "$mirror" >"$pristine.log" 2>&1 || { tail "$pristine.log" >&2; exit 1; }
    touch "$pristine.done"
  fi
  mkdir -p "$1"
  cp -a "$pristine/." "$1/"
  cp /etc/resolv.conf "$1/etc/resolv.conf"
  # Keeps packages from starting services.
  printf '#!/bin/sh\nexit 101\n' >"$1/usr/sbin/policy-rc.d"
  chmod 755 "$1/usr/sbin/policy-rc.d"
}

enter_root() { # folder command…: replaces this shell by the command
  local root=$1
  shift
  exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C DEBIAN_FRONTEND=noninteractive chroot "$root" "$@"
}

in_root() { (enter_root "$@"); } # folder command…: runs the command
