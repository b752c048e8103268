"""A driver that is right: it expects of a device what the specifications promise, and nothing more. Its parts are methods, so that a
naive driver differs from it in one (naive.py). It drives a disk, and a source of random bytes if there is one, over qtest.

Time passes with each command, so a driver that waits for something counts how often it has looked; PATIENCE is when it gives up."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cross-check"))
from driver import (  # noqa: E402
    ACKNOWLEDGE, AVAIL, BUFFERS, CONFIG, CONFIG_GENERATION, DEVICE_ID, DRIVER, DRIVER_OK, EVENT_IDX, FEATURES_OK, INDIRECT,
    INDIRECT_DESC, INTERRUPT_ACK, INTERRUPT_STATUS, NEEDS_RESET, NEXT, QUEUE_DESC, QUEUE_DEVICE, QUEUE_DRIVER, QUEUE_NOTIFY,
    QUEUE_READY, QUEUE_RESET, QUEUE_SEL, QUEUE_SIZE, QUEUE_SIZE_MAX, RING_PACKED, RING_RESET, RINGS, STATUS, SUSPEND, USED,
    VERSION, VERSION_1, WRITE)

IN_ORDER = 1 << 35
SUSPEND_DRAFT, SUSPEND_RATIFIED = 1 << 42, 1 << 43
PATIENCE = 400
READ, WRITE_DATA = 0, 1
OK, UNSUPP = 0, 2
SECTOR = 512
DEPTH = 4


class Wrong(Exception):
    """The driver gave up, or what it read or was told is not what it must be."""


class NeedsReset(Exception):
    """The device shows DEVICE_NEEDS_RESET."""


class Split:
    """A split ring (2.7)."""

    def __init__(self, driver, index, size, eventidx):
        self.driver, self.qtest, self.size, self.eventidx = driver, driver.qtest, size, eventidx
        base = RINGS + 0x20000 * index
        self.desc, self.avail, self.used = base, base + 0x8000, base + 0x10000
        self.qtest.fill(base, 0x18000)
        self.free, self.next, self.seen, self.told, self.chains = list(range(size)), 0, 0, 0, {}

    @property
    def areas(self):
        return self.desc, self.avail, self.used

    def add(self, buffers, indirect):
        if len(self.free) < (1 if indirect else len(buffers)):
            return None
        if indirect:
            for n, (address, length, writable) in enumerate(buffers):
                last = n + 1 == len(buffers)
                self.put(indirect + 16 * n, address, length, (WRITE if writable else 0) | (0 if last else NEXT), n + 1)
            slots = [self.free.pop(0)]
            self.put(self.desc + 16 * slots[0], indirect, 16 * len(buffers), INDIRECT, 0)
        else:
            slots = [self.free.pop(0) for _ in buffers]
            for n, (address, length, writable) in enumerate(buffers):
                last = n + 1 == len(buffers)
                self.put(self.desc + 16 * slots[n], address, length, (WRITE if writable else 0) | (0 if last else NEXT),
                         0 if last else slots[n + 1])
        self.chains[slots[0]] = slots
        self.qtest.store(self.avail + 4 + 2 * (self.next % self.size), slots[0], 2)
        self.next += 1
        return slots[0]

    def put(self, place, address, length, flags, following):
        self.qtest.write(place, address.to_bytes(8, "little") + length.to_bytes(4, "little")
                         + flags.to_bytes(2, "little") + following.to_bytes(2, "little"))

    def publish(self):
        self.qtest.store(self.avail + 2, self.next & 0xffff, 2)

    def wants_notification(self):
        """Whether the device asks to be told of the chains that were added since it was told."""
        old, self.told = self.told, self.next
        if self.eventidx:
            event = self.qtest.load(self.used + 4 + 8 * self.size, 2)
            return (self.next - event - 1) & 0xffff < (self.next - old) & 0xffff
        return not self.qtest.load(self.used, 2) & 1

    def suppress(self, on):
        """Asks for no interrupts, or for all."""
        if self.eventidx:
            # Half a lap away, or the next one.
            event = (self.seen + 0x8000 if on else self.seen) & 0xffff
            self.qtest.store(self.avail + 4 + 2 * self.size, event, 2)
        else:
            self.qtest.store(self.avail, int(on), 2)

    @property
    def has_used(self):
        return self.unseen() > 0

    def unseen(self):
        """How many chains have ended that were not taken."""
        return self.qtest.load(self.used + 2, 2) - self.seen & 0xffff

    def take(self):
        """The next used buffer, as its id and length; the ring must have one."""
        place = self.used + 4 + 8 * (self.seen % self.size)
        head, length = self.qtest.load(place), self.qtest.load(place + 4)
        self.seen += 1
        self.release(head)
        return head, length

    def release(self, head):
        if head not in self.chains:
            raise Wrong(f"the used id {head} is no chain in flight")
        self.free += self.chains.pop(head)


class Packed:
    """A packed ring (2.8)."""

    def __init__(self, driver, index, size, eventidx):
        self.driver, self.qtest, self.size, self.eventidx = driver, driver.qtest, size, eventidx
        base = RINGS + 0x20000 * index
        self.desc, self.avail, self.used = base, base + 0x8000, base + 0x10000
        self.qtest.fill(base, 0x18000)
        self.slot, self.wrap, self.seen, self.seen_wrap = 0, 1, 0, 1
        self.room, self.ids, self.chains, self.first, self.count = size, list(range(size)), {}, None, 0

    areas = Split.areas

    def add(self, buffers, indirect):
        if self.room < (1 if indirect else len(buffers)) or not self.ids:
            return None
        entries = [(address, length, WRITE if writable else 0) for address, length, writable in buffers]
        if indirect:
            for n, entry in enumerate(entries):
                self.put(indirect + 16 * n, *entry, 0)
            entries = [(indirect, 16 * len(buffers), INDIRECT)]
        else:
            entries = [(a, l, f | (0 if n + 1 == len(entries) else NEXT)) for n, (a, l, f) in enumerate(entries)]
        name = self.ids.pop(0)
        for n, (address, length, flags) in enumerate(entries):
            flags |= AVAIL if self.wrap else USED
            place = self.desc + 16 * self.slot
            # The first descriptor of what is published together gets its flags last.
            held = n == 0 and self.first is None
            self.put(place, address, length, (flags ^ (AVAIL | USED)) if held else flags, name)
            if held:
                self.first = place + 14, flags
            self.slot += 1
            if self.slot == self.size:
                self.slot, self.wrap = 0, self.wrap ^ 1
        self.room -= len(entries)
        self.count += len(entries)
        self.chains[name] = len(entries)
        return name

    def put(self, place, address, length, flags, name):
        self.qtest.write(place, address.to_bytes(8, "little") + length.to_bytes(4, "little")
                         + name.to_bytes(2, "little") + flags.to_bytes(2, "little"))

    def publish(self):
        if self.first:
            self.qtest.store(*self.first, 2)
            self.first = None

    def wants_notification(self):
        count, self.count = self.count, 0
        event = self.qtest.load(self.used)
        kind = event >> 16 & 3
        if kind != 2:
            return kind == 0
        wanted, wrap = event & 0x7fff, event >> 15 & 1
        # Whether the descriptor that the device names is among the `count` last ones.
        back = self.slot - wanted + (0 if wrap == self.wrap else self.size)
        return 0 < back <= count

    def suppress(self, on):
        if on:
            self.qtest.store(self.avail, 1 << 16)
        elif self.eventidx:
            self.qtest.store(self.avail, 2 << 16 | self.seen | self.seen_wrap << 15)
        else:
            self.qtest.store(self.avail, 0)

    def is_used(self, slot, wrap):
        flags = self.qtest.load(self.desc + 16 * slot + 14, 2)
        return flags & (AVAIL | USED) == (AVAIL | USED if wrap else 0)

    @property
    def has_used(self):
        return self.is_used(self.seen, self.seen_wrap)

    def unseen(self):
        """How many chains have ended that were not taken."""
        slot, wrap, count = self.seen, self.seen_wrap, 0
        while count < len(self.chains) and self.is_used(slot, wrap):
            slot, wrap = self.after(slot, wrap, self.chains[self.name(slot)])
            count += 1
        return count

    def name(self, slot):
        name = self.qtest.load(self.desc + 16 * slot + 12, 2)
        if name not in self.chains:
            raise Wrong(f"the used id {name} is no chain in flight")
        return name

    def after(self, slot, wrap, count):
        """The position `count` descriptors further on."""
        slot += count
        return (slot - self.size, wrap ^ 1) if slot >= self.size else (slot, wrap)

    def take(self):
        name, length = self.name(self.seen), self.qtest.load(self.desc + 16 * self.seen + 8)
        count = self.chains.pop(name)
        self.ids.append(name)
        self.room += count
        self.seen, self.seen_wrap = self.after(self.seen, self.seen_wrap, count)
        return name, length


class Right:
    """The driver. `run` brings the device up, works with it, and stops it in each way that there is."""

    knows = VERSION_1 | INDIRECT_DESC | EVENT_IDX | RING_PACKED | RING_RESET | IN_ORDER | SUSPEND_DRAFT | SUSPEND_RATIFIED

    def __init__(self, board, device, sectors):
        self.board, self.device, self.qtest, self.sectors = board, device, device.qtest, sectors
        self.ring, self.features, self.polls, self.resets, self.ends_reset = None, 0, 0, 0, False

    # Registers

    def get(self, register, width=4):
        return self.device.get(register, width)

    def put(self, register, value, width=4):
        self.device.put(register, value, width)

    def wait(self, what, condition):
        """Looks until `condition` holds; gives up after PATIENCE looks."""
        for _ in range(PATIENCE):
            if condition():
                return
        raise Wrong(f"gave up waiting for {what}; Status {self.get(STATUS):#x}")

    def check_alive(self):
        if self.get(STATUS) & NEEDS_RESET:
            raise NeedsReset

    # Initialisation

    def reset(self):
        self.put(STATUS, 0)
        self.wait("the end of the reset", lambda: self.get(STATUS) == 0)

    def offered(self):
        return self.device.offered(0) | self.device.offered(1) << 32

    def choose(self, offered):
        return offered & self.knows

    def start(self):
        self.reset()
        self.put(STATUS, ACKNOWLEDGE)
        self.put(STATUS, ACKNOWLEDGE | DRIVER)
        self.features = self.choose(self.offered())
        self.device.accept(self.features)
        self.put(STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK)
        if not self.get(STATUS) & FEATURES_OK:
            raise Wrong("FEATURES_OK was refused")
        self.read_configuration()
        self.set_up()
        self.put(STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK)
        self.ring.suppress(False)

    def read_configuration(self):
        """Reads the capacity, which has two halves, in one piece (2.5.1)."""
        def read():
            before = self.get(CONFIG_GENERATION)
            self.capacity = self.get(CONFIG) | self.get(CONFIG + 4) << 32
            return self.get(CONFIG_GENERATION) == before
        self.wait("a configuration that does not change", read)

    def queue_size(self):
        most = self.get(QUEUE_SIZE_MAX)
        if self.features & RING_PACKED:
            return min(most, 8)
        size = 1
        while size * 2 <= min(most, 8):
            size *= 2
        return size

    def set_up(self):
        """Makes queue 0 ready."""
        self.put(QUEUE_SEL, 0)
        size = self.queue_size()
        kind = Packed if self.features & RING_PACKED else Split
        self.ring = kind(self, 0, size, self.features & EVENT_IDX)
        self.put(QUEUE_SIZE, size)
        for register, address in zip((QUEUE_DESC, QUEUE_DRIVER, QUEUE_DEVICE), self.ring.areas):
            self.put(register, address)
            self.put(register + 4, 0)
        self.put(QUEUE_READY, 1)
        if not self.get(QUEUE_READY):
            raise Wrong("the queue is not ready")
        self.requests = {}

    # Requests

    def prepare(self, number, kind, sector, count, byte):
        place = BUFFERS + 0x4000 * number
        self.qtest.write(place, kind.to_bytes(4, "little") + bytes(4) + sector.to_bytes(8, "little"))
        self.qtest.fill(place + 0x1000, count, byte if kind == WRITE_DATA else 0xee)
        self.qtest.fill(place + 0x20, 1, 0xee)
        buffers = [(place, 16, False), (place + 0x1000, count, kind == READ), (place + 0x20, 1, True)]
        return buffers, place + 0x100 if self.features & INDIRECT_DESC else None

    def notify(self):
        self.ring.publish()
        if self.ring.wants_notification():
            self.put(QUEUE_NOTIFY, 0)
        self.board.settle(self)

    def submit(self, requests):
        """Makes requests available, as many as fit, and tells the device once. Returns those that did not fit."""
        rest = list(requests)
        while rest:
            number, kind, sector, count, byte = rest[0]
            name = self.ring.add(*self.prepare(number, kind, sector, count, byte))
            if name is None:
                break
            self.requests[name] = rest.pop(0)
        self.notify()
        return rest

    def perform(self, requests):
        """Performs requests, whatever order they end in, and those that fail once more."""
        failures = 0
        while requests:
            requests = self.submit(requests)
            while self.requests:
                for request in self.collect():
                    if self.status_of(request) == OK:
                        self.check(request)
                    else:
                        failures += 1
                        if failures > 40:
                            raise Wrong("every attempt fails")
                        requests.append(request)

    def collect(self):
        """Waits for an interrupt and returns the requests that have ended; none after an interrupt without a used buffer."""
        self.wait_for_interrupt()
        ended = []
        self.ring.suppress(True)
        while True:
            while self.ring.has_used:
                ended.append(self.take())
            self.ring.suppress(False)
            # One more look: a buffer may have been used before interrupts were enabled again.
            if not self.ring.has_used:
                return ended
            self.ring.suppress(True)

    def take(self):
        name, _ = self.ring.take()
        return self.requests.pop(name)

    def wait_for_interrupt(self):
        def came():
            status = self.get(INTERRUPT_STATUS)
            if not status:
                self.check_alive()
                return False
            self.put(INTERRUPT_ACK, status)
            if status & 2:
                self.configuration_changed()
            return bool(status & 1)
        self.wait("an interrupt", came)

    def configuration_changed(self):
        self.check_alive()
        self.read_configuration()

    def status_of(self, request):
        status = self.qtest.load(BUFFERS + 0x4000 * request[0] + 0x20, 1)
        if status > UNSUPP:
            raise Wrong("a request that has ended has no status byte")
        return status

    def check(self, request):
        number, kind, sector, count, byte = request
        if kind == READ and self.qtest.read(BUFFERS + 0x4000 * number + 0x1000, count) != bytes([byte]) * count:
            raise Wrong(f"sector {sector} has other data than was written")

    def work(self, base):
        """Writes different data to sectors and reads them back."""
        lengths = [(n % 3 + 1) * SECTOR for n in range(DEPTH)]
        self.perform([(n, WRITE_DATA, base + 8 * n, lengths[n], base % 200 + n + 1) for n in range(DEPTH)])
        self.perform([(n, READ, base + 8 * n, lengths[n], base % 200 + n + 1) for n in range(DEPTH)])

    # Ways to stop

    def suspend_bits(self):
        return self.features & (SUSPEND_DRAFT | SUSPEND_RATIFIED)

    def status_is(self, wanted):
        self.check_alive()
        return self.get(STATUS) == wanted

    def suspend(self):
        self.put(STATUS, 0x1f)
        shown = 0x1f if self.features & SUSPEND_DRAFT else 0x1b
        self.wait("the suspend", lambda: self.status_is(shown))

    def resume(self):
        self.put(STATUS, 0x0f if self.features & SUSPEND_DRAFT else 0x1f)
        self.wait("the resume", lambda: self.status_is(0x0f))

    def stop_queue(self):
        self.put(QUEUE_SEL, 0)
        self.put(QUEUE_READY, 0)
        self.wait("the end of the queue", lambda: self.get(QUEUE_READY) == 0)

    def reset_queue(self):
        self.put(QUEUE_SEL, 0)
        self.put(QUEUE_RESET, 1)
        self.wait("the end of the queue's reset", lambda: self.get(QUEUE_RESET) == 0)

    def body(self):
        self.work(64)
        if self.suspend_bits():
            self.suspend()
            self.resume()
            self.work(128)
        if self.features & RING_RESET and self.board.restarts_queues:
            self.reset_queue()
            self.set_up()
            self.ring.suppress(False)
            self.work(192)
        if self.board.restarts_queues:
            self.stop_queue()
            self.set_up()
            self.ring.suppress(False)
            self.work(256)
        # The next life begins with requests in flight.
        self.submit([(n, READ, 64 + 8 * n, SECTOR, 0) for n in range(DEPTH)])
        self.start()
        self.work(320)
        # An event of the configuration may still be on its way.
        self.wait("the whole capacity", lambda: self.capacity == self.sectors or self.look_again())

    def look_again(self):
        if self.get(INTERRUPT_STATUS):
            self.put(INTERRUPT_ACK, self.get(INTERRUPT_STATUS))
            self.configuration_changed()
        return False

    def run(self):
        """Starts again, at most three times, if the device needs a reset."""
        for attempt in range(4):
            try:
                self.start()
                return self.body()
            except NeedsReset:
                if attempt == 3:
                    raise Wrong("the device needs one reset after the other") from None
        return None


class RandomBytes(Right):
    """A right driver of a source of random bytes: it takes as many as it gets."""

    def read_configuration(self):
        self.capacity = self.sectors

    def prepare_bytes(self, count):
        self.qtest.fill(BUFFERS, count)
        return [(BUFFERS, count, True)]

    def fetch(self, count):
        """Returns `count` random bytes."""
        got = 0
        while got < count:
            name = self.ring.add(self.prepare_bytes(count - got), None)
            self.requests[name] = name
            self.notify()
            ended = []
            while not ended:
                ended = self.collect()
            got += self.accept_length(self.length, count - got)

    def accept_length(self, length, room):
        if not 0 < length <= room:
            raise Wrong(f"the used length is {length} of {room}")
        return length

    def take(self):
        name, self.length = self.ring.take()
        return self.requests.pop(name)

    def body(self):
        for count in (64, 16, 200):
            self.fetch(count)
