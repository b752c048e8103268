#!/bin/sh
# Tests that need KVM: whether /dev/kvm can be used here, and how many tests ran where. `make check` collects the counts in the
# file KVM_TESTS; without that variable they are not kept.
#
# usage: kvm.sh needed WHAT             succeeds where /dev/kvm can be used; elsewhere says that WHAT is skipped, and why
#        kvm.sh ran COUNT WHAT [PLACE]  counts tests that ran on PLACE, /dev/kvm if not said
#        kvm.sh summary                 prints the counts; fails if no test ran on KVM anywhere
set -eu
note() { [ -z "${KVM_TESTS:-}" ] || printf '%s\t%s\t%s\n' "$@" >> "$KVM_TESTS"; }

# Why /dev/kvm cannot be used; fails where it can. A node may exist and still not open: without permission, or without the module.
reason() {
    [ -e /dev/kvm ] || { echo "there is no /dev/kvm"; return; }
    if error=$({ : <> /dev/kvm; } 2>&1); then return 1; fi
    echo "/dev/kvm cannot be opened:${error##*:}"
}

case ${1:-} in
needed)
    why=$(reason) || exit 0
    echo "skipped - $2: $why"
    note "$why" 0 "$2"
    exit 1
    ;;
ran) note "${4:-/dev/kvm}" "$2" "$3" ;;
summary)
    awk -F '\t' '
        $2 == 0 { skipped[$1] = skipped[$1] (skipped[$1] == "" ? "" : ", ") $3; next }
        !($1 in ran) { places[++n] = $1 }
        !(($1, $3) in count) { parts[$1] = parts[$1] (parts[$1] == "" ? "" : FS) $3 }
        { ran[$1] += $2; count[$1, $3] += $2; total += $2 }
        END {
            for (i = 1; i <= n; i++) {
                place = places[i]
                line = "KVM tests: " ran[place] " ran on " place
                number = split(parts[place], what)
                for (j = 1; j <= number; j++) line = line (j == 1 ? ": " : ", ") count[place, what[j]] " " what[j]
                print line
            }
            for (why in skipped) printf "KVM tests: skipped, because %s: %s\n", why, skipped[why]
            if (!total) print "KVM tests: none ran anywhere"
            exit !total
        }' "$KVM_TESTS"
    ;;
*)
    sed -n 's/^# usage: /usage: /p; s/^#        kvm/       kvm/p' "$0" >&2
    exit 64
    ;;
esac
