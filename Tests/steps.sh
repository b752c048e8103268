#!/bin/sh
# Makes each STEP of the checks, the later ones even where one failed, and prints what failed and how long each took. The steps after
# `--` are made beside the others, so that both processors have work; what such a step prints comes when it ends.
#
# usage: steps.sh STEP... [-- STEP...]
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# The shell's background jobs ignore what Ctrl-C sends.
trap 'rm -rf "$folder"; trap - TERM; kill 0' HUP INT TERM

# make_step STEP: makes it, and notes its time or its failure.
make_step() {
    start=$(date +%s)
    ${MAKE:-make} --no-print-directory "$1" || printf ' %s' "$1" >> "$folder/failed"
    printf ' %s %s s,' "$1" $(($(date +%s) - start)) >> "$folder/times"
}

beside=
steps=$*
case " $steps " in *' -- '*)
    beside=${steps#*-- }
    steps=${steps%% --*}
    ;;
esac
for step in $beside; do
    make_step "$step" > "$folder/output" 2>&1
    cat "$folder/output"
done &
for step in $steps; do make_step "$step"; done
wait
echo "checks:$(sed 's/,$//' "$folder/times")"
[ ! -e "$folder/failed" ] || { echo "checks that failed:$(cat "$folder/failed")" >&2; exit 1; }
