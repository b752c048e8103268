#!/bin/sh
# Builds the kernel NAME of kernel.S as DIR/NAME.elf, linked to ADDRESS.
#
# usage: kernel.sh NAME DIR [ADDRESS]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
clang --target=x86_64-unknown-none-elf -D"$1" -c "$here/kernel.S" -o "$2/$1.o"
ld.lld --image-base=0 -e start -Ttext="${3:-0x100000}" "$2/$1.o" -o "$2/$1.elf"
rm "$2/$1.o"
