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
