#!/bin/sh
# The guest's stress over a disk in a file, again and again until the time is over: each form of a queue with each engine
# for the file's I/O, both SUSPEND dialects every time, two machines at once, beside machines whose network's peers come and
# go. Then one table of what came of it. A failed or missing check, another exit code than 0, a failed request, and device
# threads that woke more than once in a suspension are errors (once they may: the ring of the doorbell that the suspend
# request itself asked for can come last). A run that fails is kept, with the line that repeats it.
#
# usage: run.sh VMM [SECONDS]                 600 seconds without a number
set -eu

# One run: run.sh VMM run WORK NUMBER FEATURES SIZE QUEUES ENGINE leaves a line in WORK/rows, and WORK/NUMBER.why if
# something is wrong.
if [ "${2:-}" = run ]; then
    vmm=$1 work=$3 number=$4 features=$5 size=$6 queues=$7 engine=$8
    out=$work/$number image=$work/image.$((number % 2))
    options=queues=$queues,features=+packed,+in_order,+notification_data
    [ "$engine" = only ] || options=$options,$engine
    set -- -v -a stress=600 -a disk=2 -a "seed=$number" -a "features=$features" -a "queue-size=$size" -a "queues=$queues"
    code=0
    timeout -k 5 120 "$vmm" run -d "$image,$options" "$@" >"$out.tap" 2>"$out.err" || code=$?
    awk -v code="$code" -v OFS='\t' -v form="$features" -v size="$size" -v queues="$queues" -v engine="$engine" '
        function worst(a, b) { return a > b ? a : b }
        /^# stress:/ {
            for (i = 3; i <= NF; i++) { split($i, pair, "="); sum[pair[1]] += pair[2]; last[pair[1]] = pair[2] }
            longest = worst(longest, last["suspend-us-max"])
            deepest = worst(deepest, last["deepest"])
            if (last["requests"] < 600) print "only " last["requests"] " requests" >why
            if (last["suspends"] == 0) print "no suspend" >why
        }
        /^ok .* - stress$/ { passed++ }
        /^not ok|^Bail/    { print >why }
        match($0, /[0-9]+ of them while suspended/) { woken += substr($0, RSTART) + 0; told++ }
        END {
            if (passed != 2) print passed + 0 " times passed, not once for each dialect of SUSPEND" >why
            if (code != 0) print "exit code " code >why
            if (sum["errors"] + sum["left"] > 0) print "failed or lost requests" >why
            if (told == 0) print "vmm -v does not say how often its threads woke" >why
            if (woken > sum["suspends"]) print woken " wake-ups in " sum["suspends"] " suspensions" >why
            print form, size, queues, engine, sum["requests"] + 0, sum["reads"] + 0, sum["flushes"] + 0, deepest + 0,
                sum["suspends"] + sum["aborts"], longest + 0, woken + 0, sum["errors"] + sum["left"] + (2 - passed)
        }' why="$out.why" "$out.tap" "$out.err" >>"$work/rows"
    if [ -s "$out.why" ]; then
        { echo "vmm run -d $image,$options $*"; cat "$out.tap" "$out.err"; } >>"$out.why"
    else
        rm -f "$out.tap" "$out.err"
    fi
    exit 0
fi

vmm=$(realpath "$1") seconds=${2:-600}
kvm=$(dirname "$0")/../kvm.sh
"$kvm" needed "stress" || exit 0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
truncate -s 64M "$work/image.0" "$work/image.1"

# The engines there are, and that this host can run.
help=$("$vmm" run --help)
engines=
if echo "$help" | grep -q 'io=auto'; then
    candidates="io=threads io=uring"
    if echo "$help" | grep -Eq ',direct'; then candidates="$candidates io=threads,direct io=uring,direct"; fi
    for engine in $candidates; do
        code=0
        timeout -k 5 60 "$vmm" run --suspend draft -d "$work/image.0,$engine" -a only=blk-flush -a disk=2 \
            >/dev/null 2>"$work/err" || code=$?
        # Exit code 1 is vmm's own: what the user asked for cannot be had here. Any other failure is one of the test.
        if [ $code = 1 ]; then echo "skipped - $engine: $(head -n 1 "$work/err")"; else engines="$engines $engine"; fi
    done
else
    echo "skipped - io=threads, io=uring, direct: this vmm has one engine and no option io="
    engines=" only"
fi
[ -n "$engines" ] || { echo "stress: no engine can run here" >&2; exit 1; }

