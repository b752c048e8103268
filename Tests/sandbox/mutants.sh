#!/bin/sh
# Takes each layer of the sandbox away in turn, in a copy, and prints which checks of run.py then fail. Fails if none does.
#
# usage: mutants.sh [NAME...]      all layers, or those named; 20 seconds each, and minutes for the first build
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
swift=${SWIFT:-swift}
work=$(mktemp -d "${TMPDIR:-/tmp}/sandbox-mutants.XXXXXX")
trap 'rm -rf "$work"' EXIT INT TERM
# Another user runs vmm there, too.
chmod 755 "$work"
cp -R "$root/Package.swift" "$root/Package.resolved" "$root/Sources" "$root/Tests" "$root/guest" "$work"
cd "$work"

build() {
    "$swift" build --product vmm < /dev/null > log 2>&1 || { grep 'error:' log | head -5; return 1; }
}
build

failed=0 count=0
noticed='^not ok\|^waited\|^vmm: '
# NAME, FILE of Sources/Machine, SCRIPT of sed.
mutate() {
    [ -z "$wanted" ] || case " $wanted " in *" $1 "*) ;; *) return 0 ;; esac
    file=Sources/Machine/$2 count=$((count + 1))
    cp "$file" kept
    sed -i "$3" "$file"
    if cmp -s "$file" kept; then
        echo "$1: the mutation changes nothing"; failed=$((failed + 1))
    elif ! build; then
        echo "$1: does not build"; failed=$((failed + 1))
    elif Tests/sandbox/run.py .build/debug/vmm > result 2>&1; then
        echo "$1: NO CHECK FAILS"; failed=$((failed + 1))
    elif ! grep -q "$noticed" result; then
        echo "$1: the test broke off: $(tail -n 1 result)"; failed=$((failed + 1))
    else
        echo "$1: $(grep -c "$noticed" result) checks fail, the first: $(grep -m 1 "$noticed" result | cut -c1-120)"
    fi
    cp kept "$file"
}
wanted=$*
mutate dumpable Sandbox/Sandbox.swift 's/clinux_prctl(PR_SET_DUMPABLE, 0)/0/'
mutate no_new_privs Sandbox/Sandbox.swift 's/clinux_prctl(PR_SET_NO_NEW_PRIVS, 1)/0/'
mutate capabilities Sandbox/Sandbox.swift 's/clinux_keep_capabilities(kept)/Int32(kept \& 0)/'
mutate landlock Sandbox/Landlock.swift 's/return -clinux_landlock_restrict(ruleset)/return 0/'
mutate landlock-folders Sandbox/Landlock.swift 's/^    private static let removeFile: UInt64 = 1 << 5/    private static let removeFile: UInt64 = 1 << 4/'
mutate landlock-sockets Sandbox/Landlock.swift 's/(version >= 6 ? \[0b11\]/(version >= 6 ? [0b10]/'
mutate filters Sandbox/Sandbox.swift 's/SeccompFilter(kind.rules(process: UInt32(getpid()))).install()/Int32(0)/'
mutate main-thread Machine.swift 's/Sandbox.confine(.main)/Sandbox.giveUp()/'
mutate qtest-thread QTest/QTestServer.swift 's/Sandbox.confine(.qtest)//'
mutate default Sandbox/SeccompFilter.swift 's/instructions = program + \[.end(Self.trap)\]/instructions = program + [.end(Self.allow)]/'
mutate architecture Sandbox/SeccompFilter.swift 's/else: 0), .end(Self.trap), .load(0),/else: 0), .end(Self.allow), .load(0),/'
mutate code Sandbox/ThreadCalls.swift 's/init(SYS_mmap, .lacksBits(4,/init(SYS_mmap, .lacksBits(8,/'
mutate signals Sandbox/ThreadCalls.swift 's/.init(SYS_tgkill, .argument(0, among: \[process\]))/.init(SYS_tgkill, .always)/'
mutate requests Sandbox/ThreadCalls.swift 's/.init(SYS_ioctl, .argument(1, among: requests.map(.*)))\]/.init(SYS_ioctl, .always)]/'
mutate families Sandbox/ThreadCalls.swift 's/.init(SYS_socket, .argument(0, among: \[UInt32(AF_UNIX)\]))/.init(SYS_socket, .always)/'
mutate sentence Host/CrashHandler.swift 's/if unsafe Sandbox.describeEnd(number, information, context) {/if false {/'
mutate socket-mode Host/UnixListener.swift 's/fchmod(descriptor, 0o600)//'
mutate links Host/HostFiles.swift 's/\[0, geteuid()\].contains(link.st_uid)/true/'
mutate trace-mode Trace/TraceWriter.swift 's/mode: 0o600/mode: 0o644/'
mutate headroom RAM.swift 's/headroom = 512 << 20/headroom = 4096/'
echo "sandbox mutants: $count, $failed not noticed"
exit "$failed"
