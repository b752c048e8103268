#!/usr/bin/env python3
# vmm is killed at a random moment while its guest writes numbered records, flushes, and only then tells of them: every
# record that was told of has to be in the file, whatever the engine kept elsewhere. Many rounds, each with a seed of its
# own, so that no round finds what an earlier one left.
#
# usage: kill.py VMM [ROUNDS]                20 rounds for each engine without a number

import os
import random
import signal
import sys
import tempfile
import time

from machine import SECTOR, Failure, Machine, engines, needs_kvm, number, ran_on_kvm, record

SECTORS = 256


def check(image, seed, flushed):
    """Every record of `flushed` is there, or a later one of this round that took its place."""
    with open(image, "rb") as file:
        disk = file.read()
    last = max(flushed)
    for n in range(max(0, last - SECTORS + 1), last + 1):
        if n not in flushed:
            continue
        found = disk[n % SECTORS * SECTOR:][:SECTOR]
        # The guest is ahead of what it tells by a batch at most, so one lap later is all it can be.
        if found not in [record(seed, n), record(seed, n + SECTORS)]:
            raise Failure(f"record {n} was told of and is not in the file, which has {found[:16].hex()} there")


def one_round(vmm, image, engine, seed, chance):
    with Machine(vmm, "--suspend", chance.choice(["draft", "1.4"]), "-d", image + engine, "-a", "records=1000000", "-a",
                 "disk=2", "-a", f"seed={seed}") as machine:
        flushed = set()
        target = chance.randrange(1, 3 * SECTORS)
        for line in machine.lines():
            n = number(line, "flushed")
            if n is None:
                continue
            flushed.add(n)
            if n >= target:
                break
        # A random moment, not a wait: anywhere within a few requests.
        time.sleep(chance.random() * 0.005)
        machine.process.kill()
        code, rest = machine.end()
        flushed.update(n for n in (number(line, "flushed") for line in rest) if n is not None)
        if code != -signal.SIGKILL:
            raise Failure(f"vmm ended by itself with {code}; {machine.said()}")
        check(image, seed, flushed)
        return len(flushed)


def main():
    vmm, rounds = os.path.abspath(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 20
    needs_kvm("SIGKILL while records are written")
    chance = random.Random(1)
    with tempfile.TemporaryDirectory() as work:
        image = os.path.join(work, "image")
        with open(image, "wb") as file:
            file.truncate(SECTORS * SECTOR)
        for engine in engines(vmm, image):
            told = 0
            for round in range(rounds):
                told += one_round(vmm, image, engine, round % 4095 + 1, chance)
            print(f"kill{engine}: {rounds} rounds, {told} records told of, none missing")
            ran_on_kvm(rounds, "kills")


try:
    main()
except Failure as failure:
    sys.exit(f"kill: {failure}")
