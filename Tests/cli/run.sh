#!/bin/sh
# vmm as a user meets it: messages, exit codes, signals, host failures. Each case says what it expects; the first line that
# differs is printed.
#
# usage: run.sh VMM
set -u
vmm=$(realpath "$1")
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
chmod 755 "$work"
trap 'rm -rf "$work"' EXIT
cd "$work"
passed=0 failed=0 skipped=0

# expect NAME CODE PATTERN COMMAND...: the command ends with CODE, and its stderr matches PATTERN.
expect() {
    name=$1 code=$2 pattern=$3
    shift 3
    timeout --preserve-status 60 "$@" > stdout 2> stderr < /dev/null
    got=$?
    if [ $got = "$code" ] && { [ -z "$pattern" ] || grep -Eq -- "$pattern" stderr; }; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "not ok - $name: exit code $got, expected $code; stderr should match \"$pattern\" and is:"
        sed 's/^/    /' stderr
    fi
}
skip() { skipped=$((skipped + 1)); echo "skipped - $1: $2"; }
"$here/kernel.sh" SPIN . 0x4000000 && mv SPIN.elf high.elf || exit 1
for name in LINUX UNCLAIMED SPIN STALL IDLE HALT POLL PROCESSORS TRIPLE_FAULT NO_CODE CALLS ECHO MP_TABLE CLOCK PIT PANIC POWER_OFF RESET KEYBOARD SERIAL DEBUG_EXIT COMMAND_LINE; do
    "$here/kernel.sh" $name . || exit 1
done
truncate -s 1M disk.img
truncate -s 1000 odd.img
: > empty.img
mkdir directory
head -c 100 POWER_OFF.elf > cut.elf
echo text > text
echo 1 > numbers.txt

# What can be told without KVM.
expect "help" 0 "" "$vmm" --help
expect "help has the options of the machine" 0 "" sh -c "for option in --disk --memory --console --qtest --suspend; do '$vmm' --help | grep -q -- \"\$option\" || exit 1; done"
expect "version" 0 "" sh -c "'$vmm' --version | grep -Eqx 'vmm [0-9]+\.[0-9]+\.[0-9]+ \(commit (unknown|[0-9a-f]{40}(\+changes)?), Swift [0-9.]+\)'"
expect "the version of the one place" 0 "" sh -c "'$vmm' --version | grep -Fq \"vmm $(sed -n 's/.*version = "\(.*\)"/\1/p' "$here/../../Sources/Machine/Version.swift") \""
expect "an unknown flag" 64 "[Uu]nknown option" "$vmm" --nonsense
expect "an option of QEMU" 64 "-smp is an option of QEMU; here it is --cpus" "$vmm" -m 64M -smp 2 text
expect "an option of QEMU in the kernel's command line" 1 "there is no file nothere" "$vmm" nothere -a -kernel
expect "two kernels" 64 "once" "$vmm" text -k text
expect "memory that is no number" 64 "memory" "$vmm" -m much
expect "no memory" 1 "at least 2M" "$vmm" -m 0
expect "more memory than the host has addresses" 1 "smaller -m" "$vmm" -m 900000G
expect "kernel missing" 1 "check the path" "$vmm" missing
expect "kernel a directory" 1 "directory" "$vmm" directory
expect "kernel not ELF" 1 "not an ELF" "$vmm" text
expect "kernel cut short" 1 "is truncated" "$vmm" cut.elf
expect "kernel not a bzImage" 1 "HdrS" "$vmm" --boot bzimage text
expect "an unknown boot protocol" 64 "boot" "$vmm" --boot efi text
expect "an unknown way to find devices" 64 "discovery" "$vmm" --discovery pci text
expect "no processor" 64 "1 to 254" "$vmm" -c 0
expect "more processors than an APIC id can name" 64 "1 to 254" "$vmm" -c 255
expect "a serial port nowhere" 1 "console" "$vmm" --serial file=/missing/file POWER_OFF.elf
expect "a serial port that is no target" 64 "serial" "$vmm" --serial tcp
expect "qtest with processors" 64 "no processor: leave out --cpus" "$vmm" --qtest stdio -c 2
expect "kernel without a PVH note" 1 "PVH" "$vmm" "$(command -v ld.lld)"
expect "kernel outside memory" 1 "try -m 65M" "$vmm" high.elf -m 32M
expect "initrd missing" 1 "check the path" "$vmm" POWER_OFF.elf -i missing
expect "initrd too large" 1 "try -m" "$vmm" POWER_OFF.elf -m 2M -i "$(realpath "$vmm")"
expect "disk missing" 1 "does not exist" "$vmm" -d missing
expect "disk a directory" 1 "directory" "$vmm" -d directory
expect "disk of odd size" 1 "multiple of 512" "$vmm" -d odd.img
mkfifo fifo
expect "disk a pipe" 1 "neither a file" "$vmm" -d fifo,ro
expect "disk a device that is none" 1 "neither a file" "$vmm" -d /dev/null
expect "console a pipe without a reader" 1 "console" "$vmm" --console file=fifo
expect "memory in letters" 64 "memory" "$vmm" -m 5ß
expect "disk empty" 1 "empty" "$vmm" -d empty.img
expect "disk with nonsense behind it" 64 "'-d <disk>': 'rw' is not known; allowed: ro, id=NAME, queues=N" "$vmm" -d disk.img,rw
expect "an unknown feature" 64 "no feature 'nonsense'; allowed: indirect, event_idx" "$vmm" -d disk.img,features=+nonsense

# What a machine is made of.
expect "a described machine" 0 "" sh -c "'$vmm' machine > described; for line in 'blk0: device ID 2, --disk, at 0xd0001000, interrupt 6 (level), 1 queue of 256' \
    '0x044  QueueReady         read, write' 'VIRTIO_BLK_F_FLUSH' '0x3f8-0x3ff' 'processors     254' 'Landlock'; do grep -Fq -- \"\$line\" described || exit 1; done"
