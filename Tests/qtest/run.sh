#!/bin/sh
# The qtest interface used by scripts: the documentation's example in both dialects, a broken driver and its trace, and the lines
# of same-as-qemu, which QEMU and vmm have to answer alike.
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
echo "qtest: the example prints the expected states in both dialects"

# A script for each behaviour in which the two texts or this model's decisions matter.
for script in "$here"/suspend/*.py; do timeout 120 python3 "$script" "$vmm"; done

# The clauses that a broken driver violates are reported, for a fixed driver none; and `vmm check` reports the same from the trace.
check() { "$vmm" check "$1" > "$2" 2>&1 && code=0 || code=$?; }
"$here/broken_disk.py" "$vmm" "$work/broken" > "$work/got" 2> "$work/said"
for clause in 3.1.1-1b 4.2.3.2-0 3.1.1-7 5.2.6.1-6; do
    grep -q "blk0: the driver broke $clause " "$work/said" || { echo "qtest: $clause is not reported" >&2; exit 1; }
done
grep -q "drivers broke 4 of" "$work/said"
"$here/broken_disk.py" "$vmm" "$work/mended" fixed > "$work/got" 2> "$work/said"
if grep "broke [1-9]" "$work/said"; then exit 1; fi
check "$work/mended" "$work/report"
[ $code = 0 ]
check "$work/broken" "$work/report"
[ $code = 65 ] && grep -q "(3.1.1-1b 3.1.1-7 4.2.3.2-0 5.2.6.1-6)" "$work/report"
# `vmm check` finds violations by replaying the model: when the trace's violation records name no clause the report is the same, and
# with another value written or read it differs. Where the model differs from the trace the report ends.
sed 's/"clause":"[^"]*"/"clause":"none"/' "$work/broken" > "$work/stripped"
check "$work/stripped" "$work/again"
[ $code = 65 ] && diff "$work/report" "$work/again"
sed '/"reg":"QueueNotify"/s/"value":"0x0"/"value":"0x7"/' "$work/stripped" > "$work/written"
check "$work/written" "$work/again"
[ $code = 65 ] && grep -q "4.2.3.3-0" "$work/again"
sed '/"ev":"load"/s/0201"/0200"/' "$work/stripped" > "$work/read"
check "$work/read" "$work/again"
[ $code = 65 ] && grep -q "does not follow the trace" "$work/again" && ! grep -q "5.2.6.1-6" "$work/again"
head -c 3000 "$work/stripped" > "$work/cut"
check "$work/cut" "$work/again"
[ $code = 65 ] && grep -q "it is cut within line .* is unknown" "$work/again"
sed -n '1,8p' "$work/stripped" > "$work/cut"
check "$work/cut" "$work/again"
[ $code = 1 ] && grep -q "drivers broke 0 of" "$work/again" && grep -q "what follows line 8 is unknown" "$work/again"
echo "qtest: a broken driver's four mistakes are reported, during the run and from the trace"

grep -v '^#' "$here/same-as-qemu" > "$work/lines"
timeout 60 "$vmm" --qtest stdio < "$work/lines" > "$work/vmm"
if command -v qemu-system-x86_64 > /dev/null; then
    # Distributions build QEMU without the qtest accelerator; a machine that never starts replaces it. QEMU does not exit at the
    # end of its input.
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
