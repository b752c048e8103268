#!/bin/busybox sh
# Runs in the guest, as its first process: the test that the kernel's command line names by test=.
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs tmp /tmp

# check WHAT COMMAND...: one line of what came of it.
check() {
    what=$1
    shift
    if "$@" > /tmp/output 2>&1; then
        echo "ok - $what"
    else
        echo "not ok - $what"
        sed 's/^/#   /' /tmp/output
    fi
}
# offered DISK BIT: whether the driver of /dev/DISK accepted a feature bit.
accepted() { [ "$(cut -c $(($2 + 1)) "/sys/block/$1/device/features")" = 1 ]; }
not() { ! "$@"; }
is() { [ "$1" = "$2" ] || { echo "$1, not $2"; false; }; }

devices() {
    check "two processors" is "$(nproc)" 2
    check "the root file system is on /dev/vda" grep -q '^/dev/vda / ext4 rw' /proc/mounts
    check "kvm-clock tells the time" is "$(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)" kvm-clock
    check "the name of a disk" is "$(cat /sys/block/vda/serial)" root
    check "a disk that is read-only" is "$(cat /sys/block/vdb/ro)" 1
    check "and is not written" not dd if=/dev/zero of=/dev/vdb bs=4k count=1 conv=fsync
    check "but read" grep -q "only to be read" /dev/vdb
    check "a packed ring" accepted vdc 34
    check "event indices" accepted vdc 29
    check "two queues" is "$(ls /sys/block/vdc/mq | wc -l)" 2
    check "a disk with a split ring" not accepted vdd 34
    for disk in vdc vdd; do
        dd if=/dev/urandom of=/tmp/data bs=64k count=64 2> /dev/null
        check "$disk is written" dd if=/tmp/data of=/dev/$disk bs=64k conv=fsync
        echo 3 > /proc/sys/vm/drop_caches
        dd if=/dev/$disk of=/tmp/copy bs=64k count=64 2> /dev/null
        check "and read back" cmp /tmp/data /tmp/copy
        check "blocks are discarded" blkdiscard -o 65536 -l 131072 /dev/$disk
        echo 3 > /proc/sys/vm/drop_caches
        head -c 131072 /dev/zero > /tmp/zero
        dd if=/dev/$disk of=/tmp/hole bs=64k skip=1 count=2 2> /dev/null
        check "and read as zeroes" cmp /tmp/zero /tmp/hole
    done
    check "free blocks of a file system are discarded" fstrim /
    for number in 1 2 3; do dd if=/dev/urandom of=/data.$number bs=1M count=$number 2> /dev/null; done
    sha256sum /data.* > /sums
    check "files are written and synced" sync
    suspendOffered
    echo "what is typed?"
    read -r line
    check "the console's input" is "$line" "typed on the console"
}

