#!/usr/bin/env python3
"""Debian's gdb and lldb debug the built-in guest by its symbols, and a kernel of two processors.

usage: debuggers.py VMM SYMBOLS [NAME]
"""
import os
import re
import subprocess
import sys

from machine import VM, Client, check, expect, gdb, lldb, LLDB, run_tests
from session import DEADLINE, Failure, wait_for

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
VMM = os.path.abspath(sys.argv[1])
SYMBOLS = os.path.abspath(sys.argv[2])
FEW = ["--suspend", "draft", "-a", "only=identity,blk-flush,suspend-idle"]
TESTS = []


def test(function):
    TESTS.append(function)
    return function


@test
def functions_registers_and_memory():
    with VM(VMM, *FEW) as vm:
        output = gdb(
            SYMBOLS, "info registers rip cr0 cs", "break *guestMain", "continue", "backtrace", "info registers efer cr3 fs_base",
            "stepi", "print/x $rip - (long)&guestMain", "set $rax = 0x123456789", "print/x $rax",
            "set {long}0x200000 = 0x1122334455667788", "print/x {int}0x200004", "print/x {char[4]}&guestMain",
            "set $xmm1.uint128 = 5", "print $xmm1.uint128", "print $mxcsr", "print/x $fctrl", "print/x $ftag",
            "maintenance packet Qqemu.PhyMemMode:1", "print/x {int}0x200004", "maintenance packet qqemu.PhyMemMode",
            "maintenance packet Qqemu.PhyMemMode:0", "print {int}0xc0000000", "detach")
        expect(
            output, r"^0x0*100020 in entry", r"cr0 +0x\w+ +\[ PE ", r"^Breakpoint 1, 0x\w+ in guestMain", r"^#0 .* in guestMain",
            r"^#1 .* in long_mode", r"efer +0x500 .*LMA", r"cr3 +0x", r"fs_base +0x0", r"^\$1 = 0x1$", r"^\$2 = 0x123456789$",
            r"= 0x11223344$", r"= \{0x55, 0x48", r"= 5$", r"= 8064$", r"= 0x37f$", r"= 0xffff$", "received: \"OK\"", r"= 0x11223344$",
            "received: \"1\"", "received: \"OK\"", "Cannot access memory at address 0xc0000000", "detached")
        vm.ends(0)


@test
def an_interrupt_handler():
    with VM(VMM, *FEW) as vm:
        output = gdb(
            SYMBOLS, "break interruptTaken", "continue", "backtrace 2", "print $rdi", "delete", "finish", "info symbol $pc",
            "stepi 20", "info symbol $pc", "detach")
        expect(
            output, "^Breakpoint 1, .*interruptTaken", "^#0 .*interruptTaken", "^#1 .*taken", r"= 3[0-9]$",
            r"^taken \+ [0-9]+ in section .text", "in section .text", "detached")
        vm.ends(0)


@test
def a_watched_variable():
    with VM(VMM, *FEW) as vm:
        # The count of the console's interrupts, which the handler changes.
        output = gdb(
            SYMBOLS, "break interruptTaken", "continue", "delete", "watch *(long *)((char *)&shared_words + 64 + 32 * 5 + 8)",
            "continue", "info symbol $pc", "detach")
        expect(output, "^Breakpoint 1, ", "[Ww]atchpoint 2", "^Old value = [0-9]+\nNew value = [0-9]+", "interruptTaken", "detached")
        vm.ends(0)


@test
def lldb_does_so_too():
    if not os.path.exists(LLDB):
        print("lldb: skipped, because /usr/bin/lldb is not there")
        return
    with VM(VMM, *FEW) as vm:
        output = lldb(
            SYMBOLS, f"target modules load --file {SYMBOLS} --slide 0", "register read rip cr0", "breakpoint set -n guestMain", "process continue", "bt", "thread step-inst",
            "register write rbx 0x1234", "register read rbx efer", "memory write -s 4 0x200000 0x55667788", "memory read -c 4 0x200000",
            "breakpoint set -n interruptTaken", "process continue", "bt", "breakpoint delete -f", "thread list", "process detach")
        expect(
            output, "rip = 0x0000000000100020", "stop reason = breakpoint 1", "frame #0: .*`guestMain", "frame #1: .*`long_mode",
            "stop reason = instruction step", "rbx = 0x0000000000001234", "efer = 0x0000000000000500", "88 77 66 55",
            "stop reason = breakpoint 2", "`interruptTaken", "`taken", "thread #1: tid = 1,", "detached")
        vm.ends(0)


