#!/usr/bin/env python3
# Outputs that would destroy a file: another file of the same run, one that another vmm uses, what is no trace, and what was there
# before a run that cannot begin. Each is refused with a sentence, and every file stays as it was, byte for byte.
#
# usage: files.py VMM

import contextlib
import os
import select
import stat
import subprocess
import sys
import tempfile

DEADLINE = 60
KVM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "kvm.sh")
SAME = "are the same file, which would be overwritten; choose another file for the output"
IN_USE = "is in use"
vmm = os.path.abspath(sys.argv[1])
passed = failed = 0


def contents():
    """Every regular file here and what is in it."""
    return {name: open(name, "rb").read() for name in os.listdir(".") if os.path.isfile(name)}


def run(*arguments, **popen):
    popen = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **popen}
    return subprocess.run([vmm, *arguments], timeout=DEADLINE, **popen)


def check(name, problem):
    global passed, failed
    if problem:
        failed += 1
        print(f"not ok - {name}: {problem}")
    else:
        passed += 1


def refused(name, sentence, *arguments, code=1, creates=(), **popen):
    """The run is refused with `sentence`, and no file has changed; those of `creates` may be new, and empty."""
    before = contents()
    result = run(*arguments, **popen)
    text = ((result.stderr or b"") + (result.stdout or b"")).decode(errors="replace")
    after = {name: data for name, data in contents().items() if name in before or data or name not in creates}
    changed = [name for name in sorted(before.keys() | after.keys()) if before.get(name) != after.get(name)]
    for name_ in creates:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name_)
    check(name, f"changed {changed}" if changed else
          f"exit code {result.returncode}, expected {code}; {text!r} should have {sentence!r}"
          if result.returncode != code or sentence not in text else "")
    for name_, data in before.items():
        with open(name_, "r+b") as file:
            file.truncate()
            file.write(data)


def make_files():
    with open("image", "wb") as file:
        file.write(bytes(range(256)) * 16)
    for name in ("kernel", "initrd", "old"):
        with open(name, "w") as file:
            file.write(f"what was in {name}\n")
    run("--qtest", "stdio", "--trace", "trace")
    for name in ("image", "kernel", "initrd", "trace", "old"):
        os.link(name, f"{name}-hard")
        os.symlink(name, f"{name}-link")


def inputs_as_outputs():
    """Every output of a run against every input and every other output, by every name of the file."""
    inputs = {"kernel": [], "image": ["-d", "image"], "initrd": ["-i", "initrd"]}
    outputs = {"console": ["--console"], "port": ["--console", "null", "--port"], "serial": ["--serial"]}
    for file, option in inputs.items():
        for name in (file, f"{file}-hard", f"{file}-link"):
            for output, before in outputs.items():
                refused(f"{output} in {name}", SAME, "kernel", *option, *before, f"file={name}")
            refused(f"trace in {name}", SAME, "kernel", *option, "--trace", name)
    for name in ("image", "image-hard", "image-link"):
        refused(f"read-only image, console in {name}", SAME, "kernel", "-d", "image,ro", "--console", f"file={name}")
        refused(f"qtest, trace in {name}", SAME, "--qtest", "stdio", "-d", "image", "--trace", name)
    for name in ("old", "old-hard", "old-link"):
        refused(f"console and serial in {name}", SAME, "kernel", "--console", "file=old", "--serial", f"file={name}")
        refused(f"two ports in {name}", SAME, "kernel", "--port", "file=old", "--port", f"file={name}")
    refused("console and trace in one", SAME, "kernel", "--console", "file=trace-hard", "--trace", "trace")
    for name in ("trace", "trace-hard", "trace-link"):
        refused(f"timeline in {name}", SAME, "trace-view", "trace", "-o", name)
    refused("two new outputs in one", IN_USE, "kernel", "--console", "file=new", "--port", "file=./new",
            creates=["new"])


def block_devices():
    """Two nodes of one block device are one file. It is not opened, so there need be none."""
    try:
        for name in ("node", "other"):
            os.mknod(name, stat.S_IFBLK | 0o600, os.makedev(7, 250))
    except PermissionError:
        return print("skipped - console in a block device: this user cannot make its node")
    refused("console in a block device", SAME, "kernel", "-d", "node", "--console", "file=other")


def standard_streams():
    """A redirection by the shell is an output or an input, too."""
    with open("image", "ab") as image, open("trace", "ab") as trace, open("old", "ab") as old:
        refused("standard output in the image", SAME, "kernel", "-d", "image", stdout=image)
        refused("standard error in the image", SAME, "kernel", "-d", "image", stderr=image)
        refused("both in the image", "", "kernel", "-d", "image", stdout=image, stderr=image)
        refused("console and standard error in one", SAME, "kernel", "--console", "file=old", stderr=old)
        refused("serial port and standard output in one", SAME, "kernel", "--serial", "file=old", stdout=old)
        refused("timeline appended to its trace", SAME, "trace-view", "trace", stdout=trace)
        name = f"/proc/self/fd/{image.fileno()}"
        refused("console at a descriptor of the image", SAME, "kernel", "-d", "image", "--console", f"file={name}",
                pass_fds=[image.fileno()])
    with open("trace", "rb") as script:
        refused("qtest, trace in its input", SAME, "--qtest", "stdio", "--trace", "trace", stdin=script)


