#!/usr/bin/env python3
"""What a request costs in the device model: the chain loop of the benchmarks under callgrind, for each form of the ring.

Fails if the loop calls the Swift runtime or allocates, or if a request takes more instructions than `LIMITS` says. What happens
once, at the program's start, cancels out: a run of 600 requests is compared with one of 200.

usage: chain.py CHAIN       Tests/Embedding's program `chain`, a release build
"""

import collections
import os
import re
import subprocess
import sys
import tempfile

# Instructions of a request, the driver's included, with the conformance checks and without.
LIMITS = {
    "": (1300, 1006),
    "indirect": (1519, 1139),
    "packed": (1374, 1175),
    "packed indirect": (1530, 1228),
}
ALLOCATORS = "malloc calloc realloc free memalign posix_memalign aligned_alloc".split()


def instructions(program, requests, form):
    """Instructions by (function, object file) of a run of `requests` requests."""
    with tempfile.NamedTemporaryFile() as out:
        line = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out.name}", program, str(requests), *form]
        run = subprocess.run(line, capture_output=True, text=True, timeout=120)
        if run.returncode:
            sys.exit(f"{' '.join(line)}: exit code {run.returncode}\n{run.stderr}")
        text = open(out.name).read()
    names = {"fn": {}, "ob": {}}
    counts = collections.Counter()
    here = {"fn": "", "ob": ""}
    is_call = False
    for line in text.splitlines():
        if match := re.match(r"(c?)(fn|ob)=(\(\d+\))(?: (.*))?", line):
            callee, kind, number, name = match.groups()
            if name:
                names[kind][number] = name
            if not callee:
                here[kind] = names[kind][number]
        elif line.startswith("calls="):
            is_call = True
        elif re.match(r"[0-9+*-]", line):
            # The line after `calls=` has the callee's cost, which is counted there.
            if not is_call:
                counts[here["fn"], here["ob"]] += int(line.split()[1])
            is_call = False
    return counts


def is_runtime(function, file):
    return function.startswith(("swift_", "_swift_", "swift::")) or "/libswift" in file


def main():
    program = sys.argv[1]
    if not os.access(program, os.X_OK):
        sys.exit(f"chain: {program} is no program")
    bad = []
    for form, limits in LIMITS.items():
        for limit, option in zip(limits, ([], ["conform-off"])):
            few, many = (instructions(program, count, form.split() + option) for count in (200, 600))
            each = {key: (count - few[key]) / 400 for key, count in many.items() if count > few[key]}
            name = " ".join([*(form or "split").split(), *option])
            total = sum(each.values())
            print(f"chain: {total:5.0f} instructions a request, at most {limit}: {name}")
            if total > limit:
                bad.append(f"{name}: {total:.0f} instructions a request, at most {limit}")
            for (function, file), count in each.items():
                plain = function.split("'")[0].removeprefix("__libc_").removeprefix("_int_")
                if is_runtime(function, file) or plain in ALLOCATORS:
                    bad.append(f"{name}: {function}, {count:.0f} instructions a request: the chain loop must not call it")
    for line in bad:
        print(f"chain: {line}", file=sys.stderr)
    sys.exit(1 if bad else 0)


main()
