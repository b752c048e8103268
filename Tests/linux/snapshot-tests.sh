# Runs in the nested host, from host.sh: Linux stopped, written down and started again: while it counts on its console and reads and writes
# its root disk, while it is suspended to idle, and while it suspends and resumes. The file long makes it more restores.

mkdir /tmp/snapshots
restores=2 cycled=
[ ! -e long ] || restores=20 cycled="draft 1.4"

# keep NAME FOLDER CONDITION...: once the condition holds, the machine of the boot NAME is stopped, written to FOLDER and ended.
keep() {
    kept=$1 folder=$2
    shift 2
    {
        until "$@" 2> /dev/null; do usleep 50000; done
        for command in stop "snapshot $folder" quit; do
            # shellcheck disable=SC2086
            ./vmm ctl /tmp/qmp $command || { echo "not ok - $kept: vmm ctl $command"; ./vmm ctl /tmp/qmp quit; break; }
        done 2>&1 | sed -n "/^not ok/p; s/^vmm: /# /p"
    } &
    keeper=$!
}
# The boot has ended: what did not happen will not.
endKeeper() {
    kill $keeper 2> /dev/null
    wait $keeper
}
# printed NAME TEXT: the console's output of that boot has the text.
printed() { grep -aqF "$2" "/tmp/$1"; }
# Every device is suspended.
areSuspended() {
    ./vmm ctl /tmp/qmp x-vmm-suspend-state > /tmp/phases && grep -q '"suspended"' /tmp/phases &&
        ! grep -qE '"(running|suspending|resuming|not live)"' /tmp/phases
}
# The options of a machine that is kept.
control="--qmp unix=/tmp/qmp --snapshot-to /tmp/snapshots/kept"

# Suspended to idle: a key wakes the restored machine.
echo "good morning" > /tmp/morning
for dialect in draft 1.4; do
    keep frozen-$dialect /tmp/snapshots/frozen areSuspended
    # shellcheck disable=SC2086
    boot frozen-$dialect 0 $ours -c 2 -d /tmp/tiny $control --suspend $dialect --conform strict --serial file=/tmp/serial \
        -a "$hvc test=wokenByConsole"
    endKeeper
    input=/tmp/morning
    boot thawed-$dialect 0 --restore /tmp/snapshots/frozen --conform strict --serial file=/tmp/serial
    input=
    shows thawed-$dialect "it was woken" "ok - and what was typed is there"
done

# A machine that suspends and resumes under load, stopped at any moment of that.
truncate -s 64M /tmp/wide
for dialect in $cycled; do
    keep cycling-$dialect /tmp/snapshots/cycling printed cycling-$dialect "# cycle 5"
    # shellcheck disable=SC2086
    boot cycling-$dialect 0 $ours -c 2 -d /tmp/tiny,queue-size=8 -d /tmp/wide $control --suspend $dialect --conform strict \
        -a "$hvc test=suspending cycles=15 load=disks"
    endKeeper
    boot cycled-$dialect 0 --restore /tmp/snapshots/cycling --conform strict
    shows cycled-$dialect "the cycles went on" "ok - 15 suspends and resumes"
done

# Two processors count, and fio verifies what it reads and writes.
keep counting /tmp/snapshots/counting printed counting "<12 "
# shellcheck disable=SC2086
boot counting 0 $cloud -c 2 $control -a "$hvc test=counting"
endKeeper
taken=$(cut -d. -f1 /proc/uptime)

# goesOn NAME: the restored machine counts on where the first one stopped.
goesOn() {
    cat /tmp/counting "/tmp/$1" | tr -d '\r' | sed -n 's/^<\([0-9]*\) \([0-9.]*\)>$/\1 \2/p' > "/tmp/$1.counts"
    [ "$(cut -d' ' -f1 "/tmp/$1.counts" | tr '\n' ' ')" = "$(seq 40 | tr '\n' ' ')" ] && echo "ok - $1: it counts on where it was" ||
        fail "$1" "it counts $(tr '\n' ' ' < "/tmp/$1.counts")"
}
# Two at a time, each with an overlay of the one image.
limit=300s
number=0
while [ $number -lt $restores ]; do
    machines=
    while [ $number -lt $restores ] && [ "$(echo $machines | wc -w)" -lt 2 ]; do
        number=$((number + 1))
        { boot restored-$number 0 --restore /tmp/snapshots/counting -d /dev/vda,overlay; goesOn restored-$number; } &
        machines="$machines $!"
    done
    # shellcheck disable=SC2086
    wait $machines
done
# The last one with the image itself, which is then as it leaves it. Its clock has not seen the time between.
idle=$(($(cut -d. -f1 /proc/uptime) - taken))
boot restored-image 0 --restore /tmp/snapshots/counting
goesOn restored-image
step=$(awk 'NR > 1 && $2 - last > most { most = $2 - last } { last = $2 } END { print most }' /tmp/restored-image.counts)
[ "${step%.*}" -lt $((idle / 2)) ] && echo "ok - restored-image: after $idle s its clock goes on, at most $step s between two counts" ||
    fail restored-image "its clock makes a step of $step s, and was stopped for $idle s"
limit=100s
