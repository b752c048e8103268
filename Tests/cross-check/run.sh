#!/bin/sh
# This project and QEMU, each against the other. First the built-in guest boots under QEMU's microvm, so that its driver
# meets devices this project did not write, in each of the forms of a queue that QEMU has. Each check that fails must
# stand in known-qemu-faults beside this file, and each that stands there must fail wherever it is not skipped, and at
# least once: anything else is an error, as are a missing plan, a wrong exit code and silence. ACCEL=tcg or ACCEL=kvm
# chooses the accelerator. Then compare.py drives the devices of both by hand, register by register, and explains what
# they do differently.
#
# usage: run.sh VMM
set -eu
vmm=$(realpath "$1")
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
qemu=${QEMU:-qemu-system-x86_64}
if ! command -v "$qemu" >/dev/null; then
    echo "cross-check: $qemu is not installed; on Debian: apt-get install --no-install-recommends qemu-system-x86" >&2
    exit 1
fi
if ! command -v python3 >/dev/null; then
    echo "cross-check: python3 is not installed; on Debian: apt-get install --no-install-recommends python3" >&2
    exit 1
fi
if [ -z "${ACCEL:-}" ] && "$here/../kvm.sh" needed "cross-check with KVM"; then ACCEL=kvm; fi
accel=${ACCEL:-tcg}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$here/../../guest/build.sh" "$work"
truncate -s 16M "$work/disk"
truncate -s 1M "$work/read-only"
printf 'hello,world' >"$work/input"
sed -n 's/^\([a-z][^ ]*\) .*/\1/p' "$here/known-qemu-faults" | sort >"$work/known"
: >"$work/met"

fail() {
    echo "cross-check ($accel, $form): $1" >&2
    cat "$work/tap" "$work/stderr" >&2
    exit 1
}

# One boot with the words $2 on the guest's command line; what is $1, the report says.
pass() {
    form=$1
    code=0
    timeout 60 "$qemu" -M microvm,acpi=off -accel "$accel" -m 128M -global virtio-mmio.force-legacy=false \
        -nodefaults -no-user-config -display none -no-reboot -kernel "$work/guest.elf" \
        -append "input=hello,world $2" \
        -chardev stdio,id=terminal,signal=off -device virtio-serial-device,packed=on \
        -device virtconsole,chardev=terminal \
        -drive "if=none,id=disk,format=raw,file=$work/disk" -device virtio-blk-device,packed=on,drive=disk \
        -drive "if=none,id=ro,format=raw,readonly=on,file=$work/read-only" \
        -device virtio-blk-device,packed=on,drive=ro \
        -device isa-debug-exit,iobase=0xf4,iosize=4 <"$work/input" >"$work/tap" 2>"$work/stderr" || code=$?

    # isa-debug-exit gives (value << 1) | 1: 0x55 says that every check passed, 0x2a that one did not.
    case $code in
        171 | 85) ;;
        124) fail "no end within 60 seconds" ;;
        *) fail "QEMU ended with exit code $code" ;;
    esac

    results=$(grep -cE '^(not )?ok ' "$work/tap" || true)
    grep -qx "1\.\.$results" "$work/tap" || fail "no plan for the $results results"
    # QEMU offers all that is asked for here.
    if grep -q ' - features-offered # SKIP' "$work/tap"; then fail "a feature is not offered"; fi

    sed -n 's/^not ok [0-9]* - \([^ ]*\).*/\1/p' "$work/tap" | sort >"$work/failed"
    sed -n '/# SKIP/s/^ok [0-9]* - \([^ ]*\).*/\1/p' "$work/tap" | sort >"$work/skipped"
    comm -23 "$work/known" "$work/skipped" >"$work/expected"
    diff "$work/expected" "$work/failed" >&2 || fail "what failed (>) is not what known-qemu-faults lists (<)"
    if [ -s "$work/failed" ]; then expected=85; else expected=171; fi
    [ "$code" = "$expected" ] || fail "exit code $code contradicts the results"
    cat "$work/failed" >>"$work/met"
    echo "cross-check ($accel, $form): $results checks, $(wc -l <"$work/skipped") skipped," \
        "$(wc -l <"$work/failed") known faults of QEMU"
}

pass "split" ""
pass "split, indirect, event_idx" "features=indirect+event_idx"
pass "packed" "features=packed"
pass "packed, indirect, event_idx" "features=packed+indirect+event_idx"

sort -u "$work/met" | diff "$work/known" - >&2 || fail "a known fault (<) was never met"

timeout 300 python3 "$here/compare.py" "$vmm" "$qemu"
