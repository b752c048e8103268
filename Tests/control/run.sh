#!/bin/sh
# Runs qmp.py, with Python's package qemu.qmp where it can be had.
#
# usage: run.sh VMM
set -eu
here=$(cd "$(dirname "$0")" && pwd)
"$here/../kvm.sh" needed "control of running machines" || exit 0
packages=$here/../../.build/python
if ! python3 -m pip install --quiet --target "$packages" qemu.qmp==0.0.6 2> /dev/null; then
    echo "qemu.qmp cannot be had here: python3 has no pip, or there is no network"
fi
PYTHONPATH=$packages "$here/qmp.py" "$1"
