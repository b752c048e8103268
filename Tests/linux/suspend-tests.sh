# Runs in the nested host, from host-tests.sh: Linux suspends and resumes its devices by SUSPEND, with the transport driver of
# guest/linux, in both dialects; failures and what follows from them; the stock transport for contrast.
ours="/kernels/cloud -i /kernels/virtio_mmio_suspend.cpio -m 256M -d /dev/vda,id=root"
truncate -s 16M /tmp/second

# frozen NAME: the trace of a boot shows nothing that a suspended device must not do.
frozen() {
    if awk -f frozen.awk "/tmp/$1.trace" > "/tmp/$1.frozen"; then
        echo "ok - $1: a suspended device did nothing: $(cat "/tmp/$1.frozen")"
    else
        fail "$1" "$(cat "/tmp/$1.frozen")"
    fi
    ./vmm check "/tmp/$1.trace" > /tmp/check 2>&1 && echo "ok - $1: the trace can be checked" || fail "$1" "vmm check: $(cat /tmp/check)"
}

# T69, in both dialects: a hundred cycles with direct and buffered reads of disks with large and small rings; ten in a trace.
disks="-d /tmp/tiny,queue-size=8 -d /tmp/wide"
truncate -s 64M /tmp/tiny /tmp/wide
for dialect in draft 1.4; do
    limit=300s
    boot "cycles-$dialect" 0 $ours -c 2 $disks --suspend $dialect --conform strict -a "$hvc test=suspending cycles=100 load=disks"
    for disk in blk0 blk1 blk2; do says "cycles-$dialect" "$disk was suspended each time" "$disk: 100 suspensions"; done
    says "cycles-$dialect" "the console too" "console0: 100 suspensions"
    says "cycles-$dialect" "no thread woke meanwhile" "blk0: .*, 0 of them while suspended"
    limit=100s
    boot "traced-$dialect" 0 $ours --suspend $dialect --trace "/tmp/traced-$dialect.trace" -a "$hvc test=suspending cycles=10"
    frozen "traced-$dialect"
    grep -q " 2 resets" "/tmp/traced-$dialect.frozen" && echo "ok - traced-$dialect: no reset but at the end" ||
        fail "traced-$dialect" "$(cat "/tmp/traced-$dialect.frozen")"
done
# The same with the kernel's own transport: every device is reset, every time. And with ours where SUSPEND is not offered.
boot stock 0 $cloud --suspend draft --trace /tmp/stock.trace -a "$hvc test=suspending cycles=10"
awk -f frozen.awk /tmp/stock.trace > /tmp/stock.frozen
grep -q "^0 suspensions, 42 resets" /tmp/stock.frozen && echo "ok - stock: $(cat /tmp/stock.frozen)" || fail stock "$(cat /tmp/stock.frozen)"
boot reset 0 $ours --suspend off -a "$hvc test=suspending cycles=5"
says reset "no device was suspended" "blk0: 0 suspensions"

# More requests than the ring has places for.
waiting="-c 2 -d /tmp/tiny,queue-size=8 --test-device"
for dialect in draft 1.4; do boot "waiting-$dialect" 0 $ours $waiting --suspend $dialect --conform strict -a "$hvc test=waiting"; done

# A console that is written to and typed on all the time.
for dialect in draft 1.4; do
    name=talking-$dialect
    rm -f /tmp/keys
    mkfifo /tmp/keys
    {
        exec 3> /tmp/keys
        until grep -aq "type now" "/tmp/$name" 2> /dev/null; do usleep 100000; done
        number=0
        until grep -aq "type no more" "/tmp/$name"; do
            number=$((number + 1))
            echo $number | tr 0-9 a-j >&3
            usleep 20000
        done
        echo end >&3
    } &
    input=/tmp/keys
    boot "$name" 0 $ours -c 2 --suspend $dialect --conform strict -a "$hvc no_console_suspend test=talking"
    input=
    printed=$(tr -d '\r' < "/tmp/$name" | sed -n '/type now/,/type no more/p' | tr -cd '0-9<>')
    last=${printed##*<}
    last=${last%>}
    [ "$printed" = "$(seq "${last:-0}" | sed 's/.*/<&>/' | tr -d '\n')" ] && echo "ok - $name: the console lost none of $last lines" ||
        fail "$name" "the console shows $printed"
done

# Failures.
held="-d /tmp/second --test-device"
boot aborted 0 $ours $held --suspend draft -a "$hvc test=aborted"
boot retained 0 $ours $held --suspend draft --drain-deadline 300ms -a "$hvc test=retained"
boot stuck 0 $ours $held --suspend 1.4 --drain-deadline 300ms -a "$hvc test=stuck"
for dialect in draft 1.4; do boot "refusing-$dialect" 0 $ours $held --suspend $dialect -a "$hvc test=refusing"; done

# A key at a suspended console wakes the system, though its device may not raise its interrupt.
for dialect in draft 1.4; do
    rm -f /tmp/keys
    mkfifo /tmp/keys
    {
        exec 3> /tmp/keys
        until grep -aq "wake me" "/tmp/woken-$dialect" 2> /dev/null; do usleep 100000; done
        # Until it sleeps, which vmm reports on SIGQUIT.
        until grep -q "console0: suspended until" "/tmp/woken-$dialect.err"; do
            killall -QUIT vmm
            usleep 200000
        done
        echo "good morning" >&3
    } &
    input=/tmp/keys
    boot "woken-$dialect" 0 $ours --suspend $dialect --serial file=/tmp/serial -a "$hvc test=wokenByConsole"
    input=
done

# Drivers with a mistake: vmm reports the clause. broken NAME DIALECT TEST CLAUSE [ARGUMENT...].
broken() {
    name="$1-$2" transport=$1 dialect=$2 test=$3 clause=$4
    shift 4
    timeout 100 ./vmm run /kernels/cloud -i "/kernels/$transport.cpio" -m 256M -d /dev/vda "$@" --suspend "$dialect" -v --timeout 60s \
        -a "$hvc test=$test" > "/tmp/$name" 2> "/tmp/$name.err" < /dev/null
    grep -q "the driver broke $clause " "/tmp/$name.err" && echo "ok - $name: vmm reports $clause" || fail "$name" "vmm does not report $clause"
}
broken broken_no_hold draft waiting V5-DRV-10 $waiting
broken broken_no_hold 1.4 waiting V14-DRV-3 $waiting
broken broken_no_wait draft suspendOnce V5-DRV-5 $held
broken broken_no_wait 1.4 suspendOnce V14-DRV-6 $held
broken broken_kick draft suspendOnce VMM-3 $held
broken broken_kick 1.4 suspendOnce V14-DRV-4 $held
broken broken_status draft heldAndSuspended H-2 $held
