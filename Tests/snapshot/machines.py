# Machines that are stopped, written down and started again, over their control sockets.

import json
import os
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../stress"))
from machine import DEADLINE, Failure, needs_kvm, ran_on_kvm

MASK = (1 << 64) - 1


def digest(text):
    """The digest of Sources/Machine/Snapshot/Digest.swift."""
    value = 0xCBF29CE484222325
    padded = text + bytes(-len(text) % 8)
    words = [int.from_bytes(padded[i:i + 8], "little") for i in range(0, len(padded), 8)]
    for word in [*words, len(text)]:
        value = (value ^ word) * 0x9E3779B97F4A7C15 & MASK
        value = (value << 29 | value >> 35) & MASK
    return value


def rewrite(folder, change):
    """Changes the object of machine.json, and gives it a digest that fits."""
    path = os.path.join(folder, "machine.json")
    with open(path) as file:
        members = json.load(file)
    del members["digest"]
    change(members)
    text = json.dumps(members, separators=(",", ":"))[:-1].encode()
    with open(path, "wb") as file:
        file.write(text + b',"digest":"0x%016x"}\n' % digest(text))


class Guest:
    """A vmm with a control socket, whose console is a file. Used in a `with`, which leaves no process behind."""

    count = 0

    def __init__(self, vmm, folder, *options, before=(), snapshots=None):
        Guest.count += 1
        self.name = os.path.join(folder, str(Guest.count))
        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [*before, vmm, *options, "--qmp", f"unix={self.name}.sock", "--console", f"file={self.name}.out",
             "--snapshot-to", os.path.join(snapshots or folder, "snapshot")],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.errors)
        self.client = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        if self.client:
            self.client.close()

    def connect(self):
        end = time.monotonic() + DEADLINE
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(DEADLINE)
        while client.connect_ex(f"{self.name}.sock"):
            if self.process.poll() is not None or time.monotonic() > end:
                return False
            time.sleep(0.002)
        self.client = client.makefile("rwb")
        client.close()
        self.client.readline()
        return self.ask("qmp_capabilities") is not None

    def send(self, command, **arguments):
        self.client.write(json.dumps({"execute": command, "arguments": arguments}).encode())
        self.client.flush()

    def ask(self, command, **arguments):
        """The answer; None if the machine has ended, or refuses because its guest has."""
        try:
            if self.client is None and not self.connect():
                return None
            self.send(command, **arguments)
            while line := self.client.readline():
                answer = json.loads(line)
                if "return" in answer:
                    return answer["return"]
                if "error" in answer:
                    if "has ended" in answer["error"]["desc"]:
                        return None
                    raise Failure(f"{command}: {answer['error']['desc']}")
        except (BrokenPipeError, ConnectionResetError):
            pass
        return None

    def ends(self, code=0, before=""):
        """Fails if it ends with another exit code, and shows its console's output, and what came `before` in other processes."""
        try:
            got = self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            raise Failure(f"vmm does not end; {self.said()}\n{before}{self.output()}") from None
        if got != code:
            raise Failure(f"exit code {got}, not {code}; {self.said()}\n{before}{self.output()}")

    def output(self):
        try:
            with open(f"{self.name}.out", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def said(self):
        self.errors.seek(0)
        return self.errors.read().decode(errors="replace").strip()
