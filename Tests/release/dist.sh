#!/bin/sh
# Makes OUT/vmm-VERSION-x86_64-linux.tar.gz and its SHA256SUMS: the static program, the manual, the completions, the licence and the
# notices. The same commit gives the same bytes.
#
# usage: dist.sh VMM SHARE OUT
set -eu
vmm=$1 share=$2 out=$3
version=$(sed -n 's/.*version = "\(.*\)"/\1/p' Sources/Machine/Version.swift)
name=vmm-$version-x86_64-linux
seconds=$(git log -1 --format=%ct 2> /dev/null) || seconds=0
rm -rf "$out"
mkdir -p "$out/$name/bin"
cp -R "$share" "$out/$name/share"
cp LICENSE "$out/$name/LICENSE"
cp Tests/release/notices "$out/$name/NOTICES"
# The compiler's hashes of its modules, which depend on the folder, and the linker's of them all: nothing reads them.
strip -R .swift_modhash -R .note.gnu.build-id -o "$out/$name/bin/vmm" "$vmm"
cd "$out"
(cd "$name" && find . -type f ! -name SHA256SUMS | LC_ALL=C sort | xargs sha256sum > SHA256SUMS)
find "$name" -type d -exec chmod 755 {} +
find "$name" -type f -exec chmod 644 {} +
chmod 755 "$name/bin/vmm"
tar --sort=name --format=ustar --mtime="@$seconds" --owner=0 --group=0 --numeric-owner -cf - "$name" | gzip -9n > "$name.tar.gz"
sha256sum "$name.tar.gz" | tee SHA256SUMS