expect "a described machine as JSON" 0 "" sh -c "'$vmm' machine -d disk.img,ro,queues=2 --suspend 1.4 --json | python3 -c \"
import json, sys
machine = json.load(sys.stdin)
console, disk = machine['devices']
assert disk['address'] == '0xd0001000' and disk['interrupt'] == 6 and len(disk['queues']) == 2
names = {feature['name']: feature for feature in disk['features']}
assert names['VIRTIO_F_SUSPEND']['bit'] == 43 and 'VIRTIO_BLK_F_RO' in names and names['VIRTIO_BLK_F_MQ']['bit'] == 12
assert {'KVM', 'io_uring', 'Landlock', 'seccomp'} == {ability['name'] for ability in machine['host']}
\""
expect "the described device is the device" 0 "" sh -c "'$vmm' machine -d disk.img --json > described; echo x-state blk0 | '$vmm' --qtest stdio -d disk.img | sed 's/^OK //' > state; python3 -c \"
import json
disk, state = json.load(open('described'))['devices'][1], json.load(open('state'))
assert sum(1 << feature['bit'] for feature in disk['features']) == int(state['offeredFeatures'], 16)
assert disk['queues'] == [queue['sizeMax'] for queue in state['queues']]
\""
expect "a described machine of a disk that is missing" 1 "does not exist" "$vmm" machine -d missing
expect "a described machine of too many processors" 64 "1 to 254" "$vmm" machine -c 255

# The words of options: which is wrong, what is allowed, the nearest name.
expect "a word with a typing mistake" 64 "'-d <disk>': 'quues' is not known; did you mean queues\\?; allowed: ro, " "$vmm" -d disk.img,quues=2
expect "a feature with a typing mistake" 64 "no feature 'pakced'; did you mean packed\\?" "$vmm" -d disk.img,features=+pakced
expect "a value with a typing mistake" 64 "io= takes auto, threads, uring, not 'thread'; did you mean threads\\?" "$vmm" -d disk.img,io=thread
expect "a value that is none" 64 "suspend= takes draft, 1.4, off, not '2.0'" "$vmm" -d disk.img,suspend=2.0
expect "a word without its value" 64 "queues needs a value: queues=N" "$vmm" -d disk.img,queues
expect "a word with an empty value" 64 "id needs a value: id=NAME" "$vmm" -d disk.img,id=
expect "a word with a value too many" 64 "ro takes no value; write ro alone" "$vmm" -d disk.img,ro=yes
expect "a number out of range" 64 "queues= takes 1 to 32, not '33'" "$vmm" -d disk.img,queues=33
expect "a word twice" 64 "queues is there twice; give it once" "$vmm" -d disk.img,queues=1,queues=2
expect "a flag twice" 64 "ro is there twice" "$vmm" -d disk.img,ro,ro
expect "a feature with and without" 64 "the feature packed is there twice" "$vmm" -d disk.img,features=+packed,-packed
expect "a feature without its word" 64 "'\\+packed' is not known" "$vmm" -d disk.img,+packed
expect "queues without the feature" 64 "queues=2 needs the feature mq" "$vmm" -d disk.img,queues=2,features=-mq
expect "a frozen scope without SUSPEND" 64 "freeze= is about SUSPEND" "$vmm" -d disk.img,suspend=off,freeze=wide
expect "no word behind a comma" 64 "there is no word behind a comma; allowed" "$vmm" -d disk.img,
expect "a comma in a path" 64 "'b.img' is not known; .*; a comma in a path is written ,," "$vmm" -d a,b.img
cp disk.img a,b.img
expect "a comma in a path, doubled" 0 "" sh -c "echo x-state blk0 | '$vmm' --qtest stdio -d a,,b.img,ro | grep -q '^OK {'"
expect "a console that is none" 64 "'--console <target>': 'stdo' is not known; did you mean stdio\\?; allowed: stdio, null, pty, file=PATH" \
    "$vmm" --console stdo
expect "a console without its path" 64 "file needs a value: file=PATH" "$vmm" --console file
expect "an overlay of a disk that is not written" 64 "ro and overlay exclude each other" "$vmm" -d disk.img,ro,overlay
expect "an overlay without its name" 64 "overlay needs a value: overlay=FILE" "$vmm" -d disk.img,overlay=
expect "an overlay that is the image" 1 "the overlay disk.img and the disk image disk.img are the same file" "$vmm" -d disk.img,overlay=disk.img
expect "an overlay that is something else" 1 "disk text is not an overlay, and would be overwritten" "$vmm" -d disk.img,overlay=text
expect "an overlay in no folder" 1 "disk disk.img has no overlay: /nowhere takes no file .*No such file" \
    env TMPDIR=/nowhere "$vmm" -d disk.img,overlay
expect "an overlay of an image that is not written" 0 "" sh -c "cp disk.img base.img && chmod 444 base.img &&
    echo readl 0xd0001100 | '$vmm' --qtest stdio -d base.img,overlay -d base.img,overlay=kept.ovl && tail -c 4096 kept.ovl | grep -aq 'image: base.img'"
expect "an overlay of an image that changed" 1 "disk kept.ovl is the overlay of base.img, which was modified since" \
    sh -c "chmod 644 base.img; touch -d 1970-01-02 base.img; exec '$vmm' --qtest stdio -d base.img,overlay=kept.ovl"
expect "an overlay of an image that changed, by force" 0 "" "$vmm" --qtest stdio -d base.img,overlay=kept.ovl,force
expect "a console of a word of disks" 64 "'ro' is not known; allowed: suspend=draft" "$vmm" --console null,ro
expect "a port that is none" 64 "'--port <port>': 'nul' is not known; did you mean null\\?" "$vmm" --port nul
expect "a port with another word" 64 "'nam' is not known; did you mean name\\?; allowed: name=NAME" "$vmm" --port null,nam=x
expect "a port with two names" 64 "name is there twice" "$vmm" --port null,name=x,name=y
expect "a qtest target that is none" 64 "'--qtest <target>': 'unx' is not known; did you mean unix\\?; allowed: stdio, unix=PATH" \
    "$vmm" --qtest unx=socket
expect "a qtest target with a word" 64 "nothing can follow the comma in front of 'ro'" "$vmm" --qtest stdio,ro
expect "a serial port with a typing mistake" 64 "'--serial <target>': 'stdoi' is not known" "$vmm" --serial stdoi
expect "an entropy source that is none" 64 "'sed' is not known; did you mean seed\\?; allowed: host, seed=N" "$vmm" --rng=sed=1
expect "a kernel behind the entropy device" 64 "'text' is not known; .* written --rng=host KERNEL" "$vmm" --rng text
expect "an entropy seed that is no number" 64 "seed= takes a number" "$vmm" --rng=seed=x
expect "memory in MiB" 0 "" sh -c "printf 'writeb 0x7ffffff 7\nreadb 0x7ffffff\nwriteb 0x8000000 7\nreadb 0x8000000\n' | '$vmm' --qtest stdio -m 128 > out;
    printf 'OK\nOK 0x0000000000000007\nOK\nOK 0x00000000000000ff\n' | cmp - out"
