#!/usr/bin/env python3
# The sandbox of a running vmm: every thread is tried for what it must not do (walls.c), each ends vmm by a sentence when it does it, and
# /proc shows no descriptor, thread and mapping that the page "Security" does not explain.
#
# usage: run.py VMM

import os
import pathlib
import re
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path += [str(HERE.parent / "docs"), str(HERE.parent / "terminal"), str(HERE.parent / "stress")]
from documents import Document  # noqa: E402
from machine import Machine, needs_kvm, ran_on_kvm  # noqa: E402
from layers import without  # noqa: E402

VMM = os.path.realpath(sys.argv[1])
DEADLINE = 30
NOBODY = 65534
failed = passed = 0


def check(name, problem=None):
    """Counts a check, which has a problem or none."""
    global failed, passed
    if problem:
        failed += 1
        print(f"not ok - {name}: {problem}")
    else:
        passed += 1


def skip(name, reason):
    print(f"skipped - {name}: {reason}")


def threads(process):
    """Of each thread of vmm's, not KVM's, its name and the fields of its status."""
    found = []
    for task in os.listdir(f"/proc/{process}/task"):
        try:
            with open(f"/proc/{process}/task/{task}/status") as file:
                fields = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
        except (FileNotFoundError, ProcessLookupError):
            continue
        if not fields["Name"].startswith("kvm-"):
            found.append((fields["Name"], fields))
    return found


