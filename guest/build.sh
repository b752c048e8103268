#!/bin/sh
# Builds the guest: build.sh OUTDIR writes OUTDIR/guest.elf, OUTDIR/guest.symbols, the same with a debugger's symbols, and
# OUTDIR/GuestImage.swift with the bytes of the first as a Swift constant. SWIFTC, CLANG and LLD name the tools; without them they come from PATH.
set -eu
out=$1
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
mkdir -p "$out"

# A module cache is valid only under the path it was made at. The checkout may have been moved or copied, so every build makes
# a new one.
rm -rf "$out/modules"

# One Embedded Swift module: the guest and the specification's numbers. Ring 0 has no SSE, and an interrupt may come at
# any instruction, so no red zone. Not for size: that copies large values byte by byte, and where ring 0 is emulated
# each byte costs an instruction. A section a function lets the linker drop what nothing calls of the library; what
# allocates does not link.
"${SWIFTC:-swiftc}" -target x86_64-unknown-none-elf -swift-version 6 -enable-experimental-feature Embedded \
    -wmo -parse-as-library -O -warnings-as-errors -strict-memory-safety -module-name Guest \
    -Xcc -mno-red-zone -Xcc -mno-sse -Xcc -ffreestanding \
    -Xfrontend -disable-stack-protector -Xfrontend -function-sections \
    -import-objc-header "$here/boot/Instructions.h" -module-cache-path "$out/modules" \
    -c "$here"/driver/*.swift "$here"/program/*.swift "$here"/checks/*.swift "$here"/bench/*.swift \
    "$here"/stress/*.swift "$here"/../Sources/VirtioABI/*.swift \
    -o "$out/guest.o"
for source in boot/Entry boot/Memory boot/Processors bench/Ring3; do
    "${CLANG:-clang}" -target x86_64-unknown-none-elf -c "$here/$source.S" -o "$out/${source##*/}.o"
done
link() {
    "${LLD:-ld.lld}" --image-base=0 -T "$here/link.ld" --gc-sections -z noexecstack \
        "$out/Entry.o" "$out/Memory.o" "$out/Processors.o" "$out/Ring3.o" "$out/guest.o" "$@"
}
link --strip-all -o "$out/guest.elf"
link -o "$out/guest.symbols"

{
    printf '/// The ELF image of the guest, two hexadecimal digits a byte.\n'
    printf 'let guestImage: StaticString = "%s"\n' "$(od -An -v -tx1 "$out/guest.elf" | tr -d ' \n')"
} >"$out/GuestImage.swift"
