#!/bin/sh
# Runs in the nested host: boots Linux under vmm in the ways of the payload's files of tests. /dev/vda is the root disk, /dev/vdb the
# kernels and initial RAM disks.
cd /payload || exit 1
mkdir -p /kernels
for module in modules/*; do insmod "$module"; done
mount -t ext4 -o ro /dev/vdb /kernels
failed=0
limit=100s

# boot NAME CODE [ARGUMENT...]: runs vmm with a kernel, for at most $limit; it has to end with CODE. The console's output goes to
# /tmp/NAME, vmm's messages to /tmp/NAME.err. Lines "ok" and "not ok" of the guest are shown.
boot() {
    name=$1 wanted=$2
    shift 2
    start=$(cut -d. -f1 /proc/uptime)
    ./vmm run -v --timeout "$limit" "$@" > "/tmp/$name" 2> "/tmp/$name.err" < "${input:-/dev/null}" &
    vmm=$!
    # One that outlives its own limit is asked where it is, then killed.
    {
        sleep $((${limit%s} + 20)) && kill -QUIT $vmm && sleep 5 &&
            grep -H . /proc/$vmm/task/*/comm /proc/$vmm/task/*/wchan >> "/tmp/$name.err" && kill -KILL $vmm
    } 2> /dev/null &
    watch=$!
    wait $vmm
    code=$?
    kill $watch
    tr -d '\r' < "/tmp/$name" | grep -aE '^(ok|not ok|# )' | sed "s/ - / - $name: /"
    [ $code = "$wanted" ] && echo "ok - $name: exit code $wanted" || fail "$name" "exit code $code, not $wanted"
    # No driver of Linux breaks a clause, and none is reported.
    grep -q "drivers broke 0 of" "/tmp/$name.err" && echo "ok - $name: no driver broke a clause" ||
        fail "$name" "$(grep -E "the driver broke|drivers broke" "/tmp/$name.err")"
    echo "# $name: $(($(cut -d. -f1 /proc/uptime) - start)) s; $(grep -o "[0-9]* were put to the test" "/tmp/$name.err")"
    # For the ledger: the clauses that were, of the stock transport and of ours.
    case " $* " in
        *broken_* | *late_notify*) ;;
        *_suspend.cpio*) sed -n 's/.*: put to the test: /# met by S: /p' "/tmp/$name.err" ;;
        *) sed -n 's/.*: put to the test: /# met by L: /p' "/tmp/$name.err" ;;
    esac
}
fail() {
    failed=1
    echo "not ok - $1: $2"
    tr -d '\r' < "/tmp/$1" | tail -n 30 | sed 's/^/#   guest: /'
    sed 's/^/#   vmm: /' "/tmp/$1.err"
}
# says NAME WHAT PATTERN: vmm's messages of that boot have the pattern.
says() { grep -qE "$3" "/tmp/$1.err" && echo "ok - $1: $2" || fail "$1" "$2 (vmm should say \"$3\")"; }
# shows NAME WHAT PATTERN: the console's output of that boot has the pattern.
shows() { grep -aqE "$3" "/tmp/$1" && echo "ok - $1: $2" || fail "$1" "$2 (the guest should say \"$3\")"; }

flags="nokaslr mitigations=off tsc=reliable no_timer_check random.trust_cpu=on panic=-1"
cloud="/kernels/cloud -i /kernels/cloud.cpio -m 256M -d /dev/vda,id=root"
hvc="console=hvc0 quiet $flags"
# A transport that suspends devices by SUSPEND, and a disk with a small ring.
ours="/kernels/cloud -i /kernels/virtio_mmio_suspend.cpio -m 256M -d /dev/vda,id=root"
waiting="-c 2 -d /tmp/tiny,queue-size=8 --test-device"
truncate -s 64M /tmp/tiny

for tests in *-tests.sh; do . "./$tests"; done
umount /kernels
exit $failed
