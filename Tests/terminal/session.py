# A shell at a pseudo-terminal, driven as its user would: every wait has a deadline and says what it waited for.

import errno
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

DEADLINE = 30
LOCAL = 3  # the index of the local flags in what tcgetattr returns


class Failure(Exception):
    """What the test found wrong."""


def wait_for(what, condition, seconds=DEADLINE):
    """What `condition` returns, once that is true."""
    end = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise Failure(f"waited {seconds} s for {what}")
        time.sleep(0.005)


def status(process):
    """The state of a process and the fields after it, as in proc(5); none if it is gone."""
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def state(process):
    """One letter: R or S is running, T stopped, Z or X has ended."""
    return (status(process) or "X")[0]


def has_ended(process):
    """Whether every thread has; the first can be a zombie before the others end."""
    fields = status(process)
    return fields is None or fields[0] in "ZX" and int(fields[17]) <= 1


def threads(process):
    """The numbers of its threads, by name; where several have a name, of one of them."""
    found = {}
    try:
        for task in os.listdir(f"/proc/{process}/task"):
            with open(f"/proc/{process}/task/{task}/comm") as file:
                found[file.read().strip()] = int(task)
    except (FileNotFoundError, ProcessLookupError):
        pass  # it ends
    return found


def build_kernels(*names):
    """Kernels of Tests/cli/kernel.S, here."""
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../cli/kernel.S")
    for name in names:
        subprocess.run(["clang", "--target=x86_64-unknown-none-elf", f"-D{name}", "-c", source, "-o", "kernel.o"], check=True)
        subprocess.run(["ld.lld", "--image-base=0", "-e", "start", "-Ttext=0x100000", "kernel.o", "-o", f"{name}.elf"],
                       check=True)


class Session:
    """An interactive shell, or another command, that leads a session at a pseudo-terminal of its own. `with` ends it and what it
    started."""

    def __init__(self, *command):
        self.process, self.master = pty.fork()
        if self.process == 0:
            os.environ.update(PS1="ready ", PS2="", TERM="dumb")
            os.environ.pop("ENV", None)
            os.execvp(command[0], command)
        self.transcript = self.text = b""
        self.started = []
        self.commands = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
        for process in [*self.started, self.process]:
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                pass
        os.waitpid(self.process, 0)

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def close(self):
        """Closes the terminal, as when its window is closed."""
        if self.master >= 0:
            os.close(self.master)
            self.master = -1

    def read(self, seconds=0):
        """Takes in what was written to the terminal; waits for it if `seconds` are given."""
        while self.master >= 0 and select.select([self.master], [], [], seconds)[0]:
            try:
                data = os.read(self.master, 65536)
            except OSError as error:
                if error.errno != errno.EIO:
                    raise
                return  # every program has closed the terminal
            self.text += data
            self.transcript += data
            seconds = 0

    def expect(self, pattern, seconds=DEADLINE):
        """Waits for output that `pattern` matches, and takes it away."""
        end = time.monotonic() + seconds
        while True:
            match = re.search(pattern, self.text)
            if match:
                self.text = self.text[match.end():]
                return match
            left = end - time.monotonic()
            if left < 0:
                raise Failure(f"waited {seconds} s for {pattern} in {self.text[-2000:]}")
            self.read(min(left, 0.5))

    def type(self, text):
        os.write(self.master, text.encode())

    def run(self, command):
        """Types a command to the shell, and waits for its exit code."""
        self.start(command)
        return self.code()

    def start(self, command):
        """Types a command to the shell, which then prints its exit code."""
        self.commands += 1
        # What is echoed is not what is waited for.
        self.type(f"{command}\necho e''nd{self.commands}=$?\n" if command.endswith("&") else
                  f"{command}; echo e''nd{self.commands}=$?\n")

    def code(self, seconds=DEADLINE):
        """The exit code of the last command."""
        return int(self.expect(rb"end%d=(\d+)" % self.commands, seconds)[1])

    def find(self, program):
        """The process id of the running `program` of this session, once there is one."""
        def look():
            for entry in filter(str.isdigit, os.listdir("/proc")):
                fields = status(entry)
                try:
                    if fields and int(fields[3]) == self.process and fields[0] not in "ZX" and os.readlink(
                            f"/proc/{entry}/exe") == program and int(entry) not in self.started:
                        return int(entry)
                except OSError:
                    pass
            return None

        process = wait_for(f"{program} to run", look)
        self.started.append(process)
        return process

    @property
    def mode(self):
        """The terminal's mode."""
        return termios.tcgetattr(self.master)

    @property
    def is_raw(self):
        return not self.mode[LOCAL] & (termios.ICANON | termios.ECHO | termios.ISIG)

    @property
    def foreground(self):
        """The process group in the foreground."""
        return struct.unpack("i", fcntl.ioctl(self.master, termios.TIOCGPGRP, b"\0\0\0\0"))[0]

    def await_raw(self, is_raw=True):
        wait_for(f"the terminal to be {'raw' if is_raw else 'as before'}", lambda: self.is_raw == is_raw)
