#!/usr/bin/env python3
"""Snapshots that are interrupted, that find no room, that were damaged, and that do not fit: each gets a sentence, and a snapshot that was
there before remains.

usage: faults.py VMM [KILLS]                10 kills without a number
"""
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from machines import DEADLINE, Failure, Guest, needs_kvm, ran_on_kvm, rewrite

VMM = os.path.abspath(sys.argv[1])
KILLS = int(sys.argv[2]) if len(sys.argv) > 2 else 10
STRESS = ["--suspend", "1.4", "-a", "stress=100000"]
TESTS = []


def test(function):
    TESTS.append(function)
    return function


def restore(folder, *options, code=0, says=None):
    """Runs vmm --restore. Returns what it said."""
    run = subprocess.run(
        [VMM, "--restore", folder, "--console", "null", *options], capture_output=True, text=True, timeout=DEADLINE)
    if run.returncode != code or says and says not in run.stderr:
        raise Failure(f"--restore {options}: exit code {run.returncode} and {run.stderr!r}, not {code} and {says!r}")
    return run.stderr


def goes_on(folder, *options):
    """Fails unless the snapshot's guest runs, and is not at its end."""
    restore(folder, "--timeout", "200ms", *options, code=124)


def take(folder, *options):
    with tempfile.TemporaryDirectory() as work, \
            Guest(VMM, work, *(options or STRESS), snapshots=os.path.dirname(folder)) as guest:
        if guest.ask("stop") is None or guest.ask("x-vmm-snapshot", dir=folder) is None:
            raise Failure(f"no snapshot: {guest.said()}")
        guest.ask("quit")
        guest.ends()


def refused(guest, folder):
    """The reason for which a snapshot is refused."""
    try:
        guest.ask("x-vmm-snapshot", dir=folder)
    except Failure as failure:
        return str(failure)
    raise Failure("the snapshot is not refused")


@test
def killed(work):
    """vmm is killed at random moments while it replaces a snapshot: the one that is there then is whole."""
    folder, chance = os.path.join(work, "snapshot"), random.Random(1)
    take(folder)
    for _ in range(KILLS):
        with Guest(VMM, work, *STRESS) as guest:
            guest.ask("query-status")
            guest.send("x-vmm-snapshot", dir=folder)
            # A random moment, not a wait: a snapshot takes about 30 ms here.
            time.sleep(chance.random() * 0.04)
            guest.process.send_signal(signal.SIGKILL)
            guest.process.wait()
        goes_on(folder, "--verify")
    # What the killed ones left is removed by the next.
    take(folder)
    if sorted(os.listdir(folder)) != ["machine.json", "memory"] or os.path.exists(f"{folder}.new"):
        raise Failure(f"left behind: {os.listdir(work)}, {os.listdir(folder)}")
    return KILLS


@test
def no_room(work):
    """A file that may not grow, and a folder that is none of a snapshot."""
    folder = os.path.join(work, "snapshot")
    take(folder)
    limit = ["prlimit", "--fsize=1000000"]
    with Guest(VMM, work, *STRESS, before=limit) as guest:
        reason = refused(guest, folder)
        if "cannot be written" not in reason or "ulimit -f" not in reason:
            raise Failure(f"a full disk: {reason}")
        if os.path.exists(f"{folder}.new"):
            raise Failure("a snapshot that was not written remains")
        other = os.path.join(work, "other")
        os.mkdir(other)
        with open(os.path.join(other, "precious"), "w"):
            pass
        reason = refused(guest, other)
        if "is no snapshot" not in reason or os.listdir(other) != ["precious"]:
            raise Failure(f"another folder: {reason}")
        if guest.ask("query-status")["status"] != "running":
            raise Failure("the guest does not go on")
    goes_on(folder)


@test
def full_disk(work):
    """A file system without room, if this user may mount one."""
    mount = os.path.join(work, "small")
    os.mkdir(mount)
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", mount], stderr=subprocess.DEVNULL).returncode:
        print("skipped - full disk: a file system cannot be mounted here")
        return
    try:
        with Guest(VMM, work, *STRESS, snapshots=mount) as guest:
            reason = refused(guest, os.path.join(mount, "snapshot"))
            if "free space" not in reason or os.listdir(mount):
                raise Failure(f"a full disk: {reason}, {os.listdir(mount)}")
    finally:
        subprocess.run(["umount", mount], check=True)


@test
def client_dies(work):
    """A client that leaves while its snapshot is taken: it is taken nevertheless, and the next client is served."""
    folder = os.path.join(work, "snapshot")
    with Guest(VMM, work, *STRESS) as guest:
        guest.ask("query-status")
        guest.send("x-vmm-snapshot", dir=folder)
        guest.client.close()
        guest.client = None
        if guest.ask("query-status")["status"] != "running":
            raise Failure("the guest does not go on")
    goes_on(folder)


