#!/bin/sh
# Debian's gdb debugs Debian's Linux under kvm_amd, in a nested host: it stops where virtblk_probe reads a disk's configuration, and at the
# clause that a transport driver with a mistake breaks, and watches a variable of the built-in guest. The symbols of Linux are those of its own /proc/kallsyms. QEMU's emulation of the processor
# gives its guests neither debug registers nor a stop at int3, so there are no breakpoints in that host.
#
# usage: linux.sh VMM DIR NESTED SYMBOLS       DIR as Tests/linux/build.sh makes it, SYMBOLS those of the built-in guest
set -eu
here=$(cd "$(dirname "$0")" && pwd)
vmm=$1 dir=$2 nested=$3 symbols=$4
PATH=$PATH:/sbin:/usr/sbin
"$here/../nested/host.sh" "$nested"
"$here/../linux/build.sh" "$dir"
payload=$(mktemp -d)
output=$(mktemp)
trap 'rm -rf "$payload" "$output"' EXIT

cp "$vmm" "$payload/vmm"
cp "$symbols" "$payload/guest.symbols"
cp "$dir/vmlinux" "$payload/"
gcc -O1 -static -o "$payload/symbols" "$here/symbols.c"
# The debugger with its libraries, and the part of Python's library without which it does not start.
mkdir -p "$payload/lib" "$payload/python/lib/python3.11"
cp "$(command -v gdb)" "$payload/gdb"
for file in $(ldd "$(command -v gdb)" | awk '$3 ~ /^\// { print $3 } $1 ~ /^\// { print $1 }'); do cp -L "$file" "$payload/lib/"; done
mkdir "$payload/data"
cp -r /usr/share/gdb/python "$payload/data/"
python=$(python3 -c 'import encodings, os; print(os.path.dirname(os.path.dirname(encodings.__file__)))')
mkdir -p "$payload/python/lib/$(basename "$python")"
(cd "$python" && cp -r ./*.py encodings collections importlib re json ctypes "$payload/python/lib/$(basename "$python")/" 2> /dev/null) || true
# An initial RAM disk that stores its symbols on the disk, and the one whose driver is wrong: both load the same modules.
mkdir "$payload/init"
cat > "$payload/init/init" << 'INIT'
#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t devtmpfs dev /dev
for module in /modules/*; do /bin/busybox insmod "$module"; done
/bin/busybox cat /proc/kallsyms > /dev/vda
/bin/busybox sync
/bin/busybox poweroff -f
INIT
chmod +x "$payload/init/init"
cp "$dir/broken_kick.cpio" "$payload/broken.cpio"
(cd "$payload/init" && echo init | cpio -o -H newc --quiet) | cat "$dir/broken_kick.cpio" - > "$payload/kallsyms.cpio"
rm -r "$payload/init"
mke2fs -q -t ext4 -d "$dir/root" "$payload/root.img" 128M

cat > "$payload/run.sh" << 'RUN'
cd /payload
failed=0
ok() { echo "ok - $1"; }
fail() { echo "not ok - $1"; sed 's/^/#   /' /tmp/gdb /tmp/errors | tail -n 80; failed=1; }
flags="console=hvc0 quiet nokaslr mitigations=off tsc=reliable no_timer_check random.trust_cpu=on panic=-1"
debugger() { LD_LIBRARY_PATH=lib PYTHONHOME=/payload/python timeout 120 lib/ld-linux-x86-64.so.2 ./gdb --data-directory=data -nx -batch "$@" > /tmp/gdb 2>&1; }

truncate -s 32M /tmp/kallsyms
./vmm vmlinux -i kallsyms.cpio -m 256M -d /tmp/kallsyms -a "$flags" --timeout 60s < /dev/null > /tmp/gdb 2> /tmp/errors &&
    ./symbols /tmp/kallsyms /tmp/linux.symbols && ok "the symbols of Linux" || fail "the symbols of Linux"

./vmm vmlinux -i broken.cpio -m 256M -d root.img --suspend draft --gdb unix=/tmp/d.sock -S -a "$flags test=suspendOnce" --timeout 100s \
    < /dev/null > /tmp/console 2> /tmp/errors &
until [ -S /tmp/d.sock ]; do usleep 10000; done
debugger /tmp/linux.symbols -ex "target remote /tmp/d.sock" -ex "break *start_kernel" -ex continue -ex delete \
    -ex "monitor break device blk0 config" -ex continue -ex "x/80ga \$rsp" -ex "monitor break off" \
    -ex "monitor break clause any" -ex continue -ex "info registers rip cr3 gs_base efer" -ex "monitor devices" -ex kill
cat /tmp/gdb | sed 's/^/# /'
has() { grep -qE "$2" /tmp/gdb && ok "$1" || fail "$1"; }
has "a breakpoint is refused" "^Cannot insert breakpoint 1"
has "a stop where a driver reads the configuration" "^blk0: a read "
has "in virtblk_probe, by the stack" "<virtblk_probe\+"
has "a stop at the broken clause" "^(blk|console)0: the driver broke VMM-3 "
has "in a module" "^rip +0xffffffffc0"
has "in the function that does it" "^0x[0-9a-f]+ in vms_suspend"
wait

./vmm --suspend draft -a only=identity,blk-flush --gdb unix=/tmp/d.sock -S --timeout 100s < /dev/null > /tmp/console 2> /tmp/errors &
vmm=$!
until [ -S /tmp/d.sock ]; do usleep 10000; done
debugger guest.symbols -ex "target remote /tmp/d.sock" -ex "stepi 5" -ex "info symbol \$pc" \
    -ex "watch *(long *)((char *)&shared_words + 64 + 32 * 5 + 8)" -ex continue -ex "info symbol \$pc" -ex delete -ex detach
wait $vmm
[ $? = 0 ] && ok "the built-in guest goes on to its end" || fail "the built-in guest goes on to its end"
has "single steps" "^entry \+ "
has "a watched value" "^New value = "
exit $failed
RUN
code=0
"$here/../nested/run.sh" "$nested" "$payload" 300 2048 > "$output" 2>&1 || code=$?
grep -aE '^(ok|not ok|#)' "$output" || cat "$output"
"$here/../kvm.sh" ran "$(grep -c '^ok ' "$output" || true)" "checks of debugging Linux" "kvm_amd in a nested host"
exit "$code"
