#!/usr/bin/env python3
"""Snapshots that are interrupted, that find no room, that were damaged, and that do not fit: each gets a sentence, and a snapshot that was
there before remains.

usage: faults.py VMM [KILLS [CHANGES]]                10 kills and 20 changes without numbers
"""
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from machines import DEADLINE, Failure, Guest, needs_kvm, ran_on_kvm, rewrite

VMM = os.path.abspath(sys.argv[1])
KILLS = int(sys.argv[2]) if len(sys.argv) > 2 else 10
CHANGES = int(sys.argv[3]) if len(sys.argv) > 3 else 20
STRESS = ["--suspend", "1.4", "-a", "stress=100000"]
TESTS = []


def test(function):
    TESTS.append(function)
    return function


def run_restored(folder, *options):
    command = [VMM, "--restore", folder, "--console", "null", *options]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE)
    except subprocess.TimeoutExpired:
        raise Failure(f"--restore {options} does not end") from None


def restore(folder, *options, code=0, says=None):
    """Runs vmm --restore. Returns what it said."""
    run = run_restored(folder, *options)
    if run.returncode != code or says and says not in run.stderr:
        raise Failure(f"--restore {options}: exit code {run.returncode} and {run.stderr!r}, not {code} and {says!r}")
    return run.stderr


def goes_on(folder, *options):
    """Fails unless the snapshot's guest runs, and is not at its end."""
    restore(folder, "--timeout", "200ms", *options, code=124)


def take(folder, *options):
    """Takes a snapshot of a machine and ends it. Returns how many seconds the snapshot took."""
    with tempfile.TemporaryDirectory() as work, \
            Guest(VMM, work, *(options or STRESS), snapshots=os.path.dirname(folder)) as guest:
        # A device whose queues are in use has the most to be saved.
        while not any(state["device"].startswith("blk") and state["phase"] == "running" for state in guest.ask("x-vmm-suspend-state")):
            time.sleep(0.002)
        report = guest.ask("stop") is not None and guest.ask("x-vmm-snapshot", dir=folder)
        if not report:
            raise Failure(f"no snapshot: {guest.said()}")
        guest.ask("quit")
        guest.ends()
    return report["total-ms"] / 1000


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
    seconds, cut = take(folder), 0
    for _ in range(KILLS):
        with Guest(VMM, work, *STRESS) as guest:
            guest.ask("query-status")
            guest.send("x-vmm-snapshot", dir=folder)
            # A random moment, not a wait.
            time.sleep(chance.random() * 1.2 * seconds)
            guest.process.send_signal(signal.SIGKILL)
            guest.process.wait()
        cut += os.path.exists(f"{folder}.new")
        goes_on(folder, "--verify")
    if not cut:
        raise Failure(f"none of {KILLS} snapshots was interrupted")
    # What the killed ones left is removed by the next.
    take(folder)
    if sorted(os.listdir(folder)) != ["machine.json", "memory"] or os.path.exists(f"{folder}.new"):
        raise Failure(f"left behind: {os.listdir(work)}, {os.listdir(folder)}")
    return f"{KILLS} kills, {cut} of them while the snapshot was written"


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
    folder, copy, chance = os.path.join(work, "snapshot"), os.path.join(work, "copy"), random.Random(2)
    take(folder)
    for number in range(CHANGES):
        subprocess.run(["cp", "-r", folder, copy], check=True)
        name = chance.choice(["machine.json", "memory"])
        path = os.path.join(copy, name)
        with open(path, "r+b") as file:
            size = os.fstat(file.fileno()).st_size
            if chance.random() < 0.3:
                file.truncate(chance.randrange(size))
            else:
                place = chance.randrange(size)
                file.seek(place)
                byte = file.read(1)[0]
                file.seek(place)
                file.write(bytes([byte ^ 1 << chance.randrange(8)]))
        says = restore(copy, code=1)
        if "take the snapshot again" not in says or says.count("\n") != 1:
            raise Failure(f"{name}, change {number}: {says}")
        shutil.rmtree(copy)
    goes_on(folder)
    # A copy has another time, and is read as a whole.
    subprocess.run(["cp", "-r", folder, copy], check=True)
    goes_on(copy)
    os.remove(os.path.join(copy, "memory"))
    restore(copy, code=1, says="copy both files")
    restore(work, code=1, says="name the folder of a snapshot")
    return f"{CHANGES} changes"


def members_in(value):
    """Every member and element of a JSON value, as its container and its key."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else []
    for key in keys:
        yield value, key
        yield from members_in(value[key])


def forge(members, chance):
    """Makes one value another, or removes it."""
    container, key = chance.choice(list(members_in(members)))
    value = container[key]
    if chance.random() < 0.1:
        del container[key]
    elif isinstance(value, bool):
        container[key] = not value
    elif isinstance(value, int):
        container[key] = chance.choice([0, -1, value + 1, value * 2, value ^ 1 << chance.randrange(63), (1 << 63) - 1])
    elif isinstance(value, str) and value.startswith("0x") and len(value) > 2:
        place = 2 + chance.randrange(len(value) - 2)
        container[key] = chance.choice(
            [value[:place] + chance.choice("0123456789abcdef") + value[place + 1:], value[:place & ~1], value + "00" * chance.randrange(1, 9)])
    elif isinstance(value, list):
        container[key] = value + value[:1] * chance.choice([1, 40, 300])
    else:
        container[key] = chance.choice([None, 0, "", "0x", [], {}])


@test
def forged(work):
    """Values of machine.json that are others, under a digest that fits: a sentence, or a machine that runs somehow."""
    folder, copy, chance = os.path.join(work, "snapshot"), os.path.join(work, "copy"), random.Random(3)
    take(folder)
    refusals = 0
    for number in range(CHANGES):
        subprocess.run(["cp", "-r", "-p", folder, copy], check=True)
        rewrite(copy, lambda members: forge(members, chance))
        run = run_restored(copy, "--timeout", "50ms")
        # 85 is the built-in guest's own failure.
        if run.returncode not in [0, 1, 32, 33, 85, 124] or run.returncode == 1 and run.stderr.count("\n") != 1:
            raise Failure(f"change {number}: exit code {run.returncode}, {run.stderr}")
        refusals += run.returncode == 1
        shutil.rmtree(copy)
    return f"{CHANGES} changes, {refusals} refused"


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
        members["snapshot"] = 1

    def add_feature(members):
        # Leaf 7: EBX is the fourth word of an entry; no processor has all of its bits.
        table = bytearray.fromhex(members["cpuid"][2:])
        for entry in range(0, len(table), 40):
            if table[entry:entry + 8] == (7).to_bytes(8, "little"):
                table[entry + 16:entry + 20] = b"\xff" * 4
        members["cpuid"] = "0x" + table.hex()

    changed(set_version, code=1, says="of version 1")
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
                    ["--restore", "s", "-c", "2", "--suspend", "draft"], ["--force"],
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
                result = function(work)
            except Failure as failure:
                raise Failure(f"{function.__name__}: {failure}") from None
            print(f"snapshots, {function.__name__.replace('_', ' ')}: {result or 'as it should'}, {time.monotonic() - start:.1f} s")
    ran_on_kvm(len(TESTS), "faults of snapshots")


try:
    main()
except Failure as failure:
    sys.exit(f"snapshots: {failure}")