# Suspend latency: the stuck disk's is the drain deadline, the others' are for the reader.
printf '%-20s %-6s %9s %9s %9s %9s %9s %9s\n' 'suspend latency, us' '' idle worst 'in flight' mean worst stuck
for engine in $engines; do
    options=$engine
    [ "$engine" = only ] && options=queues=1
    for dialect in draft 1.4; do
        timeout -k 5 60 "$vmm" run --suspend $dialect --drain-deadline 200ms -d "$work/image.0,$options" -a latency=100 \
            -a disk=2 -a features=indirect -a queue-size=64 >"$work/latency" 2>"$work/err" || true
        awk -v engine="$engine" -v dialect="$dialect" '
            /^# suspend-latency:/ {
                for (i = 3; i <= NF; i++) { split($i, pair, "="); v[pair[1]] = pair[2] }
                printf "%-20s %-6s %9d %9d %9d %9d %9d %9d\n", engine, dialect, v["idle-us"], v["idle-us-max"],
                    v["depth"], v["loaded-us"], v["loaded-us-max"], v["stuck-us"]
            }
            /^ok .* - suspend-latency$/ { passed = 1 }
            END { exit !(passed && v["stuck-us"] >= 190000 && v["stuck-us"] < 5000000) }' "$work/latency" || {
            echo "suspend-latency failed, or the stuck disk did not end with its deadline:"
            cat "$work/latency" "$work/err"
            exit 1
        }
    done
done
echo

# A split queue's size is a power of two, a packed one's need not be.
forms='none:256:1 packed:256:1 indirect+event_idx:256:1 packed+indirect+event_idx:256:1 event_idx:64:4
    packed+event_idx:100:4 in_order:128:1 packed+in_order:60:1 indirect:32:4 packed+indirect+in_order+event_idx:128:2
    indirect+in_order+event_idx+notification_data+ring_reset:64:2'
count() { echo $#; }
pick() { shift "$1"; echo "$1"; }
# shellcheck disable=SC2086
all=$(count $forms) ways=$(count $engines)

# serve FIRST: every second run from FIRST on, until the time is over. Each pair of form and engine comes once before any
# comes again, because 3 and the number of forms have no common divisor.
end=$(($(date +%s) + seconds))
serve() {
    number=$1
    while [ "$(date +%s)" -lt $end ]; do
        # shellcheck disable=SC2086
        engine=$(pick $((number % ways + 1)) $engines)
        # shellcheck disable=SC2086
        form=$(pick $(((number / ways * 3 + number % ways) % all + 1)) $forms)
        rest=${form#*:}
        "$0" "$vmm" run "$work" "$number" "${form%%:*}" "${rest%:*}" "${rest#*:}" "$engine"
        number=$((number + 2))
    done
}
# The network beside the disks.
"$(dirname "$0")/network.py" "$vmm" $((seconds / 2)) >"$work/network" 2>&1 &
network=$!
serve 0 &
other=$!
serve 1
wait $other
wait $network || { cat "$work/network" >&2; exit 1; }
cat "$work/network"

sort "$work/rows" | awk -F '\t' '
    BEGIN {
        printf "%-58s %4s %2s %-18s %5s %8s %7s %7s %5s %8s %7s %5s %6s\n", "features", "size", "q", "engine", "runs",
            "requests", "reads", "flushes", "deep", "suspends", "worst us", "woken", "errors"
    }
    function flush() {
        if (runs) printf "%-58s %4d %2d %-18s %5d %8d %7d %7d %5d %8d %8d %5d %6d\n", c[1], c[2], c[3], c[4], runs, s[5],
            s[6], s[7], m[8], s[9], m[10], s[11], s[12]
        total += runs
        requests += s[5]
        suspends += s[9]
        runs = 0
        split("", s)
        split("", m)
    }
    {
        key = $1 FS $2 FS $3 FS $4
        if (key != before) flush()
        before = key
        split(key, c, FS)
        runs++
        for (i = 5; i <= 12; i++) { s[i] += $i; if ($i > m[i]) m[i] = $i }
    }
    END {
        flush()
        printf "stress: %d runs in both SUSPEND dialects, %d requests, %d suspends\n", total, requests, suspends
    }'
wrong=$(find "$work" -name '*.why' | wc -l)
[ "$wrong" = 0 ] || { cat "$work"/*.why >&2; echo "stress: $wrong runs failed" >&2; exit 1; }
"$kvm" ran "$(wc -l < "$work/rows")" "stress runs"
