"""A virtio driver that can violate every rule: a device's registers, a split and a packed ring, written descriptor by
descriptor. It checks nothing (VIRTIO 1.4, 2.7, 2.8 and 4.2)."""
import time

# Registers (4.2.2).
MAGIC, VERSION, DEVICE_ID, VENDOR_ID = 0x000, 0x004, 0x008, 0x00c
DEVICE_FEATURES, DEVICE_FEATURES_SEL, DRIVER_FEATURES, DRIVER_FEATURES_SEL = 0x010, 0x014, 0x020, 0x024
QUEUE_SEL, QUEUE_SIZE_MAX, QUEUE_SIZE, QUEUE_READY, QUEUE_NOTIFY = 0x030, 0x034, 0x038, 0x044, 0x050
INTERRUPT_STATUS, INTERRUPT_ACK, STATUS = 0x060, 0x064, 0x070
QUEUE_DESC, QUEUE_DRIVER, QUEUE_DEVICE = 0x080, 0x090, 0x0a0  # the low halves; the high halves are at + 4
SHM_SEL, SHM_LEN, SHM_BASE = 0x0ac, 0x0b0, 0x0b8
QUEUE_RESET, CONFIG_GENERATION, CONFIG = 0x0c0, 0x0fc, 0x100

# Status bits (2.1).
ACKNOWLEDGE, DRIVER, DRIVER_OK, FEATURES_OK, SUSPEND, NEEDS_RESET, FAILED = 1, 2, 4, 8, 16, 64, 128

# Features (6).
INDIRECT_DESC, EVENT_IDX, VERSION_1, RING_PACKED, RING_RESET = 1 << 28, 1 << 29, 1 << 32, 1 << 34, 1 << 40

# Descriptor flags (2.7.5, 2.8.1).
NEXT, WRITE, INDIRECT, AVAIL, USED = 1, 2, 4, 1 << 7, 1 << 15

# The probes' memory: rings, then buffers.
RINGS, BUFFERS, MEMORY_END = 0x100000, 0x200000, 0x300000


class Device:
    """A virtio-mmio device."""

    def __init__(self, board, base, line):
        self.board, self.qtest, self.base, self.number = board, board.qtest, base, line

    def get(self, register, width=4):
        return self.qtest.load(self.base + register, width)

    def put(self, register, value, width=4):
        self.qtest.store(self.base + register, value, width)

    @property
    def status(self):
        return self.get(STATUS)

    @status.setter
    def status(self, value):
        self.put(STATUS, value)

    @property
    def interrupt(self):
        return self.get(INTERRUPT_STATUS)

    @property
    def line(self):
        """The level of the interrupt line."""
        return "high" if self.qtest.lines.get(self.number) else "low"

    def offered(self, word):
        self.put(DEVICE_FEATURES_SEL, word)
        return self.get(DEVICE_FEATURES)

    def accept(self, features):
        for word in (0, 1):
            self.put(DRIVER_FEATURES_SEL, word)
            self.put(DRIVER_FEATURES, features >> 32 * word & 0xffffffff)

    def negotiate(self, features=0):
        """Initialises the device up to FEATURES_OK (3.1.1)."""
        for status in (0, ACKNOWLEDGE, ACKNOWLEDGE | DRIVER):
            self.status = status
        self.accept(features | VERSION_1)
        self.status = ACKNOWLEDGE | DRIVER | FEATURES_OK

    def place(self, index=0, size=8, desc=None, driver=None, device=None):
        """Writes a queue's registers except QueueReady, and returns the three addresses."""
        base = RINGS + 0x10000 * index
        areas = [base if desc is None else desc, base + 0x4000 if driver is None else driver,
                 base + 0x8000 if device is None else device]
        self.put(QUEUE_SEL, index)
        self.put(QUEUE_SIZE, size)
        for register, address in zip((QUEUE_DESC, QUEUE_DRIVER, QUEUE_DEVICE), areas):
            self.put(register, address & 0xffffffff)
            self.put(register + 4, address >> 32)
        return areas

    def queue(self, index=0, size=8, packed=False, **areas):
        """Enables a queue."""
        addresses = self.place(index, size, **areas)
        self.put(QUEUE_READY, 1)
        return (PackedRing if packed else SplitRing)(self, index, size, *addresses)

    def start(self, features=0, size=8):
        """Initialises the device with its first queue, and returns the queue's ring."""
        self.negotiate(features)
        ring = self.queue(0, size, packed=bool(features & RING_PACKED))
        self.status = 0x0f
        return ring


class Ring:
    """The common part of both ring formats. A buffer is (address, length, writable)."""

    TIMEOUT = 0.5  # seconds until a reset makes the device complete what it has in flight

    def __init__(self, device, index, size, desc, driver, area):
        self.device, self.qtest, self.index, self.size = device, device.qtest, index, size
        self.desc, self.driver, self.area = desc, driver, area
        self.done = 0  # used buffers that were taken

    def notify(self):
        """Sends an available buffer notification."""
        self.device.put(QUEUE_NOTIFY, self.index)

    def send(self, buffers, **how):
        """Makes a chain available, notifies, and returns its result."""
        self.add(buffers, **how)
        self.notify()
        return self.result()

    def result(self, count=1):
        """The result of the next `count` chains: 'used LENGTH ...', 'needs reset' or 'not used'. After the timeout the
        device is reset, which returns only when nothing is in flight; so no result depends on the timeout's length."""
        late = self.device.board.completes_late
        deadline = time.monotonic() + self.TIMEOUT
        while True:
            lengths = self.lengths(count)
            if len(lengths) == count:
                break
            if self.device.status & NEEDS_RESET:
                return "needs reset"
            if not late or time.monotonic() > deadline:
                self.device.status = 0
                lengths = self.lengths(count)
                break
            time.sleep(0.0005)
        self.done += len(lengths)
        return " ".join(["used"] + [str(length) for length in lengths]) if lengths else "not used"


