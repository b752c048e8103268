#!/bin/sh
# Makes each STEP of the checks, the later ones even where one failed, and prints what failed and how long each took.
#
# usage: steps.sh STEP...
set -eu
failed= times=
for step; do
    start=$(date +%s)
    ${MAKE:-make} --no-print-directory "$step" || failed="$failed $step"
    times="$times $step $(($(date +%s) - start)) s,"
done
echo "checks:${times%,}"
[ -z "$failed" ] || { echo "checks that failed:$failed" >&2; exit 1; }
