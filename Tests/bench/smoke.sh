#!/bin/sh
# Checks that the benchmark tool runs, with little work for each kind of row, and that it writes valid JSON. It does not
# check measured times.
#
# usage: smoke.sh VMM-BENCH VMM GUEST
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rows="mmio random-1 random-32-direct sequential write-1 write-32 write-sequential console suspend restore snapshot fork"
if [ -w /dev/net/tun ] && unshare -n true 2>/dev/null; then
    rows="$rows net-send-64k net-receive-1500"
else
    echo "skipped - bench rows of the network: this user can make no network namespace, or there is no /dev/net/tun"
fi
"$here/../kvm.sh" needed "bench rows with a guest" || rows=

# With a name that is not installed, QEMU has to be reported as missing.
DISK_MIB=16 timeout 120 "$here/run.sh" "$1" "$2" "$3" "$work" --quick --runs 1 --qemu no-such-qemu \
    --json "$work/json" $rows trace-writer chain >"$work/table" || { cat "$work/table" >&2; exit 1; }
python3 - "$work/json" $rows trace-writer <<'END' || { cat "$work/table" >&2; exit 1; }
import json, sys

report = json.load(open(sys.argv[1]))
rows = {row["row"]: row for row in report["rows"]}
assert report["host"]["kernel"], "no kernel"
for name in sys.argv[2:]:
    own, *peers = rows[name]["contestants"]
    assert own["name"] == "vmm" and "missing" not in own, (name, own)
    assert own["n"] == (4 if name == "restore" else 1) and own["median"] > 0, (name, own)
    assert all(peer["missing"] for peer in peers if peer["name"] == "qemu"), (name, peers)
chains = [row for name, row in rows.items() if name.startswith("chain-") and row["unit"] == "requests/s"]
assert len(chains) == 4
writes = [row for name, row in rows.items() if name.startswith("write-")]
assert len(writes) == (12 if sys.argv[2:-1] else 0), len(writes)
for row in writes:
    own, loop = row["contestants"][:2]
    assert loop["name"] == "C pwritev" and own["median"] > 0 and loop["median"] > 0, row
    assert own["processorMicroseconds"] > 0 and loop["processorMicroseconds"] > 0, row
for one in (one for row in chains for one in row["contestants"]):
    assert one.get("median", 0) > 0, one
if sys.argv[2:]:
    assert rows["suspend"]["contestants"][0]["median"] == 2 and rows["suspend"]["met"], rows["suspend"]
    assert rows["mmio"]["contestants"][1]["name"] == "C loop" and rows["mmio"]["met"] is not None
print("bench smoke:", len(rows), "rows")
END
[ -z "$rows" ] || "$here/../kvm.sh" ran "$(echo "$rows" | wc -w)" "bench rows"
