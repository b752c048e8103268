#!/usr/bin/env python3
# vmm as a job of a shell at a terminal: in the foreground, in the background, stopped, continued, hung up. The terminal is raw while
# vmm is in the foreground and only then, its mode is the same afterwards, and signals and --timeout end vmm from every state.
#
# usage: jobs.py VMM [NAME...]

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import termios

from ptrace import RAX, Stopped
from session import Failure, Session, build_kernels, has_ended, state, status, threads, wait_for

BASH = ("bash", "--norc", "--noprofile", "--noediting", "-i")
SHELLS = [BASH, ("dash", "-i")] if shutil.which("dash") else [BASH]
ESCAPE = "\x01"
HELP = rb"Ctrl-A x stops the machine[^\n]*\r\n"
ENDING = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]
TERM = 128 + signal.SIGTERM

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


@test(*SHELLS)
def in_the_foreground(session):
    foreground(session, f"{VMM} SPIN.elf")
    output = session.mode[1]
    check("newline on the terminal", output & (termios.OPOST | termios.ONLCR), termios.OPOST | termios.ONLCR)
    answers(session)
    session.type(ESCAPE + "x")
    check("exit code", session.code(), 130)


@test(*SHELLS)
def in_the_background_and_fg(session):
    before = session.mode
    session.start(f"{VMM} SPIN.elf &")
    process = guest_runs(session)
    session.code()
    for _ in range(3):
        runs_on(session, process)
    check("the mode", session.mode, before)
    resume(session, process)
    session.await_raw()
    answers(session)
    session.type(ESCAPE + "x")
    check("exit code", session.code(), 130)


@test(*SHELLS)
def in_the_background_ended_by_a_signal(session):
    for number in ENDING:
        session.start(f"{VMM} SPIN.elf &")
        process = guest_runs(session)
        session.code()
        ends(session, process, number)


@test(*SHELLS)
def in_the_background_ended_by_timeout(session):
    session.start(f"{VMM} SPIN.elf --timeout 300ms &")
    session.find(VMM)
    session.code()
    check("exit code", session.run("wait $!"), 124)


@test()
def by_timeout_in_a_script(session):
    with open("script", "w") as file:
        file.write('timeout 60 "$1" SPIN.elf --timeout 300ms\necho inner=$?\ntimeout --preserve-status 0.5 "$1" SPIN.elf\n')
    check("exit code", session.run(f"sh ./script {VMM}"), TERM)
    check("exit code in a function", session.run(f"timeout 60 {VMM} SPIN.elf --timeout 300ms"), 124)


def after_a_stop(number):
    def run(session):
        before = session.mode
        process = foreground(session, f"{VMM} SPIN.elf")
        for _ in range(3):
            stop(process, number)
            session.code()
            if number == signal.SIGTSTP:
                check("the mode while stopped", session.mode, before)
            resume(session, process)
            session.await_raw()
            answers(session)
        session.type(ESCAPE + "x")
        check("exit code", session.code(), 130)
    return run


@test(*SHELLS)
def sigtstp_and_fg(session):
    after_a_stop(signal.SIGTSTP)(session)


@test(*SHELLS)
def sigstop_and_fg(session):
    after_a_stop(signal.SIGSTOP)(session)


@test()
def stopped_then_bg_then_ended(session):
    before = session.mode
    for stopping in [signal.SIGTSTP, signal.SIGSTOP]:
        for number in ENDING:
            process = foreground(session, f"{VMM} SPIN.elf")
            stop(process, stopping)
            session.code()
            resume_in_the_background(session, process)
            runs_on(session, process)
            check("the mode in the background", session.mode, before)
            ends(session, process, number)


@test()
def stopped_then_killed(session):
    for stopping in [signal.SIGTSTP, signal.SIGSTOP]:
        process = foreground(session, f"{VMM} SPIN.elf")
        stop(process, stopping)
        session.code()
        # The shell sends SIGTERM, and SIGCONT to a stopped job.
        session.run("kill %1")
        await_end(process)
        check("exit code", session.run(f"wait {process}"), TERM)


