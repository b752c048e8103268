#!/bin/sh
# Builds the fuzzer and runs it. One build serves all three uses: libFuzzer, AddressSanitizer and coverage together.
#
# usage: run.sh fuzz TARGET SECONDS      fuzzes, starting from the corpus; finds are kept in .build/fuzz/TARGET
#        run.sh burst [SECONDS]          a few seconds of that for each target
#        run.sh replay                   the corpus and the regressions once, and the line coverage of Sources/Virtio
#        run.sh minimise TARGET          adds to the corpus what .build/fuzz/TARGET covers beyond it
#        run.sh seeds                    writes the seeds to .build/fuzz, where fuzzing starts from them too
#
# A find is a file crash-... in .build/fuzz/TARGET. `swift run --package-path Tests/Fuzz replay TARGET FILE` shows it without
# libFuzzer; it belongs into Tests/Fuzz/regressions/TARGET, with a line in the text file there.
set -eu
cd "$(dirname "$0")/../.."
swift=${SWIFT:-swift}
floor=90
finds=$PWD/.build/fuzz
scratch=$PWD/.build/fuzz-build
here=Tests/Fuzz
targets=$(sed -n 's/^    case \([a-z]*\)$/\1/p; s/^    case [a-zA-Z]* = "\(.*\)"$/\1/p' $here/Sources/FuzzTargets/Target.swift)

# Of several -sanitize options the compiler heeds the last, so it is given one that names both. SwiftPM is told of the fuzzer
# alone: then it leaves main to it.
build() {
    # SwiftPM does not notice files that are new in a package it depends on: it is made to plan the build again.
    rm -f "$scratch/release.yaml"
    "$swift" build --package-path $here --scratch-path "$scratch" --product "$1" -c release --sanitize fuzzer \
        -Xswiftc -sanitize=fuzzer,address -Xswiftc -profile-coverage-mapping -Xswiftc -profile-generate \
        -Xswiftc -use-ld=lld --quiet
    fuzz=$scratch/release/fuzz
}

# run TARGET DIRECTORY-FOR-FINDS OPTIONS...: the fuzzer, which keeps what it finds in the first directory.
run() {
    target=$1
    shift
    mkdir -p "$finds/$target"
    log=$finds/$target.log
    kept=
    for folder in corpus regressions; do
        if [ -d $here/$folder/"$target" ]; then kept="$kept $here/$folder/$target"; fi
    done
    # A Swift trap under AddressSanitizer would hang in the backtracer.
    if ! FUZZ_TARGET=$target SWIFT_BACKTRACE=enable=no LLVM_PROFILE_FILE=$finds/$target.profraw \
        "$fuzz" -timeout=10 -artifact_prefix="$finds/$target/" "$@" "$finds/$target" $kept \
        > "$log" 2>&1; then
        grep -aE 'broken promise|Fatal error|ERROR|Test unit|^    #[0-9]+ .*/Sources/' "$log" | head -20 >&2
        echo "fuzz: $target failed; all of it is in $log" >&2
        exit 1
    fi
    grep -q 'Loaded 1 modules' "$log" || { echo "fuzz: $target is not instrumented, see $log" >&2; exit 1; }
    echo "fuzz: $target: $(sed -n 's/^Done \([0-9]*\) runs.*/\1/p' "$log") executions"
}

mkdir -p "$finds"
case ${1:-} in
fuzz)
    echo "$targets" | grep -qx "$2" || { echo "fuzz: no target $2; there are: " $targets >&2; exit 64; }
    build fuzz
    run "$2" -max_total_time="$3" -print_final_stats=1
    ;;
burst)
    build fuzz
    for target in $targets; do run "$target" -max_total_time="${2:-5}"; done
    ;;
replay)
    build fuzz
    rm -f "$finds"/*.profraw
    # Without what is in .build: the same on every machine.
    finds=$PWD/.build/fuzz-replay
    rm -rf "$finds"
    for target in $targets; do run "$target" -runs=0; done
    tools=$(dirname "$(readlink -f "$(command -v "$swift")")")
    "$tools/llvm-profdata" merge -o "$finds/all.profdata" "$finds"/*.profraw
    "$tools/llvm-cov" report "$fuzz" -instr-profile "$finds/all.profdata" 2> /dev/null | awk -v floor=$floor '
        # Not counted: the clauses and the choices of torture, which are texts; traces, which these targets do not write (test-qtest
        # covers them); and snapshots, which SnapshotWalkTests read with each byte changed and cut at each length.
        $1 ~ /Virtio\/(Trace\/|Torture\/TortureChoice|Transport\/Snapshot|Conformance\/(.*(Check|Clause)|Sections|Sequences)|Devices\/.*Clauses)/ { next }
        $1 ~ /Sources\/Virtio\// { lines += $8; missed += $9; printf "%7s  %s\n", $10, $1 }
        END {
            if (lines == 0) { print "fuzz: no coverage was measured"; exit 1 }
            covered = 100 * (lines - missed) / lines
            printf "fuzz: the corpus covers %.1f %% of the lines of Sources/Virtio but clauses, traces and snapshots, %d %% are wanted\n", covered, floor
            exit covered < floor
        }'
    ;;
minimise)
    build fuzz
    mkdir -p $here/corpus/"$2"
    FUZZ_TARGET=$2 SWIFT_BACKTRACE=enable=no LLVM_PROFILE_FILE=/dev/null "$fuzz" -set_cover_merge=1 -use_counters=0 \
        -timeout=10 $here/corpus/"$2" "$finds/$2"
    ;;
seeds)
    "$swift" build --package-path $here --scratch-path "$scratch-plain" --product seeds --quiet
    "$scratch-plain/debug/seeds" "$finds"
    ;;
*)
    sed -n 's/^# usage: /usage: /p; s/^#        run/       run/p' "$0" >&2
    exit 64
    ;;
esac
