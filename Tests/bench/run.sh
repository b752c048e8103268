#!/bin/sh
# Builds what the benchmarks need under OUTDIR, then runs them. The table names programs that are not installed.
#
# usage: run.sh VMM-BENCH VMM GUEST OUTDIR [ARGUMENT...]      the arguments are vmm-bench's, rows among them
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
bench=$1 vmm=$2 guest=$3 out=$4
shift 4
mkdir -p "$out"
cc=${CC:-$(command -v cc || command -v clang)}
for peer in loop transfer write frames; do
    "$cc" -O2 -Wall -Wextra -o "$out/$peer" "$here/../../Sources/vmm-bench/peers/$peer.c"
done
# 256 MiB without holes that do not compress, to read and to write; read once, so that they are in the page cache for the buffered rows.
size=${DISK_MIB:-256}
for image in disk scratch; do
    if [ "$(stat -c %s "$out/$image" 2>/dev/null)" != $((size << 20)) ]; then
        dd if=/dev/urandom of="$out/$image" bs=1M count="$size" status=none conv=fsync
    fi
    cat "$out/$image" >/dev/null
done
# What the guests of the rows of snapshots have in memory.
[ -s "$out/initrd" ] || head -c 64M "$out/disk" > "$out/initrd"
# For the rows of the network a TAP interface in a namespace of its own, in which nothing but the frames of the benchmark is on it.
interface='ip tuntap add dev tap0 mode tap && echo 1 > /proc/sys/net/ipv6/conf/tap0/disable_ipv6 && ip link set tap0 up'
if [ -w /dev/net/tun ] && unshare -n sh -c "$interface" 2>/dev/null; then
    exec unshare -n sh -c "$interface"' && exec "$0" "$@" --tap tap0' \
        "$bench" run --vmm "$vmm" --guest "$guest" --disk "$out/disk" --scratch "$out/scratch" --peers "$out" "$@"
fi
exec "$bench" run --vmm "$vmm" --guest "$guest" --disk "$out/disk" --scratch "$out/scratch" --peers "$out" "$@"
