#!/usr/bin/env python3
"""Drivers under torture (right.py, naive.py). The right one has to pass with every seed, split and packed, in both versions of
virtio-mmio and in both dialects of SUSPEND. Each naive one has to pass with a kind device, vmm's and QEMU's, and to fail with one of
the first 50 seeds; what is left of the choices when that run is reduced has to be a choice that explains it.

usage: run.py VMM [SEEDS [NAME...]]        SEEDS of the right driver, 20 if not said; NAME: only these drivers"""
import os
import re
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import naive  # noqa: E402
import right  # noqa: E402
from boards import QEMU, VMM, Board  # noqa: E402
from driver import Device  # noqa: E402
from qtest import Ended  # noqa: E402

SEEDS_FOR_NAIVE = 50
DISK = 16 << 20 >> 9


class Tortured(VMM):
    """vmm with `torture`, a value of --torture; the disk is a memory disk, and there is a source of random bytes."""

    def __init__(self, work, torture=None, version=2, suspend="1.4"):
        self.arguments = ["--mmio-version", str(version), "--suspend", suspend]
        self.arguments += ["--torture", torture] if torture else []
        super().__init__(work)
        self.rng = Device(self, 0xd0003000, 8)

    def command(self):
        return [self.program, "--qtest", "stdio", "-d", f"{self.path('disk')},features=+packed,+in_order",
                "-d", f"{self.path('read-only')},ro", "--rng"] + self.arguments

    restarts_queues = True

    def settle(self, driver):
        """A notification's work that is not put off is done before its answer."""


class Kind(QEMU):
    """QEMU, whose requests end before anything else happens."""

    # QEMU 7.2 keeps its position in a ring whose queue was stopped or reset, and uses it in the next ring.
    restarts_queues = False

    def command(self):
        return super().command() + ["-device", "virtio-rng-device"]

    def __init__(self, work):
        super().__init__(work)
        self.rng = Device(self, 0xfeb00000 + 0x200 * 4, 5 + 4)

    def settle(self, driver):
        deadline = time.monotonic() + 60
        while len(driver.requests) > driver.ring.unseen():
            if time.monotonic() > deadline:
                raise Ended(f"QEMU did not end {len(driver.requests)} requests in 60 s")
            time.sleep(0.0005)


def attempt(kind, make):
    """Runs a driver of class `kind` on the board that `make` makes. Returns why it failed; None if it passed."""
    with tempfile.TemporaryDirectory() as work:
        board = make(work)
        try:
            device = board.rng if issubclass(kind, right.RandomBytes) else board.disk
            kind(board, device, DISK).run()
        except (right.Wrong, right.NeedsReset, Ended) as failure:
            return str(failure) or type(failure).__name__
        finally:
            board.close()
    return None


def tortured(kind, torture, suspend="1.4"):
    version = getattr(kind, "version", 2)
    return attempt(kind, lambda work: Tortured(work, torture, version, suspend))


def reduce(choices, fails):
    """The fewest of `choices` with which a run still fails: takes away halves, then quarters, and so on (ddmin, Zeller 2002)."""
    parts = 2
    while len(choices) > 1:
        size = -(-len(choices) // parts)
        for start in range(0, len(choices), size):
            rest = choices[:start] + choices[start + size:]
            if rest and fails(rest):
                choices, parts = rest, max(parts - 1, 2)
                break
        else:
            if size == 1:
                break
            parts = min(2 * parts, len(choices))
    return choices


class Report:
    """Lines of TAP."""

    count = failed = 0

    def line(self, passed, text):
        self.count += 1
        self.failed += not passed
        print(f"{'ok' if passed else 'not ok'} {self.count} - {text}", flush=True)


def check_naive(kind, names, report):
    name = kind.__name__
    problem = tortured(kind, None)
    report.line(not problem, f"{name} passes with a kind device" + (f" # {problem}" if problem else ""))
    skipped = getattr(kind, "not_in_qemu", None)
    problem = None if skipped else attempt(kind, Kind)
    problem = f" # {problem}" if problem else f" # SKIP {skipped}" if skipped else ""
    report.line(skipped or not problem, f"{name} passes with QEMU's device{problem}")
    found = "it passes with every seed"
    for seed in range(1, SEEDS_FOR_NAIVE + 1):
        why = tortured(kind, str(seed))
        if not why:
            continue
        left = reduce(names, lambda some: same(tortured(kind, ",".join([str(seed)] + some)), why))
        found = f"seed {seed}, by {' and '.join(left)}: {why}"
        # Of a run that needs three choices to fail, none explains it.
        if kind.found_by & set(left) and len(left) <= 2:
            return report.line(True, f"{name} is found with {found}")
    return report.line(False, f"{name} is found # {found}")


def same(why, wanted):
    """Whether two runs failed alike: for the same reason, whatever the numbers."""
    return why is not None and re.sub("[0-9a-fx]+", "", why) == re.sub("[0-9a-fx]+", "", wanted)


class SplitOnly(right.Right):
    knows = right.Right.knows & ~right.RING_PACKED


class VersionThree(right.Right):
    version = 3


def main():
    VMM.program = os.path.realpath(sys.argv[1])
    seeds = int(sys.argv[2]) if len(sys.argv) > 2 else 20
    wanted = sys.argv[3:]
    table = os.popen(f"{VMM.program} explain torture").read()
    names = [line.split()[0] for line in table.splitlines()]
    report = Report()
    if not wanted:
        problem = attempt(SplitOnly, Kind)
        report.line(not problem, "the right driver passes with QEMU's device" + (f" # {problem}" if problem else ""))
        forms = [(kind, suspend) for kind in (right.Right, SplitOnly, VersionThree, right.RandomBytes)
                 for suspend in ("draft", "1.4")]
        for seed in range(1, seeds + 1):
            kind, suspend = forms[seed % len(forms)]
            problem = tortured(kind, str(seed), suspend)
            if problem or seed == seeds:
                what = f"the right driver passes with seed {seed} ({kind.__name__}, {suspend})" if problem else \
                    f"the right driver passes with {seeds} seeds"
                report.line(not problem, what + (f" # {problem}" if problem else ""))
    for kind in naive.ALL:
        if not wanted or kind.__name__ in wanted:
            check_naive(kind, names, report)
    print(f"1..{report.count}")
    print(f"torture: {report.count - report.failed} passed, {report.failed} failed")
    sys.exit(report.failed > 0)


if __name__ == "__main__":
    main()