@test
def two_processors():
    with VM(VMM, "PROCESSORS.elf", "-c", "2", "--discovery", "none", "-a", "x") as vm:
        # The second processor stores at 0x9001, and is stopped there; the first steps on by itself. gdb compares the value at any stop,
        # so where the first processor stops for another reason in that moment, the hit is told of that one.
        output = gdb(
            "PROCESSORS.elf", "info threads", "watch *(char *)0x9001", "continue", "thread", "delete", "thread 1",
            "set scheduler-locking on", "stepi", "info threads", "set scheduler-locking off", "continue")
        expect(
            output, r"1 +Thread 1 \(CPU#0 \[running\]\)", r"2 +Thread 2 \(CPU#1 \[not started\]\)", "Thread [12] .*hit .*atchpoint",
            "New value = 1", "Current thread is [12]", r"\* 1 +Thread 1", r"exited with code 03\]")
        vm.ends(3)


@test
def a_processor_that_stays_stopped():
    # Also beyond a snapshot, which stops the guest and lets it go on.
    options = "-c", "2", "--discovery", "none", "-a", "x", "--snapshot-to", "s", "--qmp", "unix=q.sock"
    with VM(VMM, "PROCESSORS.elf", *options) as vm, Client() as client:
        for _ in range(3):
            client.send("vCont;c:1")
            snapshot = subprocess.run([VMM, "ctl", "q.sock", "snapshot", "s"], capture_output=True, text=True, timeout=DEADLINE)
            check(f"exit code, after {snapshot.stderr}", snapshot.returncode, 0)
            client.socket.sendall(b"\x03")
            check("Ctrl-C", client.stop(), ("", "T02thread:01;"))
        check("the mark of the second processor", client.ask("m9001,1"), "00")
        client.send("c")
        check("the end", client.stop(), ("", "W03"))
        vm.ends(3)


@test
def more_breakpoints_than_registers():
    with VM(VMM, *FEW) as vm:
        addresses = range(0x200000, 0x200600, 0x100)
        output = gdb(SYMBOLS, "break *guestMain", *(f"break *{address}" for address in addresses), "continue", "delete", "detach")
        if "Cannot insert" in output:
            expect(vm.messages, "the processor's four breakpoint registers are in use, and this host's KVM stops at no other")
        else:
            expect(output, "^Breakpoint 1, ")
        expect(output, "detached")
        vm.ends(0)


@test
def a_broken_clause():
    with VM(VMM, *FEW) as vm:
        output = gdb(
            SYMBOLS, "monitor break clause any", "monitor break", "continue", "backtrace 2", "monitor explain 4.2.2.2-4", "monitor break off",
            "monitor break clause nothing", "monitor device blk9", "detach")
        expect(
            output, "^break clause any$", "^break clause any$", r"^console0: the driver broke 4\.2\.2\.2-4 \(MUST\): .*\[MagicValue",
            "^Program received signal SIGTRAP", "^#0 .*identity", "^#1 .*Suite", r"^4\.2\.2\.2-4  driver MUST", "^no breaks$",
            "no clause 'nothing' is checked", "name a device: console0, blk0, blk1", "detached")
        vm.ends(0)


@test
def device_breaks():
    with VM(VMM, *FEW) as vm:
        output = gdb(
            SYMBOLS, "monitor break device blk0 reset", "continue", "monitor break off", "monitor break device blk0 notify", "continue",
            "backtrace 1", "monitor queue blk0 0", "monitor break off", "monitor break interrupt blk0", "continue", "monitor break off",
            "monitor break device blk0 suspend", "continue", "monitor device blk0", "monitor break off",
            "monitor break device blk0 resume", "continue", "monitor devices", "monitor exits", "detach")
        expect(
            output, "^blk0: a write of 0x0 to Status$", "SIGTRAP", "^blk0: a write of 0x0 to QueueNotify$", "SIGTRAP", "^#0 .*notify",
            r"^queue 0: [0-9]+ entries.*\n  descriptor area at 0x", "^blk0 raises its interrupt line, GSI 6$", "SIGTRAP",
            "^blk0: a write of 0x1f to Status$", "SIGTRAP", "^  status 0x", "^blk0: a write of 0xf to Status$",
            "^console0: ", "^vcpu0: [0-9]+ exits", "detached")
        vm.ends(0)


@test
def interrupted_killed_and_reattached():
    with VM(VMM, "IDLE.elf", waits=False) as vm:
        output = gdb("IDLE.elf", "info registers rip", "detach")
        expect(output, "rip +0x", "detached")
        with Client() as client:
            check("continue", client.send("c"), None)
            client.socket.sendall(b"\x03")
            check("Ctrl-C", client.stop(), ("", "T02thread:01;"))
        wait_for("the loss", lambda: "the debugger is gone; the guest goes on" in vm.messages)
        output = gdb("IDLE.elf", "info registers rip", "kill")
        expect(output, "rip +0x", "killed")
        vm.ends(0)
        expect(vm.messages, "killed by the debugger")
    with VM(VMM, "IDLE.elf", "--gdb-lost", "stop", "--qmp", "unix=q.sock", waits=False) as vm:
        with Client() as client:
            client.send("c")
        wait_for("the loss", lambda: "the debugger is gone; the guest stays stopped" in vm.messages)
        status = [VMM, "ctl", "q.sock", "status"]
        check("status", wait_for("the stop", lambda: subprocess.run(status, capture_output=True, text=True).stdout), "paused\n")
        with Client() as client:
            cont = subprocess.run([VMM, "ctl", "q.sock", "cont"], capture_output=True, text=True, timeout=DEADLINE)
            expect(cont.stderr, "a debugger has stopped the guest; continue it there")
            check("detach", client.ask("D"), "OK")
        check("status", wait_for("the guest", lambda: "running" in subprocess.run(status, capture_output=True, text=True).stdout), True)


