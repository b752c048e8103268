#!/usr/bin/env python3
# Faults of the host while the guest uses its disk and its console: the request that met one is answered with an error, or
# done after all where it can be, everything else goes on, and vmm with it.
#
# usage: faults.py VMM [CASE...]             all cases, or those named

import errno
import fcntl
import json
import os
import resource
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

from machine import DEADLINE, SECTOR, Failure, Machine, engines, needs_kvm, number, ran_on_kvm, record

HERE = os.path.dirname(os.path.abspath(__file__))
SECTORS = 128
ENDLESS = ["-a", "records=1000000", "-a", "errors=1000000", "-a", "disk=2"]


class Skip(Exception):
    """Why a case cannot run here."""


def expect(condition, what):
    if not condition:
        raise Failure(what)


def image(name="image", sectors=SECTORS):
    with open(name, "wb") as file:
        file.truncate(sectors * SECTOR)
    return name


def disk(engine, name="image"):
    return ["--suspend", "draft", "-d", name + engine]


def stop(machine):
    """Ends a run that would not end by itself."""
    machine.process.send_signal(signal.SIGINT)
    code, _ = machine.end()
    expect(code == 130, f"exit code {code} after SIGINT; {machine.said()}")


def passes(machine, check="stress"):
    """The run ends by itself, and well. Returns what the check found out."""
    code, lines = machine.end(120)
    expect(code == 0 and any(line.endswith(f" - {check}") and line.startswith("ok ") for line in lines),
           f"exit code {code}; {machine.said()}; {lines[-5:]}")
    notes = next(line for line in lines if line.startswith(f"# {check}: "))
    return {key: int(value) for key, value in (word.split("=") for word in notes.split()[2:])}


# The disk's file.


