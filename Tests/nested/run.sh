#!/bin/sh
# Boots the nested host of host.sh with the files of PAYLOAD under /payload, and runs /payload/run.sh there. Prints its output;
# exits with the exit code of run.sh, with 1 if run.sh did not end in time, or with 75 if the host itself stopped: for two minutes
# nothing came from it, though it says every 20 s that it is alive.
#
# DISKs are files that are /dev/vda, /dev/vdb and so on in the host, after the payload has loaded virtio_blk.
#
# usage: run.sh DIR PAYLOAD [SECONDS [MEBIBYTES [DISK...]]]
set -eu
dir=$1
payload=$2
seconds=${3:-120}
memory=${4:-1024}
shift "$(($# < 4 ? $# : 4))"
disks=
for disk in "$@"; do disks="$disks -drive if=virtio,format=raw,file=$disk"; done
command -v qemu-system-x86_64 > /dev/null || { echo "nested host: install qemu-system-x86" >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/root"
cp -a "$payload" "$work/root/payload"
(cd "$work/root" && find payload -print0 | cpio --null -o -H newc --quiet) > "$work/payload.cpio"
cat "$dir/host.cpio" "$work/payload.cpio" > "$work/initrd"

# Processor and machine type were found by trial: EPYC has SVM under TCG, and q35 always boots. QEMU's TCG now and then loses the
# interrupt of a timer while a nested guest spins, and the host stands still until there is another interrupt: one from a key, each second.
# shellcheck disable=SC2086
while sleep 1; do echo; done | timeout "$seconds" qemu-system-x86_64 -accel tcg,thread=single -M q35 -m "$memory" -cpu EPYC -smp 1 $disks \
    -kernel "$dir/vmlinuz" -initrd "$work/initrd" \
    -append "console=ttyS0 panic=-1 quiet mitigations=off noxsave" \
    -nodefaults -no-user-config -nographic -serial stdio -no-reboot > "$work/output" 2>&1 &
qemu=$!
stopped=
while kill -0 $qemu 2> /dev/null; do
    sleep 1
    [ -z "$(find "$work/output" -mmin +2)" ] || { stopped=1; kill $qemu; break; }
done
wait $qemu || true
tr -d '\r' < "$work/output" | grep -av '^nested host: alive' || true
code=$(tr -d '\r' < "$work/output" | sed -n 's/^nested host: payload exited with //p')
[ -z "$stopped" ] || { echo "nested host: its kernel stopped" >&2; exit 75; }
[ -n "$code" ] || { echo "nested host: the payload did not end within $seconds s" >&2; exit 1; }
exit "$code"
