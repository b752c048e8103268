#!/usr/bin/env python3
"""hostile.py VMM: damaged files and lines of a client that once made vmm trap. vmm refuses them, or goes on."""
import json, os, subprocess, sys, tempfile

VMM = os.path.abspath(sys.argv[1])


def run(arguments, lines=()):
    return subprocess.run([VMM, *arguments], input="".join(line + "\n" for line in lines), capture_output=True, text=True, timeout=120)


def driver(slot, queue, chain):
    """The lines that bring a device up with one queue of 8, and make the descriptors of `chain` available as one chain."""
    base = 0xd0000000 + slot * 0x1000
    registers = [(0x70, 0), (0x70, 1), (0x70, 3), (0x24, 1), (0x20, 1), (0x70, 11), (0x30, queue), (0x38, 8), (0x80, 0x10000),
                 (0x90, 0x11000), (0xa0, 0x12000), (0x44, 1), (0x70, 15)]
    lines = [f"writel {base + offset} {value}" for offset, value in registers]
    for index, (address, length, writes) in enumerate(chain):
        flags = (1 if index + 1 < len(chain) else 0) | (2 if writes else 0)
        lines += [f"writeq {0x10000 + 16 * index} {address}", f"writeq {0x10008 + 16 * index} {length | flags << 32 | index + 1 << 48}"]
    return lines + ["writew 0x11004 0", "writew 0x11002 1"], f"writel {base + 0x50} {queue}"


def overlay():
    """The trailer of an overlay gives its image's size."""
    for size in (2**64 - 1, 2**63, 2**62 + 4096, 0):
        with open("overlay", "wb") as file:
            file.write(bytes(4096) + f"vmm overlay 1\nimage: x\nsize: {size}\nmodified: 0.0\n".encode().ljust(4096, b"\0"))
        done = run(["--qtest", "stdio", "-d", "image,overlay=overlay"])
        if done.returncode != 1:
            return f"an overlay of {size} bytes: {done.returncode} {done.stderr}"


def report():
    """A piece of a sweep gives the milliseconds of each cell."""
    for time in (2**63 - 1, -1):
        cells = [{"id": f"cpus={number}", "command": "x", "reasons": ["a"], "console": "", "milliseconds": time} for number in (1, 2)]
        with open("piece", "w") as file:
            json.dump({"sweep": ["--over", "cpus=1,2"], "cells": cells}, file)
        done = run(["sweep-merge", "piece", "--junit", "junit.xml"])
        if done.returncode != 1 or "not a report" not in done.stderr:
            return f"cells of {time} ms: {done.returncode} {done.stderr}"


def capacity():
    """A capacity that no file has, and a request at its end: the request fails (status 1)."""
    lines, notify = driver(1, 0, [(0x20000, 16, False), (0x21000, 512, True), (0x22000, 1, True)])
    for sector in (2**54 - 1, 2**55 - 1, 2**64 - 2):
        done = run(["--qtest", "stdio", "-d", "image"], [
            f"x-capacity blk0 {2**64 - 1}", *lines, "writeq 0x20000 0", f"writeq 0x20008 {sector}", "writeb 0x22000 0xff", notify,
            "readb 0x22000"])
        if done.stdout.splitlines()[-1:] != ["OK 0x0000000000000001"]:
            return f"sector {sector}: {done.returncode} {done.stdout[-200:]} {done.stderr}"


def release():
    """Two releases while the console's output has no room for the first request."""
    lines, notify = driver(0, 1, [(0x40000, 70000, False)])
    done = run(["--qtest", "stdio"], [*lines, "x-hold console0", notify, "x-release console0 1", f"x-release console0 {2**63 - 1}",
                                      "endianness"])
    if done.stdout.splitlines()[-1:] != ["OK little"]:
        return f"{done.returncode} {done.stdout[-200:]} {done.stderr}"


def pairs():
    """Eight pairs of queues, whose control queue is behind the last pair until the driver accepts VIRTIO_NET_F_MQ."""
    base = 0xd0004000
    lines = [f"writel {base + offset} {value}" for offset, value in [
        (0x70, 0), (0x70, 1), (0x70, 3), (0x24, 1), (0x20, 0x801), (0x70, 11), (0x70, 15), (0x70, 31)]]
    done = run(["--qtest", "stdio", "--net", "null,queues=8,suspend=1.4"], [*lines, "x-state net0", f"readl {base + 0x70}"])
    if done.stdout.splitlines()[-1:] != ["OK 0x000000000000001b"]:
        return f"{done.returncode} {done.stdout[-200:]} {done.stderr}"


def traces():
    """Traces of what no machine does: a network device with the draft, and a notification of a queue that there is not."""
    device = {"device": "net0", "type": 1, "offered": "0x100000000", "conform": "report", "configuration": "0x1", "queues": 2, "queueSize": 256,
              "mac": "0x525400123456"}
    call = {"t": 0, "by": "", "dev": 0}
    for events in [[device | {"dialect": "draft"}],
                   [device, call | {"ev": "fail"}, call | {"ev": "lifecycle", "status": 64, "phase": "dead"}, call | {"ev": "kick", "queues": 4}]]:
        with open("trace", "w") as file:
            file.writelines(json.dumps(line) + "\n" for line in [{"trace": 1, "memory": "0x200000"}, *events])
        done = run(["check", "trace"])
        if done.returncode not in (1, 65):
            return f"{events[-1]}: {done.returncode} {done.stderr[-300:]}"


failures = 0
cases = [overlay, report, capacity, release, pairs, traces]
print(f"1..{len(cases)}")
with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    with open("image", "wb") as file:
        file.truncate(1 << 20)
    for number, case in enumerate(cases, 1):
        problem = case()
        failures += problem is not None
        print(f"{'ok' if problem is None else 'not ok'} {number} - {case.__doc__.splitlines()[0]}" + (f"\n# {problem}" if problem else ""))
sys.exit(failures > 0)
