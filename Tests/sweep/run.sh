#!/bin/sh
# vmm sweep and vmm sweep-merge with a kernel of a few instructions: which cells pass, what is reported, and that pieces of a sweep
# make the same report as one run. GNU parallel runs a plan, prove reads the TAP, junitparser the XML.
#
# usage: run.sh VMM             what takes seconds
#        run.sh VMM long        500 cells, run by GNU parallel in two shards, against one run
set -eu
vmm=$(realpath "$1")
here=$(cd "$(dirname "$0")" && pwd)
"$here/../kvm.sh" needed sweeps || exit 0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
clang --target=x86_64-unknown-none-elf -c "$here/kernel.S" -o k.o
ld.lld --image-base=0 -e start -Ttext=0x100000 k.o -o k.elf

fail() { echo "sweep: $1" >&2; cat out err >&2; exit 1; }
# sweep CODE ARGUMENT...: runs cells of the kernel, whose output stays in `out` and `err`.
sweep() {
    expected=$1
    shift
    code=0
    "$vmm" sweep "$@" -- k.elf --discovery none > out 2> err || code=$?
    [ "$code" = "$expected" ] || fail "exit code $code, not $expected: vmm sweep $*"
}
says() { grep -qF -e "$1" out || fail "it does not say: $1"; }
complains() { grep -qF -e "$1" err || fail "it does not complain: $1"; }
same() { cmp "$1" "$2" > out 2>&1 || { diff "$1" "$2" >> out || :; fail "$1 and $2 differ"; }; }
untimed() { sed 's/"milliseconds":[0-9]*/"milliseconds":0/' "$1"; }

