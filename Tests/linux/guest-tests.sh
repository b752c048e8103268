#!/bin/busybox sh
# Runs in the guest, as its first process: the test that the kernel's command line names by test=.
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs tmp /tmp

# check WHAT COMMAND...: runs the command and prints one line with its result.
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
# accepted DISK BIT: whether the driver of /dev/DISK accepted a feature bit.
accepted() { [ "$(cut -c $(($2 + 1)) "/sys/block/$1/device/features")" = 1 ]; }
not() { ! "$@"; }
is() { [ "$1" = "$2" ] || { echo "$1, not $2"; false; }; }

devices() {
    check "two processors" is "$(nproc)" 2
    check "the root file system is on /dev/vda" grep -q '^/dev/vda / ext4 rw' /proc/mounts
    check "kvm-clock tells the time" is "$(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)" kvm-clock
    check "the real-time clock tells the date" is "$(cat /sys/class/rtc/rtc0/date)" "$(date -u +%F)"
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
    check "the random number generator is the virtio device" is "$(cat /sys/class/misc/hw_random/rng_current)" virtio_rng.0
    check "and delivers" is "$(dd if=/dev/hwrng bs=512 count=8 2> /dev/null | wc -c)" 4096
    suspendOffered
    echo "what is typed?"
    read -r line
    check "the console's input" is "$line" "typed on the console"
}

