#!/usr/bin/env python3
"""Runs every probe on QEMU's devices and on vmm's, prints the results, and explains each difference by the clause of
VIRTIO 1.4 that decides it, from the file `differences`. A difference without an explanation is an error, and so is an
explanation without a difference or with other results than those observed.

usage: compare.py VMM QEMU [PROBE ...]        with names: only those probes; unused explanations are no error"""
import os
import subprocess
import sys
import tempfile
import textwrap

sys.dont_write_bytecode = True

from boards import QEMU, VMM
from disk import GET_ID, ask
from driver import BUFFERS, MEMORY_END, RINGS
from probes import ALL
from qtest import Ended

HERE = os.path.dirname(os.path.abspath(__file__))
VERDICTS = {"vmm": "vmm is right", "QEMU": "QEMU is right", "either": "either is right"}


class Explanation:
    """Why a probe's results differ; `right` is the implementation that conforms to the clause."""

    def __init__(self, name, fields):
        self.name = name
        for key in ("vmm", "QEMU", "right", "clause", "why"):
            if key not in fields:
                sys.exit(f"differences: {name} has no '{key}'")
            setattr(self, key.lower(), fields.pop(key))
        if fields or self.right not in VERDICTS:
            sys.exit(f"differences: {name} has an unknown field or verdict: {', '.join(fields) or self.right}")


def read_explanations(path):
    """Parses paragraphs of a probe's name and indented 'key  value' lines; lines that start with # are comments."""
    found = {}
    with open(path, encoding="utf-8") as file:
        lines = [line for line in file.read().split("\n") if not line.startswith("#")]
    for paragraph in "\n".join(lines).split("\n\n"):
        name, *rest = [line for line in paragraph.split("\n") if line.strip()] or [None]
        if name is None:
            continue
        if name in found:
            sys.exit(f"differences: {name} occurs twice")
        found[name] = Explanation(name, dict(line.split(None, 1) for line in rest))
    return found


class Runner:
    """Runs probes on one kind of board, and starts a new process when a probe has broken the last one."""

    def __init__(self, kind, work):
        self.kind, self.work, self.board, self.started = kind, work, None, 0

    def run(self, probe):
        """Runs the probe and returns its result, one line."""
        if self.board is None:
            self.board = self.kind(self.work)
            self.started += 1
        try:
            self.clean()
            value = probe.function(self.board)
        except Ended as end:
            self.stop()
            return f"{self.kind.name} {end}"
        self.check()
        return value

    def clean(self):
        for device in (self.board.console, self.board.disk, self.board.read_only):
            device.status = 0
        self.board.qtest.fill(RINGS, MEMORY_END - RINGS)

    def check(self):
        """Stops a board whose disk no longer works, so that the next probe gets a new one."""
        try:
            self.clean()
            if ask(self.board.disk.start(), GET_ID, room=20) != "used 21, OK" or self.board.disk.interrupt != 1:
                self.stop()
        except Ended:
            self.stop()

    def stop(self):
        if self.board:
            self.board.close()
        self.board = None


def table(rows):
    """Prints rows in columns, with long cells wrapped."""
    widths = (36, 19, 50, 50)
    for row in rows:
        cells = [textwrap.wrap(cell, width) or [""] for cell, width in zip(row, widths)]
        for number in range(max(map(len, cells))):
            parts = [cell[number] if number < len(cell) else "" for cell in cells]
            print("  ".join(f"{part:{width}}" for part, width in zip(parts, widths)).rstrip())


def explain(probe, ours, theirs, why):
    print(f"\n{probe.name} ({', '.join(probe.clauses)})\n    vmm   {ours}\n    QEMU  {theirs}")
    if why is None:
        print("    -- not explained --")
        return
    text = f"{VERDICTS[why.right]}, {why.clause}: {why.why}"
    print(textwrap.fill(text, 120, initial_indent="    ", subsequent_indent="    "))


def problem_with(probe, ours, theirs, why):
    """The problem with the explanation of a probe, or with its absence; None if there is none."""
    if ours == theirs:
        return None if why is None else "is explained, but does not differ"
    if why is None:
        return "differs, but is not explained"
    for program, result, expected in (("vmm", ours, why.vmm), ("QEMU", theirs, why.qemu)):
        if result != expected:
            return f"is explained with {program}: '{expected}', but the result is '{result}'"
    return None


def main():
    VMM.program, QEMU.program = sys.argv[1:3]
    chosen = [probe for probe in ALL if probe.name in sys.argv[3:]] if sys.argv[3:] else ALL
    explanations = read_explanations(os.path.join(HERE, "differences"))
    with tempfile.TemporaryDirectory() as work:
        runners = [Runner(kind, work) for kind in (VMM, QEMU)]
        try:
            results = [(probe, *(runner.run(probe) for runner in runners)) for probe in chosen]
        finally:
            for runner in runners:
                runner.stop()
    version = subprocess.run([QEMU.program, "--version"], capture_output=True, text=True, check=True).stdout
    table([("probe", "clauses", "vmm", version.split("\n")[0])])
    table((probe.name, ", ".join(probe.clauses), ours, "the same" if ours == theirs else theirs)
          for probe, ours, theirs in results)
    problems, verdicts = [], []
    for probe, ours, theirs in results:
        why = explanations.pop(probe.name, None)
        if ours != theirs:
            explain(probe, ours, theirs, why)
            verdicts.append(why.right if why else None)
        problem = problem_with(probe, ours, theirs, why)
        if problem:
            problems.append(f"{probe.name} {problem}")
    if chosen is ALL:
        problems += [f"{name} is explained, but there is no such probe" for name in explanations]
    count = {right: sum(verdict == right for verdict in verdicts) for right in VERDICTS}
    print(f"\ncross-check (registers and rings): {len(results)} probes, {len(results) - len(verdicts)} agree;"
          + ",".join(f" {text} in {count[right]}" for right, text in VERDICTS.items()))
    for problem in problems:
        print(f"cross-check: {problem}", file=sys.stderr)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