if [ "${2:-}" = long ]; then
    # The last digit is written to the debug-exit port.
    grid="--over append=1..125 --over cpus=1,2 --over suspend=draft,1.4"
    sweep 1 $grid --exit 7 --json all.json --tap all.tap
    for k in 1 2; do
        "$vmm" sweep --plan $grid --exit 7 --shard $k/2 --json pieces -- k.elf --discovery none
    done > plan
    [ "$(wc -l < plan)" = 500 ] || fail "the plan has $(wc -l < plan) lines"
    mkdir pieces
    for k in 1 2; do
        awk "NR > 250 * ($k - 1) && NR <= 250 * $k" plan > "plan$k"
        parallel < "plan$k" > out 2> err || :
    done
    "$vmm" sweep-merge pieces/*.json --json merged.json --tap merged.tap > out 2> err && fail "failing cells pass" || :
    says "500 cells: 52 passed, 448 failed, 0 did not run"
    last=$(tail -n 1 out)
    same all.tap merged.tap
    untimed all.json > all
    untimed merged.json > merged
    same all merged
    echo "sweep: by GNU parallel in two shards, merged, and by one run the same report; its last line: $last"
    "$here/../kvm.sh" ran 1000 "cells of sweeps"
    exit 0
fi

start=$(date +%s)
# Exit codes, what failing cells share, the command that repeats one, and the reports.
sweep 1 --over append=p,2,3 --over cpus=1,2 --json a.json --tap a.tap --junit a.xml
says "with append=2 all 2 cells failed"
says "with append=3 all 2 cells failed"
says "2 failed: exit code 5: the guest wrote 2 to the debug-exit port"
says "6 cells: 2 passed, 4 failed, 0 did not run"
complains "of 6: append=3,cpus=2 failed: exit code 7"
command=$(sed -n '/append=2,cpus=2$/{n;p;q;}' out)
code=0
sh -c "$command" > out 2> err || code=$?
[ "$code" = 5 ] || fail "exit code $code, not 5: $command"
sweep 0 --over append=3 --exit 7
sweep 0
says "1 cells: 1 passed"
# Text, TAP and clauses.
sweep 1 --over append=hello,goodbye --expect hell
says "1 failed: the console did not print 'hell'"
nl='
'
sweep 1 --check-tap --over "append=1..1${nl}ok 1 - p,1..2${nl}ok 1 - p,not ok 1${nl}1..1${nl}p,ok 1${nl}ok 2${nl}1..2${nl}p,silent"
says "5 cells: 2 passed, 3 failed"
says "1 failed: TAP: 2 results planned, 1 results"
says "1 failed: not ok 1"
says "1 failed: no TAP on the console"
sweep 1 --clauses --over append=p,v
says "1 failed: broke 3.1.1-"
# A run that does not end is stopped by its own timeout; its output is kept.
mkdir logs
sweep 1 --over append=p,tail --timeout 1s --logs logs
says "1 failed: timed out after 1s"
grep -q '^tail$' logs/append=tail.txt || fail "the log lacks the console"
grep -q 'timed out' logs/append=tail.txt || fail "the log lacks standard error"
# The first failure ends the sweep; its report goes on.
sweep 1 --over append=p,2,p2,p3 --jobs 1 --fail-fast --json b.json --tap b.tap
says "4 cells: 1 passed, 1 failed, 2 did not run"
sweep 1 --over append=p,2,p2,p3 --resume b.json --json b.json
says "4 cells: 1 passed, 3 failed, 0 did not run"
complains "2 of 2: "
grep -q "of 2: append=2 " err && fail "a cell with a result runs again"
sweep 1 --over append=p,2 --resume b.json
complains "of another sweep"
sweep 1 --resume k.elf
complains "name one"
# Two shards are one run, and so is a plan run by GNU parallel.
for k in 1 2; do
    sweep 1 --over append=p,2,3 --over cpus=1,2 --shard $k/2 --json $k.json
done
"$vmm" sweep-merge 2.json 1.json --json m.json --tap m.tap --junit m.xml > out 2> err && fail "failing cells pass" || :
same a.tap m.tap
untimed a.json > a
untimed m.json > m
same a m
"$vmm" sweep-merge 2.json > out 2> err && fail "a missing shard passes" || :
says "3 did not run"
sweep 0 --plan --over append=p,2,3 --over cpus=1,2 --json pieces
mkdir pieces
mv out plan
parallel < plan > out 2> err || :
"$vmm" sweep-merge pieces/*.json --tap m.tap > out 2> err || :
same a.tap m.tap
sweep 0 --shard 3/3 --over append=p,2
complains "no cells"
# What other programs read.
prove --ext tap --exec cat a.tap > out 2>&1 && fail "prove sees no failure" || :
says "Failed tests:  3-6"
sweep 0 --over append=p,q --tap good.tap
prove --exec cat good.tap > out 2>&1 || fail "prove sees a failure"
export PYTHONPATH="$work/python"
python3 -c "import junitparser" 2> /dev/null || python3 -m pip install -q --target python junitparser > pip 2>&1 ||
    echo "sweep: junitparser cannot be installed: $(tail -n 1 pip)"
python3 "$here/junit.py" a.xml 6 4 0 > out 2>&1 || fail "junit"
python3 "$here/junit.py" m.xml 6 4 0 > out 2>&1 || fail "junit"
# Files that cannot be written are found before a cell runs; others are not overwritten.
sweep 1 --json no/a.json
complains "no/a.json cannot be used for the sweep: No such file or directory; check"
sweep 1 --tap k.elf
complains "is not a report of this kind, and would be overwritten"
sweep 1 --tap new --json new
sweep 1 --logs no
complains "check the path"
if [ -e /dev/full ]; then
    sweep 1 --tap /dev/full
    complains "No space left on device; free space there"
fi
# A wrong option, key or value is refused before a cell runs.
for over in foo=1 cpus cpus=0 cpus=1,1 timeout=1s torture=2..1; do sweep 64 --over $over; done
sweep 64 --shard 3/2
# A signal stops all runs and writes the report.
rm -rf stopped.json
mkfifo begun
exec 7> inherited
"$vmm" sweep --over append=p,l1l,l2l --jobs 3 --json stopped.json -- k.elf --discovery none > out 2> begun &
sweeper=$!
grep -m 1 -q 'append=p passed' begun || fail "no cell passed"
exec 7>&-
children=$(pgrep -P $sweeper)
for child in $children; do
    ls -l /proc/$child/fd > out
    if grep inherited out; then fail "a run has a descriptor of the sweep's parent"; fi
    [ "$(grep -c pipe: out)" = 2 ] || fail "a run has a pipe of another"
done
kill -INT $sweeper
code=0
wait $sweeper || code=$?
[ "$code" = 130 ] || fail "exit code $code after SIGINT"
says "3 cells: 1 passed, 0 failed, 2 did not run"
for child in $children; do [ ! -e /proc/$child ] || fail "process $child is still there"; done
grep -q '"append=p"' stopped.json || fail "no report after SIGINT"
echo "sweep: all of it in $(($(date +%s) - start)) s"
"$here/../kvm.sh" ran 60 "cells of sweeps"
