#!/bin/sh
# Stock Debian Linux under vmm, in two nested hosts: kernels, devices, suspension; failures, network and snapshots. Afterwards the root
# disks are checked here.
#
# With suspend, network or snapshot, the long form of those tests alone; with torture SEEDS of them, 200 if not said, from FIRST on, of the KINDS
# disks, net and suspend, without the choices of WITHOUT (each with ,- in front): if not said those that Linux 6.1 does not survive, short
# and sizes.
#
# usage: run.sh VMM DIR NESTED [suspend|network|snapshot|torture]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
vmm=$1 dir=$2 nested=$3
PATH=$PATH:/sbin:/usr/sbin
"$here/../nested/host.sh" "$nested"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A disk with the kernels, and for each host a payload with some of the tests, and a root disk.
mkdir "$work/kernels" "$work/payload"
for file in cloud generic vmlinux vmlinux.notes xen memtest64 memtest32 "$dir"/*.cpio; do
    file=$dir/$(basename "$file")
    ln "$file" "$work/kernels/" 2> /dev/null || cp "$file" "$work/kernels/"
done
mke2fs -q -t ext4 -d "$work/kernels" "$work/kernels.img" 128M
cp "$vmm" "$work/payload/vmm"
cp -r "$dir/host-modules" "$work/payload/modules"
cp "$here/host.sh" "$work/payload/run.sh"
cp "$here/frozen.awk" "$here/network.sh" "$work/payload/"
cp -r "$dir/host-network" "$work/payload/network"

# host NAME TESTS...: runs them in a host of its own, and leaves in NAME what it printed and what became of its disk. A host whose own
# kernel stopped under QEMU's emulation is started once more.
host() {
    name=$1
    shift
    cp -r "$work/payload" "$work/$name.payload"
    for tests; do cp "$here/$tests-tests.sh" "$work/$name.payload/"; done
    for again in "# $name: the nested host's kernel stopped; all of it once more" ""; do
        mke2fs -q -F -t ext4 -d "$dir/root" "$work/$name.img" 256M
        cp --sparse=always "$work/kernels.img" "$work/$name.kernels"
        code=0
        "$here/../nested/run.sh" "$nested" "$work/$name.payload" "$seconds" 2048 "$work/$name.img" "$work/$name.kernels" \
            > "$work/$name" 2>&1 || code=$?
        if [ $code = 75 ] && [ -n "$again" ]; then echo "$again"; tail -n 20 "$work/$name"; else break; fi
    done
    [ $code = 0 ] || echo "not ok - $name: the nested host exited with $code" >> "$work/$name"
    judge "$name: the root disk is clean" e2fsck -fn "$work/$name.img"
}
# judge WHAT COMMAND...
judge() {
    what=$1
    shift
    if "$@" > "$work/$name.judgement" 2>&1; then echo "ok - $what"; else echo "not ok - $what"; sed 's/^/#   /' "$work/$name.judgement"; fi \
        >> "$work/$name"
}
# The files that Linux wrote in the first host.
checkFiles() {
    name=boot
    for number in 1 2 3; do debugfs -R "dump /data.$number $work/data.$number" "$work/boot.img" 2> /dev/null; done
    debugfs -R "cat /sums" "$work/boot.img" 2> /dev/null | sed "s|/data|$work/data|" > "$work/sums"
    judge "the files that Linux wrote are on the root disk" sh -c "[ -s $work/sums ] && sha256sum -c $work/sums"
}
seconds=1200
if [ -n "${4:-}" ]; then
    touch "$work/payload/long" "$work/boot"
    echo "seeds=${SEEDS:-200} first=${FIRST:-1} kinds='${KINDS:-disks net suspend}' without=${WITHOUT-,-short,-sizes}" \
        > "$work/payload/seeds"
    seconds=7200
    host other "$4"
else
    host boot boot suspend &
    host other failure network snapshot
    wait
    checkFiles
fi
# The nested host's own last words only where it failed.
cat "$work/boot" "$work/other" > "$work/output"
grep -aE '^(ok|not ok|#)' "$work/output" | grep -v '^# met by' || true
# The clauses that Linux put to the test, for the ledger: id, and by which transport.
[ -n "${4:-}" ] || sed -n 's/^# met by \(.\): /\1 /p' "$work/output" |
    awk '{ for (n = 2; n <= NF; n++) met[$n] = index(met[$n], $1) ? met[$n] : met[$n] " " $1 }
        END { for (id in met) print id "\t" (met[id] == " S L" ? "L S" : substr(met[id], 2)) }' | sort > "$dir/met.tsv"
passed=$(grep -acE '^ok ' "$work/output" || true) failed=$(grep -acE '^not ok' "$work/output" || true)
echo "linux: $passed checks passed, $failed failed, in stock Debian kernels under kvm_amd"
"$here/../kvm.sh" ran "$passed" "checks of stock Linux" "kvm_amd in a nested host"
[ "$failed" = 0 ] || { for name in boot other; do tail -n 40 "$work/$name" | sed "s/^/$name: /"; done; exit 1; }
