#!/usr/bin/env python3
"""Runs every command of README.md and of the documentation as it stands there, in a folder that has the files they name, and
compares the tables with what vmm says of itself. A command that cannot be run so needs a row in WHOLE or ELSEWHERE.

usage: commands.py VMM
"""
import concurrent.futures
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time

import tables
from documents import Document, commands, plain

ROOT = pathlib.Path(__file__).resolve().parents[2]
KVM = ROOT / "Tests/kvm.sh"
SECONDS = 120

# What stands for a placeholder.
PLACEHOLDERS = {"unix=PATH": "unix=socket", "fuzz-TARGET": "fuzz-block"}

# The whole commands that part of one belongs to; several of them run at the same time.
WHOLE = {
    "-a only=NAME,NAME": ["vmm -a only=identity,blk-flush"],
    "-a features=packed+indirect": ["vmm -a features=packed+indirect -a only=packed-laps,indirect-tables"],
    "-a queue-size=8": ["vmm -a queue-size=8 -a only=ring-laps"],
    "-a latency=N": ["vmm --suspend draft -a latency=4", "vmm --suspend 1.4 -a latency=4"],
    "-a stress=N": ["vmm -a stress=40"],
    "-a concurrency=N -a processors=4": ["vmm -c 4 -d disk.img -a disk=2 -a concurrency=500 -a processors=4"],
    "-a disk=2": ["vmm -d disk.img -a stress=40 -a disk=2"],
    "-a STRING": ["vmm KERNEL -a hello"],
    "vmm -v": ["vmm -v -a only=identity"],
    "vmm --test-device": ["vmm KERNEL --test-device"],
    "vmm check": ["vmm check t.json"],
    "vmm check -v": ["vmm check -v t.json"],
    "vmm trace-view": ["vmm trace-view t.json"],
    "vmm explain": ["vmm explain --list"],
    "vmm ctl": ["vmm ctl --help"],
    "vmm sweep-merge": ["vmm sweep-merge --help"],
    "vmm explain ID": ["vmm explain 4.2.2.2-17"],
}

# Commands that are not run here, by their beginning, and why.
ELSEWHERE = {
    ".ci/run": "it runs this test",
    "mmdebstrap ": "downloads Debian; make test-linux boots its kernels",
    "guest/linux/build.sh ": "downloads kernel headers; make test-linux builds the module",
    "vmm --restore ": "its machine does not end; make test-snapshot restores some",
    "vmm-bench": "make bench-smoke runs it",
}


class Failure(Exception):
    pass


def kernel(folder, name, kind):
    """A PVH kernel, one of those of Tests/cli/kernel.S."""
    source = ROOT / "Tests/cli/kernel.S"
    subprocess.run(["clang", "--target=x86_64-unknown-none-elf", f"-D{kind}", "-c", source, "-o", folder / "kernel.o"],
                   check=True)
    subprocess.run(["ld.lld", "--image-base=0", "-e", "start", "-Ttext=0x100000", folder / "kernel.o", "-o", folder / name],
                   check=True)


