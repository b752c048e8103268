#!/bin/sh
# A checkout that is moved with its .build is built again: the module caches of SwiftPM and of guest/build.sh hold the path they were
# made at. It is a small package with the plugin and the script of this one that is built and moved.
#
# usage: moved.sh [SWIFT]
set -eu
swift=${1:-swift}
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/before/vmm"
cd "$work/before/vmm"

mkdir -p Sources/VirtioABI guest/bench
cp -R "$root/guest/plugin" "$root/guest/image" "$root/guest/boot" "$root"/guest/*.sh "$root/guest/link.ld" guest
cp "$root/guest/bench/Ring3.S" guest/bench
for folder in guest/driver guest/program guest/checks guest/bench guest/stress Sources/VirtioABI; do
    mkdir -p $folder
    : > "$folder/${folder##*/}.swift"
done
# What the assembly calls.
for function in guestMain exceptionTaken interruptTaken processorMain benchMain; do
    echo "@c($function) public func $function() {}" >> guest/program/program.swift
done
cat > Package.swift << 'PACKAGE'
// swift-tools-version: 6.2
import PackageDescription
let package = Package(
    name: "moved",
    targets: [
        .plugin(name: "BuildGuest", capability: .buildTool(), path: "guest/plugin"),
        .target(name: "TestGuest", path: "guest/image", plugins: ["BuildGuest"]),
    ])
PACKAGE

build() { "$swift" build > "$work/log" 2>&1 || { cat "$work/log"; echo "moved: the package $1 does not build" >&2; exit 1; }; }
build "where it was made"
mv "$work/before" "$work/after"
cd "$work/after/vmm"
build "that was moved with its .build"
echo "moved: a package that was moved with its .build is built again"