# T08 of the SUSPEND tests: a SUSPEND bit is offered, and this kernel's own transport accepts none.
suspendOffered() {
    for device in /sys/bus/virtio/devices/*; do
        check "no SUSPEND is accepted by $(basename "$device")" is "$(cut -c 43-44 "$device/features")" 00
    done
}

reread() {
    check "the files of the last boot" sha256sum -c /sums
    check "a write that is not synced by hand" cp /data.1 /copy
}

# All that a driver does, with a device that makes every choice that is left to it.
torture() {
    dd if=/dev/urandom of=/tmp/data bs=64k count=8 2> /dev/null
    for disk in vdb vdc; do
        check "$disk is written" dd if=/tmp/data of=/dev/$disk bs=64k conv=fsync
        echo 3 > /proc/sys/vm/drop_caches
        dd if=/dev/$disk of=/tmp/copy bs=64k count=8 2> /dev/null
        check "and read back" cmp /tmp/data /tmp/copy
    done
    check "blocks are discarded, where that is offered" discards
    check "fio --verify of a file" verifies --directory=/mnt --size=256k
    check "fio --verify of a disk" verifies --filename=/dev/vdb --size=512k
    check "random bytes" is "$(dd if=/dev/hwrng bs=64 count=2 iflag=fullblock 2> /dev/null | wc -c)" 128
    check "files are written and synced" sync
    rm -f /mnt/*
}
verifies() {
    LD_LIBRARY_PATH=$(cat /ld-path) /bin/fio --name=verify --rw=randrw --bsrange=512-16k --ioengine=libaio --direct=1 --iodepth=8 \
        --verify=crc32c --verify_fatal=1 --end_fsync=1 --minimal --thread "$@"
}
discards() { [ "$(cat /sys/block/vdb/queue/discard_max_bytes)" = 0 ] || blkdiscard -o 65536 -l 131072 /dev/vdb; }

# A login at the serial port, by a getty.
login() {
    mkdir -p /etc
    echo "root::0:0:root:/:/bin/sh" > /etc/passwd
    echo "root:x:0:" > /etc/group
    setsid getty 115200 ttyS0
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

# The system is powered off while a disk is read all the time, from every processor.
poweringOff() {
    for reader in 1 2 3; do while :; do dd if=/dev/vdb of=/dev/null bs=512 iflag=direct 2> /dev/null; done & done
    until [ "$(awk '{ print $1 }' /sys/block/vdb/stat)" -gt 100 ]; do usleep 20000; done
}

# MARK: Suspension. Parameters of the module suspend_tests.
parameters=/sys/module/suspend_tests/parameters
# sleepFor MILLISECONDS: suspends the system to idle, and wakes it so long after its devices are suspended.
sleepFor() {
    echo "$1" > $parameters/wake_ms
    echo freeze > /sys/power/state
}
# board VERB SLOT ARGUMENT: controls the backend of a device; 1 hold, 2 release, 7 hold the resume, 8 ready.
board() { echo $(($1 << 24 | $2 << 16 | $3)) > $parameters/board; }
# readDisk DISK SECTOR: past the page cache.
readDisk() { dd if=/dev/"$1" of=/dev/null bs=4k count=1 skip="$2" iflag=direct 2> /dev/null; }

# fioOn NAME FIO-ARGUMENT...: verified direct reads and writes until /tmp/stop, 16 requests at a time, in the background.
fioOn() {
    name=$1
    shift
    while [ ! -e /tmp/stop ]; do
        LD_LIBRARY_PATH=$(cat /ld-path) /bin/fio --name="$name" --rw=randrw --bsrange=512-64k --ioengine=libaio --direct=1 --iodepth=16 \
            --size=2m --verify=crc32c --verify_fatal=1 --end_fsync=1 --minimal --thread "$@" > "/tmp/fio.$name" 2>&1 ||
            { cat "/tmp/fio.$name"; touch /tmp/failed; }
        echo >> "/tmp/rounds.$name"
    done &
}
# readOn DISK: reads the first MiB of a disk until /tmp/stop, through the page cache, and compares it with what was written, in the
# background. Its read-ahead, in small requests, keeps more of them waiting than a small ring has places.
readOn() {
    echo 32768 > "/sys/block/$1/queue/read_ahead_kb"
    echo 64 > "/sys/block/$1/queue/max_sectors_kb"
    dd if=/dev/urandom of="/tmp/$1" bs=64k count=16 2> /dev/null
    dd if="/tmp/$1" of="/dev/$1" bs=64k conv=fsync 2> /dev/null
    while [ ! -e /tmp/stop ]; do
        echo 1 > /proc/sys/vm/drop_caches
        dd if="/dev/$1" bs=64k count=16 2> /dev/null | cmp - "/tmp/$1" || touch /tmp/failed
        echo >> "/tmp/rounds.$1"
    done &
}

# Cycles, with a file system in use and, with load=disks, verified reads and writes of all disks all the time.
suspending() {
    count=$(sed 's/.*cycles=\([0-9]*\).*/\1/' /proc/cmdline)
    if grep -q load=disks /proc/cmdline; then
        fioOn vda --directory=/mnt
        load=$!
        fioOn tiny --filename=/dev/vdb --offset=48m
        load="$load $!"
        for disk in vdb vdc; do
            readOn $disk
            load="$load $!"
        done
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
        check "all that was read meanwhile is right, in rounds of: $(wc -l /tmp/rounds.* | tr '\n' ' ')" [ ! -e /tmp/failed ]
        rm -f /mnt/*
    fi
    check "the file system" sync
}

# Counts on the console and in a file, beside verified reads and writes of the root file system.
counting() {
    check "two processors" is "$(nproc)" 2
    fioOn root --directory=/mnt --size=512k
    load=$!
    number=0
    while [ $number -lt 40 ]; do
        number=$((number + 1))
        echo $number >> /counts
        echo "<$number $(cut -d' ' -f1 /proc/uptime)>"
        usleep 100000
    done
    touch /tmp/stop
    wait $load
    check "what fio read and wrote is right, in rounds of: $(wc -l /tmp/rounds.* | tr '\n' ' ')" [ ! -e /tmp/failed ]
    sync
    echo 3 > /proc/sys/vm/drop_caches
    check "the file has every count" is "$(tr '\n' ' ' < /counts)" "$(seq 40 | tr '\n' ' ')"
    rm -f /mnt/* /counts
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

# The drain deadline passes: the draft's device suspends with the read retained.
retained() {
    holdARead
    check "it suspends with a read in flight" sleepFor 1500
    board 2 2 0
    check "which comes back afterwards" wait $reader
    check "the disk works" readDisk vdb 16
}

# The drain deadline passes: a device of 1.4 needs a reset, which this kernel's driver cannot do with a request in flight.
stuck() {
    holdARead
    check "the suspend fails" not sleepFor 3000
    dmesg > /tmp/log
    check "and the transport says why" grep -q "did not suspend (-5) and has requests; it is broken" /tmp/log
    board 2 2 0
    check "its requests fail from here on" not readDisk vdb 16
    check "the other disk works" readDisk vda 16
    check "the next suspend is one" sleepFor 200
}

# When SUSPEND is written the ring of /dev/vdb, in slot 2, is full and more requests wait; then they are released, and the ring drains.
waiting() {
    export LD_LIBRARY_PATH
    LD_LIBRARY_PATH=$(cat /ld-path)
    fio="/bin/fio --name=waiting --filename=/dev/vdb --bs=4k --size=1m --ioengine=libaio --direct=1 --verify=crc32c --minimal --thread"
    echo 2 > /sys/block/vdb/queue/nomerges
    check "a disk is written" $fio --rw=write --do_verify=0
    board 1 2 0
    $fio --rw=randread --iodepth=12 > /tmp/waiting 2>&1 &
    reader=$!
    # The ring has 8 requests, and fio waits for the first of its 12.
    until [ "$(awk '{ print $9 }' /sys/block/vdb/stat)" = 8 ] && grep -q read_events /proc/$reader/task/*/wchan; do usleep 50000; done
    echo 1000 > $parameters/board_ms
    board 2 2 0
    check "it suspends while requests wait" sleepFor 100
    echo 0 > $parameters/board_ms
    check "which are read right afterwards" wait $reader
}

