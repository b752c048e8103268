# Runs in the nested host, from host.sh: suspends that fail, are aborted or end by a wake-up, and drivers with a mistake.

truncate -s 16M /tmp/second
held="-d /tmp/second --test-device"
boot aborted 0 $ours $held --suspend draft -a "$hvc test=aborted"
boot retained 0 $ours $held --suspend draft --drain-deadline 300ms -a "$hvc test=retained"
boot stuck 0 $ours $held --suspend 1.4 --drain-deadline 300ms -a "$hvc test=stuck"
for dialect in draft 1.4; do boot "refusing-$dialect" 0 $ours $held --suspend $dialect -a "$hvc test=refusing"; done

# typedAt NAME ARGUMENT...: boots Linux, and types a line once its console is suspended.
typedAt() {
    typed=$1
    rm -f /tmp/keys
    mkfifo /tmp/keys
    {
        exec 3> /tmp/keys
        until grep -aq "type now" "/tmp/$typed" 2> /dev/null; do usleep 100000; done
        # Until it sleeps, which vmm reports on SIGQUIT.
        until grep -q "console0: suspended until" "/tmp/$typed.err"; do
            killall -QUIT vmm
            usleep 200000
        done
        echo "good morning" >&3
    } &
    shift
    input=/tmp/keys
    boot "$typed" 0 $ours "$@"
    input=
}
# A key at a suspended console wakes the system, though its device may not raise its interrupt.
for dialect in draft 1.4; do
    typedAt "woken-$dialect" --suspend $dialect --serial file=/tmp/serial -a "$hvc test=wokenByConsole"
    grep -q "cannot wake" "/tmp/woken-$dialect.err" && fail "woken-$dialect" "vmm says that nothing can wake the guest"
done
# It cannot where there is no serial port, or Linux has not enabled its wake-up, and vmm says so once.
for serial in off file=/tmp/serial; do
    typedAt "serial-${serial%%=*}" --serial $serial -a "$hvc test=wokenByTimer"
    case $serial in off) way="with --serial there is" ;; *) way="once the guest enables that" ;; esac
    [ "$(grep -c "input waits at console0, which is suspended, and cannot wake the guest: .*$way" "/tmp/$typed.err")" = 1 ] &&
        echo "ok - $typed: vmm says that nothing can wake the guest" || fail "$typed" "vmm does not say that nothing can wake the guest"
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

# A shutdown resets a device whose driver is about to notify it.
busy="-c 2 -d /tmp/second"
boot powering-off 0 /kernels/cloud -i /kernels/late_notify.cpio -m 256M -d /dev/vda $busy --conform strict -a "$hvc test=poweringOff"
broken broken_reset draft poweringOff 3.1.1-7 $busy
