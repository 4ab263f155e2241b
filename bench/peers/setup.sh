#!/bin/sh
# Installs PyTorch 2.6 for the benchmarks: a Debian 13 (trixie) root under the cache folder, and a `python3` that runs in it.
# Debian 12 has PyTorch 1.13 only. Needs root, debootstrap, 3 GB of disk, and a Debian mirror:
#
#     sh bench/peers/setup.sh [--mirror URL]
#
# Benchmarks use it from then on. Delete the folder to go back to /usr/bin/python3.
set -eu

mirror=
while [ $# -gt 0 ]; do
  case "$1" in
    --mirror) mirror=${2:?--mirror takes a URL}; shift 2 ;;
    *) echo "usage: sh bench/peers/setup.sh [--mirror URL]" >&2; exit 2 ;;
  esac
done
if [ "$(id -u)" != 0 ]; then echo "setup.sh makes a root file system: run it as root" >&2; exit 1; fi
if ! command -v debootstrap >/dev/null; then echo "setup.sh needs debootstrap: apt-get install debootstrap" >&2; exit 1; fi
# The mirror that this machine installs from.
if [ -z "$mirror" ]; then
  mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null |
    sed -n -E 's/^(deb +(\[[^]]*\] +)?|URIs: *)(https?:[^ ]+).*/\3/p' | grep -v security | head -n 1)
fi
if [ -z "$mirror" ]; then echo "no Debian mirror in /etc/apt: name one with --mirror" >&2; exit 1; fi

home=${XDG_CACHE_HOME:-$HOME/.cache}/kasane/peers
root=$home/trixie
mkdir -p "$home"
if [ ! -x "$root/usr/bin/apt-get" ]; then
  rm -rf "$root"
  debootstrap --variant=minbase trixie "$root" "$mirror"
fi
# OpenMP's OpenBLAS: the threads of libopenblas0-pthread spin, and two of them make a small step ten times as slow.
chroot "$root" env DEBIAN_FRONTEND=noninteractive sh -c '
  apt-get update -q &&
  apt-get install -q -y --no-install-recommends python3-torch python3-numpy libopenblas0-openmp &&
  apt-get clean'

# Binds its /proc, /dev and the repository of the script that it runs in a mount namespace, which ends with the process.
cat > "$home/python3" <<EOF
#!/bin/sh
root='$root'
EOF
cat >> "$home/python3" <<'EOF'
bound=
if [ -f "${1-}" ]; then bound=$(cd "$(dirname "$1")/../.." && pwd); fi
exec unshare --mount sh -c '
  root=$1; bound=$2; here=$(pwd); shift 2
  mount -t proc proc "$root/proc" && mount --rbind /dev "$root/dev" || exit 1
  if [ -n "$bound" ]; then mkdir -p "$root$bound" && mount --bind "$bound" "$root$bound" || exit 1; fi
  exec chroot "$root" /bin/sh -c "cd \"\$0\" 2>/dev/null || cd /; exec /usr/bin/python3 \"\$@\"" "$here" "$@"
' sh "$root" "$bound" "$@"
EOF
chmod +x "$home/python3"
"$home/python3" -c 'import torch; print("PyTorch", torch.__version__, "at", "'"$home/python3"'")'
