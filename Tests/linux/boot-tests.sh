# Runs in the nested host, from host.sh: devices, ways into a kernel, and ways to end.

# The devices, the console in both directions, two processors.
echo "this disk is only to be read" > /tmp/readonly
truncate -s 1M /tmp/readonly
truncate -s 16M /tmp/packed /tmp/split
mkfifo /tmp/keys
# Types when the guest asks; Linux drops what comes before its console is up.
{
    exec 3> /tmp/keys
    until grep -aq "what is typed" /tmp/devices 2> /dev/null; do usleep 100000; done
    echo "typed on the console" >&3
} &
input=/tmp/keys
boot devices 32 $cloud -c 2 --conform strict --trace /tmp/trace -d /tmp/readonly,ro -d /tmp/packed,queues=2,features=+packed -d /tmp/split,suspend=1.4,io=threads --rng \
    -a "$hvc test=devices end=reboot"
input=
says devices "a bzImage, by ACPI" "booted as bzimage, .*by ACPI"
says devices "the guest reset the machine" "the guest reset the machine"
# T08: never suspended, and SUSPEND, 0x10 in Status, never written; both are offered, by one disk or another.
[ "$(grep -c " 0 suspensions" /tmp/devices.err)" = 6 ] && echo "ok - devices: nothing was suspended" || fail devices "suspensions"
grep -c '"ev":"write","reg":"Status"' /tmp/trace > /dev/null || fail devices "the trace has no writes of Status"
grep '"ev":"write","reg":"Status"' /tmp/trace | grep -qE '"value":"0x(1|3|5|7|9|b|d|f)[0-9a-f]"' &&
    fail devices "SUSPEND was written" || echo "ok - devices: SUSPEND was never written"
./vmm check /tmp/trace > /tmp/check 2>&1 && echo "ok - devices: the trace can be checked: $(cat /tmp/check)" ||
    fail devices "vmm check: $(cat /tmp/check)"
boot reread 0 $cloud -a "$hvc test=reread"

# The other ways into a kernel.
boot pvh 0 /kernels/vmlinux -i /kernels/cloud.cpio -m 256M -d /dev/vda -a "$hvc test=messages"
says pvh "an ELF file with a PVH note" "booted as pvh, .*by ACPI"
shows pvh "it ran" "end of messages"
boot elf64 0 --boot elf64 /kernels/vmlinux -i /kernels/cloud.cpio -m 256M -d /dev/vda -a "$hvc test=messages"
shows elf64 "it ran" "end of messages"
# Linux without notes: what names their places as notes is made nothing.
cp /kernels/vmlinux /tmp/vmlinux
for place in $(cat /kernels/vmlinux.notes); do printf '\0\0\0\0' | dd of=/tmp/vmlinux bs=1 seek="$place" conv=notrunc 2> /dev/null; done
boot bare 0 /tmp/vmlinux -i /kernels/cloud.cpio -m 256M -d /dev/vda -a "$hvc test=messages"
says bare "an ELF file without notes" "booted as elf64, because it has Linux's version in it .*by ACPI"
rm /tmp/vmlinux
boot verbose 0 $cloud --serial file=/tmp/verbose.serial -a "console=ttyS0 console=hvc0 earlyprintk=serial $flags test=messages"
grep -aq "Linux version" /tmp/verbose.serial && grep -aq "Power down" /tmp/verbose.serial &&
    echo "ok - verbose: the serial port has it all" || fail verbose "no output on the serial port"
