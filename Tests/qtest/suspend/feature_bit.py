#!/usr/bin/env python3
"""Each dialect offers its own feature bit; -v says that the draft's is a device-type bit in VIRTIO 1.4 (D-1). usage: feature_bit.py VMM"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from machine import *  # noqa: E402, F403

for dialect in DIALECTS:
    machine = Machine(dialect, "-v")
    for device in (machine.console, machine.disk):
        offered = device.offered(1) << 32 & (FEATURE["draft"] | FEATURE["1.4"])
        expect(offered, FEATURE[dialect], f"{dialect}: SUSPEND bits offered")
    code, said = machine.end()
    expect("feature bit 42, a device-type bit in VIRTIO 1.4" in said, dialect == "draft", f"{dialect}: -v says {said!r}")
print("qtest: -v says that the draft's feature bit is a device-type bit in VIRTIO 1.4")