@contextlib.contextmanager
def client(*arguments):
    """A qtest machine that has answered, so all its files are open."""
    process = subprocess.Popen([vmm, "--qtest", "stdio", *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        process.stdin.write(b"endianness\n")
        process.stdin.flush()
        if not select.select([process.stdout], [], [], DEADLINE)[0]:
            sys.exit("no answer from a qtest machine")
        process.stdout.readline()
        yield
    finally:
        process.stdin.close()
        process.wait(DEADLINE)
        process.stdout.close()


def other_process():
    """What another vmm uses."""
    for image in ("image", "image,ro"):
        with client("-d", image):
            for name in ("image", "image-hard", "image-link"):
                for option in ("--console", "--port"):
                    refused(f"{option} in {name} of another vmm", IN_USE, "kernel", option, f"file={name}")
                refused(f"timeline in {name} of another vmm", IN_USE, "trace-view", "trace", "-o", name)
    truncated = run("--qtest", "stdio", "--trace", "running")
    check("a new trace", truncated.stderr.decode())
    with client("--trace", "running"):
        refused("trace in that of another vmm", IN_USE, "--qtest", "stdio", "--trace", "running")
        refused("console in the trace of another vmm", IN_USE, "kernel", "--console", "file=running")
    os.unlink("running")


def no_trace():
    """A trace replaces a trace, and no other file."""
    for name in ("kernel", "image", "old-link"):
        refused(f"trace over {name}", "exists and is not a trace", "--qtest", "stdio", "--trace", name)
    refused("--trace without its file name", "exists and is not a trace", "--suspend", "draft", "--trace", "kernel")
    old = os.stat("trace").st_ino
    result = run("--qtest", "stdio", "--trace", "trace", "-d", "image")
    check("a trace over a trace", "" if result.returncode == 0 and os.stat("trace").st_ino == old else result.stderr)
    open("empty", "w").close()
    check("a trace over an empty file", run("--qtest", "stdio", "--trace", "empty").stderr.decode())
    os.unlink("empty")


def runs_that_cannot_begin():
    """What is in an output stays, whatever is wrong with the rest of the command line."""
    with open("socket", "w") as file:
        file.write("no socket\n")
    outputs = ["--console", "file=old", "--serial", "file=trace"]
    refused("no such kernel", "check the path", "missing", *outputs)
    refused("kernel that is none", "not an ELF", "kernel", *outputs)
    refused("no such disk", "does not exist", "kernel", "-d", "missing", *outputs)
    refused("no such initial RAM disk", "", "kernel", "-i", "missing", *outputs)
    refused("an option that is wrong", "disk", "kernel", "-d", "image,nonsense", *outputs, code=64)
    refused("no such kernel, trace", "check the path", "missing", "--trace", "trace")
    refused("qtest at a file, trace", "file of another kind", "--qtest", "unix=socket", "--trace", "trace")
    refused("qtest, no such disk, trace", "does not exist", "--qtest", "stdio", "-d", "missing", "--trace", "trace")
    refused("console at a file as a socket", "file of another kind", "kernel", "--console", "unix=old")
    os.unlink("socket")


def sharing():
    """What can be shared is."""
    refused("outputs at /dev/null, kernel that is none", "not an ELF", "kernel", "--console", "file=/dev/null",
            "--serial", "file=/dev/null", "--trace", "/dev/null")
    result = run("--qtest", "stdio", "-d", "image,ro", "-d", "image-hard,ro", "--trace", "/dev/stderr")
    check("a read-only disk twice, trace in a pipe", "" if result.returncode == 0 else result.stderr)
    refused("a writable disk twice", "named twice", "--qtest", "stdio", "-d", "image", "-d", "image-link")


def runs_of_the_guest():
    """The built-in guest runs once in each dialect: the second run appends."""
    result = run("-a", "only=blk-flush", "--console", "file=old", "--port", "file=port", "--serial", "file=uart")
    text = open("old").read()
    check("the console's file of two runs", "" if result.returncode == 0 and text.count("TAP version 13") == 2
          and "what was in" not in text else f"{text!r}; {result.stderr}")
    with open("out", "wb") as out:
        run("-a", "only=blk-flush", "--console", "file=/dev/stdout", stdout=out)
    check("/dev/stdout of two runs", "" if open("out").read().count("TAP version 13") == 2 else open("out").read())
    subprocess.run([KVM, "ran", "2", "output cases"], check=True)


with tempfile.TemporaryDirectory() as work:
    os.chdir(work)
    make_files()
    for case in (inputs_as_outputs, block_devices, standard_streams, other_process, no_trace, runs_that_cannot_begin, sharing):
        case()
    if subprocess.run([KVM, "needed", "output cases with a guest"]).returncode == 0:
        runs_of_the_guest()
    os.chdir("/")
print(f"outputs: {passed} passed, {failed} failed")
sys.exit(1 if failed else 0)
