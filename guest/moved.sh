#!/bin/sh
# Removes the module caches of a build folder that was moved or copied since the last build: the compiler refuses a module cache
# under another path than the one it was made at.
#
# usage: moved.sh FOLDER             FOLDER is in the build folder, under plugins/outputs
set -eu
cd "${1%/plugins/outputs/*}"
[ "$(cat path 2> /dev/null)" != "$PWD" ] || exit 0
find . -type d -name ModuleCache -prune -exec rm -rf {} +
pwd > path
