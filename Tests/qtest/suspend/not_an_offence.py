#!/usr/bin/env python3
"""What no text forbids a driver does not end a strict run: a write to a read-only disk fails, a type of request that no device knows is
unsupported (VIRTIO 1.4, 5.2.3, 5.2.6). usage: not_an_offence.py VMM"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from machine import *  # noqa: E402, F403

for kind, disk, status in ((1, ",ro", 1), (77, "", 2)):
    machine = Machine("draft", "--conform", "strict", disk=disk)
    ring, = machine.start(machine.disk, 1)
    machine.qtest.write(BUFFERS, kind.to_bytes(4, "little") + bytes(12))
    header, data, status_byte = READ
    ring.send([header, (data[0], data[1], kind != 1), status_byte])
    expect(machine.qtest.load(status_byte[0], 1), status, f"status byte of type {kind}")
    code, said = machine.end()
    expect(code, 0, f"exit code of a strict run with type {kind}, which said {said!r}")
print("qtest: strict runs go on after a write to a read-only disk and a request of unknown type")