@test
def the_time_stands_still():
    limits = ["--timeout", "1s", "--stall-after", "500ms"]
    with VM(VMM, "IDLE.elf", *limits) as vm, Client() as client:
        check("a register", len(client.ask("p10")), 16)
        # Another that is started now reaches its limit.
        other = subprocess.run([VMM, "IDLE.elf", "--console", "null", *limits], stdin=subprocess.DEVNULL, capture_output=True, timeout=DEADLINE)
        check("the other's end", other.returncode, 124)
        check("this one's end", vm.process.poll(), None)
        client.send("c")
        check("the end", client.stop(), ("", "W7c"))
        vm.ends(124)


@test
def devices_that_stop():
    with VM(VMM, *FEW) as vm:
        output = gdb(
            SYMBOLS, "monitor break device blk0 suspend", "continue", "monitor devices stop", "monitor break off",
            "monitor break device blk0 notify", "continue", "monitor devices", "monitor devices go", "monitor break off", "detach")
        expect(
            output, "^the devices are stopped$", "^blk0: a write of 0x0 to QueueNotify$", "^blk0: 1 request of queue 0 held back by a test or a debugger$",
            "^the devices go on$", "detached")
        vm.ends(0)
    # A debugger that leaves lets them go on too.
    with VM(VMM, *FEW) as vm:
        expect(gdb(SYMBOLS, "monitor devices stop", "detach"), "detached")
        vm.ends(0)


@test
def a_trace_of_a_part():
    with VM(VMM, *FEW, "--snapshot-to", "snapshot") as vm:
        output = gdb(
            SYMBOLS, "monitor trace on", "monitor break device blk0 suspend", "continue", "monitor trace on t.json", "monitor break off",
            "monitor break device blk0 reset", "continue", "monitor trace off", "monitor trace off", "monitor break off", "detach")
        expect(output, "^name the file, ", "^the trace is on$", "^the trace is off$", "^no trace is being written", "detached")
        vm.ends(0)
    replayed = subprocess.run([VMM, "check", "t.json"], capture_output=True, text=True)
    check("the replay", replayed.returncode, 0)
    expect(replayed.stdout, "^drivers broke 0 of ")
    with VM(VMM, *FEW) as vm:
        expect(gdb(SYMBOLS, "monitor trace on t.json", "detach"), "^there is no trace: .*start with --snapshot-to")
        vm.ends(0)


@test
def a_snapshot():
    os.makedirs("saved", exist_ok=True)
    with VM(VMM, "IDLE.elf", "--snapshot-to", "saved/s") as vm:
        output = gdb("IDLE.elf", "stepi 3", "info registers rip", "monitor snapshot saved/s", "monitor snapshot", "info registers rip", "kill")
        expect(output, "^snapshot saved/s: [0-9]+ MiB of memory$", "^name the folder, the one of --snapshot-to$", "killed")
        places = re.findall(r"^rip +(0x\w+)", output, re.M)
        check("places around the snapshot", len(places) == 2 and places[0] == places[1], True)
        vm.ends(0)
    with VM(VMM, "--restore", "saved/s") as vm:
        expect(gdb("IDLE.elf", "info registers rip", "kill"), rf"^rip +{places[0]} ")
        vm.ends(0)
    with VM(VMM, "IDLE.elf", "--sandbox", "on") as vm:
        expect(gdb("IDLE.elf", "monitor snapshot saved/s", "kill"), "^there is no snapshot: .*; start with --snapshot-to")
        vm.ends(0)


@test
def addresses():
    with VM(VMM, *FEW, gdb="0") as vm:
        place = vm.messages.split("target remote ")[1].split()[0]
        expect(place, r"^127\.0\.0\.1:[0-9]+$")
        expect(gdb(SYMBOLS, "detach", target=place), "detached")
        vm.ends(0)
    for address, sentence in ("nowhere", "connects at unix=PATH"), ("192.0.2.1:0", "cannot be listened at"), ("unix=", "needs a value"):
        result = subprocess.run(
            [VMM, "--suspend", "draft", "--gdb", address], capture_output=True, text=True, timeout=DEADLINE)
        expect(result.stderr, sentence)


run_tests([test for test in TESTS if test.__name__ in sys.argv[3:] or not sys.argv[3:]], "IDLE", "PROCESSORS")
