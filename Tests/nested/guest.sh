#!/bin/sh
# Runs the built-in guest under kvm_amd: a static vmm in the nested host runs it in both dialects and without SUSPEND.
#
# usage: guest.sh VMM DIR
set -eu
here=$(cd "$(dirname "$0")" && pwd)
payload=$(mktemp -d)
trap 'rm -rf "$payload"' EXIT
cp "$1" "$payload/vmm"
cat > "$payload/run.sh" << 'RUN'
failed=0
for dialect in draft 1.4 off; do
    echo "# --suspend $dialect"
    /payload/vmm --suspend $dialect --timeout 100s < /dev/null > /tmp/tap
    code=$?
    cat /tmp/tap
    grep -q '^1\.\.[0-9]' /tmp/tap && [ $code = 0 ] || { echo "not ok: --suspend $dialect exited with $code"; failed=1; }
done
exit $failed
RUN
"$here/host.sh" "$2"
output=$(mktemp)
code=0
"$here/run.sh" "$2" "$payload" 300 > "$output" || code=$?
cat "$output"
echo "nested host: $(grep -c '^ok ' "$output") checks passed, $(grep -c '^not ok' "$output") failed, $(grep -c '# SKIP' "$output") skipped, under kvm_amd"
"$here/../kvm.sh" ran "$(grep -c '^ok ' "$output")" "checks of the built-in guest" "kvm_amd in a nested host"
rm -f "$output"
exit "$code"
