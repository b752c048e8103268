#!/bin/sh
# The qtest interface as a script meets it: the documentation's example in both dialects, and the lines of same-as-qemu, which
# QEMU and vmm have to answer alike.
#
# usage: run.sh VMM
set -eu
vmm=$(realpath "$1")
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

example() {
    cat > "$work/expected" <<END
running: Status 0x0f, running, 0 in flight
suspending: Status 0x0f, suspending, 1 in flight
IRQ raise 6
suspended: Status $2, suspended, 0 in flight
used 1 status byte 0
resumed: Status 0x0f, running, 0 in flight
END
    timeout 60 python3 "$here/suspend_disk.py" "$vmm" "$1" > "$work/got"
    diff "$work/expected" "$work/got"
}
example draft 0x1f
example 1.4 0x1b
echo "qtest: the example is right in both dialects"

grep -v '^#' "$here/same-as-qemu" > "$work/lines"
timeout 60 "$vmm" --qtest stdio < "$work/lines" > "$work/vmm"
if command -v qemu-system-x86_64 > /dev/null; then
    # Distributions leave the qtest accelerator out; a machine that never starts does as well. QEMU does not end with its input.
    mkfifo "$work/in"
    timeout 60 qemu-system-x86_64 -M microvm,acpi=off -accel tcg -S -display none -nodefaults \
        -qtest stdio -qtest-log none < "$work/in" > "$work/qemu" &
    qemu=$!
    exec 3> "$work/in"
    cat "$work/lines" >&3
    while kill -0 $qemu 2> /dev/null && [ "$(wc -l < "$work/qemu")" -lt "$(wc -l < "$work/lines")" ]; do :; done
    kill $qemu
    exec 3>&-
    diff "$work/qemu" "$work/vmm"
    echo "qtest: QEMU and vmm answer $(wc -l < "$work/lines") lines alike"
else
    echo "qtest: skipped - same-as-qemu: there is no qemu-system-x86_64"
fi
