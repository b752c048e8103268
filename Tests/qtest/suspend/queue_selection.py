#!/usr/bin/env python3
"""A driver stops or resets a queue of a suspended device and frees its memory. The queue is the one that QueueSel selects then, whichever
was selected before; the device uses every other queue after the resume, and that one no more (4.2.2; D-5, D-16). usage:
queue_selection.py VMM"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from machine import *  # noqa: E402, F403

FREED = b"\xa5" * 0x10000


def ready(disk, index):
    disk.put(QUEUE_SEL, index)
    return disk.get(QUEUE_READY)


def end(machine, scope, register, value, before, target):
    disk = machine.disk
    what = f"{machine.dialect}, {scope}, queue {target} after {before}, {'QueueReset' if value else 'QueueReady = 0'}"
    rings = machine.start(disk, 4, BLK_MQ | RING_RESET)
    disk.put(QUEUE_SEL, before)
    machine.suspend(disk)
    disk.put(QUEUE_SEL, 4)
    expect(disk.get(QUEUE_SIZE_MAX), 0, f"{what}: QueueSizeMax of no queue")
    disk.put(QUEUE_SEL, target)
    disk.put(register, value)
    expect(disk.get(QUEUE_READY), int(scope == "wide"), f"{what}: QueueReady while suspended")
    expect(disk.get(QUEUE_RESET), int(scope == "wide" and value), f"{what}: QueueReset while suspended")
    machine.qtest.write(RINGS + 0x10000 * target, FREED)
    machine.resume(disk)
    for index in range(4):
        expect(ready(disk, index), int(index != target), f"{what}: QueueReady of queue {index} after the resume")
    for index in range(4):
        if index != target:
            expect(rings[index].send(READ), "used 513", f"{what}: a read in queue {index}")
    expect(machine.qtest.read(RINGS + 0x10000 * target, len(FREED)) == FREED, True, f"{what}: the freed memory is kept")
    expect(disk.status, RUNNING, f"{what}: Status")


for dialect in DIALECTS:
    for scope in ("wide", "narrow"):
        machine = Machine(dialect, disk=f",freeze={scope}")
        for register, value in ((QUEUE_READY, 0), (QUEUE_RESET, 1)):
            for before in range(5):
                for target in range(4):
                    machine.qtest.fill(RINGS, 0x40000)
                    machine.qtest.fill(BUFFERS, 0x3000)
                    end(machine, scope, register, value, before, target)
        machine.end()
print("qtest: a queue stopped or reset while suspended is the one selected, in both dialects and scopes")
