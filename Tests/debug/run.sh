#!/bin/sh
# Debugs guests here: by Debian's gdb and lldb, and by packets, whose answers are compared with QEMU's.
#
# usage: run.sh VMM SYMBOLS
set -eu
here=$(cd "$(dirname "$0")" && pwd)
"$here/../kvm.sh" needed "debugging of guests" || exit 0
"$here/debuggers.py" "$1" "$2"
"$here/packets.py" "$1" "$2"