for size in 128M 128MB 128MiB 131072K 134217728B; do
    expect "memory of $size" 0 "" sh -c "printf 'writeb 0x7ffffff 7\nreadb 0x7ffffff\nreadb 0x8000000\n' | '$vmm' --qtest stdio -m $size > out;
        printf 'OK\nOK 0x0000000000000007\nOK 0x00000000000000ff\n' | cmp - out"
done
expect "memory in T" 1 "smaller -m" "$vmm" -m 900T
expect "memory in another unit" 64 "K, M, G or T, powers of 1024.*without a letter it is in MiB" "$vmm" -m 128X
expect "memory of more than 64 bits" 64 "with B in bytes" "$vmm" -m 99999999999999999
expect "a duration in hours" 0 "" "$vmm" --qtest stdio --timeout 1h
expect "a duration in another unit" 64 "ms, s, m or h" "$vmm" --timeout 1d
expect "console nowhere" 1 "console" "$vmm" --console file=/missing/file
chmod 444 disk.img
if [ "$(id -u)" = 0 ] && command -v setpriv > /dev/null; then
    nobody="setpriv --reuid 65534 --regid 65534 --clear-groups"
    expect "disk not writable" 1 "add ,ro" $nobody "$vmm" -d disk.img
    chmod 0 text
    expect "kernel not readable" 1 "permissions" $nobody "$vmm" text
elif [ "$(id -u)" != 0 ]; then
    expect "disk not writable" 1 "add ,ro" "$vmm" -d disk.img
else
    skip "disk not writable" "running as root, and there is no setpriv"
fi
chmod 644 disk.img

# Kernels in other formats, and what is wrong with an ELF file.
"$here/../kernel/build.sh" minimal.elf || exit 1
for format in gzip xz zstd lz4; do
    command -v $format > /dev/null || { skip "a kernel compressed by $format" "there is no $format"; continue; }
    $format -c minimal.elf > minimal.$format
    expect "a kernel compressed by $format" 1 "$format file, not a kernel; decompress it: $format -dc minimal.$format > KERNEL" "$vmm" minimal.$format
done
# Kernels for the Multiboot protocols: ELF64, ELF32, and by the addresses of their headers.
mb() { "$here/multiboot.sh" "$@" || exit 1; }
mb one -DVERSION=1
mb two -DVERSION=2
mb addresses1 -DVERSION=1 -DFLAGS=0x10003
mb addresses2 -DVERSION=2 -DADDRESSES
mb moved -DVERSION=2 -DRELOCATABLE
mb optional -DVERSION=2 -DTAG=77,1
mb flags -DVERSION=1 -DFLAGS=8
mb tag -DVERSION=2 -DTAG=77,0
mb request -DVERSION=2 -DTAG=1,0
mb display -DVERSION=2 -DTAG=4,0
mb sum -DVERSION=1 -DSUM=1
expect "flags that are required and not known" 1 "Multiboot header of flags.elf requires flags 0x8, which the specification" "$vmm" flags.elf
expect "a tag that is required and not known" 1 "requires a tag of type 77, which the specification" "$vmm" tag.elf
expect "information that is required and not known" 1 "requires information of type 4097, which the specification" "$vmm" request.elf
expect "a display that is required" 1 "requires a display .console flags., which the board does not have" "$vmm" display.elf
expect "a wrong checksum" 1 "no PVH entry note .*, no Multiboot header and no Linux notes" "$vmm" sum.elf
expect "and as chosen" 1 "no Multiboot header with a valid checksum in its first 8 KiB" "$vmm" sum.elf --boot multiboot
expect "no header of version 2" 1 "no Multiboot2 header with a valid checksum in its first 32 KiB" "$vmm" one.elf --boot multiboot2
# A Linux boot header whose kernel has no entry but that in real mode, as iPXE's.
{ printf '%513s' | tr ' ' '\0'; printf 'fHdrS\007\002'; printf '%4000s' | tr ' ' '\0'; } > ipxe.lkrn
expect "a kernel that needs a BIOS" 1 "needs real mode and a BIOS, which are not here" "$vmm" ipxe.lkrn
printf 'MZ%600s' > pe.efi
expect "a PE file" 1 "PE file, not a kernel; there is no EFI here" "$vmm" pe.efi
llvm-objcopy --version > /dev/null 2>&1 && objcopy=llvm-objcopy || objcopy=objcopy
$objcopy -R .note.pvh -O elf32-i386 minimal.elf plain.elf
expect "an ELF32 without a note" 1 "CONFIG_PVH\\)$" "$vmm" plain.elf
truncate -s 70M big.initrd
expect "an initrd for which memory has to be larger" 1 "try -m 72M or more" "$vmm" minimal.elf -i big.initrd -m 64M
truncate -s 3G huge.initrd
expect "an initrd for which no memory is enough" 1 "no -m leaves it enough: use a smaller one" "$vmm" minimal.elf -i huge.initrd -m 64M
expect "a long command line for a kernel of which little is known" 1 "2[0-9]{3} bytes, of which vmm has room for 2047" \
    "$vmm" minimal.elf -a "$(printf '%2100s' | tr ' ' x)"

# Disk images in other formats, block sizes, and images that the host uses.
truncate -s 1M qcow2.img
printf 'QFI\373' | dd of=qcow2.img conv=notrunc 2> /dev/null
expect "a qcow2 image" 0 "qcow2.img looks like a qcow2 image, .*: qemu-img convert -O raw qcow2.img disk.img; or add ,format=raw" \
    "$vmm" --qtest stdio -d qcow2.img
expect "as a raw one" 0 "" sh -c "! '$vmm' --qtest stdio -d qcow2.img,format=raw 2>&1 | grep ."
expect "another format" 64 "format= takes raw" "$vmm" -d qcow2.img,format=qcow2
expect "a block size" 0 "" sh -c "printf 'readl 0xd0001114\nreadb 0xd0001118\nreadw 0xd000111a\n' \
    | '$vmm' --qtest stdio -d disk.img,block-size=4096 | tr -d '\n' | grep -qx 'OK 0x0*1000OK 0x0*OK 0x0*1'"
expect "a block size of no disk" 64 "block-size= takes 512, 1024, 2048, 4096" "$vmm" -d disk.img,block-size=8192
expect "a disk that is not whole blocks" 1 "multiple of 4096; use truncate -s %4096" \
    sh -c "truncate -s 5120 part.img; '$vmm' --qtest stdio -d part.img,block-size=4096"