@test()
def stopped_past_its_timeout(session):
    process = foreground(session, f"{VMM} SPIN.elf --timeout 500ms")
    stop(process, signal.SIGSTOP)
    session.code()
    session.run("sleep 0.5")
    session.run("bg")
    await_end(process)
    check("exit code", session.run(f"wait {process}"), 124)


@test()
def stopped_at_any_moment(session):
    before = session.mode
    process = foreground(session, f"{VMM} SPIN.elf")
    for _ in range(15):
        stop(process, signal.SIGSTOP)
        session.code()
        resume(session, process)
        wait_for("vmm to run", lambda: state(process) in "RS")
    session.await_raw()
    stop(process, signal.SIGSTOP)
    session.code()
    for _ in range(15):
        resume_in_the_background(session, process)
        stop(process, signal.SIGSTOP)
        check("the mode in the background", session.mode, before)
    resume_in_the_background(session, process)
    ends(session, process, signal.SIGTERM)


@test()
def without_a_shell(_):
    with Session(VMM, "SPIN.elf") as session:
        session.await_raw()
        # No shell could continue it, so SIGTSTP does not stop it.
        os.kill(session.process, signal.SIGTSTP)
        answers(session)
        session.await_raw()
        session.close()
        await_end(session.process)


@test(*SHELLS)
def nohup(session):
    session.start(f"nohup {VMM} SPIN.elf > nohup.text 2>&1 &")
    process = guest_runs(session)
    session.code()
    os.kill(process, signal.SIGHUP)
    runs_on(session, process)
    session.close()
    wait_for("the shell to end", lambda: has_ended(session.process))
    check("vmm's state", state(process) in "RS", True)
    os.kill(process, signal.SIGTERM)
    await_end(process)
    with open("nohup.text") as file:
        text = file.read()
    check(f"ended by SIGTERM: {text}", "stopped by signal 15" in text, True)


@test(*SHELLS)
def the_terminal_is_closed(session):
    process = foreground(session, f"{VMM} SPIN.elf")
    session.close()
    await_end(process)


@test()
def the_terminal_is_closed_behind_a_background_job(session):
    session.start(f"{VMM} SPIN.elf &")
    process = guest_runs(session)
    session.code()
    session.close()
    await_end(process)


@test()
def the_terminal_is_closed_and_sighup_ignored(session):
    session.start(f"(trap '' HUP; {VMM} CHATTER.elf --serial stdio & exec {VMM} SPIN.elf)")
    processes = [guest_runs(session), guest_runs(session)]
    session.close()
    wait_for("the shell to end", lambda: has_ended(session.process))
    # The thread that wrote serial output drops it; those of the consoles sleep.
    for process in processes:
        wait_for("the console's thread to be quiet", lambda: is_quiet(lambda: cpu(process)["console0"]))
        os.kill(process, signal.SIGTERM)
        await_end(process)


def cpu(process):
    """The processor time of each thread, in ticks of 10 ms."""
    times = {}
    for task in os.listdir(f"/proc/{process}/task"):
        with open(f"/proc/{process}/task/{task}/stat") as file:
            name, _, rest = file.read().partition("(")[2].rpartition(")")
        times[name] = int(rest.split()[11]) + int(rest.split()[12])
    return times


def is_quiet(used):
    before = used()
    subprocess.run(["sleep", "0.3"], check=True)
    return used() == before


@test()
def below_make(session):
    with open("run.mk", "w") as file:
        file.write(f"run:\n\t@{VMM} SPIN.elf\n")
    foreground(session, "make -f run.mk run")
    answers(session)
    session.type(ESCAPE + "x")
    session.expect(rb"Error 130")
    check("exit code", session.code(), 2)


@test(*SHELLS)
def in_a_pipe(session):
    session.start(f"{VMM} SERIAL.elf --serial stdio | head -n 1")
    session.expect(rb"ok\r\n")
    check("exit code", session.code(), 0)
    session.start(f"{VMM} CHATTER.elf --serial stdio --timeout 500ms | head -n 1")
    session.expect(rb"chatter\r\n")
    check("exit code", session.code(), 0)


@test(*SHELLS)
def in_a_substitution(session):
    session.start(f"x=$({VMM} SERIAL.elf --serial stdio 2> /dev/null); echo \"<$x>\"")
    session.expect(rb"<ok>\r\n")
    session.code()


