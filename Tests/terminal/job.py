# vmm as a job of a shell: what the tests do with it and expect of it.

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

from session import Failure, Session, build_kernels, has_ended, state, status, threads, wait_for

BASH = ("bash", "--norc", "--noprofile", "--noediting", "-i")
SHELLS = [BASH, ("dash", "-i")] if shutil.which("dash") else [BASH]
ESCAPE = "\x01"
HELP = rb"Ctrl-A x stops the machine[^\n]*\r\n"
ENDING = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]
TERM = 128 + signal.SIGTERM

# Who runs these in the background, or under nohup, has them ignored, and so would vmm.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

VMM = os.path.realpath(sys.argv[1])
TESTS = []


def test(*shells):
    """Marks a test of one shell, or one that runs in each of `shells`."""
    def mark(function):
        TESTS.extend((function, shell) for shell in shells or [BASH])
        return function
    return mark


def check(what, got, expected):
    if got != expected:
        raise Failure(f"{what}: {got}, expected {expected}")


def guest_runs(session):
    """Waits until the session's vmm has started its guest."""
    process = session.find(VMM)
    wait_for("the guest to run", lambda: "vcpu0" in threads(process))
    return process


def foreground(session, command):
    """Starts `command` in the foreground."""
    session.start(command)
    process = guest_runs(session)
    session.await_raw()
    return process


def answers(session):
    """vmm reads keys, and its lines are whole on the terminal."""
    session.type(ESCAPE + "h")
    session.expect(HELP)


def resume(session, process, job=""):
    """The shell's fg, which gives vmm the terminal again."""
    session.start(f"fg {job}")
    wait_for("vmm in the foreground", lambda: session.foreground == int(status(process)[2]))


def resume_in_the_background(session, process):
    """The shell's bg, which says no until the shell has heard of the stop."""
    def bg():
        session.run("bg")
        return state(process) in "RS"
    wait_for("bg to continue vmm", bg)


def stop(process, number):
    os.kill(process, number)
    wait_for("vmm to stop", lambda: state(process) == "T")


def is_handled(session, process, number):
    """Waits until vmm has acted on a signal that was sent: it has read it, and then acted on another, SIGQUIT."""
    def look():
        with open(f"/proc/{process}/status") as file:
            return not int(re.search(r"^ShdPnd:\s*(\w+)", file.read(), re.M)[1], 16) >> number - 1 & 1
    wait_for("vmm to read the signal", look)
    os.kill(process, signal.SIGQUIT)
    session.expect(rb"console0: [^\n]*\r\n")


def await_end(process):
    wait_for("vmm to end", lambda: has_ended(process))


def ends(session, process, number, code=None):
    """`number` ends vmm, a job of the shell."""
    os.kill(process, number)
    await_end(process)
    check("exit code", session.run(f"wait {process}"), code or 128 + number)


def runs_on(session, process):
    """The shell has the keys, and vmm runs."""
    session.start("echo he''llo")
    session.expect(rb"hello\r\n")
    session.code()
    if state(process) not in "RS":
        raise Failure(f"vmm's state is {state(process)}")


def cpu(process):
    """The processor time of each thread, in ticks of 10 ms."""
    times = {}
    for task in os.listdir(f"/proc/{process}/task"):
        try:
            with open(f"/proc/{process}/task/{task}/stat") as file:
                name, _, rest = file.read().partition("(")[2].rpartition(")")
        except (FileNotFoundError, ProcessLookupError):
            continue  # this thread has ended
        times[name] = int(rest.split()[11]) + int(rest.split()[12])
    return times


def is_quiet(used):
    before = used()
    subprocess.run(["sleep", "0.3"], check=True)
    return used() == before


def main(title):
    """Runs the tests marked, or those named on the command line."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return print(f"skipped - {title}: there is no usable /dev/kvm")
    failed = 0
    chosen = [entry for entry in TESTS if not sys.argv[2:] or entry[0].__name__ in sys.argv[2:]]
    with tempfile.TemporaryDirectory() as work:
        os.chdir(work)
        build_kernels("SPIN", "STALL", "SERIAL", "PROMPT", "CHATTER", "TALK")
        for run, shell in chosen:
            with Session(*shell) as session:
                try:
                    session.run("true")
                    before = session.mode
                    run(session)
                    if session.master >= 0:
                        check("the mode afterwards", session.mode, before)
                except Failure as failure:
                    failed += 1
                    print(f"not ok - {run.__name__}, {shell[0]}: {failure}")
    print(f"{title}: {len(chosen) - failed} tests passed, {failed} failed")
    return failed > 0
