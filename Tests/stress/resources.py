#!/usr/bin/env python3
# Nothing that vmm takes from the host grows with what it does: descriptors, threads, mappings and pages of its own are after many starts,
# suspends, resets and bytes of console output what they were after a few.
#
# usage: resources.py VMM [STARTS ROUNDS MIBS]         as in `make resources`: 1000 10000 100

import ctypes
import os
import re
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(HERE, "..", "law"))
import law  # noqa: E402
from driver import QUEUE_RESET, QUEUE_SEL, RING_RESET  # noqa: E402
from machine import DEADLINE, SECTOR, Failure, Machine, engines, number, ran_on_kvm  # noqa: E402

WARM_UP = 20
KVM = os.access("/dev/kvm", os.R_OK | os.W_OK)
# Pages of RSS, and mappings, by which two looks at the same state differ: the allocator's, and the stacks of those threads.
NOISE, ARENAS = 16, 16


def usage(process):
    """Descriptors, threads, mappings, pages of memory of a process; those of guest memory among them. Without the threads that come when
    the host is slow, and are few: a disk's for what blocks, and the kernel's own of io_uring."""
    with open(f"/proc/{process}/status", encoding="ascii") as file:
        status = dict(re.findall(r"^(\w+):\s*(\d+)", file.read(), re.M))
    with open(f"/proc/{process}/maps", encoding="utf-8") as file:
        mappings = len(file.readlines())
    names = []
    for task in os.listdir(f"/proc/{process}/task"):
        with open(f"/proc/{process}/task/{task}/comm", encoding="ascii") as file:
            names.append(file.read().strip())
    threads = [name for name in names if not name.startswith("iou-") and not name.endswith("-slow")]
    if len(names) - len(threads) > 40:
        raise Failure(f"threads: {names}")
    return (len(os.listdir(f"/proc/{process}/fd")), len(threads), mappings,
            (int(status["RssAnon"]) + int(status["RssShmem"])) * 1024 // os.sysconf("SC_PAGE_SIZE"))


def compare(what, before, after):
    print(f"{what}: descriptors, threads, mappings, pages of RSS: {before} before, {after} after")
    if any(now > then + more for now, then, more in zip(after, before, (0, 0, ARENAS, NOISE))):
        raise Failure(f"{what}: more at the end than at the start")


def starts(vmm, count):
    """Starts and ends leave no process and no file."""
    # Whoever vmm left behind would become a child of this process.
    ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER
    with tempfile.TemporaryDirectory() as work:
        environment = os.environ | {"TMPDIR": work, "XDG_RUNTIME_DIR": work}
        with open(os.path.join(work, "image"), "wb") as file:
            file.truncate(SECTOR * 64)
        before = set(os.listdir("/dev/shm")), len(os.listdir("/proc/self/fd"))
        ways = [["--qtest", "stdio", "-d", "image,overlay"], ["--qtest", "stdio", "--net", "null", "--trace", "/dev/null"]]
        if KVM:
            ways += [["run", "--suspend", "1.4", "-a", "only=identity", "--qmp", "unix=socket", "--rng"]]
        for n in range(count):
            done = subprocess.run([vmm, *ways[n % len(ways)]], input=b"readl 0xd0000000\n", cwd=work, env=environment,
                                  capture_output=True, timeout=DEADLINE)
            if done.returncode != 0:
                raise Failure(f"start {n}, {ways[n % len(ways)]}: exit code {done.returncode}, {done.stderr}")
        left = set(os.listdir(work)) - {"image"}
        after = set(os.listdir("/dev/shm")), len(os.listdir("/proc/self/fd"))
        try:
            left.add(f"process {os.waitpid(-1, os.WNOHANG)[0]}")
        except ChildProcessError:
            pass
        print(f"starts and ends: {count}; files and processes left: {len(left)}")
        if left or after != before:
            raise Failure(f"left: {left}, {before}, {after}")


class Recorder:
    """The lines of a client, with their answers, to be sent again."""

    def __init__(self, machine):
        self.qtest, self.sent, self.say = machine.qtest, [], machine.qtest.say

    def __enter__(self):
        def say(line):
            answer = self.say(line)
            self.sent.append((line, answer))
            return answer
        self.qtest.say = say
        return self

    def __exit__(self, *_):
        self.qtest.say = self.say

    def again(self, times):
        """Sends the lines again; each answer must be what it was."""
        # Lines and answers that are under way at once fit into the pipes.
        for _ in range(times):
            at = 0
            while at < len(self.sent):
                part, size = [], 0
                while at < len(self.sent) and (not part or size < 16384 and len(part) < 200):
                    part.append(self.sent[at])
                    size += sum(map(len, self.sent[at]))
                    at += 1
                self.qtest.process.stdin.write("".join(line + "\n" for line, _ in part).encode())
                for line, answer in part:
                    found = self.qtest.line()
                    while found.startswith("IRQ "):
                        found = self.qtest.line()
                    if found[3:] != answer:
                        raise Failure(f"the answer to '{line}' was '{answer}' and is '{found}'")


def one_round(c):
    """Each device with requests, suspended and resumed, with a queue reset and a reset while a request is held."""
    disk, = c.start(c.disk, RING_RESET | law.BLK_FLUSH)
    disk.send(c.request(0, law.OUT, data=bytes(512)))
    c.suspended(c.disk)
    disk.add(c.request(1, law.IN, room=512))
    c.resumed(c.disk)
    c.say(f"x-hold {c.disk.name}")
    disk.notify()
    for n in (2, 3):
        disk.add(c.request(n, law.IN, room=512))
        disk.notify()
        c.suspend(c.disk)
        c.disk.put(QUEUE_SEL, 0)
        c.disk.put(QUEUE_RESET, 1)
    c.say(f"x-release {c.disk.name}")
    c.disk.status = 0
    console = c.start(c.console, queues=(0, 1))
    console[1].send([(law.BUFFERS, 64, False)])
    c.say("x-output console0")
    c.suspended(c.console)
    c.say("x-input console0 0x414243")
    console[0].add([(law.BUFFERS, 64, True)])
    c.resumed(c.console)
    c.console.status = 0
    entropy, = c.start(c.rng0)
    entropy.add([(law.BUFFERS, 16, True)])
    c.suspended(c.rng0)
    c.rng0.status = 0
    # Network devices know SUSPEND of 1.4 only.
    dialect, c.dialect = c.dialect, "1.4"
    network = c.start(c.net0, queues=(0, 1))
    network[0].add([(law.BUFFERS, 2048, True)])
    c.qtest.fill(law.BUFFERS, 72)
    network[1].send([(law.BUFFERS, 72, False)])
    c.suspended(c.net0)
    c.say("x-output net0")
    c.say("x-input net0 0x" + "ff" * 60)
    c.resumed(c.net0)
    c.net0.status = 0
    c.dialect = dialect


def rounds(vmm, count, dialect, packed):
    forms = "features=+packed"
    options = ["-d", f"FILE,{forms}", f"--rng=seed=1,{forms}", "--net", f"null,suspend=1.4,{forms}", "--console", f"null,{forms}"]
    machine = law.Machine(vmm, dialect, packed, options)
    try:
        one_round(machine)
        with Recorder(machine) as recorder:
            one_round(machine)
        recorder.again(WARM_UP)
        before = usage(machine.qtest.process.pid)
        recorder.again(count)
        name = f"{count} rounds of suspends and resets, {dialect}, {'packed' if packed else 'split'}"
        compare(name, before, usage(machine.qtest.process.pid))
    finally:
        machine.close()


def output(vmm, mebibytes):
    """Console output that nobody reads for a while, and then at once."""
    machine = law.Machine(vmm, "1.4", False, [])
    try:
        def print_(times):
            ring = machine.start(machine.console, queues=(0, 1))[1]
            with Recorder(machine) as recorder:
                # Room for one and a half: output waits in the ring.
                for _ in range(8):
                    ring.add([(law.BUFFERS, 0x4000, False)])
                    ring.notify()
                for _ in range(4):
                    machine.say("x-output console0")
                machine.console.status = 0
                machine.start(machine.console, queues=(0, 1))
            recorder.again(times)
        print_(WARM_UP)
        before = usage(machine.qtest.process.pid)
        print_(mebibytes * 8)
        compare(f"{mebibytes} MiB of console output", before, usage(machine.qtest.process.pid))
    finally:
        machine.close()


def progress(image, beyond):
    """Waits until the guest has written a record again, of which the image has a trace."""
    end = time.monotonic() + DEADLINE
    while (now := os.stat(image).st_mtime_ns) == beyond:
        if time.monotonic() > end:
            raise Failure("the guest does not go on")
        time.sleep(0.01)
    return now


def guest(vmm, records, engine, image):
    """Records and suspends of a running guest, with a reader of its console that is fast, slow, and gone."""
    with Machine(vmm, "--suspend", "1.4", "-d", image + engine, "-a", "records=100000000", "-a", "disk=2") as machine:
        def reach(n):
            # Twenty records a second at least.
            machine.until(lambda line: (number(line, "flushed") or 0) >= n, DEADLINE + n // 20)
            return usage(machine.process.pid)
        before = reach(300)
        compare(f"{records} records, a suspend for 64{engine}", before, reach(300 + records))
        for _ in range(200):
            os.read(machine.process.stdout.fileno(), 16)
            time.sleep(0.001)
        compare(f"a slow reader{engine}", before, usage(machine.process.pid))
        machine.process.stdout.close()
        machine.process.stdout, seen = None, os.stat(image).st_mtime_ns
        for _ in range(20):
            seen = progress(image, seen)
        compare(f"a reader that left{engine}", before, usage(machine.process.pid))


def main():
    vmm = os.path.abspath(sys.argv[1])
    count, repeats, mebibytes = map(int, sys.argv[2:5] or (12, 50, 2))
    starts(vmm, count)
    for dialect in law.DIALECTS:
        rounds(vmm, repeats, dialect, dialect == "draft")
    output(vmm, mebibytes)
    if not KVM:
        return print("skipped - a running guest: /dev/kvm cannot be used")
    with tempfile.TemporaryDirectory() as work:
        image = os.path.join(work, "image")
        with open(image, "wb") as file:
            file.truncate(SECTOR * 2048)
        usable = [engine for engine in engines(vmm, image) if "direct" not in engine or len(sys.argv) > 2]
        for engine in usable:
            guest(vmm, 200 + 2 * repeats, engine, image)
    ran_on_kvm(len(usable), "guests whose use of the host does not grow")


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"resources: {failure}")
