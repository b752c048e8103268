#!/bin/sh
# Downloads the Debian package NAME, or of a metapackage (linux-image-cloud-amd64, linux-image-amd64, xen-system-amd64) the kernel package
# it depends on, and unpacks it to DIR/NAME, unless that exists. Nothing is installed.
#
# usage: package.sh NAME DIR
set -eu
name=$1
mkdir -p "$2"
cd "$2"
[ -d "$name" ] && exit 0
known=$(apt-cache depends "$name" 2> /dev/null || true)
[ -n "$known" ] || { echo "apt knows no $name; run apt-get update" >&2; exit 1; }
package=$(echo "$known" | awk '/Depends: (linux-image-6|xen-hypervisor-[0-9])/ { print $2; exit }')
package=${package:-$name}
rm -rf "$name.part" "$package"_*.deb
apt-get download "$package" > "$name.log" 2>&1 || { cat "$name.log" >&2; exit 1; }
dpkg -x "$package"_*.deb "$name.part"
rm -f "$package"_*.deb "$name.log"
mv "$name.part" "$name"
