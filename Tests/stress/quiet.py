#!/usr/bin/env python3
# While every device is suspended no thread of vmm wakes but the processor's, whatever waits at the host: the kernel's own
# count of each thread's switches stands still. The guest suspends everything, looks at each Status for a while, and
# resumes; meanwhile the console is typed at.
#
# usage: quiet.py VMM

import os
import re
import select
import subprocess
import sys
import tempfile
import time

from machine import DEADLINE, SECTOR, Failure, Machine, engines, needs_kvm, ran_on_kvm

# Looks of the guest at each device, a second and more; how long the threads must have been seen still before they
# count as asleep, and how much longer they have to stay so.
LOOKS = 12000
SETTLED, QUIET = 0.05, 0.3


def switches(process):
    """How often each thread but the processor's was switched away from, by name and number."""
    counts = {}
    for task in os.listdir(f"/proc/{process}/task"):
        try:
            with open(f"/proc/{process}/task/{task}/status") as file:
                text = file.read()
        except (FileNotFoundError, ProcessLookupError):
            continue
        name = re.search(r"^Name:\s*(.*)$", text, re.M)[1]
        if not name.startswith("vcpu"):
            counts[name, task] = sum(int(n) for n in re.findall(r"ctxt_switches:\s*(\d+)", text))
    return counts


def watch(vmm, image, engine, dialect):
    source, typed = os.pipe()
    with Machine(vmm, "-v", "--suspend", dialect, "-d", image + engine, "-a", f"quiet={LOOKS}", "-a", "disk=2",
                 stdin=source) as machine:
        os.close(source)
        machine.until(lambda line: line.startswith("TAP"))
        output = machine.process.stdout.fileno()
        end = time.monotonic() + DEADLINE
        # The longest time without a switch, which the console's next line ends; a look every few milliseconds.
        before, since, longest, has_typed = None, 0, 0, False
        while not select.select([output], [], [], 0.002)[0]:
            now = time.monotonic()
            if now > end:
                raise Failure(f"no end of the suspension; {machine.said()}")
            counts = switches(machine.process.pid)
            if counts != before:
                if has_typed:
                    changed = sorted(name for name in counts if counts.get(name) != (before or {}).get(name))
                    # The resume wakes everybody and the console speaks at once: the next look must find that.
                    if not select.select([output], [], [], 0.1)[0]:
                        raise Failure(f"{changed} woke while every device was suspended")
                    break
                before, since = counts, now
            longest = now - since
            if longest > SETTLED and not has_typed:
                os.write(typed, b"nobody listens\n" * 100)
                has_typed = True
        os.close(typed)
        if longest < SETTLED + QUIET:
            raise Failure(f"the threads were still for {longest:.2f} s only; {machine.said()}")
        code, lines = machine.end()
        if code != 0 or not any(line.startswith("ok ") and line.endswith(" - suspend-quiet") for line in lines):
            raise Failure(f"exit code {code}; {machine.said()}; {lines}")
        # vmm counts, too. Once is the doorbell that the suspend request asked for.
        for line in machine.said().splitlines():
            told = re.search(r"(\S+): 1 suspensions.* (\d+) of them while suspended", line)
            if told and int(told[2]) > 1:
                raise Failure(line)
        return len(before), longest


def main():
    vmm = os.path.abspath(sys.argv[1])
    needs_kvm("threads of suspended devices")
    with tempfile.TemporaryDirectory() as work:
        image = os.path.join(work, "image")
        with open(image, "wb") as file:
            file.truncate(2048 * SECTOR)
        for engine in engines(vmm, image):
            for dialect in ["draft", "1.4"]:
                threads, still = watch(vmm, image, engine, dialect)
                print(f"quiet{engine}, {dialect}: {threads} threads without a switch for {still:.1f} s")
                ran_on_kvm(1, "quiet suspension")


try:
    main()
except Failure as failure:
    sys.exit(f"quiet: {failure}")