class Folder:
    """The files that the commands of one document name."""

    def __init__(self, path, vmm, kernel):
        self.path = path
        self.machines = []
        for folder in "bin", "debian/boot", ".build/debug":
            (path / folder).mkdir(parents=True)
        for name in "KERNEL", "my-kernel", "my-kernel.elf", "vmlinux", "debian/boot/vmlinuz-6.1.0-1-amd64":
            (path / name).symlink_to(kernel)
        for name in "initrd.cpio", "debian/boot/initrd.img-6.1.0-1-amd64":
            (path / name).write_bytes(bytes(512))
        (path / "disk.img").write_bytes(bytes(1 << 20))
        for name in "bin/vmm", ".build/debug/vmm":
            (path / name).symlink_to(vmm)
        (path / "Tests").symlink_to(ROOT / "Tests")
        swift = path / "bin/swift"
        swift.write_text('#!/bin/sh\n[ "$1 $2" = "run vmm" ] || exit 64\nshift 2\nexec vmm "$@"\n')
        swift.chmod(0o755)
        self.environment = dict(os.environ, PATH=f"{path / 'bin'}:{os.environ['PATH']}")
        self.finish("vmm --qtest stdio --trace t.json", self.start("vmm --qtest stdio --trace t.json"))

    def start(self, text, stdin=subprocess.DEVNULL):
        return subprocess.Popen(["sh", "-c", text], cwd=self.path, env=self.environment, text=True, stdin=stdin,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def finish(self, text, process, given=None):
        """The output of a process that must end with exit code 0."""
        try:
            out, err = process.communicate(given, timeout=SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            raise Failure(f"{text}: no end after {SECONDS} s") from None
        if process.returncode != 0:
            raise Failure(f"{text}: exit code {process.returncode}\n{out[-2000:]}{err[-2000:]}")
        return out, err

    def serve(self, text, name):
        """Runs a command that waits for a qtest client at the socket `name`, and is that client."""
        process = self.start(text)
        with self.connect(text, process, name) as client:
            if process.poll() is None:
                client.sendall(b"endianness\n")
                client.recv(100)
        self.finish(text, process)

    def control(self, text, name):
        """Starts a machine that the commands after this one control, and the last of them ends."""
        process = self.start(text.replace("KERNEL", "../controlled"))
        self.connect(text, process, name).close()
        self.machines.append((text, process))

    def debug(self, text, name):
        """Runs a command that waits for a debugger at the socket `name`, which detaches."""
        process = self.start(text)
        with self.connect(text, process, name) as client:
            client.sendall(b"$D#44")
            while client.recv(100):
                pass
        self.finish(text, process)

    def connect(self, text, process, name):
        """A client at the socket `name`."""
        deadline = time.monotonic() + SECONDS
        client = socket.socket(socket.AF_UNIX)
        # The socket's file is there a moment before vmm listens at it.
        while process.poll() is None and client.connect_ex(str(self.path / name)) != 0:
            if time.monotonic() > deadline:
                process.kill()
                raise Failure(f"{text}: nothing listens at {name} after {SECONDS} s")
            time.sleep(0.01)
        return client


def needs_kvm(text):
    words = text.split()
    if words[:2] == ["swift", "run"]:
        words = words[2:]
    return words[0] == "vmm" and "--qtest" not in words and words[1:2] not in (["explain"], ["machine"], ["check"], ["trace-view"])


def make(text):
    """A target that does not exist has no rule."""
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    result = subprocess.run(["sh", "-c", text.replace("make", "make -n", 1)], cwd=ROOT, env=environment,
                            capture_output=True, text=True, timeout=SECONDS)
    if result.returncode != 0:
        raise Failure(f"{text}: {result.stderr}")


def transcript(folder, command):
    """Runs the command of a transcript, with the lines of a qtest client as its input, and compares the output."""
    isQTest = "--qtest stdio" in command.text
    answers = [line for line in command.output if not isQTest or re.match("OK|FAIL|ERR|IRQ", line)]
    given = "".join(line + "\n" for line in command.output if line not in answers)
    out, err = folder.finish(command.text, folder.start(command.text, subprocess.PIPE), given)
    for line in plain("\n".join(answers)).split("vmm: "):
        if line.strip() not in plain(out + err):
            raise Failure(f"{command.text}: this is not printed: {line}\nbut this is:\n{out}{err}")


def run(folder, command):
    """Runs one command; returns the number of runs on KVM."""
    if command.output is not None:
        transcript(folder, command)
        return 0
    wholes = WHOLE.get(command.text)
    if wholes is None:
        wholes = [command.text]
        for name, value in PLACEHOLDERS.items():
            wholes[0] = wholes[0].replace(name, value)
        if wholes[0].startswith("-"):
            raise Failure(f"{command.text}: WHOLE has no command with it")
    if wholes[0].startswith("make"):
        make(wholes[0])
    elif name := re.search(r"--qtest unix=(\S+)", wholes[0]):
        folder.serve(wholes[0], name[1])
    elif name := re.search(r"--gdb unix=(\S+)", wholes[0]):
        folder.debug(wholes[0], name[1])
    elif name := re.search(r"--qmp unix=(\S+)", wholes[0]):
        folder.control(wholes[0], name[1])
    else:
        started = [(whole, folder.start(whole)) for whole in wholes]
        for whole, process in started:
            out, _ = folder.finish(whole, process)
            if whole == "swift run vmm":
                check_report(command.document, out)
    return len(wholes) if needs_kvm(wholes[0]) else 0


def check_report(readme, out):
    """The report that the document shows is an excerpt of this one."""
    shown = next(block for block in readme.blocks if block[0].startswith("TAP version"))
    for line in shown:
        if line != "..." and not line.startswith("vmm: ") and line not in out.splitlines():
            raise Failure(f"the built-in guest does not report \"{line}\"")


def run_all(document, folder, has_kvm):
    """Runs the commands of a document in their order; returns the counts, and what failed."""
    passed, on_kvm, failures = 0, 0, []
    for command in commands(document):
        if any(command.text.startswith(start) for start in ELSEWHERE) or is_file(command.text):
            continue
        whole = WHOLE.get(command.text, [command.text])[0]
        if not has_kvm and needs_kvm(whole):
            continue
        try:
            on_kvm += run(folder, command)
            passed += 1
        except (Failure, OSError, subprocess.SubprocessError) as failure:
            failures.append(f"{document.name}: {failure}")
    for text, process in folder.machines:
        try:
            folder.finish(text, process)
        except Failure as failure:
            failures.append(f"{document.name}: {failure}")
    return passed, on_kvm, failures


def is_file(text):
    """A file that is named; tables.mentions tells whether it exists."""
    return re.fullmatch(r"(Tests|guest)/\S*", text) is not None


def compare(documents, vmm):
    readme = documents["README.md"]
    options = documents["Sources/Virtio/Documentation.docc/CommandLine.md"]
    wrong = tables.flags(options, vmm) + tables.exit_codes(options, vmm) + tables.disk_options(options, vmm)
    wrong = [f"CommandLine.md: {sentence}" for sentence in wrong]
    wrong += [f"README.md: {sentence}" for sentence in tables.dependencies(readme)] + tables.numbers(documents, vmm)
    wrong += tables.first_host(ROOT)
    wrong += tables.state_members(documents["Sources/Virtio/Documentation.docc/QTest.md"], vmm)
    for name, document in documents.items():
        wrong += [f"{name}: {sentence}" for sentence in tables.mentions(document, vmm) + tables.violations(document, vmm)]
    texts = [command.text for document in documents.values() for command in commands(document)]
    wrong += [f"WHOLE: no document has {text}" for text in WHOLE if text not in texts]
    wrong += [f"ELSEWHERE: no document has {start}" for start in ELSEWHERE
              if not any(text.startswith(start) for text in texts)]
    return wrong


def main():
    vmm = pathlib.Path(sys.argv[1]).resolve()
    paths = [ROOT / "README.md", ROOT / "guest/linux/README.md",
             *sorted((ROOT / "Sources/Virtio/Documentation.docc").glob("*.md"))]
    documents = {document.name: document for document in (Document(ROOT, path) for path in paths)}
    has_kvm = subprocess.run([KVM, "needed", "documented commands"]).returncode == 0
    with tempfile.TemporaryDirectory() as work, concurrent.futures.ThreadPoolExecutor(2) as pool:
        work = pathlib.Path(work)
        # The kernels of the documents power off, but for one that is controlled.
        kernel(work, "KERNEL", "POWER_OFF")
        kernel(work, "controlled", "IDLE")
        runs = [pool.submit(run_all, document, Folder(work / str(number), vmm, work / "KERNEL"), has_kvm)
                for number, document in enumerate(documents.values())]
        failures = compare(documents, vmm)
        results = [run.result() for run in runs]
    failures += [failure for result in results for failure in result[2]]
    for failure in failures:
        print(f"not ok - {failure}")
    passed, on_kvm = (sum(result[index] for result in results) for index in (0, 1))
    print(f"documentation: {passed} commands passed, {len(failures)} failures")
    if has_kvm:
        subprocess.run([KVM, "ran", str(on_kvm), "documented commands"], check=True)
    sys.exit(bool(failures))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: commands.py VMM")
    main()