def truncated(vmm, engine):
    """The file is cut without a word: reads beyond its end fail, and only they; writes make it grow again."""
    image()
    with Machine(vmm, *disk(engine), *ENDLESS) as machine:
        line, _ = machine.until(
            lambda line: number(line, "flushed") is not None and number(line, "flushed") % SECTORS == 3)
        start = number(line, "flushed")
        os.truncate("image", SECTORS // 2 * SECTOR)
        _, seen = machine.until(lambda line: number(line, "unread") is not None)
        _, more = machine.until(lambda line: number(line, "flushed") == start + 3 * SECTORS)
        lines = seen + more
        unread = [n for n in (number(line, "unread") for line in lines) if n is not None]
        expect(all(n >= SECTORS // 2 for n in unread), f"reads inside the file failed: {unread}")
        expect(not any(number(line, "failed") is not None for line in lines), "a write failed")
        last = [line for line in lines[-SECTORS:] if number(line, "unread") is not None]
        expect(not last, "reads fail in a file that has grown again")
        stop(machine)


def resized(vmm, engine):
    """Cut and grown again with SIGUSR1: what is beyond the capacity fails while it is, and works again afterwards."""
    image()
    half = SECTORS // 2

    def outcome(machine, word, inside):
        return machine.until(lambda line: number(line, word) is not None
                             and (number(line, word) % SECTORS < half) == inside)[1]

    with Machine(vmm, *disk(engine), *ENDLESS) as machine:
        outcome(machine, "flushed", inside=False)
        # In the lower half, and stopped: or a write on its way makes the file grow again before vmm looks at its size.
        outcome(machine, "flushed", inside=True)
        machine.process.send_signal(signal.SIGSTOP)
        os.truncate("image", half * SECTOR)
        machine.process.send_signal(signal.SIGUSR1)
        machine.process.send_signal(signal.SIGCONT)
        outcome(machine, "failed", inside=False)
        seen = outcome(machine, "flushed", inside=True) + outcome(machine, "failed", inside=False)
        wrong = [line for line in seen if number(line, "failed") is not None and number(line, "failed") % SECTORS < half]
        expect(not wrong, f"writes inside the disk failed: {wrong}")
        expect(os.path.getsize("image") == half * SECTOR, "a write beyond the capacity reached the file")
        os.truncate("image", SECTORS * SECTOR)
        machine.process.send_signal(signal.SIGUSR1)
        outcome(machine, "flushed", inside=False)
        _, seen = machine.until(lambda line: number(line, "flushed") is not None
                                and number(line, "flushed") % SECTORS == SECTORS - 1)
        expect(not any(number(line, "failed") is not None for line in seen), "writes fail on a disk that grew again")
        stop(machine)


def size_limit(vmm, engine):
    """A limit on the size of files: EFBIG, and a signal that kills whoever does not block it."""
    image()
    limit = SECTORS // 2 * SECTOR

    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    with Machine(vmm, *disk(engine), *ENDLESS, preexec_fn=limited) as machine:
        line, _ = machine.until(lambda line: number(line, "failed") is not None)
        expect(number(line, "failed") % SECTORS >= SECTORS // 2, f"below the limit: {line}")
        machine.until(lambda line: number(line, "flushed") is not None and number(line, "flushed") > SECTORS)
        stop(machine)


def no_space(vmm, engine):
    """A sparse file on a full file system: new sectors fail, old ones do not, and with room again none does."""
    probe = subprocess.run(["unshare", "-m", "true"], capture_output=True, text=True)
    if probe.returncode != 0:
        raise Skip(f"this user cannot mount a small file system: {probe.stderr.strip()}")
    os.makedirs("small", exist_ok=True)
    # The mount is seen by vmm and by the shell before it alone, and goes with them; the ballast is reached through /proc.
    script = ('mount -t tmpfs -o size=128k none small && head -c 98304 /dev/zero > small/ballast && '
              'truncate -s 1M small/image && exec "$0" "$@"')
    with Machine(vmm, *disk(engine, "small/image"), *ENDLESS, before=["unshare", "-m", "sh", "-c", script]) as machine:
        line, seen = machine.until(lambda line: number(line, "failed") is not None)
        first = number(line, "failed")
        expect(0 < first < 256 and any(number(line, "flushed") == 0 for line in seen), f"{line} is the first to fail")
        machine.until(lambda line: number(line, "failed") is not None and number(line, "failed") > first + 16)
        os.unlink(f"/proc/{machine.process.pid}/cwd/small/ballast")
        machine.until(lambda line: number(line, "flushed") is not None and number(line, "flushed") > first)
        stop(machine)


# What the host's calls answer.


def preloaded(vmm, faults, engine, *arguments):
    """A run with faults.c under it; what it did, by name."""
    if "uring" in engine and "sync" not in faults:
        raise Skip("io_uring's transfers are the kernel's own")
    if not os.path.exists("faults.so"):
        built = subprocess.run(["clang", "-shared", "-fPIC", "-O1", "-o", "faults.so", os.path.join(HERE, "faults.c")],
                               capture_output=True, text=True)
        expect(built.returncode == 0, f"faults.c does not compile: {built.stderr}")
    image(sectors=8192)
    with open("faults.log", "wb") as file:
        file.truncate(4096)
    environment = os.environ | {"LD_PRELOAD": os.path.abspath("faults.so"), "FAULTS": faults,
                                "FAULTS_LOG": os.path.abspath("faults.log")}
    machine = Machine(vmm, *disk(engine), "-a", "disk=2", *arguments, env=environment)
    machine.environment = environment

    def counts():
        with open("faults.log", "rb") as file:
            words = struct.unpack("<5Q", file.read(40))
        if not any(words):
            raise Skip("this vmm does not make its calls through a shared glibc")
        return dict(zip(["calls", "shortened", "interrupted", "failed", "synced"], words))

    return machine, counts


def stressed(requests, *more):
    return ["-a", f"stress={requests}", "-a", "queue-size=64", *more]


def short_and_interrupted(vmm, engine):
    """Transfers that move a part of what they are asked for, and calls that are interrupted: the guest sees nothing."""
    machine, counts = preloaded(vmm, "again,short,eintr", engine, *stressed(400))
    with machine:
        notes = passes(machine)
    did = counts()
    expect(did["shortened"] > 50 and did["interrupted"] > 100, f"{did}")
    expect(notes["errors"] == 0 and did["synced"] * notes["deepest"] >= notes["flushes"] > 0, f"{notes}, {did}")


def failing(vmm, engine):
    """Calls that fail with EIO: each is one request's error, no more and no less."""
    machine, counts = preloaded(vmm, "again,eio=10", engine, *stressed(400, "-a", "errors=1000"))
    with machine:
        notes = passes(machine)
    did = counts()
    expect(did["failed"] > 10 and notes["errors"] == did["failed"], f"{did}, {notes}; {machine.said()}")


def lost_writeback(vmm, engine):
    """The host reports a failed writeback once: that flush fails and all after it, and vmm reports it once."""
    machine, counts = preloaded(vmm, "sync=3", engine, *stressed(400, "-a", "errors=1000"))
    with machine:
        notes = passes(machine)
    did = counts()
    # Flushes may share a sync.
    expect(did["synced"] == 2 and notes["flushes"] > 5 and 2 <= notes["flushes"] - notes["errors"] < notes["flushes"],
           f"{did}, {notes}; {machine.said()}")
    expect(machine.said().count("a flush failed (Input/output error)") == 1, machine.said())


def lost_writethrough(vmm, engine):
    """The same for writes that are durable when they complete, as a driver without flush has them."""
    machine, counts = preloaded(vmm, "sync=3", engine + ",features=-flush", *stressed(400, "-a", "errors=1000"))
    with machine:
        notes = passes(machine)
    did = counts()
    changes = notes["writes"] + notes["discards"] + notes["zeroes"]
    # Up to four, one for each thread that waits, share a sync.
    expect(did["synced"] == 2 and changes > 50 and 2 <= changes - notes["errors"] <= 8, f"{did}, {notes}; {machine.said()}")
    expect(machine.said().count("a flush failed (Input/output error)") == 1, machine.said())


def lost_at_the_end(vmm, engine):
    """The flush at the end of the run fails, which is no request's: vmm reports it."""
    machine, counts = preloaded(vmm, "sync=1", engine, "-a", "only=blk-get-id")
    with machine:
        code, lines = machine.end()
    expect(code == 0 and counts()["failed"] == 1, f"exit code {code}, {counts()}; {lines[-5:]}")
    expect(machine.said().count("a flush failed (Input/output error)") == 1, machine.said())


def storm(vmm, engine):
    """Hundreds of signals, and stops that interrupt what waits in the kernel: nothing is lost, and vmm does not end."""
    image(sectors=8192)
    with Machine(vmm, *disk(engine), "-a", "disk=2", *stressed(800)) as machine:
        sent = 0
        end = time.monotonic() + DEADLINE
        # vmm handles signals only once its console speaks.
        machine.until(lambda line: line.startswith("TAP"))
        while sent < 600 and machine.process.poll() is None and time.monotonic() < end:
            for signal_ in [signal.SIGUSR1, signal.SIGWINCH, signal.SIGSTOP, signal.SIGCONT]:
                machine.process.send_signal(signal_)
                sent += 1
        notes = passes(machine)
        expect(sent >= 200, f"only {sent} signals while the guest ran")
        expect(notes["requests"] == 800 and notes["errors"] == 0, f"{notes}")


def ticking(vmm, engine):
    """A timer interrupts what waits a thousand times a second: nothing is lost, of the guest's and of what vmm says."""
    machine, counts = preloaded(vmm, "timer", engine, *stressed(200), "-v", "--json")
    with machine:
        notes = passes(machine)
        said = machine.said().splitlines()
        expect(notes["requests"] == 200 and notes["errors"] == 0, f"{notes}")
        expect(json.loads(said[-1])["exitCode"] == 0 and any("powered off" in line for line in said), f"{said}")
    expect(counts()["interrupted"] > 100, f"{counts()}")
    lines = "".join(f"readl 0xd0000000\nwritel 0x1000 {n}\nread 0x1000 1024\n" for n in range(500)).encode()
    done = subprocess.run([vmm, "--qtest", "stdio"], input=lines, capture_output=True, env=machine.environment, timeout=DEADLINE)
    expect(done.returncode == 0 and done.stdout.count(b"OK") == done.stdout.count(b"\n") == 1500, f"{done}"[-300:])
    # What vmm says, to a reader that leaves it waiting: the pipe is full.
    reader, writer = os.pipe()
    os.write(writer, bytes(fcntl.fcntl(writer, 1032)))  # F_GETPIPE_SZ
    with subprocess.Popen([vmm, "--qtest", "stdio", "--json"], stdin=subprocess.DEVNULL, stderr=writer, env=machine.environment), open(reader) as said:
        os.close(writer)
        time.sleep(0.3)
        text = said.read().lstrip("\0")
        expect(text.endswith("}\n") and json.loads(text)["exitCode"] == 0, f"the report is cut: {text}")


# The console.


def closed_pipe(vmm, engine):
    """Whoever read the console leaves: the guest goes on with its disk to its end."""
    image()
    with Machine(vmm, *disk(engine), "-a", "records=400", "-a", "disk=2") as machine:
        machine.until(lambda line: number(line, "flushed") == 10)
        machine.process.stdout.close()
        machine.process.stdout = None
        code, _ = machine.end()
        expect(code == 0, f"exit code {code}; {machine.said()}")
    with open("image", "rb") as file:
        file.seek(399 % SECTORS * SECTOR)
        expect(file.read(SECTOR) == record(1, 399), "the guest did not go on")


def vanishing_peer(vmm, engine):
    """The console's peer at a socket vanishes in the middle, and others come: the guest goes on, and each sees it."""
    image()
    with Machine(vmm, *disk(engine), *ENDLESS, "--console", "unix=socket", stdout=subprocess.DEVNULL) as machine:
        machine.process.stdout = None
        last = -1
        for _ in range(5):
            last = talk(machine, last)
        stop(machine)


def talk(machine, last):
    """Reads the console as a peer until 20 records later than `last` were told of, and leaves in the middle of a line."""
    end = time.monotonic() + DEADLINE
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(DEADLINE)
        while True:
            try:
                peer.connect("socket")
                break
            except OSError as error:
                expect(error.errno in (errno.ENOENT, errno.ECONNREFUSED) and time.monotonic() < end, f"{error}")
                expect(machine.process.poll() is None, f"vmm ended; {machine.said()}")
        text, reached = b"", last
        while reached < last + 20:
            expect(time.monotonic() < end, f"records beyond {last}; {machine.said()}")
            data = peer.recv(64)
            expect(data, f"vmm hung up; {machine.said()}")
            text += data
            told = [number(line.decode(), "flushed") for line in text.split(b"\n")[1:-1]]
            reached = max([n for n in told if n is not None], default=last)
        return reached


CASES = [truncated, resized, size_limit, no_space, short_and_interrupted, failing, lost_writeback, lost_writethrough,
         lost_at_the_end, storm, ticking, closed_pipe, vanishing_peer]


def main():
    vmm = os.path.abspath(sys.argv[1])
    needs_kvm("faults of the host")
    wrong = passed = 0
    with tempfile.TemporaryDirectory() as work:
        os.chdir(work)
        for engine in engines(vmm, image()):
            for case in CASES:
                if len(sys.argv) > 2 and case.__name__ not in sys.argv[2:]:
                    continue
                name = case.__name__.replace("_", " ") + engine
                try:
                    case(vmm, engine)
                    passed += 1
                except Skip as reason:
                    print(f"skipped - {name}: {reason}")
                except Failure as failure:
                    wrong += 1
                    print(f"not ok - {name}: {failure}")
        os.chdir("/")
    print(f"faults of the host: {passed} passed, {wrong} failed")
    ran_on_kvm(passed, "host faults")
    sys.exit(1 if wrong else 0)


main()
