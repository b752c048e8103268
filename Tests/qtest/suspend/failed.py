#!/usr/bin/env python3
"""A driver that sets FAILED and then polls for SUSPEND reads it, and can resume the device (V14-DEV-8, V14-DEV-9; D-14). usage:
failed.py VMM"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from machine import *  # noqa: E402, F403

for dialect in DIALECTS:
    machine = Machine(dialect)
    machine.start(machine.disk, 1)
    machine.disk.status = RUNNING | FAILED
    machine.suspend(machine.disk, FAILED)
    machine.resume(machine.disk, FAILED)
    machine.end()
print("qtest: a device with FAILED set suspends and resumes, in both dialects")
