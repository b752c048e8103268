#!/bin/sh
# Builds what the Linux tests boot, in DIR, from Debian's packages: both kernels (cloud, generic), the first as an ELF file too, an
# initial RAM disk for each and for each form of guest/linux's transport, Xen's hypervisor, both images of memtest86+, and the files of a
# root file system. Nothing is installed.
#
# usage: build.sh DIR
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
cd "$1"
for tool in lz4 fio busybox cpio mke2fs ethtool passt; do
    command -v $tool > /dev/null || PATH=$PATH:/sbin:/usr/sbin command -v $tool > /dev/null ||
        { echo "linux tests: install $tool" >&2; exit 1; }
done

# Modules in the order in which they are loaded.
virtio="drivers/virtio/virtio_ring drivers/virtio/virtio drivers/virtio/virtio_mmio drivers/block/virtio_blk
    drivers/char/virtio_console drivers/char/hw_random/virtio-rng drivers/misc/pvpanic/pvpanic drivers/misc/pvpanic/pvpanic-mmio"
ext4="lib/crc16 crypto/crc32c_generic fs/mbcache fs/jbd2/jbd2 fs/ext4/ext4"

# program NAME FOLDER: a program with its libraries.
program() {
    cp "$(PATH=$PATH:/sbin:/usr/sbin command -v "$1")" "$2/bin/"
    ldd "$2/bin/$(basename "$1")" | awk '/=> \// { print $3 } $1 ~ /^\// { print $1 }' | while read -r library; do
        mkdir -p "$2$(dirname "$library")" "$2/lib64"
        cp -L "$library" "$2$library"
    done
}

# initrd NAME PACKAGE MODULES [TRANSPORT]: an initial RAM disk that finds the root file system, with TRANSPORT in place of virtio_mmio.
# Those whose names begin with network have a program of their own.
initrd() {
    rm -rf "initrd.$1"
    mkdir -p "initrd.$1/bin" "initrd.$1/dev" "initrd.$1/proc" "initrd.$1/sys" "initrd.$1/root" "initrd.$1/tmp" "initrd.$1/modules"
    cp "$(command -v busybox)" "initrd.$1/bin/"
    case $1 in
        network*)
            cp "$here/network-init" "initrd.$1/init"
            program ethtool "initrd.$1"
            ;;
        *) cp "$here/init" "initrd.$1/init" ;;
    esac
    number=10
    for module in $3; do
        cp "../debian/$2"/lib/modules/*/kernel/"$module.ko" "initrd.$1/modules/$number-$(basename "$module").ko"
        if [ -n "${4:-}" ] && [ "$(basename "$module")" = virtio_mmio ]; then
            rm "initrd.$1/modules/$number-virtio_mmio.ko"
            cp "../linux-modules/$4.ko" "initrd.$1/modules/$number-$4.ko"
        fi
        number=$((number + 1))
    done
    if [ "$2" = linux-image-cloud-amd64 ]; then
        cp ../linux-modules/suspend_tests.ko "initrd.$1/modules/99-suspend_tests.ko"
    fi
    (cd "initrd.$1" && find . -print0 | sort -z | cpio --null -o -H newc --quiet) > "$1.cpio"
    rm -rf "initrd.$1"
}

for kernel in cloud:linux-image-cloud-amd64 generic:linux-image-amd64; do
    name=${kernel%%:*} package=${kernel#*:}
    "$here/../nested/package.sh" "$package" ../debian
    cp "../debian/$package"/boot/vmlinuz-* "$name"
done
release=$(basename ../debian/linux-image-cloud-amd64/lib/modules/*)
"$here/../../guest/linux/build.sh" ../linux-modules "$release"
initrd cloud linux-image-cloud-amd64 "$virtio"
initrd generic linux-image-amd64 "$ext4 $virtio"
vlan="net/llc/llc net/802/stp net/802/garp net/802/mrp net/8021q/8021q"
network="$virtio net/core/failover drivers/net/net_failover drivers/net/virtio_net $vlan"
initrd network linux-image-cloud-amd64 "$network"
initrd network_suspend linux-image-cloud-amd64 "$network" virtio_mmio_suspend
for transport in virtio_mmio_suspend broken_no_hold broken_no_wait broken_kick broken_status broken_reset late_notify; do
    initrd $transport linux-image-cloud-amd64 "$virtio" $transport
done

# The modules by which the nested host finds its own disks.
rm -rf host-modules
mkdir host-modules
number=10
for module in drivers/virtio/virtio_ring drivers/virtio/virtio drivers/virtio/virtio_pci_legacy_dev \
    drivers/virtio/virtio_pci_modern_dev drivers/virtio/virtio_pci drivers/block/virtio_blk drivers/net/tun; do
    cp ../debian/linux-image-cloud-amd64/lib/modules/*/kernel/$module.ko "host-modules/$number-$(basename $module).ko"
    number=$((number + 1))
done

# What the network tests need in the nested host: VLANs, and passt in a root file system of its own: Debian's, or a newer one that PASST
# names.
rm -rf host-network
mkdir -p host-network/passt/bin host-network/passt/etc
for module in $vlan; do cp ../debian/linux-image-cloud-amd64/lib/modules/*/kernel/$module.ko host-network/; done
program "${PASST:-passt}" host-network/passt
[ -z "${PASST:-}" ] || touch host-network/passt/newer
echo "nobody:x:65534:65534:nobody:/:/bin/false" > host-network/passt/etc/passwd

# The ELF file inside a bzImage: at the payload offset of the boot header, in LZ4's legacy frame, with the size behind it.
python3 - cloud > vmlinux.lz4 << 'END'
import struct, sys
image = open(sys.argv[1], "rb").read()
offset, length = struct.unpack_from("<II", image, 0x248)
start = (image[0x1f1] + 1) * 512 + offset
sys.stdout.buffer.write(image[start : start + length - 4])
END
lz4 -dcq vmlinux.lz4 > vmlinux
rm vmlinux.lz4
# Where that file has the types of its notes, a program header's and a section's: without them it is a Linux without notes.
python3 - vmlinux > vmlinux.notes << 'END'
import struct, sys
image = open(sys.argv[1], "rb").read()
(headers, sections), (size, count, section_size, section_count) = struct.unpack_from("<QQ", image, 32), struct.unpack_from("<4H", image, 54)
tables = [(headers + size * n, 0, 4) for n in range(count)] + [(sections + section_size * n, 4, 7) for n in range(section_count)]
print(*(start + offset for start, offset, note in tables if struct.unpack_from("<I", image, start + offset) == (note,)))
END

# Kernels other than Linux.
"$here/../nested/package.sh" xen-system-amd64 ../debian
gzip -dc ../debian/xen-system-amd64/boot/xen-*.gz > xen
"$here/../nested/package.sh" memtest86+ ../debian
cp ../debian/memtest86+/boot/memtest86+x64.bin memtest64
cp ../debian/memtest86+/boot/memtest86+ia32.bin memtest32

# The root file system's files: busybox, fio with its libraries, and the tests.
rm -rf root
mkdir -p root/bin root/sbin root/dev root/proc root/sys root/tmp root/mnt
cp "$(command -v busybox)" root/bin/
cp "$here/guest-tests.sh" root/sbin/init
program fio root
echo /usr/lib/x86_64-linux-gnu/ceph > root/ld-path