# T08 of the SUSPEND tests: the bit is offered, and this kernel takes neither.
suspendOffered() {
    for device in /sys/bus/virtio/devices/*; do
        check "no SUSPEND is accepted by $(basename "$device")" is "$(cut -c 43-44 "$device/features")" 00
    done
}

reread() {
    check "the files of the last boot" sha256sum -c /sums
    check "a write that is not synced by hand" cp /data.1 /copy
}

load() {
    check "four processors" is "$(nproc)" 4
    check "four queues" is "$(ls /sys/block/vda/mq | wc -l)" 4
    export LD_LIBRARY_PATH
    LD_LIBRARY_PATH=$(cat /ld-path)
    check "fio --verify" /bin/fio --name=verify --directory=/mnt --rw=randrw --rwmixread=40 --bsrange=512-64k \
        --ioengine=libaio --direct=1 --iodepth=16 --numjobs=4 --size=4m --verify=crc32c --verify_fatal=1 \
        --verify_backlog=64 --end_fsync=1 --group_reporting --minimal --thread
    cat /tmp/output > /dev/hvc0
    rm -f /mnt/*
}

moreMemory() {
    check "memory above 4 GiB" [ "$(awk '/MemTotal/ { print $2 }' /proc/meminfo)" -gt 4600000 ]
    check "and a hole below" grep -q "^100000000-.*System RAM" /proc/iomem
}

readOnlyRoot() {
    check "a root file system on a read-only disk" grep -q '^/dev/vda / ext4 ro' /proc/mounts
    check "is not written" not touch /new
}

messages() { :; }

# MARK: Suspension. Parameters of the module suspend_tests.
parameters=/sys/module/suspend_tests/parameters
# sleepFor MILLISECONDS: suspends the system to idle, and wakes it so long after its devices are suspended.
sleepFor() {
    echo "$1" > $parameters/wake_ms
    echo freeze > /sys/power/state
}
# board VERB SLOT ARGUMENT: steers the backend of a device; 1 hold, 2 release, 7 hold the resume, 8 ready.
board() { echo $(($1 << 24 | $2 << 16 | $3)) > $parameters/board; }
# The SUSPEND that a disk's driver has accepted: 10 the draft's, 01 that of 1.4, 00 none.
suspendOf() { cut -c 43-44 "/sys/block/$1/device/features"; }
# readDisk DISK SECTOR: past the page cache.
readDisk() { dd if=/dev/"$1" of=/dev/null bs=4k count=1 skip="$2" iflag=direct 2> /dev/null; }

# Cycles, with a file system in use and, with load=fio, verified writes all the time.
suspending() {
    count=$(sed 's/.*cycles=\([0-9]*\).*/\1/' /proc/cmdline)
    if grep -q load=fio /proc/cmdline; then
        LD_LIBRARY_PATH=$(cat /ld-path)
        export LD_LIBRARY_PATH
        while [ ! -e /tmp/stop ]; do
            /bin/fio --name=verify --directory=/mnt --rw=randrw --bsrange=512-64k --ioengine=libaio --direct=1 --iodepth=16 \
                --size=2m --verify=crc32c --verify_fatal=1 --end_fsync=1 --minimal --thread > /tmp/fio 2>&1 || { cat /tmp/fio; touch /tmp/failed; }
            echo >> /tmp/rounds
        done &
        load=$!
    fi
    began=$(cut -d' ' -f1 /proc/uptime)
    slept=0
    while [ $slept -lt "$count" ]; do
        echo "# cycle $slept"
        sleepFor 40 || break
        date > /last
        slept=$((slept + 1))
    done
    check "$count suspends and resumes" is $slept "$count"
    echo "# from $began to $(cut -d' ' -f1 /proc/uptime) s"
    if [ -n "$load" ]; then
        touch /tmp/stop
        wait $load
        check "fio --verify meanwhile, $(wc -l < /tmp/rounds) rounds" [ ! -e /tmp/failed ]
        rm -f /mnt/*
    fi
    check "the file system" sync
}

# A read that is held back by the backend, /dev/vdb in slot 2, in the background: asynchronous, for a task that waits in the kernel cannot
# be frozen, and then no device is ever asked to suspend.
holdARead() {
    LD_LIBRARY_PATH=$(cat /ld-path)
    export LD_LIBRARY_PATH
    board 1 2 0
    /bin/fio --name=held --filename=/dev/vdb --rw=read --bs=4k --offset=32k --number_ios=1 --ioengine=libaio --direct=1 --minimal \
        --thread > /tmp/held 2>&1 &
    reader=$!
    until [ "$(awk '{ print $9 }' /sys/block/vdb/stat)" = 1 ]; do usleep 50000; done
}

# The system wakes up before the draft's device has acknowledged.
aborted() {
    holdARead
    echo 1500 > $parameters/abort_ms
    check "a wake-up ends the suspend" not sleepFor 0
    dmesg > /tmp/log
    check "which the transport says" grep -q "suspending was aborted (-16)" /tmp/log
    board 2 2 0
    check "the read comes back" wait $reader
    check "the next suspend is one" sleepFor 200
    check "and the disk works" readDisk vdb 16
}

# The drain's time is over: the draft's device suspends with the read retained.
retained() {
    holdARead
    check "it suspends with a read in flight" sleepFor 1500
    board 2 2 0
    check "which comes back afterwards" wait $reader
    check "the disk works" readDisk vdb 16
}

# The drain's time is over: a device of 1.4 needs a reset, and with a request in flight this kernel's driver cannot do that.
stuck() {
    holdARead
    check "the suspend fails" not sleepFor 3000
    dmesg > /tmp/log
    check "and the transport says why" grep -q "did not suspend (-5), with requests in flight; it is broken" /tmp/log
    board 2 2 0
    check "its requests fail from here on" not readDisk vdb 16
    check "the other disk works" readDisk vda 16
    check "the next suspend is one" sleepFor 200
}

# The backend is not ready after the resume: the driver loses patience.
refusing() {
    echo 1000 > /sys/module/virtio_mmio_suspend/parameters/patience_ms
    board 7 2 0
    check "it suspends" sleepFor 200
    dmesg > /tmp/log
    check "and does not resume, which the transport says" grep -q "did not resume (-110); it is reset" /tmp/log
    board 8 2 0
    check "the disk works again" readDisk vdb 16
    check "so does the other" readDisk vda 16
}

# Somebody types while the console is suspended; what wakes the system is the telephone at the serial port.
wokenByConsole() {
    exec 9< /dev/ttyS0
    stty -F /dev/ttyS0 -clocal
    echo enabled > /sys/class/tty/ttyS0/power/wakeup
    echo "somebody wake me"
    check "the system sleeps until somebody types" sh -c 'echo freeze > /sys/power/state'
    read -r line
    check "and what was typed is there" is "$line" "good morning"
}

# For drivers that are wrong.
suspendOnce() { sleepFor 300 || :; }
heldAndSuspended() {
    holdARead
    echo 1500 > /sys/module/broken_status/parameters/patience_ms
    sleepFor 3000 || :
    board 2 2 0
}

test=$(sed 's/.*test=\([a-zA-Z]*\).*/\1/' /proc/cmdline)
case $test in
    panic) echo c > /proc/sysrq-trigger ;;
    hang)
        echo "the guest hangs"
        while :; do :; done
        ;;
    shell) exec sh ;;
    *) "$test" ;;
esac
# What the kernel had to say, from warnings up.
dmesg -r | grep '^<[0-4]>' | sed 's/^/# kernel: /'
echo "end of $test"
sync
case $(cat /proc/cmdline) in
    *end=reboot*) reboot -f ;;
    *) poweroff -f ;;
esac
