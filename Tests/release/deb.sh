#!/bin/sh
# Makes OUT/vmm_VERSION_amd64.deb of what dist.sh left in OUT. The same commit gives the same bytes.
#
# usage: deb.sh OUT
set -eu
out=$1
version=$(sed -n 's/.*version = "\(.*\)"/\1/p' Sources/Machine/Version.swift)
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2> /dev/null) || SOURCE_DATE_EPOCH=0
export SOURCE_DATE_EPOCH
from=$out/vmm-$version-x86_64-linux root=$out/deb
rm -rf "$root"
umask 022
documents=$root/usr/share/doc/vmm
mkdir -p "$root/DEBIAN" "$root/usr/bin" "$documents" "$root/usr/share/man/man1" "$root/usr/share/zsh/vendor-completions"
cp "$from/bin/vmm" "$root/usr/bin/vmm"
gzip -9nc "$from/share/man/man1/vmm.1" > "$root/usr/share/man/man1/vmm.1.gz"
cp -R "$from/share/bash-completion" "$from/share/fish" "$root/usr/share/"
cp "$from/share/zsh/site-functions/_vmm" "$root/usr/share/zsh/vendor-completions/_vmm"
maintainer="vmm developers <vmm@localhost.invalid>"
{
    printf 'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: vmm\n\n'
    printf 'Files: *\nCopyright: 2026, the authors of vmm\nLicense: Apache-2.0\n'
    printf ' On Debian systems the text of the license is in /usr/share/common-licenses/Apache-2.0.\n .\n'
    sed -e 's/^$/./' -e 's/^/ /' "$from/NOTICES"
} > "$documents/copyright"
printf 'vmm (%s) unstable; urgency=medium\n\n  * Version %s; the documentation has the changes.\n\n -- %s  %s\n' \
    "$version" "$version" "$maintainer" "$(LC_ALL=C date -uR -d "@$SOURCE_DATE_EPOCH")" | gzip -9nc > "$documents/changelog.gz"
mkdir -p "$root/usr/share/lintian/overrides"
cat > "$root/usr/share/lintian/overrides/vmm" << 'END'
# One static program by intention: it runs in a bare initial RAM disk too. It is not of Debian's archive.
vmm: statically-linked-binary [usr/bin/vmm]
vmm: initial-upload-closes-no-bugs [usr/share/doc/vmm/changelog.gz:1]
END
find "$root" -type f -exec chmod 644 {} +
find "$root" -type d -exec chmod 755 {} +
chmod 755 "$root/usr/bin/vmm"
cat > "$root/DEBIAN/control" << END
Package: vmm
Version: $version
Section: utils
Priority: optional
Architecture: amd64
Maintainer: $maintainer
Installed-Size: $(du -ks --apparent-size "$root/usr" | cut -f 1)
Description: tiny KVM virtual machine monitor with reference virtio-mmio devices
 Boots a kernel on KVM, or says in one sentence why it cannot. Its devices, a
 block device, a console, an entropy and a network device, are a reference for
 VIRTIO 1.4 over virtio-mmio and for the SUSPEND bit of the device status. They
 tell the author of a driver which clause of the specification it broke.
END
(cd "$root" && find usr -type f | LC_ALL=C sort | xargs md5sum > DEBIAN/md5sums)
chmod 644 "$root/DEBIAN/control" "$root/DEBIAN/md5sums"
find "$root" -exec touch -hd "@$SOURCE_DATE_EPOCH" {} +
dpkg-deb --root-owner-group -Zxz --build "$root" "$out/vmm_${version}_amd64.deb"
