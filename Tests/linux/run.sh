#!/bin/sh
# Stock Debian Linux under vmm, in the nested host: kernels, devices, ways to end. Afterwards the root disk is checked here.
#
# usage: run.sh VMM DIR NESTED
set -eu
here=$(cd "$(dirname "$0")" && pwd)
vmm=$1 dir=$2 nested=$3
PATH=$PATH:/sbin:/usr/sbin
"$here/../nested/host.sh" "$nested"
"$here/build.sh" "$dir"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The root disk, and one with the kernels.
mke2fs -q -t ext4 -d "$dir/root" "$work/root.img" 256M
mkdir "$work/kernels"
for file in cloud cloud.cpio generic generic.cpio vmlinux virtio_mmio_suspend.cpio broken_no_hold.cpio broken_no_wait.cpio broken_kick.cpio broken_status.cpio; do ln "$dir/$file" "$work/kernels/" 2>/dev/null || cp "$dir/$file" "$work/kernels/"; done
mke2fs -q -t ext4 -d "$work/kernels" "$work/kernels.img" 128M
mkdir "$work/payload"
cp "$vmm" "$work/payload/vmm"
cp -r "$dir/host-modules" "$work/payload/modules"
cp "$here/host-tests.sh" "$work/payload/run.sh"
cp "$here/suspend-tests.sh" "$here/frozen.awk" "$work/payload/"
"$here/../nested/run.sh" "$nested" "$work/payload" "${SECONDS_MOST:-1200}" 2048 "$work/root.img" "$work/kernels.img" > "$work/output" || true
grep -aE '^(ok|not ok|#)' "$work/output" || { cat "$work/output"; exit 1; }

# The disk as Linux left it.
judge() { if "$@" > "$work/judgement" 2>&1; then echo "ok - $what"; else echo "not ok - $what"; sed 's/^/#   /' "$work/judgement"; fi; }
{
    what="the root disk is clean"
    judge e2fsck -fn "$work/root.img"
    what="the files that Linux wrote are on it"
    for number in 1 2 3; do debugfs -R "dump /data.$number $work/data.$number" "$work/root.img" 2> /dev/null; done
    debugfs -R "cat /sums" "$work/root.img" 2> /dev/null | sed "s|/data|$work/data|" > "$work/sums"
    judge sh -c "[ -s $work/sums ] && sha256sum -c $work/sums"
} > "$work/after"
cat "$work/after"
cat "$work/after" >> "$work/output"
ended=$(grep -ac '^nested host: payload exited with 0' "$work/output" || true)
passed=$(grep -acE '^ok ' "$work/output" || true) failed=$(grep -acE '^not ok' "$work/output" || true)
echo "linux: $passed checks passed, $failed failed, in stock Debian kernels under kvm_amd"
"$here/../kvm.sh" ran "$passed" "checks of stock Linux" "kvm_amd in a nested host"
[ "$failed" = 0 ] && [ "$ended" = 1 ] || { [ "$ended" = 1 ] || tail -n 40 "$work/output"; exit 1; }
