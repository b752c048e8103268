#!/usr/bin/env python3
"""An emergency write to a suspended console under --conform strict: 1.4 performs it and reports no violation, the draft ignores it and
reports V5-DRV-7 (5.3.5.1, D-15). usage: emergency_write.py VMM"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from machine import *  # noqa: E402, F403

for dialect, output, code, clause in (("1.4", "0x78", 0, "V14-DRV-5"), ("draft", "0x", 65, "V5-DRV-7")):
    machine = Machine(dialect, "--conform", "strict")
    console = machine.console
    machine.start(console, 2)
    machine.suspend(console)
    console.put(0x108, ord("x"))
    expect(machine.qtest.say("x-output console0"), output, f"{dialect}: output of a suspended console")
    if dialect == "1.4":
        machine.resume(console)
    found, said = machine.end()
    expect(found, code, f"{dialect}: exit code of a strict run")
    expect(clause in said, code == 65, f"{dialect}: {clause} in {said!r}")
print("qtest: 1.4 performs an emergency write while suspended and reports no violation, the draft ignores and reports it")
