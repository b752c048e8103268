#!/usr/bin/env python3
# vmm as a job of a shell at a terminal: in the foreground, in the background, stopped, continued, hung up. The terminal is raw while
# vmm is in the foreground and only then, its mode is the same afterwards, and signals and --timeout end vmm from every state.
#
# usage: jobs.py VMM [NAME...]

import os
import signal
import sys
import termios

from job import (
    ENDING, ESCAPE, SHELLS, TERM, VMM, answers, await_end, check, cpu, ends, foreground, guest_runs, is_handled,
    is_quiet, main, resume, resume_in_the_background, runs_on, stop, test)
from session import Session, has_ended, state, status, wait_for


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
        session.type("kill %%\n")
        session.expect(rb"vmm: stopped by signal 15")
        await_end(process)


@test()
def stopped_past_its_timeout(session):
    process = foreground(session, f"{VMM} SPIN.elf --timeout 500ms")
    stop(process, signal.SIGSTOP)
    session.code()
    session.run("sleep 0.5")
    check("exit code", session.run(f"bg; wait {process}"), 124)


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
        is_handled(session, session.process, signal.SIGTSTP)
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


sys.exit(main("vmm as a job of a shell"))
