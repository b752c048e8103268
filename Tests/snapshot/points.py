#!/usr/bin/env python3
"""Takes snapshots of the built-in guest at random moments of its stress run, ends it, and lets a new process go on from each, until the
run ends: every request of it is verified then, whatever was in which ring. All forms of the rings, both dialects, disks in memory and
in a file. Each process has a trace, the first from a random moment, those that go on from their start, and it is replayed.

usage: points.py VMM [POINTS [SEED]]         10 points without a number
"""
import itertools
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time

from machines import Failure, Guest, needs_kvm, ran_on_kvm

FEATURES = [
    "indirect+event_idx+ring_reset", "packed+indirect+event_idx", "packed+indirect+event_idx+in_order",
    "indirect+event_idx+in_order+notification_data", "none", "packed", "packed+in_order", "event_idx", "in_order",
]


def chain(vmm, work, dialect, features, disk, seed, chance, most):
    """One run, with snapshots. Returns their number."""
    folder = os.path.join(work, "snapshot")
    options = ["--suspend", dialect, "-a", "stress=600", "-a", f"features={features}", "-a", f"seed={seed}"]
    if disk:
        with open(os.path.join(work, "image"), "wb") as file:
            file.truncate(1 << 20)
        options += ["-d", os.path.join(work, "image") + ",features=+packed,+in_order,+notification_data", "-a", "disk=2"]
    points, output, trace = 0, "", os.path.join(work, "trace")
    while True:
        with Guest(vmm, work, *options) as guest:
            # Random moments, not waits.
            if points == 0:
                time.sleep(chance.random() * 0.2)
                guest.ask("x-vmm-trace-start", file=trace)
            time.sleep(chance.random() * 0.4)
            if disk and points != most:
                # A machine that goes on writes to its image, which then is no longer that of the snapshot.
                guest.ask("stop")
            report = None if points == most else guest.ask("x-vmm-snapshot", dir=folder)
            if report is None:
                guest.ends(before=output)
                output += guest.output()
                if not re.search(r"^ok \d+ - stress$", output, re.M) or "not ok" in output:
                    raise Failure(f"the run does not end well; {guest.said()}\n{output}")
                replay(vmm, trace)
                return points
            # The point may be the last moment of the guest.
            guest.ask("quit")
            guest.ends(before=output)
            output += guest.output()
        replay(vmm, trace)
        points += 1
        options = ["--restore", folder, "--trace", trace]


def replay(vmm, trace):
    """Replays a trace to its end, in which no driver broke a clause. A guest may have ended before it began."""
    if os.path.exists(trace):
        check = subprocess.run([vmm, "check", trace], capture_output=True, text=True)
        if check.returncode:
            raise Failure(f"vmm check ends with {check.returncode}: {check.stdout}{check.stderr}")
        os.remove(trace)


def main():
    vmm, count = os.path.abspath(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 10
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    needs_kvm("snapshots at random moments")
    start, points, runs = time.monotonic(), 0, 0
    for run, (features, dialect, disk) in enumerate(
            itertools.cycle(itertools.product(FEATURES, ["draft", "1.4"], [False, True])), seed):
        if points >= count:
            break
        work = tempfile.mkdtemp()
        try:
            points += chain(vmm, work, dialect, features, disk, run, random.Random(run), 5)
            runs += 1
        except Failure as failure:
            raise Failure(f"run {run} ({dialect}, {features}, disk in {'a file' if disk else 'memory'}): {failure}") from None
        finally:
            shutil.rmtree(work)
    print(f"snapshots: {points} points in {runs} runs, each verified to its end, {time.monotonic() - start:.0f} s")
    ran_on_kvm(points, "snapshots")


try:
    main()
except Failure as failure:
    sys.exit(f"snapshots: {failure}")
