#!/bin/sh
# Builds the modules of this folder for a Debian kernel, into DIR. The kernel's headers are downloaded and unpacked in DIR/headers, not
# installed. The transport driver is built with each of five mistakes, too.
#
# usage: build.sh DIR RELEASE        RELEASE as in 6.1.0-56-cloud-amd64, or 6.12.95+deb12-cloud-amd64
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
cd "$1"
release=$2
for tool in gcc make; do command -v $tool > /dev/null || { echo "linux modules: install $tool" >&2; exit 1; }; done

headers=$PWD/headers/usr/src/linux-headers-$release
if [ ! -e "$headers/complete" ]; then
    rm -rf headers packages
    mkdir headers packages
    # The compiler is a package of its own up to 6.1, and gcc itself since.
    parts=$(apt-cache depends "linux-headers-$release" | awk '/Depends: linux-(headers-.*-common|kbuild|compiler)/ { print $2 }')
    [ -n "$parts" ] || { echo "linux modules: apt knows no linux-headers-$release; for 6.12 add bookworm-backports to its sources" >&2; exit 1; }
    (
        cd packages
        # shellcheck disable=SC2086
        apt-get download "linux-headers-$release" $parts > log 2>&1 || { cat log >&2; exit 1; }
        for package in *.deb; do dpkg -x "$package" ../headers; done
    )
    rm -rf packages
    # The path that its Makefile includes is relative, so that the folder can be moved.
    sed -i "s|/usr/src/|../|" "$headers/Makefile"
    touch "$headers/complete"
fi

# form NAME FLAG: builds the transport driver, with a mistake if there is a FLAG, as NAME.ko.
form() {
    rm -rf "build.$1"
    mkdir "build.$1"
    cp "$here/virtio_mmio_suspend.c" "build.$1/$1.c"
    printf 'obj-m := %s.o\nccflags-y := -Werror %s\n' "$1" "$2" > "build.$1/Makefile"
    make -s -C "$headers" CONFIG_DEBUG_INFO_BTF_MODULES= M="$PWD/build.$1" modules > "build.$1/log" 2>&1 || { cat "build.$1/log" >&2; exit 1; }
    cp "build.$1/$1.ko" .
}
form virtio_mmio_suspend ""
form broken_no_hold -DBROKEN_NO_HOLD
form broken_no_wait -DBROKEN_NO_WAIT
form broken_kick -DBROKEN_KICK
form broken_status -DBROKEN_STATUS
form broken_reset "-DBROKEN_RESET -DLATE_NOTIFY"
form late_notify -DLATE_NOTIFY
rm -rf build.tests
mkdir build.tests
cp "$here/suspend_tests.c" build.tests/
printf 'obj-m := suspend_tests.o\nccflags-y := -Werror\n' > build.tests/Makefile
make -s -C "$headers" CONFIG_DEBUG_INFO_BTF_MODULES= M="$PWD/build.tests" modules > build.tests/log 2>&1 || { cat build.tests/log >&2; exit 1; }
cp build.tests/suspend_tests.ko .
rm -rf build.*
