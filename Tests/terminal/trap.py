#!/usr/bin/env python3
# A crash of vmm, in each of its threads in turn: the process ends by the signal, and a terminal is as before. In the sandbox a sentence
# names the thread; without it there is a backtrace where the Swift runtime finds its backtracer. vmm's sockets have no names any more.
# The crash is an illegal instruction of vmm's own, to which a debugger's call sends the thread.
#
# usage: trap.py VMM [THREAD...]

import os
import re
import signal
import subprocess
import sys
import tempfile

from ptrace import ORIG_RAX, RIP, Stopped
from session import DEADLINE, Failure, Session, build_kernels, has_ended, state, threads, wait_for

VMM = os.path.realpath(sys.argv[1])
SOCKETS = ["control.socket", "network.socket"]


def illegal_instruction(process):
    """Where vmm has a ud2."""
    with open(f"/proc/{process}/maps") as maps:
        for line in maps:
            fields = line.split()
            if "x" in fields[1] and fields[-1] == VMM:
                start, end = (int(part, 16) for part in fields[0].split("-"))
                with open(VMM, "rb") as file:
                    file.seek(int(fields[2], 16))
                    place = file.read(end - start).find(b"\x0f\x0b")
                if place >= 0:
                    return start + place
    raise Failure("vmm has no illegal instruction")


def trap(process, thread):
    """Makes `thread` of `process` run into an illegal instruction."""
    with Stopped(thread) as stopped:
        registers = stopped.registers()
        registers[RIP] = illegal_instruction(process)
        registers[ORIG_RAX] = 0xffff_ffff_ffff_ffff  # no system call to restart
        stopped.set(registers)


def started(process, thread):
    """Whether `thread` lets SIGILL through; the C library blocks every signal while it starts a thread, and has no trap there."""
    with open(f"/proc/{process}/task/{thread}/status") as file:
        blocked = int(re.search(r"^SigBlk:\s*(\w+)", file.read(), re.M)[1], 16)
    return not blocked >> signal.SIGILL - 1 & 1


def runs(process):
    """Waits until the guest runs, and with `control` the last thread was started."""
    def look():
        found = threads(process)
        return "vcpu0" in found and "control" in found and all(started(process, found[name]) for name in found if not is_kernels(name))
    wait_for("the guest to run", look)


def is_kernels(name):
    """KVM has a thread of the kernel's in the process."""
    return name.startswith("kvm-")


def ended(process, said):
    """How the child `process` ended."""
    def look():
        child, code = os.waitpid(process, os.WNOHANG)
        return [code] if child else None
    try:
        code = wait_for("vmm to end after a crash", look, 2 * DEADLINE)[0]
    except Failure as failure:
        raise Failure(f"{failure}; its state is {state(process)}; {said()}") from None
    if not os.WIFSIGNALED(code) or os.WTERMSIG(code) != signal.SIGILL:
        raise Failure(f"vmm ended with {code:#x}, not by SIGILL; {said()}")


def has_report(text, crashed, names, arguments):
    """Of the threads `names`. The backtracer tells of all threads, and of a program at a terminal of the crashed one."""
    if "off" not in arguments:
        return f"vmm: the thread {crashed} crashed by signal {int(signal.SIGILL)} at 0x".encode() in text
    return all(f'"{name}"{" crashed" * (name == crashed)}:'.encode() in text for name in names)


def without_a_terminal(name, backtraces, arguments):
    with tempfile.TemporaryFile() as output:
        child = subprocess.Popen([VMM, *arguments], stdin=subprocess.DEVNULL, stdout=output, stderr=output)

        def said():
            output.seek(0)
            return output.read()
        try:
            runs(child.pid)
            trap(child.pid, threads(child.pid)[name])
            ended(child.pid, said)
            if not has_report(said(), name, backtraces, arguments):
                raise Failure(f"no report: {said()}")
            left = [name for name in SOCKETS if os.path.lexists(name)]
            if left:
                raise Failure(f"it left {' and '.join(left)}; {said()}")
        finally:
            child.returncode = 0  # it was waited for
            if not has_ended(child.pid):
                os.kill(child.pid, signal.SIGKILL)
                os.waitpid(child.pid, 0)


def at_a_terminal(name, backtraces, arguments, background=""):
    with Session("bash", "--norc", "--noprofile", "--noediting", "-i") as session:
        session.run("true")
        before = session.mode
        session.start(f"{VMM} {' '.join(arguments)}{background}")
        process = session.find(VMM)
        runs(process)
        if background:
            session.code()
        else:
            session.await_raw()
        trap(process, threads(process)[name])
        if background:
            session.start(f"wait {process}")
        code = session.code(2 * DEADLINE)
        if code != 128 + signal.SIGILL:
            raise Failure(f"vmm ended with {code}, not by SIGILL; {session.transcript}")
        if session.mode != before:
            raise Failure(f"the mode is {session.mode}, and was {before}")
        if not has_report(session.transcript, name, backtraces and [name], arguments):
            raise Failure(f"no report: {session.transcript}")


def main():
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return print("skipped - crashes: there is no usable /dev/kvm")
    failed = passed = 0
    with tempfile.TemporaryDirectory() as work:
        os.chdir(work)
        build_kernels("SPIN")
        with open("disk.img", "wb") as file:
            file.truncate(1 << 20)
        arguments = ["SPIN.elf", "-d", "disk.img,io=threads", "--serial", "stdio", "--stall-after", "60m"]
        arguments += ["--qmp", f"unix={SOCKETS[0]}", "--net", f"unix-dgram=nobody.socket,local={SOCKETS[1]}"]
        child = subprocess.Popen([VMM, *arguments], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        runs(child.pid)
        names = sorted(name for name in threads(child.pid) if not is_kernels(name))
        child.kill()
        child.wait()
        # A vmm that is linked to the toolchain's runtime has its backtracer.
        linked = b"libswiftCore.so" in subprocess.run(["ldd", VMM], capture_output=True).stdout
        backtraces = names if linked else []
        outside = [*arguments, "--sandbox", "off"]
        cases = [(without_a_terminal, name, mode) for name in names for mode in (arguments, outside)]
        cases += [(at_a_terminal, name, outside) for name in names if name in ("vmm", "vcpu0", "signals")]
        cases += [(at_a_terminal, "vcpu0", arguments), (at_a_terminal, "vcpu0", outside, " &")]
        for run, name, mode, *rest in cases:
            if sys.argv[2:] and name not in sys.argv[2:]:
                continue
            try:
                run(name, backtraces, mode, *rest)
                passed += 1
            except Failure as failure:
                failed += 1
                print(f"not ok - a crash of {name} {run.__name__.replace('_', ' ')}{''.join(rest)}: {failure}")
    print(f"{passed} crashes, in the threads {', '.join(names)}, ended vmm{' with a backtrace' if backtraces else ''}; {failed} did not")
    return failed > 0


sys.exit(main())
