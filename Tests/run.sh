#!/bin/sh
# Runs the package's tests and prints how many of them ran on KVM. Tests that need KVM are in suites marked `.needsKVM`; without
# /dev/kvm they are skipped with the reason, and `make test-nested` runs the guest in a nested host.
#
# The table of SUSPEND's requirements in the documentation is made of the tests that passed.
#
# usage: run.sh [SWIFT]
set -eu
swift=${1:-swift}
report=.build/tests.xml
VMM_COVERAGE=$PWD/.build/coverage.tsv
export VMM_COVERAGE
rm -f "$VMM_COVERAGE"
"$swift" test --skip-build --xunit-output "$report"
Tests/suspend-table.sh "$VMM_COVERAGE"

suites=$(grep -rhA1 '@Suite(.*\.needsKVM' Tests --include='*.swift' | sed -n 's/^struct \([A-Za-z]*\).*/\1/p' | paste -sd '|')
results=.build/tests-swift-testing.xml
ran=$(grep -E "<testcase classname=\"[A-Za-z]*\.($suites)\"" "$results" | grep -vc skipped || true)
if Tests/kvm.sh needed "unit tests on KVM"; then
    [ "$ran" -gt 0 ] || { echo "KVM tests: none ran, and /dev/kvm can be used" >&2; exit 1; }
    echo "KVM tests: $ran ran on /dev/kvm"
    Tests/kvm.sh ran "$ran" "unit tests"
fi
