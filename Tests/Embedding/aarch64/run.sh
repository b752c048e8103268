#!/bin/sh
# The embedding example on a processor that is not x86-64: the device model and the example's own source, as Embedded Swift without an
# operating system, on QEMU's emulation of an aarch64 machine. It reads back what it wrote, and suspends, as it does on the host.
#
# usage: run.sh SWIFTC OUT
set -eu
swiftc=$1 out=$2
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
target=aarch64-none-none-elf
mkdir -p "$out"

compile() {
    module=$1
    shift
    "$swiftc" -target $target -swift-version 6 -enable-experimental-feature Embedded -wmo \
        -parse-as-library -Osize -strict-memory-safety -warnings-as-errors -Xfrontend -disable-stack-protector \
        -Xfrontend -function-sections -module-name "$module" -I "$out" -I "$here" -Xcc -ffreestanding -emit-module-path "$out/$module.swiftmodule" \
        -c "$@" -o "$out/$module.o"
}
compile VirtioABI "$here"/../../../Sources/VirtioABI/*.swift
# shellcheck disable=SC2046 # the names have no blanks
compile Virtio $(find "$here/../../../Sources/Virtio" -name '*.swift')
compile Glibc "$here/Glibc.swift"
compile Embedding "$here/../Sources/embedding/Embedding.swift"
clang -target $target -Os -ffreestanding -c "$here/Runtime.c" -o "$out/Runtime.o"
clang -target $target -c "$here/Entry.S" -o "$out/Entry.o"
ld.lld -T "$here/link.ld" --gc-sections -z noexecstack "$out"/Entry.o "$out"/Runtime.o "$out"/Embedding.o "$out"/Glibc.o \
    "$out"/Virtio.o "$out"/VirtioABI.o -o "$out/embedding.elf"

said=$(timeout 60 qemu-system-aarch64 -M virt -cpu cortex-a57 -m 128M -display none -monitor none -serial stdio -nic none \
    -kernel "$out/embedding.elf" < /dev/null | tr -d '\r')
echo "aarch64: $said"
case $said in
*"read what was written: true; Status while suspended: 0x1b"*"exit code 0") ;;
*) exit 1 ;;
esac
