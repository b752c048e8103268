#!/usr/bin/env python3
"""What a suspended draft device does with a read that it retained past the drain deadline: the data arrive in the request's buffer; the
status byte, the used entry and the interrupt wait for the resume (D-11). usage: retained_request.py VMM"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from machine import *  # noqa: E402, F403


def visible(machine, ring):
    """The first data byte, the status byte, the used index, InterruptStatus."""
    data, status = (machine.qtest.load(READ[part][0], 1) for part in (1, 2))
    return data, status, machine.qtest.load(ring.area + 2, 2), machine.disk.interrupt


machine = Machine("draft")
ring, = machine.start(machine.disk, 1)
machine.qtest.fill(READ[1][0], 0x2000, 0xff)
machine.qtest.say("x-hold blk0")
ring.add(READ)
ring.notify()
machine.disk.status = RUNNING | SUSPEND
expect(machine.disk.status, RUNNING, "Status with a read in flight")
machine.qtest.say("x-deadline blk0")
expect(machine.disk.status, SUSPENDED["draft"], "Status after the drain deadline")
expect(visible(machine, ring), (0xff, 0xff, 0, 0), "data, status byte, used index, InterruptStatus of a retained read")
machine.qtest.say("x-release blk0")
expect(visible(machine, ring), (0, 0xff, 0, 0), "the same when the backend has read")
machine.resume(machine.disk)
expect(visible(machine, ring), (0, 0, 1, 1), "the same after the resume")
machine.end()
print("qtest: a retained read's data arrive while suspended, all else of it after the resume")
