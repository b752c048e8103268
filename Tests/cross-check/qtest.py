"""A client of the qtest protocol on a process's standard input and output: memory and interrupt lines, not virtio."""
import os
import select
import subprocess
import time


class Ended(Exception):
    """The process ended, or stopped answering."""


class QTest:
    """A machine without a running processor, controlled by lines of text."""

    # Seconds until an answer times out, and the processor time that the process may use for it. Two limits, because a
    # process on a busy host is slow without hanging.
    TIMEOUT, PROCESSOR_TIMEOUT = 60, 2

    def __init__(self, command, log):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, bufsize=0)
        self.rest = b""
        self.lines = {}  # the level of each interrupt line that changed
        self.say("irq_intercept_in ioapic")

    def say(self, line):
        """Sends a line and returns the text after the OK. Changes of interrupt lines are stored in `lines`."""
        try:
            self.process.stdin.write(line.encode() + b"\n")
        except BrokenPipeError:
            raise self.ended() from None
        while True:
            answer = self.line()
            if answer.startswith("IRQ "):
                _, verb, number = answer.split()
                self.lines[int(number)] = verb == "raise"
            elif answer.startswith("OK"):
                return answer[3:]
            else:
                raise ValueError(f"the answer to '{line}' is '{answer}'")

    def line(self):
        deadline, limit = time.monotonic() + self.TIMEOUT, None
        while b"\n" not in self.rest:
            if select.select([self.process.stdout], [], [], 0.1)[0]:
                piece = os.read(self.process.stdout.fileno(), 65536)
                if not piece:
                    raise self.ended()
                self.rest += piece
                continue
            computed = self.computed()
            limit = computed + self.PROCESSOR_TIMEOUT if limit is None else limit
            if computed > limit or time.monotonic() > deadline:
                raise Ended("hangs")
        line, self.rest = self.rest.split(b"\n", 1)
        return line.decode().rstrip("\r")

    def computed(self):
        """The processor time that the process has used, in seconds."""
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def ended(self):
        """The exception to raise when the process has closed its output."""
        code = self.process.wait(10)
        return Ended(f"dies of signal {-code}" if code < 0 else f"exits with code {code}")

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def load(self, address, width=4):
        return int(self.say(f"read{'bwlq'[width.bit_length() - 1]} {address:#x}"), 16)

    def store(self, address, value, width=4):
        self.say(f"write{'bwlq'[width.bit_length() - 1]} {address:#x} {value:#x}")

    def read(self, address, size):
        return bytes.fromhex(self.say(f"read {address:#x} {size}")[2:])

    def write(self, address, data):
        if data:
            self.say(f"write {address:#x} {len(data)} 0x{data.hex()}")

    def fill(self, address, size, byte=0):
        self.say(f"memset {address:#x} {size} {byte}")
