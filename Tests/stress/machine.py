# vmm as a process whose console is read line by line, with a deadline for every wait, and the records its guest leaves on
# a disk (guest/stress/RecordsCheck.swift).

import os
import select
import subprocess
import sys
import tempfile
import time

DEADLINE = 60
SECTOR = 512


class Failure(Exception):
    """What the test found wrong."""


class Machine:
    """A running vmm, started by way of `before` if that is said. Used in a `with`, which leaves no process behind."""

    def __init__(self, vmm, *arguments, before=(), **popen):
        self.stderr = tempfile.TemporaryFile()
        popen.setdefault("stdout", subprocess.PIPE)
        popen.setdefault("stdin", subprocess.DEVNULL)
        self.process = subprocess.Popen(
            [*before, vmm, "run", *arguments], stderr=self.stderr, **popen)
        self.pending = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for stream in self.process.stdout, self.process.stdin:
            if stream:
                stream.close()

    def lines(self, seconds=DEADLINE):
        """Console lines as they come, until the console is closed; fails when they stop coming."""
        end = time.monotonic() + seconds
        output = self.process.stdout.fileno()
        while True:
            line, newline, rest = self.pending.partition(b"\n")
            if newline:
                self.pending = rest
                yield line.decode(errors="replace")
                continue
            if not select.select([output], [], [], max(0, end - time.monotonic()))[0]:
                raise Failure(f"no end of the wait for the console; {self.said()}")
            data = os.read(output, 65536)
            if not data:
                return
            self.pending += data

    def until(self, wanted, seconds=DEADLINE):
        """The first line `wanted` holds of, and those before it."""
        seen = []
        for line in self.lines(seconds):
            seen.append(line)
            if wanted(line):
                return line, seen
        raise Failure(f"the console ended; {self.said()}; last lines: {seen[-5:]}")

    def end(self, seconds=DEADLINE):
        """The exit code, with the console's remaining lines."""
        rest = list(self.lines(seconds)) if self.process.stdout else []
        try:
            return self.process.wait(seconds), rest
        except subprocess.TimeoutExpired:
            raise Failure(f"vmm does not end; {self.said()}") from None

    def said(self):
        """What vmm said on standard error."""
        self.stderr.seek(0)
        return "vmm said: " + (self.stderr.read().decode(errors="replace").strip() or "nothing")


def number(line, word):
    """N of a console line `word N`, or None."""
    first, _, rest = line.partition(" ")
    return int(rest) if first == word and rest.isdigit() else None


def record(seed, n):
    """The bytes of record n."""
    mask, step = (1 << 64) - 1, 0x9E3779B97F4A7C15
    word = ((seed << 52) + (n << 32)) * step & mask
    return b"".join(((word + i * step) & mask).to_bytes(8, "little") for i in range(SECTOR // 8))


def engines(vmm, image):
    """What this vmm and this host can use for a file disk's I/O, as an option to add to -d; what they cannot is told."""
    text = subprocess.run([vmm, "run", "--help"], capture_output=True, text=True, timeout=DEADLINE).stdout
    if "io=auto" not in text:
        print("skipped - io=threads, io=uring, direct: this vmm has one engine and no option io=")
        return [""]
    usable = []
    for engine in [",io=threads", ",io=uring"] + ([",io=threads,direct", ",io=uring,direct"] if ",direct" in text else []):
        run = subprocess.run(
            [vmm, "run", "--suspend", "draft", "-d", image + engine, "-a", "only=blk-flush", "-a", "disk=2"],
            capture_output=True, text=True, timeout=DEADLINE)
        # Exit code 1 is vmm's own: it cannot be had here. Any other failure is the test's.
        if run.returncode == 1:
            print(f"skipped - {engine[1:]}: {run.stderr.strip()}")
        else:
            usable.append(engine)
    return usable


KVM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "kvm.sh")


def needs_kvm(what):
    """Ends this program with the reason, where /dev/kvm cannot be used."""
    if subprocess.run([KVM, "needed", what]).returncode != 0:
        sys.exit(0)


def ran_on_kvm(count, what):
    """Counts tests for the summary of `make check`."""
    subprocess.run([KVM, "ran", str(count), what], check=True)
