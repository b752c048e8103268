#!/bin/sh
# What `make check` needs beside the checkout, and the Debian package that has it. This is the only list of packages.
#
# usage: needs.sh check              names all that is missing, and the line that installs it; fails if something is
#        needs.sh install            runs that line, as root or by sudo; does nothing where nothing is missing
set -eu

# A program, or a file's whole path, and its package. The Swift toolchain is not in Debian; the libraries at the end, but for
# the last one, which builds kernel modules, are those it is linked to.
needs() {
    cat << 'END'
swift -
swiftc -
clang -
ld.lld -
docc -
git git
/etc/ssl/certs/ca-certificates.crt ca-certificates
/usr/include/stdio.h libc6-dev
/usr/include/linux/virtio_mmio.h linux-libc-dev
g++ g++
gcc gcc
make make
python3 python3
qemu-system-aarch64 qemu-system-arm
qemu-system-x86_64 qemu-system-x86
busybox busybox-static
cpio cpio
ethtool ethtool
fish fish
fio fio
gdb gdb
/usr/bin/lldb lldb
iasl acpica-tools
ip iproute2
lz4 lz4
mke2fs e2fsprogs
parallel parallel
passt passt
prove perl
strace strace
tcpdump tcpdump
valgrind valgrind
zsh zsh
/usr/lib/x86_64-linux-gnu/libcurl.so.4 libcurl4
/lib/x86_64-linux-gnu/libncurses.so.6 libncurses6
/usr/lib/x86_64-linux-gnu/libsqlite3.so.0 libsqlite3-0
/usr/lib/x86_64-linux-gnu/libxml2.so.2 libxml2
/usr/lib/x86_64-linux-gnu/libelf.so.1 libelf1
END
}

missing() {
    needs | while read -r name package; do
        case $name in
        /*) [ -e "$name" ] ;;
        *) PATH=$PATH:/usr/sbin:/sbin command -v "$name" > /dev/null ;;
        esac || echo "$name $package"
    done
}

# The nested hosts are made of this package, which is downloaded, not installed.
kernel=linux-image-cloud-amd64
lists_missing() { ! apt-cache show $kernel > /dev/null 2>&1; }

all=$(missing)
packages=$(echo "$all" | awk '$2 != "" && $2 != "-" { print $2 }' | sort -u | paste -sd ' ')
root=
if [ "$(id -u)" != 0 ] && command -v sudo > /dev/null; then root="sudo "; fi
line="${root}apt-get update"
[ -z "$packages" ] || line="$line && ${root}apt-get install -y --no-install-recommends $packages"

# Prints all that is missing; fails if nothing is.
report() {
    if lists_missing; then known=; else known=yes; fi
    [ -n "$all" ] || [ -z "$known" ] || return 1
    {
        echo "make check needs what is missing here:"
        echo "$all" | awk '$2 == "-" { printf "    %-40s the Swift toolchain: https://www.swift.org/install\n", $1 }
            $2 != "" && $2 != "-" { printf "    %-40s Debian package %s\n", $1, $2 }'
        [ -n "$known" ] || printf '    %-40s %s\n' $kernel "apt does not know it: its lists are missing or old"
    } >&2
}

case ${1:-} in
check)
    report || exit 0
    if [ -n "$packages" ] || lists_missing; then printf 'make setup installs it by:\n    %s\n' "$line" >&2; fi
    exit 1
    ;;
install)
    report || exit 0
    if ! command -v apt-get > /dev/null; then
        echo "setup: there is no apt-get here; install what is missing by this system's own means" >&2
        exit 1
    elif [ "$(id -u)" != 0 ] && [ -z "$root" ]; then
        printf 'setup: this user is not root, and there is no sudo here; run as root:\n    %s\n' "$line" >&2
        exit 1
    fi
    export DEBIAN_FRONTEND=noninteractive
    sh -c "$line" >&2
    exec "$0" check
    ;;
*)
    sed -n 's/^# usage: /usage: /p; s/^#        needs/       needs/p' "$0" >&2
    exit 64
    ;;
esac
