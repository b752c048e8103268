"""A vmm that a script drives over qtest, for the scripts in suspend/. The driver is that of the cross-check."""
import os
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cross-check"))

from driver import (  # noqa: E402
    BUFFERS, FAILED, QUEUE_READY, QUEUE_RESET, QUEUE_SEL, QUEUE_SIZE_MAX, RING_RESET, RINGS, SUSPEND,
    Device)
from qtest import QTest  # noqa: E402

DIALECTS = ("draft", "1.4")
FEATURE = {"draft": 1 << 42, "1.4": 1 << 43}
SUSPENDED = {"draft": 0x1f, "1.4": 0x1b}
RESUME = {"draft": 0x0f, "1.4": 0x1f}
RUNNING = 0x0f
BLK_MQ = 1 << 12

# A read of sector 0: header, data, status byte.
READ = [(BUFFERS, 16, False), (BUFFERS + 0x1000, 512, True), (BUFFERS + 0x2000, 1, True)]


def expect(found, expected, what):
    if found != expected:
        sys.exit(f"{os.path.basename(sys.argv[0])}: {what}: {found!r}, not {expected!r}")


class Machine:
    """A running vmm with a console and one disk of 64 KiB, which has four queues."""

    completes_late = False

    def __init__(self, dialect, *options, disk=""):
        self.dialect = dialect
        self.log = tempfile.TemporaryFile()
        with tempfile.NamedTemporaryFile() as image:
            image.truncate(1 << 16)
            self.qtest = QTest([sys.argv[1], "--qtest", "stdio", "--suspend", dialect,
                                "-d", f"{image.name},queues=4{disk}", *options], self.log)
        self.console, self.disk = (Device(self, 0xd0000000 + 0x1000 * slot, 5 + slot) for slot in (0, 1))

    def start(self, device, queues, features=0):
        """Initialises the device with SUSPEND and `queues` queues, and returns their rings."""
        device.negotiate(features | FEATURE[self.dialect])
        expect(device.status, 0x0b, "Status after FEATURES_OK")
        rings = [device.queue(index) for index in range(queues)]
        device.status = RUNNING
        return rings

    def suspend(self, device, failed=0):
        device.status = RUNNING | SUSPEND | failed
        expect(device.status, SUSPENDED[self.dialect] | failed, f"{self.dialect}: Status after SUSPEND")

    def resume(self, device, failed=0):
        device.status = RESUME[self.dialect] | failed
        expect(device.status, RUNNING | failed, f"{self.dialect}: Status after the resume")

    def end(self):
        """Ends the machine, and returns its exit code and what it said."""
        self.qtest.process.stdin.close()
        code = self.qtest.process.wait(60)
        self.qtest.process.stdout.close()
        self.log.seek(0)
        with self.log:
            return code, self.log.read().decode()
