"""What the scripts of the law share: the register of clauses, and a machine to see them on. The driver and the client of the
protocol are those of the cross-check."""
import inspect
import json
import os
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cross-check"))

from driver import (  # noqa: E402
    BUFFERS, DRIVER_OK, EVENT_IDX, FEATURES_OK, INTERRUPT_ACK, NEEDS_RESET, QUEUE_NOTIFY, QUEUE_READY, QUEUE_SEL, RING_PACKED,
    RINGS, SUSPEND, WRITE, Device, PackedRing, SplitRing, advance)
from qtest import QTest  # noqa: E402

DIALECTS = ("draft", "1.4")
SUSPEND_FEATURE = {"draft": 1 << 42, "1.4": 1 << 43}
SUSPENDED = {"draft": 0x1f, "1.4": 0x1b}
RESUME = {"draft": 0x0f, "1.4": 0x1f}
RUNNING = 0x0f
IN_ORDER, NOTIFICATION_DATA = 1 << 35, 1 << 38

# Request types, and the answers of a disk (5.2.6).
IN, OUT, FLUSH, GET_ID, DISCARD, WRITE_ZEROES, SECURE_ERASE = 0, 1, 4, 8, 11, 13, 14
OK, IOERR, UNSUPP = 0, 1, 2
BLK_FLUSH, BLK_CONFIG_WCE, BLK_MQ, BLK_DISCARD, BLK_WRITE_ZEROES = 1 << 9, 1 << 11, 1 << 12, 1 << 13, 1 << 14
UNTOUCHED = 0xee

REGISTER = []  # what `law` registered, in the order of the files


class Broken(Exception):
    """What an observer saw is not what the clause says."""


def law(*clauses, dialects=(None,), rings=(False,), options=()):
    """Registers a function that sees clauses. It runs once for each dialect (None: the machine's default) and each ring form
    (True: packed), with a machine of its own that has the options; its documentation is what the observer sees."""
    def register(function):
        file = os.path.splitext(os.path.basename(inspect.getfile(function)))[0]
        for dialect in dialects:
            for packed in rings:
                parts = [file, function.__name__] + [dialect or ""] + (["packed" if packed else "split"] if len(rings) > 1 else [])
                name = " ".join(part for part in parts if part)
                REGISTER.append((name, clauses, function, dialect, packed, options))
        return function
    return register


both_rings, both_dialects = (False, True), DIALECTS


def expect(found, expected, what):
    if found != expected:
        shown = [hex(value) if isinstance(value, int) and not isinstance(value, bool) else repr(value)[:200] for value in (found, expected)]
        raise Broken(f"{what}: {shown[0]}, not {shown[1]}")