@test()
def without_standard_streams(session):
    before = session.mode
    session.start(f"{VMM} SPIN.elf --timeout 300ms < /dev/null")
    guest_runs(session)
    check("the mode", session.mode, before)
    check("exit code", session.code(), 124)
    check("exit code", session.run(f"{VMM} SERIAL.elf --serial stdio >&-"), 0)
    check("exit code", session.run(f"{VMM} SERIAL.elf --serial stdio 2>&-"), 0)
    check("exit code", session.run(f"{VMM} SERIAL.elf --serial stdio <&- >&- 2>&-"), 0)
    session.start(f"{VMM} SERIAL.elf --serial stdio")
    session.expect(rb"ok\r\n")
    check("exit code", session.code(), 0)


@test(*SHELLS)
def output_from_the_background(session):
    for setting in ["-tostop", "tostop"]:
        session.run(f"stty {setting}")
        session.start(f"{VMM} CHATTER.elf --serial stdio &")
        process = guest_runs(session)
        session.code()
        session.expect(rb"chatter\r\n")
        ends(session, process, signal.SIGTERM)
        session.start(f"{VMM} CHATTER.elf --serial stdio --timeout 300ms &")
        process = session.find(VMM)
        await_end(process)
        check("exit code", session.run(f"wait {process}"), 124)
    session.run("stty -tostop")


@test()
def while_output_is_stopped(session):
    for arguments, code in ("", TERM), ("--timeout 300ms", 124):
        session.start(f"{VMM} SPIN.elf {arguments} &")
        process = guest_runs(session)
        session.code()
        session.type("\x13")  # Ctrl-S
        if not arguments:
            os.kill(process, signal.SIGTERM)
        await_end(process)
        session.type("\x11")  # Ctrl-Q
        check("exit code", session.run(f"wait {process}"), code)


@test()
def a_size_changed_in_the_background(session):
    session.resize(30, 90)
    process = foreground(session, f"{VMM} SPIN.elf --trace trace")
    session.resize(0, 90)  # not known
    stop(process, signal.SIGSTOP)
    session.code()
    # SIGWINCH goes to the job in the foreground, which is the shell.
    session.resize(40, 100)
    resume(session, process)
    session.await_raw()
    answers(session)
    session.type(ESCAPE + "x")
    check("exit code", session.code(), 130)
    with open("trace") as file:
        changes = [json.loads(line)["value"] for line in file if '"change"' in line]
    check("the sizes the device had, rows and columns", changes, [f"{40 << 16 | 100:#x}"])


@test()
def two_jobs(session):
    session.start(f"{VMM} SPIN.elf &")
    first = guest_runs(session)
    session.code()
    foreground(session, f"{VMM} SPIN.elf")
    answers(session)
    session.type(ESCAPE + "x")
    check("exit code", session.code(), 130)
    runs_on(session, first)
    resume(session, first, "%1")
    session.await_raw()
    answers(session)
    session.type(ESCAPE + "x")
    check("exit code", session.code(), 130)


@test()
def two_at_once(session):
    before = session.mode
    for order in [0, 1], [1, 0]:
        session.start(f"sh -c '{VMM} SPIN.elf < /dev/tty & {VMM} SPIN.elf; wait'")
        both = [guest_runs(session), guest_runs(session)]
        session.await_raw()
        for index in order:
            os.kill(both[index], signal.SIGTERM)
            await_end(both[index])
        check("exit code", session.code(), 0)
        check("the mode", session.mode, before)


@test()
def sigquit(session):
    process = foreground(session, f"{VMM} STALL.elf")
    os.kill(process, signal.SIGQUIT)
    session.expect(rb"console0: [^\n]*\r\n")
    stop(process, signal.SIGTSTP)
    session.code()
    resume_in_the_background(session, process)
    os.kill(process, signal.SIGQUIT)
    session.expect(rb"console0: [^\n]*\r\n")
    ends(session, process, signal.SIGTERM)


