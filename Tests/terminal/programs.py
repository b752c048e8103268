#!/usr/bin/env python3
# vmm beside other programs at one terminal: below make and script, in pipes, with another vmm, with its streams elsewhere.
#
# usage: programs.py VMM [NAME...]

import json
import os
import shutil
import signal
import sys

from job import (
    ESCAPE, SHELLS, TERM, VMM, answers, await_end, check, cpu, ends, foreground, guest_runs, is_handled, is_quiet,
    main, resume, resume_in_the_background, runs_on, stop, test)
from ptrace import RAX, Stopped
from session import state, status, threads, wait_for


@test()
def below_make(session):
    with open("run.mk", "w") as file:
        file.write(f"run:\n\t@{VMM} SPIN.elf\n")
    foreground(session, "make -f run.mk run")
    answers(session)
    session.type(ESCAPE + "x")
    session.expect(rb"vmm: stopped by Ctrl-A x")
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
    session.start(f"{VMM} SPIN.elf --timeout 2s < /dev/null")
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
def a_terminal_that_nobody_reads(session):
    session.start(f"{VMM} CHATTER.elf --serial stdio")
    process = guest_runs(session)
    # Once it is full it gets room for less than vmm has to write.
    for count in 0, 1000, 1000:
        os.read(session.master, count)
        wait_for("the terminal to be full", lambda: is_quiet(lambda: cpu(process)["serial"]))
    os.kill(process, signal.SIGTERM)
    await_end(process)
    check("exit code", session.code(), TERM)


@test()
def a_size_changed_in_the_background(session):
    session.resize(30, 90)
    process = foreground(session, f"{VMM} SPIN.elf --trace trace")
    session.resize(0, 90)  # not known
    is_handled(session, process, signal.SIGWINCH)
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


def background(session, arguments, thread):
    """A vmm in the background, while a line is typed for another job: it reads none of it."""
    session.start(f"{VMM} {arguments} &")
    process = session.find(VMM)
    wait_for("vmm to listen", lambda: {"signals", thread} <= set(threads(process)))
    session.code()
    session.start("sleep 1000")
    reader = session.find(shutil.which("sleep"))
    # Not read before sleep has ended.
    session.type("true\n")
    wait_for("vmm to be quiet", lambda: is_quiet(lambda: cpu(process).get(thread)))
    os.kill(reader, signal.SIGTERM)
    check("exit code", session.code(), TERM)
    return process


@test()
def control(session):
    process = background(session, "SPIN.elf --console null --qmp stdio", "control")
    resume(session, process)
    session.type('{"execute":"qmp_capabilities"}\n')
    session.expect(rb'\{"return": ?\{\}\}')
    session.type('{"execute":"quit"}\n')
    check("exit code", session.code(), 0)


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
        ends(session, background(session, arguments, thread), signal.SIGTERM)


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


sys.exit(main("vmm beside other programs"))
