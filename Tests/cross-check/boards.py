"""The two boards: their command lines, the addresses of their devices, and how console output is read. Both have
128 MiB of memory, a console with a second port, a writable disk of 16 MiB and a read-only one of 1 MiB."""
import os
import time

from driver import Device
from qtest import QTest

MEMORY = 128 << 20
PORT_NAME = "second"
DISK_ID = "blk0"


class Board:
    """A running machine."""

    def __init__(self, work):
        self.work = work
        for name, size in (("disk", 16 << 20), ("read-only", 1 << 20)):
            path = os.path.join(work, f"{self.name}-{name}")
            with open(path, "wb") as file:
                file.truncate(size)
        with open(os.path.join(work, f"{self.name}.log"), "ab") as log:
            self.qtest = QTest(self.command(), log)
        for name, (base, line) in zip(("console", "disk", "read_only"), self.windows()):
            setattr(self, name, Device(self, base, line))

    def path(self, name):
        return os.path.join(self.work, f"{self.name}-{name}")

    def close(self):
        self.qtest.close()


class VMM(Board):
    """vmm."""

    name = "vmm"
    program = "vmm"
    completes_late = False  # requests complete before the answer to the notification

    def command(self):
        return [self.program, "--qtest", "stdio", "--suspend", "off", "--port", f"null,name={PORT_NAME}",
                "-d", f"{self.path('disk')},id={DISK_ID},features=+packed", "-d", f"{self.path('read-only')},ro"]

    def windows(self):
        return [(0xd0000000 + 0x1000 * slot, 5 + slot) for slot in range(3)]

    def output(self, size):
        """Waits for `size` bytes of output at port 0, and returns the output since the last call."""
        return bytes.fromhex(self.qtest.say("x-output console0")[2:])


class QEMU(Board):
    """QEMU's microvm, with the processor stopped, because not every distribution's build has the qtest accelerator."""

    name = "QEMU"
    program = "qemu-system-x86_64"
    completes_late = True

    def command(self):
        return [self.program, "-M", "microvm,acpi=off", "-accel", "tcg", "-S", "-m", str(MEMORY >> 20), "-nodefaults",
                "-no-user-config", "-display", "none", "-qtest", "stdio", "-qtest-log", "none",
                "-global", "virtio-mmio.force-legacy=false",
                "-chardev", f"file,id=zero,path={self.path('output')}", "-chardev", "null,id=one",
                "-device", "virtio-serial-device,max_ports=2", "-device", "virtconsole,chardev=zero",
                "-device", f"virtserialport,chardev=one,name={PORT_NAME}",
                "-drive", f"if=none,id=disk,format=raw,file={self.path('disk')}",
                "-device", f"virtio-blk-device,packed=on,drive=disk,serial={DISK_ID}",
                "-drive", f"if=none,id=ro,format=raw,readonly=on,file={self.path('read-only')}",
                "-device", "virtio-blk-device,drive=ro"]

    def windows(self):
        # Eight transports, assigned from the last.
        return [(0xfeb00000 + 0x200 * slot, 5 + slot) for slot in (7, 6, 5)]

    def output(self, size):
        """Waits for `size` bytes of output at port 0, and returns the output since the last call."""
        self.seen = getattr(self, "seen", 0)
        deadline = time.monotonic() + 5
        while os.path.getsize(self.path("output")) < self.seen + size and time.monotonic() < deadline:
            time.sleep(0.001)
        with open(self.path("output"), "rb") as file:
            file.seek(self.seen)
            data = file.read()
        self.seen += len(data)
        return data