# The kernel prints while its console is suspended, and lines are typed all the time: numbers in letters, which the terminal echoes. What
# is printed meanwhile are numbers in digits.
talking() {
    echo Y > $parameters/message
    echo "type now"
    {
        number=0
        while read -r line && [ "$line" != end ]; do
            number=$((number + 1))
            [ "$line" = "$(echo $number | tr 0-9 a-j)" ] || echo "$line instead of line $number" >> /tmp/wrong
        done
        echo $number > /tmp/typed
    } < /dev/hvc0 &
    typed=$!
    {
        number=0
        until [ -e /tmp/stop ]; do
            number=$((number + 1))
            echo "<$number>"
        done
    } > /dev/hvc0 &
    printed=$!
    slept=0
    while [ $slept -lt 10 ] && sleepFor 40; do slept=$((slept + 1)); done
    touch /tmp/stop
    wait $printed
    echo "type no more"
    wait $typed
    check "10 suspends and resumes" is $slept 10
    check "the $(cat /tmp/typed) lines that were typed are there" [ ! -e /tmp/wrong ]
    check "the kernel's messages are in its log" is "$(dmesg | grep -c "all devices are suspended")" 10
}

# The backend is not ready after the resume: the transport's wait times out.
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

# Input arrives while the console is suspended; the serial port's ring indicator wakes the system.
wokenByConsole() {
    exec 9< /dev/ttyS0
    stty -F /dev/ttyS0 -clocal
    echo enabled > /sys/class/tty/ttyS0/power/wakeup
    echo "type now"
    check "the system sleeps until a key is typed" sh -c 'echo freeze > /sys/power/state'
    read -r line
    check "and what was typed is there" is "$line" "good morning"
}

# The same, and nothing but a timer wakes the system.
wokenByTimer() {
    echo "type now"
    check "the system sleeps" sleepFor 4000
    read -r line
    check "and what was typed meanwhile is there" is "$line" "good morning"
}

# For drivers with a mistake.
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
# The kernel's messages, from warnings up.
dmesg -r | grep '^<[0-4]>' | sed 's/^/# kernel: /'
echo "end of $test"
sync
case $(cat /proc/cmdline) in
    *end=reboot*) reboot -f ;;
    *) poweroff -f ;;
esac
