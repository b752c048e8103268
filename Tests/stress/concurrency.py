#!/usr/bin/env python3
# Two and four processors of the guest that access one disk at once, without a lock (guest/stress/ConcurrencyCheck.swift): in both
# dialects of SUSPEND, with each engine for the disk's file, in virtio-mmio version 3, and under torture. The guest fails where it read
# what no state of a device shows, or where the disk does not work again after a reset. The trace must be whole, the model must
# follow it to its end, and it must find of the driver what the device itself found.
#
# usage: concurrency.py VMM [ACCESSES]       so many register accesses in each run; without a number 100,000 in all runs together

import json
import os
import re
import subprocess
import sys
import tempfile
import time

from machine import Failure, engines, needs_kvm, ran_on_kvm


def runs(usable):
    """The options of each run, and its number of processors: each engine in both dialects, and with four engines at least each
    dialect with both forms of the ring, by two processors and by four."""
    for index, engine in enumerate(["memory", *usable]):
        for dialect in "draft", "1.4":
            disk = [] if engine == "memory" else ["-d", "image" + engine, "-a", "disk=2"]
            few = (index % 2 == 0) == (dialect == "draft")
            packed = (index // 2 % 2 == 0) == (dialect == "draft")
            form = ["-a", "features=packed+event_idx+ring_reset"] if packed else []
            if packed and disk:
                disk[1] += ",features=+packed"
            yield ["--suspend", dialect, *disk, *form, *([] if few else ["--drain-deadline", "20ms"])], 2 if few else 4
    yield ["--suspend", "draft", "--mmio-version", "3"], 4
    yield ["--suspend", "1.4", "--torture", "7,-features,-sizes,-faults", "-a", "features=event_idx+ring_reset"], 4


def guest_counts(output):
    line = next((line for line in output.splitlines() if line.startswith("# concurrency: ")), "")
    return {name: int(value) for name, value in re.findall(r"(\S+)=(\d+)", line)}


# The second half of a descriptor that the device found at address 0, where another processor's reset left it to look.
STRAY = re.compile(rb'"ev":"load","address":"0x[0-9a-f]{0,2}8","width":8,"value":"0x([0-9a-f]+)"')


def switches(trace, processors):
    """Accesses in the trace whose predecessor came from another processor. Fails unless each processor has some, and if the
    device is told to write outside of the ring's buffers: a chain at address 0 ends with a buffer to write to."""
    last, count, seen = b"", 0, set()
    with open(trace, "rb") as file:
        for line in file:
            stray = STRAY.search(line)
            if stray and int(stray[1], 16) >> 32 & 3 == 2:
                raise Failure(f"a descriptor that no processor wrote tells the device to write: {line.decode()}")
            start = line.find(b'"by":"vcpu', 0, 60)
            if start > 0:
                by = line[start + 10:start + 11]
                count += by != last
                last = by
                seen.add(by)
    if len(seen) != processors:
        raise Failure(f"accesses come from {len(seen)} processors, not {processors}")
    return count


def run(vmm, options, processors, accesses):
    """One run, checked. Returns what the guest counted, and a line of figures."""
    with open("image", "wb") as file:
        file.truncate(1 << 20)
    command = [vmm, "run", *options, "-c", str(processors), "-a", f"processors={processors}", "-a", f"concurrency={accesses}",
               "--trace", "trace", "--json", "--timeout", f"{60 + accesses // 1500}s"]
    start = time.monotonic()
    guest = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    seconds = time.monotonic() - start
    said = "\n".join([" ".join(command), guest.stdout, *(line[:200] for line in guest.stderr.splitlines()[-20:])])
    if guest.returncode != 0 or not re.search(r"^ok \d - concurrency$", guest.stdout, re.M):
        raise Failure(f"exit code {guest.returncode}\n{said}")
    check = subprocess.run([vmm, "check", "--json", "trace"], capture_output=True, text=True)
    # 65: the driver broke clauses, which is what it is for.
    if check.returncode != 65:
        raise Failure(f"vmm check: exit code {check.returncode}\n{check.stdout[-2000:]}{check.stderr[-2000:]}\n{said}")
    found, replayed = json.loads(guest.stderr.splitlines()[-1])["conformance"], json.loads(check.stdout)
    unknown = replayed.pop("unknown")
    if unknown:
        raise Failure(f"the trace cannot be replayed to its end: {unknown}\n{said}")
    if found != replayed:
        raise Failure(f"the replay found\n{replayed}\nand the device\n{found}\n{said}")
    counts = guest_counts(guest.stdout)
    # A device under torture may need its time for other things.
    expected = ["running"] if "--torture" in options else ["running", "suspended", "requests"]
    missing = [name for name in expected if not counts.get(name)]
    if missing:
        raise Failure(f"no processor saw: {missing}\n{said}")
    size = os.path.getsize("trace")
    return counts, f"{counts['accesses'] / seconds:7.0f} a second, {size / 1e6:6.1f} MB of trace, {switches('trace', processors)} switches"


def main(vmm, accesses):
    needs_kvm("processors at once")
    with open("image", "wb") as file:
        file.truncate(1 << 20)
    todo = list(runs(engines(vmm, "image")))
    accesses = accesses or 100000 // len(todo)
    sums = {}
    for options, processors in todo:
        counts, figures = run(vmm, options, processors, accesses)
        print(f"{processors} processors, {' '.join(options)}: {figures}", flush=True)
        for name, value in counts.items():
            sums[name] = sums.get(name, 0) + value
    print("concurrency: " + ", ".join(f"{value} {name}" for name, value in sums.items()))
    if not all(sums.values()):
        raise Failure("one of these never came")
    ran_on_kvm(len(todo), "runs of processors at once")


if __name__ == "__main__":
    program = os.path.abspath(sys.argv[1])
    folder = tempfile.mkdtemp()
    os.chdir(folder)
    try:
        main(program, int(sys.argv[2]) if len(sys.argv) > 2 else None)
    except Failure as failure:
        sys.exit(f"concurrency: {failure}\nthe trace is kept in {folder}")
    for name in os.listdir(folder):
        os.remove(name)
    os.rmdir(folder)
