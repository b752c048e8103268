#!/bin/sh
# The built-in guest's whole suite for a grid of ring features and queue sizes, each cell in both SUSPEND dialects, and
# one table of what came of it. Any failed check, a run without a plan or with another exit code than 0, and a check
# that no cell could run is an error.
#
# usage: run.sh VMM
set -eu

# One cell: run.sh VMM cell WORK NUMBER FEATURES SIZE leaves WORK/NUMBER.row, and WORK/NUMBER.why if something is wrong.
if [ "${2:-}" = cell ]; then
    vmm=$1 out=$3/$4 features=$5 size=$6
    code=0
    start=$(date +%s%N)
    timeout 60 "$vmm" -a cycles=50 -a "features=$features" -a "queue-size=$size" >"$out.tap" 2>"$out.err" || code=$?
    time=$((($(date +%s%N) - start) / 100000000))
    awk -v code="$code" '
        /^ok .*# SKIP/ { skipped++; results++; next }
        /^ok /         { passed++; results++; print $4 >ran; next }
        /^not ok /     { failed++; results++; print; next }
        /^Bail out!/   { print }
        /^1\.\./       { plans++; if ($0 != "1.." results) print "plan " $0 ", but " results " results"; results = 0 }
        END {
            if (plans != 2) print plans + 0 " plans, not one for each dialect of SUSPEND"
            if (code != 0) print "exit code " code
            printf "%d\t%d\t%d\n", passed, skipped, failed >counts
        }' ran="$out.ran" counts="$out.counts" "$out.tap" >"$out.why"
    [ -s "$out.why" ] && cat "$out.err" >>"$out.why"
    read -r passed skipped failed <"$out.counts"
    printf '%-64s %5d %5d %8d %7d %4d.%d\n' "$features" "$size" "$passed" "$skipped" "$failed" \
        $((time / 10)) $((time % 10)) >"$out.row"
    exit 0
fi

vmm=$1
kvm=$(dirname "$0")/../kvm.sh
"$kvm" needed "grid" || exit 0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A queue of one entry is of use to a disk through indirect tables only; one of two entries holds one request; a packed
# queue's size need be no power of two.
all=indirect+event_idx+in_order+notification_data+ring_reset
cat >"$work/cells" <<END
none 2
none 256
indirect 1
indirect 8
event_idx 4
event_idx 256
indirect+event_idx 1
indirect+event_idx 8
in_order 8
in_order+event_idx 16
notification_data 8
$all 2
$all 256
packed 2
packed 5
packed 256
packed+indirect 1
packed+indirect 8
packed+event_idx 7
packed+event_idx 256
packed+indirect+event_idx 1
packed+indirect+event_idx 8
packed+in_order 8
packed+in_order+event_idx 13
packed+notification_data 8
packed+$all 2
packed+$all 256
END

start=$(date +%s)
awk '{ print NR, $1, $2 }' "$work/cells" | xargs -L 1 -P "$(nproc)" "$0" "$vmm" cell "$work"

printf '%-64s %5s %5s %8s %7s %6s\n' features size ok skipped failed s
number=0
wrong=0
while read -r features size; do
    number=$((number + 1))
    cat "$work/$number.row"
    if [ -s "$work/$number.why" ]; then
        wrong=$((wrong + 1))
        { echo "grid: features=$features queue-size=$size:"; sed 's/^/    /' "$work/$number.why"; } >>"$work/why"
    fi
done <"$work/cells"

sort -u "$work"/*.ran >"$work/ran"
sed -n 's/^ok [0-9]* - \([^ ]*\).*/\1/p' "$work"/*.tap | sort -u | comm -23 - "$work/ran" >"$work/never"
if [ -s "$work/never" ]; then
    wrong=$((wrong + 1))
    { echo "grid: skipped in every cell:"; sed 's/^/    /' "$work/never"; } >>"$work/why"
fi
[ "$wrong" = 0 ] || { cat "$work/why" >&2; exit 1; }
echo "grid: $number cells in both SUSPEND dialects, $(wc -l <"$work/ran") different checks, $(($(date +%s) - start)) s"
"$kvm" ran $((2 * number)) "grid runs"
