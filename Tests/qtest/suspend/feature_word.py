#!/usr/bin/env python3
"""A feature bit that is not offered is refused wherever it is, also from 128 up: FEATURES_OK does not stay set, and the clause is reported
(VIRTIO 1.4, 2.2.1, 3.1.1). usage: feature_word.py VMM"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from machine import *  # noqa: E402, F403
from driver import DRIVER_FEATURES, DRIVER_FEATURES_SEL  # noqa: E402

for word in (3, 4, 1000, 0xffffffff):
    machine = Machine("draft", "-v")
    disk = machine.disk
    for status in (0, 1, 3):
        disk.status = status
    disk.accept(1 << 32)
    disk.put(DRIVER_FEATURES_SEL, word)
    disk.put(DRIVER_FEATURES, 1 << 5)
    disk.status = 0x0b
    expect(disk.status, 0x03, f"Status after FEATURES_OK with a bit of word {word}")
    code, said = machine.end()
    expect("the driver broke 2.2.1-1 " in said, True, f"a bit of word {word} is reported in {said!r}")
print("qtest: a feature bit from 128 up that is not offered is refused and reported")
