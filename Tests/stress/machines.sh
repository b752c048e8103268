#!/bin/sh
# COUNT machines of each kind in one process, one after the other (ResourceTests): what the process has of the host does not grow.
#
# usage: machines.sh COUNT [SWIFT]
set -eu
"${2:-swift}" build --build-tests
output=$(VMM_MACHINES=$1 "${2:-swift}" test --skip-build --filter ResourceTests 2>&1) || { echo "$output"; exit 1; }
echo "$output" | grep ": before " || { echo "machines: none was counted" >&2; exit 1; }