if loop=$(losetup --find --show --sector-size 4096 disk.img 2> /dev/null); then
    expect "an image that backs a loop device" 0 "disk.img also backs the host's $loop: .*losetup -d $loop" "$vmm" --qtest stdio -d disk.img
    expect "by force" 0 "" sh -c "! '$vmm' --qtest stdio -d disk.img,force 2>&1 | grep ."
    expect "direct on sectors of 4096 bytes" 0 "" \
        sh -c "echo readl 0xd0001114 | '$vmm' --qtest stdio -d $loop,direct | grep -qx 'OK 0x0000000000001000'"
    expect "direct on smaller blocks than the host's" 1 "sectors of 4096 bytes on the host.*use block-size=4096" \
        "$vmm" --qtest stdio -d $loop,direct,block-size=512
    if mke2fs -q -F $loop > mke2fs.out 2>&1 && unshare -m mount $loop directory 2> /dev/null; then
        mounted="mount $loop directory && exec '$vmm' --qtest stdio -d $loop"
        expect "a mounted device" 1 "in use by this host, .*unmount it, add ,ro to read it, or add ,force" unshare -m sh -c "$mounted"
        expect "read-only" 0 "" unshare -m sh -c "$mounted,ro"
        expect "by force" 0 "" unshare -m sh -c "$mounted,force"
    else
        skip "a mounted device" "this user cannot mount, or there is no mke2fs"
    fi
    losetup -d $loop
    truncate -s 0 disk.img
    truncate -s 1M disk.img
else
    skip "loop devices" "this user has none"
fi

# Clauses, and traces: made by qtest, for they need no KVM.
expect "explain a clause" 0 "" sh -c "'$vmm' explain 4.2.2.2-14 | grep -q 'what to do: '"
expect "explain a section" 0 "" sh -c "[ \$('$vmm' explain 4.2.2.2 | grep -c 'usual cause') -gt 10 ]"
expect "explain all" 0 "" sh -c "[ \$('$vmm' explain --list | wc -l) -gt 200 ]"
expect "every clause once" 0 "" sh -c "[ -z \"\$('$vmm' explain --list | cut -c3- | cut -f1 | sort | uniq -d)\" ]"
expect "explain a name of the documentation" 0 "" sh -c "'$vmm' explain B-6 | grep -q '^2.1.2-3'"
expect "explain a section without clauses" 0 "" sh -c "'$vmm' explain 2.8.6 | grep -q '^No clause is named 2.8.6. Those of 2.8:'"
expect "explain a clause in small letters" 0 "" sh -c "'$vmm' explain v5-drv-7 | grep -q '^V5-DRV-7'"
expect "explain a decision" 0 "" sh -c "'$vmm' explain D-4 | grep -q '^D-4  device decision'"
expect "explain a dialect" 0 "" sh -c "'$vmm' explain draft | grep -q '^V5-DRV-1' && '$vmm' explain 1.4 | grep -q '^V14-DRV-1'"
expect "explain a word" 0 "" sh -c "'$vmm' explain suspend | grep -q '^V5-DRV-3'"
expect "explain SUSPEND by a picture" 0 "" sh -c "'$vmm' explain suspend > found && [ \$(grep -c 'write 0x1f' found) = 3 ] && grep -q 'read  0x1b' found"
expect "explain where a clause stands" 0 "" sh -c "'$vmm' explain 4.2.2.2-14 | grep -q 'where:       VIRTIO 1.4, 4.2.2.2 .Driver Requirements: MMIO Device Register Layout., key word 14'"
expect "explain a register" 0 "" sh -c "'$vmm' explain queueready > found && grep -q 'register at offset 0x44' found && grep -q '^4.2.2.2-' found"
expect "explain a feature" 0 "" sh -c "'$vmm' explain VIRTIO_RING_F_EVENT_IDX > found && grep -q 'feature bit 29 of every device' found && grep -q '^2.7.7.1-' found"
for name in $("$vmm" --help | tr '\n' ' ' | sed 's/.*Features: \([^.]*\)\..*/\1/; s/,//g') \
    $(sed -n 's/^    case \([a-zA-Z]*\) = 0x.*/\1/p' "$here/../../Sources/VirtioABI/Register.swift"); do
    expect "explain $name" 0 "" "$vmm" explain "$name"
done
expect "explain to a full disk" 1 "standard output did not take all .*: No space left" sh -c "'$vmm' explain D-4 > /dev/full"
expect "explain all to a full disk" 1 "standard output did not take all .*: No space left" sh -c "'$vmm' explain --list > /dev/full"
expect "explain what is no clause" 64 "explain --list" "$vmm" explain 9.9.9-9
expect "explain nothing" 64 "Name a clause" "$vmm" explain
expect "a mode of conformance that is none" 64 "conform" "$vmm" --conform mild
expect "a trace nowhere" 1 "trace /missing/t cannot be used: No such file" "$vmm" --qtest stdio --trace /missing/t
expect "a trace on a full disk" 1 "No space left" "$vmm" --qtest stdio --trace /dev/full
expect "a trace into a pipe without a reader" 1 "trace fifo cannot" "$vmm" --qtest stdio --trace fifo
expect "a trace of two runs" 64 "choose one with --suspend" "$vmm" --trace t.json
expect "a trace by qtest" 0 "" sh -c "printf 'writel 0xd0001070 1\nreadl 0xd0001050\n' | '$vmm' --qtest stdio --trace t.json"
expect "check it" 65 "" sh -c "'$vmm' check t.json > report; code=\$?; grep -q 'blk0: 4.2.2.2-3 (MUST NOT), once' report && exit \$code"
expect "check it as JSON" 65 "" sh -c "'$vmm' check --json t.json > json; code=\$?; python3 -m json.tool json > /dev/null && exit \$code"
expect "check what is missing" 1 "No such file" "$vmm" check missing
expect "check what is no trace" 1 "line 1: this is no trace" "$vmm" check SPIN.elf
sed 's/"trace":2/"trace":3/' t.json > newer.json
expect "check what is newer" 1 "of version 3, and this vmm reads 1 to 2" "$vmm" check newer.json
expect "check an empty file" 1 "the file is empty" "$vmm" check empty.img
expect "check a directory" 1 "Is a directory" "$vmm" check directory
expect "check a file without end" 1 "line 1: this is no trace" "$vmm" check /dev/zero
expect "check a trace through a pipe" 65 "" sh -c "'$vmm' check /dev/stdin < t.json > stdin.report; code=\$?; cmp report stdin.report && exit \$code"
expect "check a trace through a FIFO" 65 "" sh -c "cat t.json > fifo & '$vmm' check fifo > fifo.report; code=\$?; cmp report fifo.report && exit \$code"
expect "check it to a full disk" 1 "standard output did not take all .*: No space left" sh -c "'$vmm' check t.json > /dev/full"
lines=$(wc -l < t.json)
{ sed '$d' t.json; echo "{\"n\":$lines,\"t\":1,\"dev\":9,\"ev\":\"ready\"}"; } > odd.json
expect "check a trace with an event of no device" 65 "line $lines: this is no event .* unknown" "$vmm" check odd.json
{ sed '$d' t.json; printf '{"t":1,"dev":1,"e'; } > cut.json
expect "check a trace that was cut" 65 "cut within line $lines; what follows line $((lines - 1)) is unknown" "$vmm" check cut.json
sed '$d' t.json > endless.json
expect "check a trace without its end" 65 "is cut: .* what follows line $((lines - 1)) is unknown" "$vmm" check endless.json
printf 'readl 0xd0001070\n' | "$vmm" --qtest stdio --trace good.json > out
head -c -1 good.json > torn.json
expect "check a trace whose last line lacks its end" 1 "cut within line" "$vmm" check torn.json
expect "see a trace whose last line lacks its end" 1 "cut within line" sh -c "'$vmm' trace-view torn.json > view"
sed 's/"status":1/"status":3/' t.json > other.json
expect "check a trace that the model does not follow, in words" 1 \
    "blk0: .* here Status becomes 0x01, the device not live, and in the trace Status becomes 0x03, the device not live;" "$vmm" check other.json