class Running(Machine):
    """A vmm that is in its sandbox, or without one in the state that `ready` tells."""

    def __init__(self, *arguments, ready="vcpu0", mode="on", **popen):
        super().__init__(VMM, *arguments, "--sandbox", mode, **{"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, **popen})
        self.pid = self.process.pid
        self.await_(lambda: self.process.poll() is not None or self.is_ready(ready, mode))
        if self.process.returncode is not None:
            raise SystemExit(f"{arguments} ended with {self.process.returncode}: {self.said()}")

    def is_ready(self, ready, mode):
        found = threads(self.pid)
        return ready in [name for name, _ in found] and all(mode == "off" or fields["Seccomp"] == "2" for _, fields in found)

    def await_(self, condition):
        end = time.monotonic() + DEADLINE
        while not condition():
            if time.monotonic() > end:
                raise SystemExit(f"waited {DEADLINE} s for vmm; {self.said()}")
            time.sleep(0.002)


def walls(pid, *thread):
    done = subprocess.run(["./walls", str(pid), *thread], capture_output=True, text=True, timeout=DEADLINE)
    return done.returncode, done.stdout + done.stderr


# MARK: What a thread may not do

def refuses(name, machine):
    code, output = walls(machine.pid)
    print(f"{name}: {output.strip()}")
    check(name, code and output)
    for thread, fields in threads(machine.pid):
        got = fields["NoNewPrivs"], int(fields["CapEff"], 16) | int(fields["CapPrm"], 16) | int(fields["CapInh"], 16)
        check(f"{name}: the rights of {thread}", got != ("1", 0) and f"no_new_privs and capabilities are {got}")
    machine.process.send_signal(signal.SIGTERM)
    code, _ = machine.end()
    check(f"{name}: vmm still ends", code != 128 + signal.SIGTERM and f"it ended with {code}; {machine.said()}")


def ends(thread, *arguments, **options):
    """One forbidden call of `thread` ends vmm, by a sentence that names it."""
    with Running(*arguments, **options) as machine:
        walls(machine.pid, thread)
        (code, _), said = machine.end(), machine.said()
        wanted = f"vmm: the sandbox ends vmm: its thread {thread} made the system call execve (59; arguments"
        check(f"execve in {thread} ends vmm", (code != -signal.SIGSYS or wanted not in said) and f"ended with {code}; {said}")


# MARK: What a running vmm has

def kinds(machine):
    """What /proc shows of a vmm, in the words of the page's tables."""
    pid, cwd = machine.pid, os.getcwd()
    descriptors, mappings = set(), set()
    for number in os.listdir(f"/proc/{pid}/fd"):
        target = os.readlink(f"/proc/{pid}/fd/{number}")
        if int(number) < 3:
            descriptors.add("0, 1, 2")
        else:
            target = re.sub(r"^socket:.*", "socket", target)
            target = re.sub(r"(?<=^/proc/)\d+", "N", target)
            target = re.sub(r"(?<=/var/tmp/vmm-overlay-)\w+", "N", target).replace("/dev/pts/ptmx", "/dev/ptmx")
            descriptors.add(os.path.relpath(target, cwd) if target.startswith(cwd) else re.sub(r"vcpu:\d+", "vcpu:N", target))
    with open(f"/proc/{pid}/maps") as file:
        for line in file:
            rights, name = re.match(r"\S+ (\S+) \S+ \S+ \d+\s*(.*)", line).groups()
            name = "the program" if name == VMM else "a library" if ".so" in name else re.sub(r"vcpu:\d+", "vcpu:N", name)
            if "w" in rights and "x" in rights:
                check("no memory is writable and code", line)
            mappings.add(f"{rights} {name or 'anonymous'}")
    return descriptors, {re.sub(r"\d+$", "N", name) for name, _ in threads(pid)}, mappings


def audit(page, machine):
    descriptors, found_threads, mappings = kinds(machine)
    linked = any("a library" in mapping for mapping in mappings)
    for title, found in ("descriptor", descriptors), ("thread", found_threads), ("mapping", mappings):
        rows = {re.sub("`", "", row[0]): row for row in page.table(title)}
        for kind in sorted(found - set(rows)):
            check(f"the page explains each {title}", f"it lacks {kind}")
        for kind in sorted(set(rows) - found):
            # A static vmm has no libraries; what the kernel maps for clocks and old programs is its own choice.
            if not (title == "mapping" and (not linked and "library" in kind or "[v" in kind)):
                check(f"each {title} of the page is there", f"there is no {kind}")
        check(f"each {title} was looked at", not found and "there is none")


def main():
    needs_kvm("the sandbox")
    subprocess.run(["clang", "-Wall", "-Wextra", "-Wno-missing-field-initializers", "-Werror", "-static", "-O1",
                    HERE / "walls.c", "-o", "walls"], check=True)
    subprocess.run([HERE.parent / "cli/kernel.sh", "SPIN", "."], check=True)
    for name in ("disk.img", "overlay.img"):
        with open(name, "wb") as file:
            file.truncate(1 << 20)
    os.mkdir("saved")
    every_device = ["SPIN.elf", "-c", "2", "-d", "disk.img", "-d", "overlay.img,overlay,io=threads", "--rng", "host", "--net", "null", "--net", "unix=peer",
                    "--console", "pty", "--serial", "file=serial.txt", "--qmp", "stdio", "--stall-after", "60m", "--trace", "trace.json",
                    "--snapshot-to", "saved/snapshot", "--gdb", "0"]

    peer = socket.socket(socket.AF_UNIX)
    peer.bind("peer")
    peer.listen(512)
    with Running(*every_device) as machine:
        names = sorted(name for name, _ in threads(machine.pid))
        audit(Document(HERE.parents[1], HERE.parents[1] / "Sources/Virtio/Documentation.docc/Security.md"), machine)
        refuses("a machine with every device", machine)
    with Running("--qtest", "stdio", "-d", "disk.img", ready="vmm") as machine:
        refuses("a run without processors", machine)
    for name in names:
        ends(name, *every_device)
    ends("vmm", "--qtest", "stdio", ready="vmm")

    # The same walls do not stand without the sandbox.
    with Running("--qtest", "stdio", ready="vmm", mode="off") as machine:
        code, output = walls(machine.pid, "-")
        check("the attempts succeed without a sandbox", "open a file: returned" not in output and output)

    if os.geteuid() == 0:
        with Running("--qtest", "stdio", ready="vmm", user=NOBODY, group=NOBODY, extra_groups=[]) as machine:
            check("a user's vmm is not dumpable", os.stat(f"/proc/{machine.pid}/maps").st_uid != 0 and "its /proc is the user's")
            refuses("a user's run", machine)
        # The sockets of a user's folder are removed by a vmm of root's, and nothing else there is.
        os.mkdir("folder")
        os.chown("folder", NOBODY, NOBODY)
        with Running("SPIN.elf", "--qmp", "unix=folder/socket") as machine:
            mode = os.stat("folder/socket").st_mode & 0o777
            check("a socket is its user's", mode != 0o600 and f"its mode is {mode:o}")
            machine.process.send_signal(signal.SIGTERM)
            machine.end()
            check("a socket goes with vmm", os.listdir("folder"))
    else:
        skip("a user's vmm, and root's socket in a user's folder", "only root can make them")
    missing_layers()
    files()
    limits(every_device)
    tasks()
    print(f"sandbox: {passed} checks passed, {failed} failed")
    ran_on_kvm(passed, "checks of the sandbox")
    return failed > 0


def limits(arguments):
    """Under limits of the host that are too low vmm ends with a sentence, and does not crash."""
    ends = {}
    for name, limit, values in (("ulimit -n", resource.RLIMIT_NOFILE, range(4, 44)),
                                ("ulimit -v", resource.RLIMIT_AS, range(160 << 20, 1200 << 20, 40 << 20))):
        for value in values:
            done = subprocess.run([VMM, *arguments, "--timeout", "50ms"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                  timeout=DEADLINE, preexec_fn=lambda: resource.setrlimit(limit, (value, value)))
            ends.setdefault(name, set()).add(done.returncode)
            # A limit that the dynamic linker does not get along with is its own to report, with 127.
            is_told = done.returncode in (124, 127) or done.returncode == 1 and re.search(rf"vmm: .*({name}|-m)", done.stderr)
            check(f"{name} {value}", not is_told and f"ended with {done.returncode}: {done.stderr}")
        check(f"{name} was too low, and was not", not {1, 124} <= ends[name] and f"the ends are {ends[name]}")


def tasks():
    """The same of a control group that is full: vmm and KVM need threads, some of them only in the guest's first instruction."""
    group = next((root / "vmm-test" for root in map(pathlib.Path, ("/sys/fs/cgroup/pids", "/sys/fs/cgroup")) if (root / "cgroup.procs").exists() and
                  ("pids" in root.name or "pids" in (root / "cgroup.subtree_control").read_text()) and os.access(root, os.W_OK)), None)
    if not group:
        return skip("full control groups", "there is no control group of tasks here that this user can make")
    group.mkdir(exist_ok=True)
    ends = set()
    for most in range(1, 20):
        (group / "pids.max").write_text(str(most))
        # The default run is two.
        done = subprocess.run([VMM, "--suspend", "draft", "-a", "only=identity", "--timeout", "20s"], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=DEADLINE, preexec_fn=lambda: (group / "cgroup.procs").write_text("0"))
        is_told = done.returncode == 0 or re.search(r"vmm: .*raise the limit of threads", done.stderr)
        check(f"{most} tasks", not is_told and f"ended with {done.returncode}: {done.stderr}")
        ends.add(done.returncode == 0)
    check("the control group was too small, and was not", len(ends) != 2 and f"the ends are {ends}")
    group.rmdir()


def files():
    """What vmm makes is its user's, and another user's link is not followed."""
    for name, arguments in ("new.json", ["--trace", "new.json"]), ("new.overlay", ["-d", "disk.img,overlay=new.overlay"]):
        subprocess.run([VMM, "--qtest", "stdio", *arguments], stdin=subprocess.DEVNULL, capture_output=True, timeout=DEADLINE)
        mode = os.stat(name).st_mode & 0o777
        check(f"{name} is its user's", mode != 0o600 and f"its mode is {mode:o}")
    os.symlink("target", "link")
    for owner, code in (0, 0), (NOBODY, 1):
        if os.geteuid() == 0:
            os.lchown("link", owner, owner)
        elif owner:
            continue
        done = subprocess.run([VMM, "--qtest", "stdio", "--trace", "link"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=DEADLINE)
        check(f"a link of user {owner}", (done.returncode != code or code and "of another user's" not in done.stderr) and
              f"ended with {done.returncode}: {done.stderr}")


def missing_layers():
    """A kernel without a layer: `on` refuses to run, and `auto` runs and says it."""
    for layer, sentence in ("landlock", "there is no Landlock"), ("seccomp", "there are no filters of system calls"):
        def run(mode):
            done = subprocess.run([VMM, "--qtest", "stdio", "-v", "--sandbox", mode], stdin=subprocess.DEVNULL, capture_output=True,
                                  text=True, timeout=DEADLINE, preexec_fn=lambda: without(layer))
            return done.returncode, done.stderr
        code, said = run("on")
        check(f"without {layer}, on refuses", (code != 1 or sentence not in said or "--sandbox auto" not in said) and f"{code}: {said}")
        code, said = run("auto")
        check(f"without {layer}, auto runs", (code != 0 or f"the sandbox is on, but {sentence}" not in said) and f"{code}: {said}")


with tempfile.TemporaryDirectory() as work:
    os.chmod(work, 0o755)
    os.chdir(work)
    code = main()
    os.chdir("/")
sys.exit(code)
