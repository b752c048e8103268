#!/bin/sh
# Builds the nested host in DIR: Debian's cloud kernel, and an initramfs with the kvm modules and busybox. The kernel's
# kvm_amd works under QEMU's emulation of an AMD processor (TCG), so that KVM tests run on machines without /dev/kvm.
# Nothing is installed; apt downloads the kernel package, and dpkg unpacks it.
#
# usage: host.sh DIR
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
cd "$1"
[ host.cpio -nt "$here/host.sh" ] && exit 0

"$here/package.sh" linux-image-cloud-amd64 ../debian
image=../debian/linux-image-cloud-amd64
rm -rf root
cp "$image"/boot/vmlinuz-* vmlinuz

mkdir -p root/bin root/lib root/dev root/proc root/sys root/tmp
cp "$(command -v busybox)" root/bin/
for module in virt/lib/irqbypass arch/x86/kvm/kvm arch/x86/kvm/kvm-amd; do
    cp "$image"/lib/modules/*/kernel/$module.ko root/lib/
done
cat > root/init << 'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin HOME=/
stty -echo
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
insmod /lib/irqbypass.ko
insmod /lib/kvm.ko tdp_mmu=0
insmod /lib/kvm-amd.ko
while sleep 20; do echo "nested host: alive"; done &
export VMM_SANDBOX=on
sh /payload/run.sh
echo "nested host: payload exited with $?"
poweroff -f
INIT
chmod +x root/init
(cd root && find . -print0 | cpio --null -o -H newc --quiet) > host.cpio.part
mv host.cpio.part host.cpio
rm -rf root