class SplitRing(Ring):
    """A split ring (2.7)."""

    def __init__(self, *places):
        super().__init__(*places)
        self.free = 0  # the next descriptor of the table
        self.available = 0

    def describe(self, slot, address, length, flags=0, following=0, table=None):
        descriptor = b"".join(
            value.to_bytes(size, "little")
            for value, size in ((address, 8), (length, 4), (flags, 2), (following, 2)))
        self.qtest.write((self.desc if table is None else table) + 16 * slot, descriptor)

    def add(self, buffers, indirect=None):
        """Makes a chain available, with an indirect table at the address `indirect` if given, and returns its head."""
        head = self.free
        if indirect is None:
            slots = [(head + count) % self.size for count in range(len(buffers) + 1)]
            self.chain(buffers, slots)
        else:
            slots = [head, (head + 1) % self.size]
            self.chain(buffers, range(len(buffers) + 1), table=indirect)
            self.describe(head, indirect, 16 * len(buffers), INDIRECT)
        self.free = slots[-1]
        self.offer(head)
        return head

    def chain(self, buffers, slots, table=None):
        for count, (address, length, writable) in enumerate(buffers):
            flags = (WRITE if writable else 0) | (0 if count + 1 == len(buffers) else NEXT)
            self.describe(slots[count], address, length, flags, slots[count + 1], table)

    def offer(self, head):
        """Writes a head to the available ring and increments the index."""
        self.qtest.store(self.driver + 4 + 2 * (self.available % self.size), head, 2)
        self.available += 1
        self.qtest.store(self.driver + 2, self.available & 0xffff, 2)

    def lengths(self, count):
        index = self.qtest.load(self.area + 2, 2)
        used = min((index - self.done) & 0xffff, count)
        return [self.qtest.load(self.area + 8 + 8 * ((self.done + n) % self.size)) for n in range(used)]

    # Flags and event words (2.7.6 to 2.7.10).
    def set_flags(self, value):
        self.qtest.store(self.driver, value, 2)

    def set_used_event(self, value):
        self.qtest.store(self.driver + 4 + 2 * self.size, value, 2)

    @property
    def avail_event(self):
        return self.area + 4 + 8 * self.size


class PackedRing(Ring):
    """A packed ring (2.8)."""

    def __init__(self, *places):
        super().__init__(*places)
        self.slot, self.wrap = 0, True  # the position of the next chain
        self.chains = []  # the number of descriptors of each chain; the device uses them in order
        self.used_slot, self.used_wrap = 0, True

    def describe(self, slot, address, length, buffer_id=0, flags=0, table=None):
        descriptor = b"".join(
            value.to_bytes(size, "little")
            for value, size in ((address, 8), (length, 4), (buffer_id, 2), (flags, 2)))
        self.qtest.write((self.desc if table is None else table) + 16 * slot, descriptor)

    def add(self, buffers, indirect=None, buffer_id=0, flags=0):
        """Makes a chain available, with an indirect table at the address `indirect` if given."""
        if indirect is not None:
            for count, (address, length, writable) in enumerate(buffers):
                self.describe(count, address, length, 0, (WRITE if writable else 0) | flags, table=indirect)
            descriptors = [(indirect, 16 * len(buffers), INDIRECT)]
        else:
            descriptors = [
                (address, length, (WRITE if writable else 0) | (0 if count + 1 == len(buffers) else NEXT))
                for count, (address, length, writable) in enumerate(buffers)]
        self.chains.append(len(descriptors))
        for address, length, kind in descriptors:
            self.describe(self.slot, address, length, buffer_id, kind | (AVAIL if self.wrap else USED))
            self.slot, self.wrap = advance(self.slot, self.wrap, 1, self.size)

    def lengths(self, count):
        """Element Length of the used descriptors, one for each chain; the position advances if there are `count`."""
        found = []
        slot, wrap = self.used_slot, self.used_wrap
        for chain in self.chains[self.done:self.done + count]:
            flags = self.qtest.load(self.desc + 16 * slot + 14, 2)
            if flags & (AVAIL | USED) != (AVAIL | USED if wrap else 0):
                break
            found.append(self.qtest.load(self.desc + 16 * slot + 8))
            slot, wrap = advance(slot, wrap, chain, self.size)
        if len(found) == count:
            self.used_slot, self.used_wrap = slot, wrap
        return found

    def set_events(self, flags, position=0):
        self.qtest.store(self.driver, flags << 16 | position)


def advance(slot, wrap, count, size):
    slot += count
    return (slot - size, not wrap) if slot >= size else (slot, wrap)