shows verbose "the console has what came after it" "EXT4-fs .vda.: mounted"
# keys NAME PATTERN LINE...: types each LINE when the output of that boot has its PATTERN.
keys() {
    name=$1
    shift
    rm -f /tmp/keys
    mkfifo /tmp/keys
    {
        exec 3> /tmp/keys
        while [ $# -gt 0 ]; do
            until grep -aqE "$1" "/tmp/$name" 2> /dev/null; do usleep 100000; done
            echo "$2" >&3
            shift 2
        done
    } &
    input=/tmp/keys
}
# A login by COM1, which has a clock that tells the date, and no other console.
com1="--serial stdio --console null"
for kernel in cloud generic; do
    keys "com1-$kernel" "login: " root "Enter .help." 'echo "logged in at $(tty), $(date +%Y)"' "logged in at /dev" exit
    boot "com1-$kernel" 0 "/kernels/$kernel" -i "/kernels/$kernel.cpio" -m 256M -d /dev/vda $com1 -a "console=ttyS0 quiet $flags test=login"
    input=
    shows "com1-$kernel" "a login at the serial port" "logged in at /dev/ttyS0, $(date +%Y)"
done
# Linux without ACPI: processors and interrupts are the MP table's. It has no disk: this kernel does not read its place on the command
# line.
script="busybox mount -t proc proc /proc; echo processors: \$(busybox nproc); busybox sleep 1"
script="$script; busybox grep -e ttyS0 -e LOC /proc/interrupts; busybox reboot -f"
boot no-acpi 32 /kernels/generic -i /kernels/generic.cpio -m 256M -c 2 --discovery cmdline $com1 \
    -a "console=ttyS0 quiet panic=-1 rdinit=/bin/busybox -- sh -c \"$script\""
shows no-acpi "two processors" "processors: 2"
shows no-acpi "the serial port's interrupt at the IOAPIC" "4: .*[1-9] +IO-APIC +4-edge +ttyS0"
shows no-acpi "both processors' timers" "LOC: +[1-9][0-9]* +[1-9]"
# until_printed NAME PATTERN ARGUMENT...: runs vmm until the pattern is there on the serial port.
until_printed() {
    name=$1 pattern=$2
    shift 2
    : > "/tmp/$name"
    ./vmm run --timeout "$limit" --serial "file=/tmp/$name" --console null --discovery both "$@" 2> "/tmp/$name.err" < /dev/null &
    vmm=$!
    until grep -aqE "$pattern" "/tmp/$name" || ! kill -0 $vmm 2> /dev/null; do usleep 100000; done
    kill $vmm 2> /dev/null
    wait $vmm
    shows "$name" "it prints on COM1" "$pattern"
}
# Kernels other than Linux: Xen's hypervisor by Multiboot, memtest86+ by Linux's 64-bit and 32-bit entries.
until_printed xen "Xen version 4" /kernels/xen -a "xen no-real-mode com1=115200,8n1 console=com1"
for bits in 64 32; do
    until_printed memtest$bits "Memtest86\+ v[0-9].*Status: Testing" /kernels/memtest$bits -m 64M -a "console=ttyS0,115200"
done
boot generic 0 /kernels/generic -i /kernels/generic.cpio -m 256M -d /dev/vda -a "$hvc test=messages"
shows generic "it ran" "end of messages"
boot generic-verbose 0 /kernels/generic -i /kernels/generic.cpio -m 256M -d /dev/vda -a "console=hvc0 $flags test=messages"
shows generic-verbose "the console has what came after it" "EXT4-fs .vda.: mounted"
shows generic-verbose "it ran" "end of messages"
boot memory 0 /kernels/cloud -i /kernels/cloud.cpio -m 5G -d /dev/vda -a "$hvc test=moreMemory"
boot readonly 0 /kernels/cloud -i /kernels/cloud.cpio -m 256M -d /dev/vda,ro -a "$hvc rootmode=ro,noload test=readOnlyRoot"

# Load.
limit=300s
boot fio 0 /kernels/cloud -i /kernels/cloud.cpio -m 512M -c 4 -d /dev/vda,queues=4 -a "$hvc test=load"
limit=100s

# Ways to end.
boot panic 34 $cloud -a "console=hvc0 $flags rootmode=ro test=panic"
says panic "pvpanic reports it" "the guest panicked"
shows panic "its last words" "Kernel panic - not syncing"
boot triple-fault 33 $cloud -a "$hvc reboot=t rootmode=ro test=messages end=reboot"
says triple-fault "the registers are lost under kvm_amd" "the guest's registers at the fault are lost: .*kvm_amd"
says triple-fault "the last exits are shown" "its last 8 exits"
boot keyboard 32 $cloud -a "$hvc reboot=k rootmode=ro test=messages end=reboot"
boot lost 0 $cloud -a "console=ttyS0 earlyprintk=serial $flags rootmode=ro test=messages"
says lost "output is lost where there is no serial port" "serial port, which is off; see them with --serial stdio"

./vmm run --timeout 8s $cloud -a "$hvc rootmode=ro test=hang" > /tmp/hang 2> /tmp/hang.err < /dev/null
[ $? = 124 ] && echo "ok - hang: exit code 124" || fail hang "its exit code"
says hang "where it is" "vcpu0 is running at rip"
