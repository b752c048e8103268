#!/bin/sh
# Builds a kernel of multiboot.S as NAME.elf with clang's OPTIONs, an ELF64; and from it NAME.elf32, and NAME.bin without an ELF header.
#
# usage: multiboot.sh NAME OPTION...
set -eu
here=$(cd "$(dirname "$0")" && pwd)
name=$1
shift
llvm-objcopy --version > /dev/null 2>&1 && objcopy=llvm-objcopy || objcopy=objcopy
clang --target=x86_64-unknown-none-elf "$@" -c "$here/multiboot.S" -o "$name.o"
ld.lld --image-base=0 -z max-page-size=0x1000 -e start -Ttext=0x100000 "$name.o" -o "$name.elf"
$objcopy -O elf32-i386 "$name.elf" "$name.elf32"
$objcopy -O binary "$name.elf" "$name.bin"
rm "$name.o"
