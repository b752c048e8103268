#!/bin/sh
# points.py in the nested host, under kvm_amd: snapshots of the built-in guest at random moments of its stress run, each of which a new process
# goes on from, until the run ends and every request of it is verified.
#
# usage: nested.sh VMM DIR [POINTS]         5 points without a number
set -eu
here=$(cd "$(dirname "$0")" && pwd)
points=${3:-5}
payload=$(mktemp -d)
trap 'rm -rf "$payload"' EXIT
cp "$1" "$payload/vmm"
echo "points=$points" > "$payload/run.sh"
cat >> "$payload/run.sh" << 'RUN'
mkdir -p /tmp/work/kept
cd /tmp/work
vmm=/payload/vmm
forms="indirect+event_idx+ring_reset packed+indirect+event_idx packed+indirect+event_idx+in_order
    indirect+event_idx+in_order+notification_data none packed packed+in_order event_idx in_order"
taken=0 run=0
while [ $taken -lt $points ]; do
    run=$((run + 1))
    dialect=$(echo draft 1.4 | cut -d' ' -f$((run % 2 + 1)))
    form=$(echo $forms | cut -d' ' -f$((run % 9 + 1)))
    options="--suspend $dialect -a stress=2000 -a features=$form -a seed=$run"
    left=5 moments=$(awk -v seed=$run 'BEGIN { srand(seed); for (n = 0; n < 6; n++) print int(rand() * 800000) }')
    : > output
    while :; do
        # shellcheck disable=SC2086
        $vmm run $options --qmp unix=control --console file=console --snapshot-to kept/snapshot --timeout 100s < /dev/null 2> errors &
        machine=$!
        until [ -S control ] || ! kill -0 $machine 2> /dev/null; do usleep 10000; done
        # A random moment, not a wait.
        usleep "$(echo $moments | cut -d' ' -f$((6 - left)))"
        kept=
        # The guest may have ended before.
        if [ $left -gt 0 ] && $vmm ctl control snapshot kept/snapshot > report 2>&1; then
            $vmm ctl control quit > report 2>&1
            kept=1 left=$((left - 1)) taken=$((taken + 1)) options="--restore kept/snapshot"
        fi
        wait $machine
        code=$?
        cat console >> output
        [ $code = 0 ] && [ -n "$kept" ] || break
    done
    if [ $code = 0 ] && grep -q '^ok [0-9]* - stress' output && ! grep -q '^not ok' output; then
        echo "ok - run $run, $dialect, $form"
    else
        echo "not ok - run $run, $dialect, $form: exit code $code"
        cat errors report output
        exit 1
    fi
done
echo "# $taken points in $run runs"
RUN
output=$(mktemp)
code=0
"$here/../nested/host.sh" "$2"
"$here/../nested/run.sh" "$2" "$payload" $((120 + 20 * points)) > "$output" || code=$?
[ $code = 0 ] || cat "$output"
echo "snapshots: $(sed -n 's/^# //p' "$output"), each verified to its end, in a nested host"
"$here/../kvm.sh" ran "$(grep -c '^ok ' "$output")" "runs with snapshots" "kvm_amd in a nested host"
rm -f "$output"
exit $code