class Machine:
    """A vmm with its default board and a network device, for one function of the law."""

    completes_late = False  # requests complete before the answer to the notification

    def __init__(self, program, dialect, packed, options):
        self.dialect, self.packed, self.log = dialect or "draft", packed, tempfile.TemporaryFile()
        self.files = [tempfile.NamedTemporaryFile() for option in options if "FILE" in option]
        command, files = [program, "--qtest", "stdio"], iter(self.files)
        for option in options:
            if "FILE" in option:
                file = next(files)
                file.truncate(1 << 20)
                option = option.replace("FILE", file.name)
            command.append(option)
        if dialect:
            command += ["--suspend", dialect]
        self.qtest = QTest(command, self.log)
        self.slots = {}
        for slot in range(8):
            base = 0xd0000000 + 0x1000 * slot
            kind = self.qtest.load(base + 8) if self.qtest.load(base) == 0x74726976 else None
            if kind:
                name = {1: "net", 2: "blk", 3: "console", 4: "rng"}[kind]
                name += str(sum(other.startswith(name) for other in self.slots))
                self.slots[name] = Device(self, base, 5 + slot)
                self.slots[name].name = name
        if not {"blk0", "console0"} <= self.slots.keys():
            raise Broken(f"the board's devices are {' '.join(self.slots) or 'none'}: MagicValue or DeviceID reads wrong")

    def __getattr__(self, name):
        try:
            return self.__dict__["slots"][name]
        except KeyError:
            raise AttributeError(name) from None

    @property
    def disk(self):
        return self.slots["blk0"]

    @property
    def console(self):
        return self.slots["console0"]

    def say(self, line):
        return self.qtest.say(line)

    def state(self, device):
        return json.loads(self.say(f"x-state {device.name}"))

    @property
    def suspend_feature(self):
        return SUSPEND_FEATURE[self.dialect]

    def negotiate(self, device, features=0, suspend=True):
        """Initialises a device up to FEATURES_OK, with the case's ring form and SUSPEND, and clears the rings' memory."""
        self.qtest.fill(RINGS, 0x60000)
        device.negotiate(features | (RING_PACKED if self.packed else 0) | (self.suspend_feature if suspend else 0))
        expect(device.status & FEATURES_OK, FEATURES_OK, "FEATURES_OK")

    def start(self, device, features=0, queues=(0,), size=8, suspend=True):
        """Initialises a device, and returns the rings of its queues."""
        self.negotiate(device, features, suspend)
        rings = [device.queue(index, size, packed=self.packed) for index in queues]
        device.status = RUNNING
        expect(device.status, RUNNING, "Status of a running device")
        return rings

    def suspend(self, device):
        device.status = RUNNING | SUSPEND

    def resume(self, device):
        device.status = RESUME[self.dialect]

    def suspended(self, device):
        """Suspends, and checks the acknowledgement."""
        self.suspend(device)
        expect(device.status, SUSPENDED[self.dialect], "Status after SUSPEND")

    def resumed(self, device):
        """Resumes, and checks the acknowledgement."""
        self.resume(device)
        expect(device.status, RUNNING, "Status after the resume")

    def acknowledge(self, device):
        """Acknowledges what InterruptStatus shows, and returns it."""
        value = device.interrupt
        device.put(INTERRUPT_ACK, value)
        return value

    def close(self):
        self.qtest.close()
        self.log.close()
        for file in self.files:
            file.close()

    # Requests of a disk: number n has its own memory.

    def request(self, n, kind, sector=0, data=b"", room=0, padding=0):
        """Writes request n into memory, and returns its buffers: header, data, room for data, status byte."""
        base = BUFFERS + 0x4000 * n
        self.qtest.write(base, kind.to_bytes(4, "little") + bytes(4) + sector.to_bytes(8, "little"))
        self.qtest.fill(base + 16, 0x3ff0, UNTOUCHED)
        buffers = [(base, 16, False)]
        if data:
            self.qtest.write(base + 0x400, data)
            buffers.append((base + 0x400, len(data), False))
        if room:
            buffers.append((base + 0x400, room, True))
        return buffers + [(base + 16, 1, True)]

    def answer(self, n):
        """The status byte of request n; UNTOUCHED before it completes."""
        return self.qtest.load(BUFFERS + 0x4000 * n + 16, 1)

    def data(self, n, size):
        return self.qtest.read(BUFFERS + 0x4000 * n + 0x400, size)


def read_used(ring):
    """Used entries that the driver has not taken: (head or buffer id, length), which it then takes."""
    found = []
    if isinstance(ring, SplitRing):
        index = ring.qtest.load(ring.area + 2, 2)
        while ring.done & 0xffff != index:
            at = ring.area + 4 + 8 * (ring.done % ring.size)
            found.append((ring.qtest.load(at), ring.qtest.load(at + 4)))
            ring.done += 1
        return found
    while ring.done < len(ring.chains):
        at = ring.desc + 16 * ring.used_slot
        flags = ring.qtest.load(at + 14, 2)
        if flags & 0x8080 != (0x8080 if ring.used_wrap else 0):
            break
        found.append((ring.qtest.load(at + 12, 2), ring.qtest.load(at + 8)))
        ring.used_slot, ring.used_wrap = advance(ring.used_slot, ring.used_wrap, ring.chains[ring.done], ring.size)
        ring.done += 1
    return found


def used_words(ring):
    """The memory that a device writes when it uses a buffer: to compare."""
    if isinstance(ring, SplitRing):
        return ring.qtest.read(ring.area, 6 + 8 * ring.size)
    return ring.qtest.read(ring.desc, 16 * ring.size) + ring.qtest.read(ring.area, 4)


def wants_notification(ring, before):
    """Whether the driver must notify: `before` is where the last chain was put, an index (split) or (slot, wrap)."""
    features = ring.device.board.state(ring.device)["driverFeatures"]
    event_idx = int(features, 16) & EVENT_IDX
    if isinstance(ring, SplitRing):
        if not event_idx:
            return not ring.qtest.load(ring.area, 2) & 1
        return ring.qtest.load(ring.avail_event, 2) == before & 0xffff
    word = ring.qtest.load(ring.area)
    flags = word >> 16 & 3
    if flags == 2:
        return (word & 0x7fff, bool(word >> 15 & 1)) == before
    return flags == 0


def where(ring):
    """The position of the next chain, as `wants_notification` takes it."""
    return ring.available if isinstance(ring, SplitRing) else (ring.slot, ring.wrap)
