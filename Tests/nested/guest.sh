#!/bin/sh
# Runs the built-in guest under kvm_amd: a static vmm in the nested host runs it in both dialects and without SUSPEND, then with two and
# four processors that access one disk at once (Tests/stress/concurrency.py says what must come of that), then
# kernels of a few instructions: one that starts its processors at once, ten times each number, one that crashes, and one that runs while
# each thread of vmm is tried for what it must not do (Tests/sandbox).
#
# usage: guest.sh VMM DIR [ACCESSES]       so many accesses in each of the two runs of processors at once, 12,500 if not said
set -eu
here=$(cd "$(dirname "$0")" && pwd)
payload=$(mktemp -d)
trap 'rm -rf "$payload"' EXIT
cp "$1" "$payload/vmm"
for kernel in PROCESSORS TRIPLE_FAULT SPIN; do "$here/../cli/kernel.sh" $kernel "$payload"; done
clang -static -O1 "$here/../sandbox/walls.c" -o "$payload/walls"
echo "accesses=${3:-12500}" > "$payload/run.sh"
cat >> "$payload/run.sh" << 'RUN'
failed=0
for dialect in draft 1.4 off; do
    echo "# --suspend $dialect"
    /payload/vmm --suspend $dialect --timeout 100s < /dev/null > /tmp/tap
    code=$?
    cat /tmp/tap
    grep -q '^1\.\.[0-9]' /tmp/tap && [ $code = 0 ] || { echo "not ok: --suspend $dialect exited with $code"; failed=1; }
done
ok() { echo "ok - $1"; }
fail() { echo "not ok - $1: $2"; failed=1; }
cd /payload
for count in 2 4 8 32; do
    others=$((count - 1)) started=
    for run in 0 1 2 3 4 5 6 7 8 9; do
        ./vmm PROCESSORS.elf -c $count --discovery none -a "$(printf "%${others}s" | tr ' ' x)" --timeout 60s \
            < /dev/null > /dev/null 2> /tmp/errors
        started="$started $?"
    done
    name="$count processors are started by the first instruction, ten times"
    case "$(echo $started | tr ' ' '\n' | sort -u)" in
        $((others * 2 + 1))) ok "$name" ;;
        *) fail "$name" "exit codes$started, expected $((others * 2 + 1)); $(cat /tmp/errors)" ;;
    esac
done
dd if=/dev/zero of=/tmp/disk bs=1M count=1 2> /dev/null
for run in "2 draft io=uring" "4 1.4 io=threads"; do
    set -- $run
    name="$1 processors access one disk at once, --suspend $2, $3"
    ./vmm run -c $1 --suspend $2 -d /tmp/disk,$3 --drain-deadline 100ms --trace /tmp/trace --json --timeout 100s \
        -a concurrency=$accesses -a processors=$1 -a disk=2 < /dev/null > /tmp/tap 2> /tmp/errors
    code=$?
    ./vmm check --json /tmp/trace > /tmp/replayed 2>> /tmp/errors
    grep "^# concurrency" /tmp/tap
    # What the device found of its driver, the replay finds too.
    found=$(sed -n 's/.*"conformance":{\("devices":.*\)},"unclaimed".*/\1/p' /tmp/errors)
    [ $code = 0 ] && grep -q '^ok 1 - concurrency$' /tmp/tap && [ -n "$found" ] && [ "{$found,\"unknown\":[]}" = "$(cat /tmp/replayed)" ] &&
        ok "$name" || fail "$name" "exit code $code; $(cat /tmp/tap) $(head -c 2000 /tmp/errors) $(head -c 2000 /tmp/replayed)"
done
rm /tmp/trace
# kvm_amd resets a vCPU at a triple fault.
./vmm TRIPLE_FAULT.elf < /dev/null 2> /tmp/errors
[ $? = 33 ] && grep -q "the guest's registers at the fault are lost: .*kvm_amd" /tmp/errors &&
    ! grep -q "rip " /tmp/errors && grep -q "write of 0x5a to port 0x80" /tmp/errors &&
    ok "a triple fault is reported without the registers after the reset, and with the last exits" ||
    fail "a triple fault" "$(cat /tmp/errors)"
sleep 300 | ./vmm SPIN.elf -c 2 -d /tmp/disk --rng host --net null --serial null --console file=/tmp/console --qmp stdio \
    --stall-after 60m --trace /tmp/trace -v > /tmp/answers 2> /tmp/errors &
count=0
until grep -q vcpu1 /proc/[0-9]*/task/*/comm 2> /dev/null || [ $count = 300 ]; do sleep 0.1; count=$((count + 1)); done
for process in /proc/[0-9]*; do
    grep -q '^vcpu0$' "$process"/task/*/comm 2> /dev/null && ./walls "${process#/proc/}" > /tmp/walls && code=0 && break
    code=$?
done
cat /tmp/walls
name="no thread of vmm may do what the sandbox forbids"
[ $code = 0 ] && grep -q "^vmm: the sandbox is on" /tmp/errors && ok "$name" || fail "$name" "$(cat /tmp/errors)"
exit $failed
RUN
"$here/host.sh" "$2"
output=$(mktemp)
code=0
"$here/run.sh" "$2" "$payload" 300 > "$output" || code=$?
cat "$output"
echo "nested host: $(grep -c '^ok ' "$output") checks passed, $(grep -c '^not ok' "$output") failed, $(grep -c '# SKIP' "$output") skipped, under kvm_amd"
"$here/../kvm.sh" ran "$(grep -c '^ok ' "$output")" "checks of the built-in guest" "kvm_amd in a nested host"
rm -f "$output"
exit "$code"