@test()
def keys_of_the_terminal_and_the_built_in_guest(session):
    session.start(f"{VMM} --suspend draft")
    process = guest_runs(session)
    session.type("\x1a")  # Ctrl-Z
    wait_for("vmm to stop", lambda: state(process) == "T")
    session.code()
    resume_in_the_background(session, process)
    session.read()
    session.text = b""
    session.type("\x03")  # Ctrl-C, which is the shell's
    session.expect(b"ready ")
    runs_on(session, process)
    resume(session, process)
    session.type("\x03")
    check("exit code", session.code(), 130)


@test()
def qtest(session):
    before = session.mode
    session.start(f"{VMM} --qtest stdio &")
    process = session.find(VMM)
    session.code()
    for _ in range(3):
        runs_on(session, process)
    resume(session, process)
    session.type("readl 0xd0000000\n")
    session.expect(rb"OK 0x0000000074726976\r\n")
    session.type("\x1a")
    wait_for("vmm to stop", lambda: state(process) == "T")
    session.code()
    resume_in_the_background(session, process)
    runs_on(session, process)
    check("the mode", session.mode, before)
    ends(session, process, signal.SIGTERM)
    session.start(f"{VMM} --qtest stdio")
    session.find(VMM)
    session.type("\x04")  # Ctrl-D
    check("exit code", session.code(), 0)


@test()
def keys_of_another_job(session):
    for arguments, thread in ("SPIN.elf", "console0"), ("--qtest stdio", "vmm"):
        session.start(f"{VMM} {arguments} &")
        process = session.find(VMM)
        wait_for("vmm to listen", lambda: "signals" in threads(process))
        session.code()
        session.start("sleep 1000")
        reader = session.find(shutil.which("sleep"))
        # Not read before sleep has ended.
        session.type("true\n")
        wait_for("vmm to be quiet", lambda: is_quiet(lambda: cpu(process).get(thread)))
        os.kill(reader, signal.SIGTERM)
        check("exit code", session.code(), TERM)
        ends(session, process, signal.SIGTERM)


@test()
def a_key_that_another_program_read_first(session):
    process = foreground(session, f"{VMM} SPIN.elf")
    other = os.open(os.readlink(f"/proc/{process}/fd/0"), os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
    with Stopped(threads(process)["console0"]) as console:
        session.type("k")
        # Its poll(2) is interrupted, restarted, and returns 1.
        wait_for("poll to return", lambda: console.step() or console.registers()[RAX] == 1)
        check("what the other program reads", os.read(other, 10), b"k")
    os.close(other)
    os.kill(process, signal.SIGTERM)
    check("exit code", session.code(), TERM)


@test()
def in_another_session(session):
    before = session.mode
    check("exit code", session.run(f"setsid {VMM} SPIN.elf"), 0)

    def look():
        return [int(entry) for entry in os.listdir("/proc") if entry.isdigit() and is_leader(entry)]
    process = wait_for("vmm to run", look)[0]
    session.started.append(process)
    wait_for("the guest to run", lambda: "vcpu0" in threads(process))
    for _ in range(3):
        runs_on(session, process)
    check("the mode", session.mode, before)
    os.kill(process, signal.SIGTERM)
    await_end(process)


def is_leader(entry):
    """Whether vmm with our directory leads a session."""
    try:
        return (os.readlink(f"/proc/{entry}/exe") == VMM and os.readlink(f"/proc/{entry}/cwd") == os.getcwd()
                and status(entry)[3] == entry)
    except (OSError, TypeError):
        return False


@test()
def below_script(session):
    if not shutil.which("script"):
        return print("skipped - below_script: there is no script(1)")
    session.start(f"script -qec '{VMM} SPIN.elf' /dev/null")
    session.await_raw()
    answers(session)
    session.type(ESCAPE + "x")
    check("exit code", session.code(), 130)


def main():
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return print("skipped - jobs at a terminal: there is no usable /dev/kvm")
    failed = 0
    chosen = [entry for entry in TESTS if not sys.argv[2:] or entry[0].__name__ in sys.argv[2:]]
    with tempfile.TemporaryDirectory() as work:
        os.chdir(work)
        build_kernels("SPIN", "STALL", "SERIAL", "CHATTER")
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
    print(f"{len(chosen) - failed} tests of vmm as a job of a shell passed, {failed} failed")
    return failed > 0


sys.exit(main())
