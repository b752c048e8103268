#!/bin/sh
# The built-in guest's network checks over a TAP interface, in a network namespace of this script's own: ARP and ping answered by the
# host's kernel, in every form of the rings, and suspended under them.
# usage: run.sh VMM
set -eu
vmm=$1
kvm=$(cd "$(dirname "$0")/.." && pwd)/kvm.sh

if [ -z "${IN_NAMESPACE:-}" ]; then
    "$kvm" needed "the guest over a TAP interface" || exit 0
    why=
    unshare -n true 2> /dev/null || why="this user can make no network namespace"
    [ -w /dev/net/tun ] || why="/dev/net/tun cannot be opened"
    [ -z "$why" ] || { echo "skipped - the guest over a TAP interface: $why"; exit 0; }
    exec env IN_NAMESPACE=1 unshare -n "$0" "$vmm"
fi

ip link set lo up
if ! ip tuntap add dev tap0 mode tap; then
    echo "skipped - the guest over a TAP interface: this host's kernel makes none"
    exit 0
fi
ip addr add 10.9.0.1/24 dev tap0
ip link set tap0 up
# The guest answers no ARP request, by which the host would look for it again during a long check.
ip neigh add 10.9.0.77 lladdr 52:54:00:12:34:56 dev tap0 nud permanent

log=$(mktemp)
capture=$(mktemp)
trap 'rm -f "$log" "$capture"' EXIT
failed=0
# run NAME OPTIONS WORDS: all six checks pass, and no clause is broken.
run() {
    name=$1
    if "$vmm" --net "tap=tap0,mac=52:54:00:12:34:56,suspend=1.4,features=+packed,+in_order$2" --suspend 1.4 --conform strict --timeout 120s \
        -a "peer=0x0a090001 $3" >"$log" 2>&1 && [ "$(grep -c '^ok' "$log")" -ge 6 ] && ! grep -q 'SKIP\|broke' "$log"; then
        echo "network: $name: passed"
        "$kvm" ran 1 "runs over a TAP interface"
    else
        echo "network: $name: FAILED"
        cat "$log"
        failed=1
    fi
}

run "split" ",pcap=$capture" ""
# What tcpdump reads in the capture: the guest's requests, and the replies.
tcpdump -nn -r "$capture" icmp 2>"$log" >>"$log" || true
requests=$(grep -c 'ICMP echo request' "$log") replies=$(grep -c 'ICMP echo reply' "$log")
if [ "$requests" -ge 40 ] && [ "$requests" = "$replies" ] && ! grep -q 'truncated\|error' "$log"; then
    echo "network: capture: tcpdump reads $requests requests and as many replies"
else
    echo "network: capture: FAILED: $requests requests, $replies replies"
    tail -n 20 "$log"
    failed=1
fi
run "packed, indirect, event index" "" "features=packed+indirect+event_idx"
run "split, in order, event index" "" "features=in_order+event_idx"
run "packed, in order" "" "features=packed+in_order"
exit $failed
