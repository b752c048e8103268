#!/usr/bin/env python3
# Limits of the host: vmm ends with a sentence that says what to do, and a code, or it goes on; nothing is lost in silence, nothing hangs.
# (Other limits of descriptors, memory and threads are in Tests/sandbox/run.py, of files in Tests/cli and Tests/snapshot.)
#
# usage: limits.py VMM

import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time

from machine import DEADLINE, Failure, needs_kvm, ran_on_kvm

VMM = os.path.abspath(sys.argv[1])
LINE = b"readl 0xd0000000\n"
NOBODY = 65534


def run(arguments, code, *says, limit=None, user=None, **streams):
    """Runs vmm, which must end with the code and say all of this."""
    def restrict():
        if limit:
            resource.setrlimit(limit[0], (limit[1], limit[1]))
        if user:
            os.setgroups([])
            os.setgid(user)
            os.setuid(user)
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | streams
    done = subprocess.run([VMM, *arguments], input=LINE, timeout=DEADLINE, preexec_fn=restrict, **streams)
    text = (done.stderr or b"").decode()
    if done.returncode != code or not all(word in text for word in says):
        raise Failure(f"{arguments}: exit code {done.returncode}, not {code}; {text}")


def full():
    """Standard output and error on a full disk, and files on one."""
    with open("/dev/full", "wb") as nowhere:
        room = "No space left on device; free space"
        run(["--qtest", "stdio"], 1, "an answer for the client is lost", room, stdout=nowhere)
        run(["--version"], 1, room, stdout=nowhere)
        run(["sweep", "--help"], 1, room, stdout=nowhere)
        run(["--qtest", "stdio", "--json"], 1, stderr=nowhere)
        run(["--qtest", "stdio"], 0, stderr=nowhere)
        run(["--nonsense"], 64, stderr=nowhere)
        run(["--suspend", "1.4", "-a", "only=identity", "--json"], 1, stderr=nowhere)
        run(["--suspend", "1.4", "-a", "only=identity"], 0, "console output cannot be written", stdout=nowhere)
    os.mkdir("small")
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", "small"], stderr=subprocess.DEVNULL).returncode:
        return print("skipped - a small file system: this user may not mount one")
    try:
        with open("small/rest", "wb") as rest:
            try:
                rest.write(bytes(1 << 17))
            except OSError:
                pass
        with open("image", "wb") as image:
            image.truncate(1 << 20)
        stress = ["--suspend", "1.4", "-a", "stress=20", "-a", "errors=1000", "-a", "disk=2"]
        run(["--qtest", "stdio", "-d", "image,overlay=small/overlay"], 1, "free space there")
        run(["--qtest", "stdio", "--trace", "small/trace"], 1, "trace small/trace", "free space there")
        with open("small/image", "wb") as image:
            image.truncate(1 << 20)
        run([*stress, "-d", "small/image"], 0)
        run([*stress, "--console", "file=small/console"], 0, "console output cannot be written")
    finally:
        subprocess.run(["umount", "small"], check=True)


def threads():
    """A user that may have no more threads."""
    if os.geteuid():
        return print("skipped - a limit of a user's threads: only root can become another user")
    for most in range(3):
        # The program itself is one.
        said = ["raise the limit of threads (ulimit -u)"] if most < 2 else []
        run(["--qtest", "stdio"], 1 if said else 0, *said, limit=(resource.RLIMIT_NPROC, most), user=NOBODY)


def starts_with(descriptors):
    """The sockets of a machine that may have so many descriptors; none if they are too few."""
    names = ["qmp", "gdb", "console"]
    command = [VMM, "run", "--suspend", "1.4", "-S", "--qmp", "unix=qmp", "--gdb", "unix=gdb", "--console", "unix=console"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, preexec_fn=lambda: resource.setrlimit(
        resource.RLIMIT_NOFILE, (descriptors, descriptors)))
    while process.poll() is None and not all(map(os.path.exists, names)):
        time.sleep(0.01)
    return process, names


def clients():
    """A machine with the fewest descriptors it starts with takes its clients nevertheless, one after the other, and refuses a second one."""
    for descriptors in range(16, 60):
        process, names = starts_with(descriptors)
        try:
            if process.poll() is None:
                try:
                    serve(process, names)
                    return print(f"clients: all served with {descriptors} descriptors")
                except (ConnectionError, FileNotFoundError):
                    pass  # It ended after its sockets were made.
            said = process.communicate(timeout=DEADLINE)[1].decode()
            if process.returncode not in (1, 127) or process.returncode == 1 and "ulimit -n" not in said:
                raise Failure(f"{descriptors} descriptors: exit code {process.returncode}; {said}")
        finally:
            if process.poll() is None:
                process.kill()
            process.communicate()
    raise Failure("there are never enough descriptors")


def serve(process, names):
    for _ in range(3):
        peers = []
        for name in names:
            peer = socket.socket(socket.AF_UNIX)
            peer.settimeout(10)
            peer.connect(name)
            peers.append(peer)
            if name == "qmp" and b"QMP" not in peer.recv(4096):
                raise Failure("no greeting")
            if name == "gdb":
                peer.send(b"$qSupported#37")
                if not peer.recv(1):
                    raise Failure("the debugger is not answered")
        for peer in peers:
            peer.close()
    process.send_signal(signal.SIGTERM)
    if process.wait(10) != 143:
        raise Failure(f"exit code {process.returncode}")


def main():
    needs_kvm("limits of the host")
    with tempfile.TemporaryDirectory() as work:
        os.chmod(work, 0o755)
        os.chdir(work)
        for case in full, threads, clients:
            case()
        os.chdir("/")
    print("limits of the host: passed")
    ran_on_kvm(3, "limits of the host")


try:
    main()
except Failure as failure:
    sys.exit(f"limits: {failure}")