@test
def damaged(work):
    """Bytes of both files that are others, and files that are cut."""
    folder, chance = os.path.join(work, "snapshot"), random.Random(2)
    take(folder)
    for name, rounds in [("machine.json", 12), ("memory", 6)]:
        path = os.path.join(folder, name)
        shutil.copy2(path, path + ".old")
        with open(path, "rb") as file:
            whole = file.read()
        data = [i for i in range(0, len(whole), 4096) if any(whole[i:i + 4096])]
        for round in range(rounds):
            changed = bytearray(whole)
            if round % 3 == 2:
                changed = changed[:chance.randrange(len(whole))]
            else:
                place = chance.choice(data) + chance.randrange(4096)
                changed[place % len(whole)] ^= 1 << chance.randrange(8)
            with open(path, "wb") as file:
                file.write(changed)
            says = restore(folder, code=1)
            if "take the snapshot again" not in says or says.count("\n") != 1:
                raise Failure(f"{name}, changed: {says}")
        os.replace(path + ".old", path)
    goes_on(folder)
    # A copy has another time, and is read as a whole.
    copy = os.path.join(work, "copy")
    subprocess.run(["cp", "-r", folder, copy], check=True)
    goes_on(copy)
    os.remove(os.path.join(copy, "memory"))
    restore(copy, code=1, says="copy both files")
    restore(work, code=1, says="name the folder of a snapshot")


@test
def does_not_fit(work):
    """Another version, a processor with fewer features, a disk that is another."""
    folder, image = os.path.join(work, "snapshot"), os.path.join(work, "image")

    def changed(change, *options, **expected):
        copy = os.path.join(work, "copy")
        shutil.copytree(folder, copy)
        rewrite(copy, change)
        try:
            restore(copy, *options, **expected)
        finally:
            shutil.rmtree(copy)

    with open(image, "wb") as file:
        file.truncate(1 << 20)
    take(folder, *STRESS, "-d", image, "-a", "disk=2")

    def set_version(members):
        members["snapshot"] = 2

    def add_feature(members):
        # Leaf 7: EBX is the fourth word of an entry; no processor has all of its bits.
        table = bytearray.fromhex(members["cpuid"][2:])
        for entry in range(0, len(table), 40):
            if table[entry:entry + 8] == (7).to_bytes(8, "little"):
                table[entry + 16:entry + 20] = b"\xff" * 4
        members["cpuid"] = "0x" + table.hex()

    changed(set_version, code=1, says="of version 2")
    changed(add_feature, code=1, says="CPUID leaf 0x7")
    changed(lambda members: members.pop("chips"), code=1, says="lacks members")
    for name in ["registers", "lapic", "events", "xsave"]:
        changed(lambda members: members["vcpus"][0].pop(name), code=1, says="does not take the state of a processor")
    changed(lambda members: members["devices"][1].update(offered="0x0"), code=1, says="is not like the snapshot's")
    changed(lambda members: members["devices"].pop(), code=1)

    goes_on(folder, "-d", f"{image},overlay")
    goes_on(folder, "-d", f"{image},overlay,io=threads")
    restore(folder, "-d", f"{image},ro", code=1, says="leave out all but overlay")
    restore(folder, "-d", image, "-d", image, code=1, says="give that many")
    restore(folder, "--port", "null", code=1, says="give that many")
    restore(folder, "--serial", "null", code=1, says="no serial port")
    os.utime(image)
    restore(folder, code=1, says="was modified since")
    goes_on(folder, "--force", "-d", f"{image},overlay")
    with open(image, "ab") as file:
        file.truncate(2 << 20)
    restore(folder, "--force", code=1, says="has 2097152 bytes, and had 1048576")


@test
def usage(work):
    for options in [["--restore", "s", "kernel"], ["--restore", "s", "-m", "1G"], ["--restore", "s", "--qtest", "stdio"],
                    ["--restore", "s", "--trace", "t"], ["--restore", "s", "-c", "2", "--suspend", "draft"], ["--force"],
                    ["--verify"], ["--snapshot-at", "x"], ["--snapshot-at", ""], ["--restore", "s", "--console", "null,suspend=off"]]:
        code = subprocess.run([VMM, *options], capture_output=True, timeout=DEADLINE).returncode
        if code != 64:
            raise Failure(f"{options}: exit code {code}, not 64")


@test
def other_ways(work):
    """--snapshot-at and vmm ctl."""
    folder = os.path.join(work, "snapshot")
    run = subprocess.run(
        [VMM, "--suspend", "draft", "-a", "stress=200", "--console", "null", "--snapshot-at", "TAP version 13", "--snapshot-to", folder],
        capture_output=True, text=True, timeout=DEADLINE)
    if run.returncode or "snapshot " not in run.stderr:
        raise Failure(f"--snapshot-at: exit code {run.returncode}, {run.stderr}")
    out = os.path.join(work, "out")
    restore(folder, "--console", f"file={out}")
    with open(out) as file:
        if "ok 1 - stress" not in file.read():
            raise Failure("the restored guest does not end well")
    with Guest(VMM, work, *STRESS) as guest:
        guest.ask("query-status")
        guest.client.close()
        guest.client = None
        run = subprocess.run([VMM, "ctl", f"{guest.name}.sock", "snapshot", "by-shell"], cwd=work, capture_output=True, text=True,
                             timeout=DEADLINE)
        if run.returncode or "bytes" not in run.stdout:
            raise Failure(f"vmm ctl: {run}")
    goes_on(os.path.join(work, "by-shell"))


def main():
    needs_kvm("faults of snapshots")
    for function in TESTS:
        with tempfile.TemporaryDirectory() as work:
            try:
                start = time.monotonic()
                function(work)
            except Failure as failure:
                raise Failure(f"{function.__name__}: {failure}") from None
            print(f"snapshots, {function.__name__.replace('_', ' ')}: {time.monotonic() - start:.1f} s")
    ran_on_kvm(len(TESTS), "faults of snapshots")


try:
    main()
except Failure as failure:
    sys.exit(f"snapshots: {failure}")
