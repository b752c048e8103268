#!/bin/sh
# Downloads the kernel package that the Debian metapackage NAME (linux-image-cloud-amd64, linux-image-amd64) depends on, and
# unpacks it to DIR/NAME, unless that exists. Nothing is installed.
#
# usage: package.sh NAME DIR
set -eu
name=$1
mkdir -p "$2"
cd "$2"
[ -d "$name" ] && exit 0
package=$(apt-cache depends "$name" | awk '/Depends: linux-image-6/ { print $2; exit }')
[ -n "$package" ] || { echo "apt knows no $name; run apt-get update" >&2; exit 1; }
rm -rf "$name.part" "$package"_*.deb
apt-get download "$package" > "$name.log" 2>&1 || { cat "$name.log" >&2; exit 1; }
dpkg -x "$package"_*.deb "$name.part"
rm -f "$package"_*.deb "$name.log"
mv "$name.part" "$name"
