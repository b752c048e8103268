#!/bin/sh
# Builds the minimal kernel of minimal.S as the ELF file OUTPUT, linked to 1 MiB.
#
# usage: build.sh OUTPUT
set -eu
here=$(cd "$(dirname "$0")" && pwd)
clang --target=x86_64-unknown-none-elf -c "$here/minimal.S" -o "$1.o"
ld.lld --image-base=0 -e start -Ttext=0x100000 "$1.o" -o "$1"
rm "$1.o"