sed 5d t.json > gap.json
expect "check a trace that lacks a line" 1 "line 5 is missing; what follows line 4 is unknown" "$vmm" check gap.json
expect "and what was broken before is not known" 0 "" sh -c "'$vmm' check gap.json | grep -q 'could be replayed, drivers broke 0 of'"
expect "as JSON" 0 "" sh -c "'$vmm' check --json gap.json | grep -q '\"unknown\":\\[\".*line 5 is missing'"
cat t.json t.json > twice.json
expect "check two traces in one file" 65 "more after the line that says it is the end" "$vmm" check twice.json
{ head -n 5 t.json; echo '{"n":6,"t":1,"dev":1,"ev":"dropped","count":7}'; echo '{"n":7,"ev":"end"}'; } > lossy.json
expect "check a trace with dropped events" 1 "lacks 7 events" "$vmm" check lossy.json
# A limit of the size of files is to vmm as a full disk.
yes 'readl 0xd0001070' | head -n 500 > polls
expect "a trace that outgrows its disk" 0 "trace big.json is incomplete: .*File too large" \
    bash -c "ulimit -f 16; '$vmm' --qtest stdio --trace big.json < polls | grep -c '^OK' > answers; exit \${PIPESTATUS[0]}"
expect "a trace that cannot begin" 1 "trace none.json cannot be used: File too large" \
    bash -c "(ulimit -f 0; exec env --default-signal=XFSZ '$vmm' --qtest stdio --trace none.json 2>&1 > /dev/null) | cat >&2; exit \${PIPESTATUS[0]}"
expect "and the run went on" 0 "" grep -qx 500 answers
expect "and check says that it is cut" 1 "is cut .* is unknown" "$vmm" check big.json
# In version 1 lines have no numbers, and the violation of a read stands before it.
head -n 42 "$here/../trace/version-1.json" > old.json
expect "check a trace of version 1" 65 "of version 1, whose lines have no numbers" "$vmm" check "$here/../trace/version-1.json"
expect "whose last call is not whole" 65 "line 40, blk0: the trace does not have the whole call; .* unknown" "$vmm" check old.json
expect "and by that call no clause was broken" 0 "" sh -c "'$vmm' check old.json | grep -q 'drivers broke 1 of .*(4.2.2.2-4)'"
expect "an access that breaks a clause, first of all" 65 "" \
    sh -c "echo readb 0xd0000000 | '$vmm' --qtest stdio --trace first.json > out; '$vmm' check first.json > report; code=\$?; grep -q 'console0: 4.2.2.2-4 (MUST), once' report && exit \$code"
expect "whose violation comes after it" 0 "" sh -c "[ \$(grep -n '\"ev\":\"read\"' first.json | cut -d: -f1) -lt \$(grep -n violation first.json | cut -d: -f1) ]"
expect "requests that are taken away" 0 "" \
    sh -c "'$here/../trace/in_flight.py' '$vmm' flight.json && '$vmm' trace-view flight.json -o flight.view && '$here/../trace/spans.py' flight.json flight.view > spans || { cat spans >&2; exit 1; }"
expect "see a trace that was cut" 1 "cut within line" sh -c "'$vmm' trace-view cut.json > view && exit 9; code=\$?; python3 -m json.tool view > /dev/null && exit \$code"
expect "see it" 0 "" sh -c "'$vmm' trace-view t.json | python3 -m json.tool > /dev/null"
expect "see it in a file nowhere" 1 "cannot be used" "$vmm" trace-view t.json -o /missing/v.json
expect "qtest, a driver that is refused" 65 "" \
    sh -c "printf 'readl 0xd0001050\nreadl 0xd0001070\n' | '$vmm' --qtest stdio --conform strict > out; code=\$?; grep -q 40\$ out && exit \$code"
expect "and says why" 65 "exit code 65, because --conform strict refused the driver of blk0, which broke 4.2.2.2-3; vmm explain" \
    sh -c "echo readl 0xd0001050 | '$vmm' --qtest stdio --conform strict > out"
expect "and in a run that timed out" 65 "strict refused the driver of blk0, which broke 4.2.2.2-3" sh -c \
    "exec 3<> fifo; echo readl 0xd0001050 >&3; '$vmm' --qtest stdio --conform strict --timeout 200ms <&3 > out"
expect "qtest, how it was as JSON" 0 '"exitCode":0.*"clause":"4.2.2.2-3"' sh -c "echo readl 0xd0001050 | '$vmm' --qtest stdio --json"
expect "qtest without conformance checks" 0 '"violations":\[\]' sh -c "echo readl 0xd0001050 | '$vmm' --qtest stdio --json --conform off"

expect "qtest with reports asked for" 0 "the driver broke 4.2.2.2-3 .*" sh -c "echo readl 0xd0001050 | '$vmm' --qtest stdio --conform report"
expect "qtest without" 0 "" sh -c "[ -z \"\$(echo readl 0xd0001050 | '$vmm' --qtest stdio 2>&1 > out)\" ]"
for option in "--boot pvh" "--discovery acpi" "--stall-after 1s" --test-device "--initrd text" "--append x" "--serial stdio" "--cpus 2"; do
    expect "qtest with $option" 64 "no processor: leave out ${option%% *}\\." "$vmm" --qtest stdio $option
