#!/usr/bin/env python3
"""Runs every probe against QEMU's devices and against vmm's, prints what each saw, and explains each difference by the
clause of VIRTIO 1.4 that decides it, from the file `differences` beside this one. A difference without an explanation
is an error, as are an explanation without a difference and one that does not say what was seen.

usage: compare.py VMM QEMU [PROBE ...]        with names: those alone, and no explanation need be met"""
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
    """Why a probe sees different things: `right` is who the clauses agree with."""

    def __init__(self, name, fields):
        self.name = name
        for key in ("vmm", "QEMU", "right", "clause", "why"):
            if key not in fields:
                sys.exit(f"differences: {name} has no '{key}'")
            setattr(self, key.lower(), fields.pop(key))
        if fields or self.right not in VERDICTS:
            sys.exit(f"differences: {name} is not understood: {', '.join(fields) or self.right}")


def read_explanations(path):
    """Paragraphs of a probe's name and, indented, 'key  value' lines; lines with # are comments."""
    found = {}
    with open(path, encoding="utf-8") as file:
        lines = [line for line in file.read().split("\n") if not line.startswith("#")]
    for paragraph in "\n".join(lines).split("\n\n"):
        name, *rest = [line for line in paragraph.split("\n") if line.strip()] or [None]
        if name is None:
            continue
        if name in found:
            sys.exit(f"differences: {name} stands there twice")
        found[name] = Explanation(name, dict(line.split(None, 1) for line in rest))
    return found


class Runner:
    """Runs probes against one kind of board, in as many processes as they need."""

    def __init__(self, kind, work):
        self.kind, self.work, self.board, self.started = kind, work, None, 0

    def run(self, probe):
        """What the probe sees, in one line."""
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
        """A board on which a disk does not work any more is no use to the next probe."""
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
    """Prints rows as columns, a long cell on several lines."""
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


def wrong(probe, ours, theirs, why):
    """What is wrong with an explanation, or with the lack of one; None if nothing is."""
    if ours == theirs:
        return None if why is None else "is explained, and there is no difference"
    if why is None:
        return "differs, and is not explained"
    for who, seen, said in (("vmm", ours, why.vmm), ("QEMU", theirs, why.qemu)):
        if seen != said:
            return f"is explained by {who} having '{said}', and it has '{seen}'"
    return None


def main():
    VMM.program, QEMU.program = sys.argv[1:3]
    chosen = [probe for probe in ALL if probe.name in sys.argv[3:]] if sys.argv[3:] else ALL
    explanations = read_explanations(os.path.join(HERE, "differences"))
    with tempfile.TemporaryDirectory() as work:
        runners = [Runner(kind, work) for kind in (VMM, QEMU)]
        try:
            seen = [(probe, *(runner.run(probe) for runner in runners)) for probe in chosen]
        finally:
            for runner in runners:
                runner.stop()
    version = subprocess.run([QEMU.program, "--version"], capture_output=True, text=True, check=True).stdout
    table([("probe", "clauses", "vmm", version.split("\n")[0])])
    table((probe.name, ", ".join(probe.clauses), ours, "the same" if ours == theirs else theirs)
          for probe, ours, theirs in seen)
    problems, verdicts = [], []
    for probe, ours, theirs in seen:
        why = explanations.pop(probe.name, None)
        if ours != theirs:
            explain(probe, ours, theirs, why)
            verdicts.append(why.right if why else None)
        problem = wrong(probe, ours, theirs, why)
        if problem:
            problems.append(f"{probe.name} {problem}")
    if chosen is ALL:
        problems += [f"{name} is explained, and there is no such probe" for name in explanations]
    count = {right: sum(verdict == right for verdict in verdicts) for right in VERDICTS}
    print(f"\ncross-check (registers and rings): {len(seen)} probes, {len(seen) - len(verdicts)} agree;"
          + ",".join(f" {text} in {count[right]}" for right, text in VERDICTS.items()))
    for problem in problems:
        print(f"cross-check: {problem}", file=sys.stderr)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
