#!/bin/sh
# The built-in guest's suite in virtio-mmio version 3, in both dialects of SUSPEND.
#
# usage: guest.sh VMM
set -eu
here=$(dirname "$0")
"$here/../kvm.sh" needed "the guest in virtio-mmio version 3" || exit 0
output=$("$1" --mmio-version 3) || { echo "$output"; exit 1; }
passed=$(echo "$output" | grep -c '^ok')
echo "version 3: $passed checks of the guest passed, 0 failed"
"$here/../kvm.sh" ran "$passed" "checks of the guest in version 3"