done
expect "qtest with two that do not apply" 64 "leave out --cpus, --boot\\." "$vmm" --qtest stdio --boot pvh -c 2
expect "qtest with a disk offers console and disk the same ring forms" 0 "" sh -c "printf 'x-state console0\nx-state blk0\n' |
    '$vmm' --qtest stdio -d disk.img | sed 's/.*offeredFeatures\":\"0x\([0-9a-f]*\)[0-9a-f]\{8\}\".*/\1/' | uniq | wc -l | grep -qx 1"

# A disk's write_zeroes_may_unmap.
expect "an image with holes" 0 "" \
    sh -c "echo readb 0xd0001138 | '$vmm' --qtest stdio -d disk.img | grep -qx 'OK 0x0000000000000001'"
if unshare -m true 2> /dev/null; then
    expect "an image where no holes can be punched" 0 "" unshare -m sh -c \
        "mount -t ramfs none directory && truncate -s 1M directory/image && echo readb 0xd0001138 | '$vmm' --qtest stdio -d directory/image | grep -qx 'OK 0x0000000000000000'"
else
    skip "an image where no holes can be punched" "this user cannot unshare mounts"
fi

# qtest needs no KVM. A pipe opened for both ways has no end.
expect "qtest at the end of its input" 0 "" "$vmm" --qtest stdio
expect "qtest says why it ends" 0 "client left" "$vmm" --qtest stdio -v
expect "qtest answers" 0 "" sh -c "[ \"\$(printf 'rea\ndl 0xd0000000\nreadl 0xd0000000\nreadb' | '$vmm' --qtest stdio | tail -n 1)\" = 'OK 0x0000000074726976' ]"
expect "qtest with the built-in guest's disks" 0 "" sh -c "echo x-state blk1 | '$vmm' --qtest stdio | grep -q '^OK {'"
expect "qtest with a disk and no other" 0 "" \
    sh -c "printf 'x-state blk0\nx-state blk1\n' | '$vmm' --qtest stdio -d disk.img,ro | tail -n 1 | grep -q Unknown"
expect "qtest keeps the console off standard output" 0 "" \
    sh -c "[ \$(echo 'writel 0xd0000108 65' | '$vmm' --qtest stdio --console null | wc -c) = 3 ]"
expect "qtest and a guest's exit" 11 "debug-exit" sh -c "echo 'outb 0xf4 5' | '$vmm' --qtest stdio"
expect "qtest with a kernel" 64 "no kernel" "$vmm" --qtest stdio POWER_OFF.elf
expect "qtest with a kernel as an option" 64 "no kernel" "$vmm" --qtest stdio -k POWER_OFF.elf
expect "qtest with a command line" 64 "no kernel" "$vmm" --qtest stdio -a hello
expect "qtest with the console at the same place" 64 "console" "$vmm" --qtest stdio --console stdio
expect "qtest nowhere" 64 "qtest" "$vmm" --qtest tcp
expect "qtest at a name of nothing" 64 "qtest" "$vmm" --qtest unix=
expect "qtest, disk missing" 1 "does not exist" "$vmm" --qtest stdio -d missing
expect "qtest in help" 0 "" sh -c "'$vmm' run --help | grep -q qtest"
expect "qtest and a timeout" 124 "time" sh -c "exec '$vmm' --qtest stdio --timeout 200ms <> fifo"
expect "qtest and SIGINT" 130 "signal 2" \
    timeout --preserve-status -s INT 0.5 sh -c "exec '$vmm' --qtest stdio <> fifo"
expect "qtest and SIGTERM at a socket" 143 "signal 15" \
    timeout --preserve-status -s TERM 0.5 "$vmm" --qtest unix=socket
expect "qtest removes its socket" 0 "" test ! -e socket
expect "qtest at a file" 1 "another kind" "$vmm" --qtest unix=text
expect "qtest at a long name" 1 "shorter" "$vmm" --qtest "unix=$(printf '%108s' | tr ' ' n)"
"$vmm" --qtest unix=socket --timeout 20s 2> first.log &
first=$!
until grep -q "waiting for a qtest client" first.log || ! kill -0 $first; do sleep 0.05; done
expect "qtest at a socket in use" 1 "in use" "$vmm" --qtest unix=socket
kill -KILL $first
wait $first 2> /dev/null
expect "a stale socket is left" 0 "" test -S socket
expect "qtest at a stale socket" 124 "waiting for a qtest client" "$vmm" --qtest unix=socket --timeout 200ms

if ! "$here/../kvm.sh" needed "command line cases with a guest"; then
    expect "no KVM" 1 "/dev/kvm" "$vmm"
    skipped=$((skipped + 1))
