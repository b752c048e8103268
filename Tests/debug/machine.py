# A machine with a debugger's socket, and its debuggers: Debian's gdb and lldb in batch mode, and a client of packets.

import os
import re
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../terminal"))
from session import DEADLINE, Failure, build_kernels, wait_for

LLDB = "/usr/bin/lldb"


def check(what, got, expected):
    if got != expected:
        raise Failure(f"{what}: {got!r}, expected {expected!r}")


class VM:
    """A vmm that waits for a debugger at the socket d.sock. Its messages are in the file errors, the console's output in out."""

    def __init__(self, vmm, *options, waits=True, gdb="unix=d.sock"):
        self.errors = open("errors", "w")
        self.process = subprocess.Popen(
            [vmm, "--timeout", "60s", *options, "--gdb", gdb, *(["-S"] if waits else []), "--console", "file=out"],
            stdin=subprocess.DEVNULL, stderr=self.errors)

    def __enter__(self):
        if not wait_for("the socket", lambda: "target remote" in self.messages or self.process.poll()):
            raise Failure(self.messages)
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.errors.close()

    @property
    def messages(self):
        with open("errors") as file:
            return file.read()

    def ends(self, code):
        check(f"exit code, after {self.messages}", self.process.wait(DEADLINE), code)


def run(arguments):
    result = subprocess.run(
        arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=DEADLINE, text=True,
        errors="replace")
    return result.stdout


def gdb(symbols, *commands, target="d.sock"):
    """What gdb prints for these commands."""
    words = ["set pagination off", f"target remote {target}", *commands]
    return run(["gdb", "-nx", "-batch", *(word for command in words for word in ("-ex", command)), *([symbols] if symbols else [])])


def lldb(symbols, *commands):
    words = ["process connect --plugin gdb-remote unix-connect://" + os.path.abspath("d.sock"), *commands]
    return run([LLDB, "--no-lldbinit", "--batch", *(word for command in words for word in ("-o", command)), symbols])


def expect(output, *patterns):
    """The patterns, regular expressions, are found in the output in this order."""
    place = 0
    for pattern in patterns:
        found = re.compile(pattern, re.M).search(output, place)
        if not found:
            raise Failure(f"{pattern!r} is not printed there:\n{output}")
        place = found.end()


class Client:
    """A client that sends packets as a test says."""

    def __init__(self, path="d.sock"):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(DEADLINE)
        # Others may wait to be served.
        wait_for("the connection", lambda: self.socket.connect_ex(path) == 0)
        self.rest = b""
        self.acknowledges = True

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def more(self):
        received = self.socket.recv(65536)
        if not received:
            raise Failure(f"the connection is closed, after {self.rest}")
        self.rest += received

    def byte(self):
        while not self.rest:
            self.more()
        first, self.rest = self.rest[:1], self.rest[1:]
        return first

    def send(self, data):
        data = data.encode() if isinstance(data, str) else data
        self.socket.sendall(b"$" + data + b"#%02x" % (sum(data) & 0xff))
        if self.acknowledges:
            check(f"acknowledgement of {data}", self.byte(), b"+")

    def packet(self):
        """The data of the next packet."""
        check("the beginning of a packet", self.byte(), b"$")
        while not re.search(rb"#[0-9a-f][0-9a-f]", self.rest):
            self.more()
        data, _, self.rest = self.rest.partition(b"#")
        check(f"checksum of {data}", int(self.rest[:2], 16), sum(data) & 0xff)
        self.rest = self.rest[2:]
        if self.acknowledges:
            try:
                self.socket.sendall(b"+")
            except BrokenPipeError:
                pass  # that was the last packet
        return re.sub(rb"}(.)", lambda escaped: bytes([escaped[1][0] ^ 0x20]), data, flags=re.S)

    def ask(self, data):
        self.send(data)
        return self.packet().decode("latin1")

    def monitor(self, line):
        """What a monitor command prints."""
        answer, text = self.ask("qRcmd," + line.encode().hex()), ""
        while answer != "OK":
            text += bytes.fromhex(answer[1:]).decode()
            answer = self.packet().decode()
        return text

    def stop(self):
        """The console's text, and the packet of the next stop."""
        text, answer = "", self.packet().decode()
        while answer[0] == "O":
            text += bytes.fromhex(answer[1:]).decode()
            answer = self.packet().decode()
        return text, answer


def run_tests(tests, *kernels):
    """Runs them in a folder of their own that has these kernels, and ends the program: 1 if one failed."""
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        build_kernels(*kernels)
        failed = 0
        for function in tests:
            try:
                function()
                print(f"debug: {function.__name__}: ok", flush=True)
            except (Failure, OSError, subprocess.SubprocessError) as failure:
                failed += 1
                print(f"debug: {function.__name__}: {failure}", file=sys.stderr, flush=True)
    sys.exit(failed > 0)
