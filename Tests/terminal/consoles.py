#!/usr/bin/env python3
# Consoles at sockets and pseudo-terminals: how vmm announces them, what the first client gets of the output before it came, and the
# size of a pseudo-terminal.
#
# usage: consoles.py VMM [NAME...]

import fcntl
import json
import os
import re
import select
import signal
import socket
import struct
import sys
import termios

from job import VMM, Failure, await_end, check, main, test
from session import DEADLINE, wait_for

WRITTEN, KEPT = 70000, 64 << 10
LETTERS = b"abcdefghijklmnop" * (WRITTEN // 16 + 1)


def text(name):
    try:
        with open(name) as file:
            return file.read()
    except FileNotFoundError:
        return ""


def talks(session, target):
    """Starts vmm with a guest that has written all its output. Its messages are in the file errors."""
    for name in "errors", "done":
        if os.path.exists(name):
            os.remove(name)
    session.start(f"{VMM} TALK.elf --console {target} --serial file=done --trace trace 2> errors &")
    process = session.find(VMM)
    session.code()
    wait_for("the guest's output", lambda: text("done"))
    return process


def kept(read):
    """Reads what is kept of the output for the first client."""
    data = b""
    while len(data) < KEPT:
        if not select.select([read], [], [], DEADLINE)[0]:
            raise Failure(f"{len(data)} bytes came")
        data += os.read(read.fileno(), KEPT)
    check("the output kept is the newest", data == LETTERS[WRITTEN - KEPT:WRITTEN], True)
    check("what is said of the rest", f"{KEPT} bytes of output; {WRITTEN - KEPT} before them are lost" in text("errors"), True)


def quit(process):
    os.kill(process, signal.SIGTERM)
    await_end(process)


@test()
def the_first_client_of_a_socket(session):
    process = talks(session, "unix=socket")
    check("the announcement", "console0 is at socket: connect with socat" in text("errors"), True)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect("socket")
        kept(client)
    quit(process)


@test()
def the_first_client_of_a_terminal(session):
    process = talks(session, "pty")
    path = re.search(r"console0 is at (\S+): connect with screen", text("errors"))[1]
    with open(path, "r+b", buffering=0) as terminal:
        kept(terminal)
        # The kernel tells nobody of the size, so it is read with the next key.
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
        terminal.write(b"k")
        wait_for("the size in the device's configuration", lambda: '"change"' in text("trace"))
    quit(process)
    changes = [json.loads(line)["value"] for line in text("trace").splitlines() if '"change"' in line]
    check("the sizes the device had, rows and columns", changes, [f"{40 << 16 | 100:#x}"])


@test()
def messages_begin_a_line(session):
    session.start(f"{VMM} PROMPT.elf --serial stdio")
    session.expect(rb"ok\r\nvmm: the guest powered off")
    check("exit code", session.code(), 0)
    session.run(f"{VMM} PROMPT.elf --serial stdio > both 2>&1")
    check("in one file", text("both").splitlines()[:1], ["ok"])
    session.run(f"{VMM} PROMPT.elf --serial stdio > output 2> errors")
    check("in two files", (text("output"), text("errors")[:4]), ("ok", "vmm:"))


sys.exit(main("consoles"))