else
    before=$passed
    if [ "$(id -u)" = 0 ] && command -v setpriv > /dev/null && ! $nobody test -r /dev/kvm; then
        expect "no permission for KVM" 1 "kvm group" $nobody "$vmm"
    else
        skip "no permission for KVM" "every user can open /dev/kvm here, or this is not root"
    fi
    if unshare -m true 2> /dev/null; then
        expect "no /dev/kvm" 1 "there is no /dev/kvm" unshare -m sh -c "mount -t tmpfs none /dev && exec $vmm"
        expect "qtest without /dev/kvm" 0 "" \
            unshare -m sh -c "mount -t tmpfs none /dev && echo endianness | '$vmm' --qtest stdio | grep -q little"
    else
        skip "no /dev/kvm" "this user cannot unshare mounts"
    fi
    expect "power off" 0 "powered off" "$vmm" POWER_OFF.elf
    expect "reset" 32 "reset" "$vmm" RESET.elf
    expect "debug exit" 11 "debug-exit" "$vmm" DEBUG_EXIT.elf
    expect "triple fault" 33 "triple fault" "$vmm" TRIPLE_FAULT.elf
    expect "triple fault shows registers" 33 "rip +0{8}00100004" "$vmm" TRIPLE_FAULT.elf
    expect "code that KVM cannot emulate" 33 "KVM could not" "$vmm" NO_CODE.elf
    expect "timeout" 124 "time" "$vmm" SPIN.elf --timeout 200ms
    expect "SIGINT" 130 "signal 2" timeout --preserve-status -s INT 0.5 "$vmm" SPIN.elf
    expect "where the devices stand, by SIGQUIT" 143 "console0: the driver noticed the device and has not set DRIVER" \
        "$here/asked.sh" "$vmm" "has not set DRIVER" STALL.elf
    expect "where they stand after a silence" 124 "nothing has happened for 0.2 s.*" "$vmm" STALL.elf --stall-after 200ms --timeout 900ms
    expect "and that is told once" 0 "" \
        sh -c "[ \$('$vmm' STALL.elf --stall-after 100ms --timeout 900ms 2>&1 | grep -c 'nothing has happened') = 1 ]"
    expect "a guest that waits for interrupts is not reported" 1 "" \
        sh -c "'$vmm' IDLE.elf --stall-after 100ms --timeout 500ms 2>&1 | grep 'nothing has happened'"
    expect "the minimal kernel" 0 "powered off" sh -c \
        "printf 'sector 0 of disk' > sector.img; truncate -s 4096 sector.img; '$vmm' minimal.elf -d sector.img --conform strict > hello"
    expect "what it prints" 0 "" sh -c "printf 'hello from a minimal kernel\nsector 0 of disk' | cmp - hello"
    expect "stopped while every processor is halted with interrupts off" 130 "vcpu0 is halted with interrupts off: nothing can wake it" \
        timeout --preserve-status -s INT 0.5 "$vmm" HALT.elf
    expect "every processor halted with interrupts off" 124 \
        "nothing has happened for 0.2 s, and no processor can continue" "$vmm" HALT.elf -c 2 --stall-after 200ms --timeout 900ms
    expect "and that nothing can wake them" 124 "vcpu0 is halted with interrupts off: nothing can wake it; rip 0{8}0010000" \
        "$vmm" HALT.elf -c 2 --stall-after 200ms --timeout 900ms
    expect "the same by SIGQUIT" 143 "nothing can wake it" \
        "$here/asked.sh" "$vmm" "nothing can wake it" HALT.elf
    expect "a loop with interrupts off" 124 "vcpu0 is running with interrupts off, without an access to a device; rip 0{8}00100000" \
        "$vmm" SPIN.elf --stall-after 100ms --timeout 900ms
    expect "a driver that polls one register makes no progress" 124 "nothing has happened for 0.2 s" \
        "$vmm" POLL.elf --stall-after 200ms --timeout 900ms
    expect "what it polls" 124 "last access: read of Status, which returned 0x80; [0-9]+ times in a row" \
        "$vmm" POLL.elf --timeout 500ms
    expect "where the devices stand when the run times out" 124 "console0: the driver noticed the device and has not set DRIVER" \
        "$vmm" STALL.elf --timeout 300ms
    expect "the requests of the built-in guest's suite" 0 "" sh -c \
        "'$vmm' --suspend draft --trace guest.json > out && '$vmm' trace-view guest.json -o guest.view && '$here/../trace/spans.py' guest.json guest.view > spans || { cat spans >&2; exit 1; }"
    expect "the built-in guest is refused" 65 "exit code 65, because --conform strict refused the driver of blk0, which broke 2.2.1-1" \
        "$vmm" --suspend draft --conform strict -a only=features-refused
    expect "a suite that fails" 85 "SUSPEND draft: the built-in guest failed: its lines \"not ok\"" "$vmm" -a only=nothing
    expect "how it was as JSON" 0 '"outcome":"the guest powered off"' "$vmm" POWER_OFF.elf --json
    expect "SIGTERM" 143 "signal 15" timeout --preserve-status -s TERM 0.5 "$vmm" SPIN.elf
    # "virtio_mmio.device=4K@0xd0000000:5 hello world" is 46 bytes; an initrd counts 100; the exit code is (v << 1) | 1.
    expect "triple fault shows the last exits" 33 "write of 0x5a to port 0x80" "$vmm" TRIPLE_FAULT.elf
    expect "reset by the keyboard controller" 32 "reset the machine" "$vmm" KEYBOARD.elf
    expect "two processors" 0 "vcpu1 is not started" "$vmm" POWER_OFF.elf -c 2 -v
    for count in 2 4 8 32; do
        others=$((count - 1))
        expect "$count processors started by the first instruction" $((others * 2 + 1)) "" "$vmm" PROCESSORS.elf -c $count \
            --discovery none -a "$(printf "%${others}s" | tr ' ' x)"
    done
    expect "a kernel without ACPI starts the other processor of the MP table" 3 "by an MP table" "$vmm" MP_TABLE.elf -c 2 --discovery cmdline -v
    expect "the MP table has every processor" 15 "" "$vmm" MP_TABLE.elf -c 8
    expect "and is there by both ways" 15 "and by an MP table" "$vmm" MP_TABLE.elf -c 8 --discovery both -v
    expect "but not with ACPI alone" 127 "" "$vmm" MP_TABLE.elf --discovery acpi
    expect "the clock tells the year" $((($(date -u +%Y) - 2000) * 2 + 1)) "" "$vmm" CLOCK.elf
    expect "the timer counts" 0 "powered off" "$vmm" PIT.elf
    expect "a panic" 34 "the guest panicked" "$vmm" PANIC.elf
    expect "and the output before it" 0 "" sh -c '[ "$("$1" PANIC.elf)" = ! ]' sh "$vmm"
    # The main thread's clone3 calls: signals, the same in the sandbox, console0, then the vCPUs, of which 0 is the last.
    if strace -o /dev/null true 2> /dev/null; then
        expect "the host has no thread for the last vCPU" 1 "no thread for vcpu0: Resource temporarily unavailable" \
            strace -f -o /dev/null -e trace=clone3 -e inject=clone3:error=EAGAIN:when=7 "$vmm" SPIN.elf -c 4 --sandbox auto
        ioctls="strace -f -o ioctls -e trace=ioctl $vmm"
        expect "the built-in guest has no timer that it does not use" 0 "" \
            sh -c "$ioctls --suspend draft -a only=blk-flush && ! grep KVM_CREATE_PIT2 ioctls"
        expect "nor has another kernel" 0 "" sh -c "$ioctls POWER_OFF.elf && ! grep KVM_CREATE_PIT2 ioctls"
        expect "one that uses it has it" 0 "" sh -c "$ioctls PIT.elf && grep KVM_CREATE_PIT2 ioctls"
    else
        skip "the host has no thread for the last vCPU" "there is no strace, or it may not trace"
    fi
    expect "where the guest is when the time is over" 124 "vcpu0 is running at rip 0{8}00100000" "$vmm" SPIN.elf --timeout 300ms
    expect "which function that is, and who called it" 124 "vcpu0 is running at rip [0-9a-f]+ <inner\+0x8>.*called from [0-9a-f]+ <outer\+0x8>.*called from [0-9a-f]+ <start\+0x" \
        sh -c '"$1" CALLS.elf --timeout 300ms --discovery none 2>&1 | tr "\n" " " >&2; exit 124' sh "$vmm"
    expect "the same of a crash" 33 "in <inner\+0xa>.*called from [0-9a-f]+ <outer\+0x8>" \
        sh -c '"$1" CALLS.elf -a x --discovery none 2>&1 | tr "\n" " " >&2; exit 33' sh "$vmm"
    expect "the ports that nothing answers" 0 "nothing answers port 0x92: 7 accesses, the first at rip 0{8}001000" "$vmm" UNCLAIMED.elf -v
    expect "and the addresses" 0 "nothing answers address 0xfed00000: 5 accesses, the first at rip 0{8}001000" "$vmm" UNCLAIMED.elf -v
    expect "and how many more" 0 "nothing answers other ports and addresses either: 97 accesses" "$vmm" UNCLAIMED.elf -v
    expect "and as JSON" 0 '"unclaimed":\{"total":112,"most":\[\{"port":"0x92","count":7,"rip":"0x10[^}]*\},\{"address":"0xfed00000","count":5' \
        "$vmm" UNCLAIMED.elf --json
    expect "a Linux without a console" 0 "names no console, .* add -a console=hvc0" "$vmm" LINUX.elf
    expect "a Linux with one" 0 "" sh -c "'$vmm' LINUX.elf -a 'quiet console=hvc0' 2>&1 | grep -c 'no console' | grep -qx 0"
    expect "another kernel" 0 "" sh -c "'$vmm' POWER_OFF.elf 2>&1 | grep -c 'no console' | grep -qx 0"
    expect "why a kernel is booted as it is" 0 "as pvh, because of its PVH note" "$vmm" POWER_OFF.elf -v
    for kernel in one.elf one.elf32 addresses1.bin two.elf two.elf32 addresses2.bin moved.elf optional.elf; do
        expect "Multiboot: $kernel" 0 "booted as multiboot" sh -c '
            "$1" "$2" -v -i text -i numbers.txt -a hello --discovery none --serial stdio --console null > out; code=$?
            sort out | tr "\n" " " | grep -qx "1 hello numbers.txt text text vmm " && exit $code' sh "$vmm" $kernel
    done
    expect "Multiboot2 with ACPI" 0 "" sh -c '"$1" two.elf --discovery acpi --serial stdio --console null | grep -aq "^RSD PTR "' sh "$vmm"
    expect "no discovery of devices" 23 "debug-exit" "$vmm" COMMAND_LINE.elf -a hello -a world --discovery none
    expect "ACPI where it is asked for" 0 "by ACPI" "$vmm" POWER_OFF.elf --discovery acpi -v
    expect "output of a serial port that is off" 0 "3 bytes to the serial port, which is off; see them with --serial stdio" "$vmm" SERIAL.elf
    expect "a serial port at stdout" 0 "" sh -c '[ "$("$1" SERIAL.elf --serial stdio)" = ok ]' sh "$vmm"
    seq 20000 > numbers
    expect "a serial port takes input, all of it" 0 "" sh -c '
        { cat numbers; printf "\0"; } | "$1" ECHO.elf --serial stdio --console null | cmp - numbers' sh "$vmm"
    expect "which is the console's where that is at stdio" 124 "" sh -c 'echo x | "$1" ECHO.elf --serial stdio --timeout 300ms' sh "$vmm"
    expect "a serial port in a file" 0 "" "$vmm" SERIAL.elf --serial file=serial.out
    expect "and what is in it" 0 "" grep -qx ok serial.out
    expect "a serial port at a full disk" 0 "No space left" "$vmm" SERIAL.elf --serial file=/dev/full
    expect "command line" $((46 * 2 + 1)) "debug-exit" "$vmm" COMMAND_LINE.elf -a hello -a world
    expect "initrd" $(((146 * 2 + 1) % 256)) "debug-exit" "$vmm" COMMAND_LINE.elf -a hello -a world -i disk.img
    for mode in auto threads uring auto,direct; do
        expect "writes to an overlay, io=$mode" 0 "" sh -c "sum=\$(cksum < disk.img) && '$vmm' -d disk.img,overlay,io=$mode -a stress=40 -a disk=2 &&
            test \"\$(cksum < disk.img)\" = \"\$sum\""
    done
    expect "read-only disk" 0 "powered off" "$vmm" POWER_OFF.elf -d disk.img,ro,id=x

    expect "a disk with the built-in guest" 0 "1.4: the guest powered off" "$vmm" -a only=blk-flush -d disk.img
    expect "a disk with a packed ring" 0 "powered off" "$vmm" POWER_OFF.elf -d disk.img,features=+packed,-ring_reset,id=x
    expect "no standard output and error" 0 "" sh -c "'$vmm' --suspend draft -a only=console-output -d disk.img >&- 2>&-"
    expect "a disk is no place for messages" 0 "" cmp -n 1048576 disk.img /dev/zero
    expect "a disk keeps its size" 0 "" test "$(stat -c %s disk.img)" = 1048576

    # A second writer of a disk image.
    "$vmm" SPIN.elf -d disk.img --timeout 20s 2> /dev/null &
    first=$!
    while kill -0 $first && ! grep -q ":$(stat -c %i disk.img) " /proc/locks; do :; done
    expect "disk in use" 1 "in use" "$vmm" POWER_OFF.elf -d disk.img
    kill -INT $first
    wait $first
    expect "disk free again" 0 "powered off" "$vmm" POWER_OFF.elf -d disk.img

    # SIGUSR1 after the image became a size that no run can start with. The first message of -v says that the guest runs.
    truncate -s 1M grown.img
    expect "a new size that is refused" 143 "grown.img has 1000 bytes, which is not a multiple of 512.* blk0 keeps its capacity" \
        sh -c "'$vmm' SPIN.elf -d grown.img -v 2> grown.log & pid=\$!
            until grep -q 'command line' grown.log; do :; done; truncate -s 1000 grown.img
            tries=0
            until grep -q 'multiple of 512' grown.log || [ \$((tries += 1)) -gt 200 ]; do kill -USR1 \$pid; sleep 0.05; done
            kill -TERM \$pid; wait \$pid; code=\$?; cat grown.log >&2; exit \$code"

    # Host failures on the console: the guest goes on.
    expect "a full disk under the console" 0 "No space" "$vmm" -a only=blk-flush --console file=/dev/full
    expect "a closed pipe under the console" 0 "powered off" \
        sh -c "{ '$vmm' -a only=blk-flush,blk-get-id; echo \$? > code; } | true; exit \$(cat code)"
    expect "a console to nowhere" 0 "powered off" "$vmm" -a only=blk-flush --console null
    "$here/../kvm.sh" ran $((passed - before)) "command line cases"
fi
echo "command line: $passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
