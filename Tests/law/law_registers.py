"""The registers of virtio-mmio, configuration space and queue reset (VIRTIO 1.4, 2.5, 2.6 and 4.2)."""
from driver import (
    CONFIG, CONFIG_GENERATION, DEVICE_ID, FEATURES_OK, INTERRUPT_ACK, MAGIC, QUEUE_DESC, QUEUE_NOTIFY, QUEUE_READY,
    QUEUE_RESET, QUEUE_SEL, QUEUE_SIZE, QUEUE_SIZE_MAX, RINGS, RING_RESET, SHM_BASE, SHM_LEN, SHM_SEL, VERSION,
    VERSION_1)
from law import IN, OK, RUNNING, UNTOUCHED, both_dialects, both_rings, expect, law, read_used, used_words

NET = ("--net", "null")
MANY = ("-d", "FILE,queues=4,queue-size=1024", "--net", "null,queues=2", "--rng", "seed=1")


@law("4.2.2.1-1", "4.2.2.1-2", dialects=both_dialects, options=NET)
def identity(c):
    """MagicValue reads 0x74726976 and Version 2, before the driver and in every state of Status."""
    for name, device in c.slots.items():
        for status in (0, 1, 3):
            device.status = status
            expect((device.get(MAGIC), device.get(VERSION)), (0x74726976, 2), f"{name}: MagicValue and Version")
        expect(device.get(DEVICE_ID), {"net": 1, "blk": 2, "console": 3, "rng": 4}[name[:-1]], f"{name}: DeviceID")


@law("4.2.2-0a", options=MANY)
def queues_that_do_not_exist(c):
    """QueueSizeMax reads 0 for a queue that does not exist; the number of queues is that of the device type."""
    counts = {"blk0": 4, "console0": 2, "rng0": 1, "net0": 5}
    for name, count in counts.items():
        device = c.slots[name]
        found = []
        for index in list(range(12)) + [0xffff, 0x10000, 0xffffffff]:
            device.put(QUEUE_SEL, index)
            if device.get(QUEUE_SIZE_MAX):
                found.append(index)
        expect(found, list(range(count)), f"{name}: queues")


@law("4.2.2-0c", "2.10.2-1", options=NET)
def no_shared_memory(c):
    """SHMLen and SHMBase read all ones for each region: there are none, and so none that controls a device."""
    for name, device in c.slots.items():
        for region in (0, 1, 255, 0xffffffff):
            device.put(SHM_SEL, region)
            found = [device.get(register) for register in (SHM_LEN, SHM_LEN + 4, SHM_BASE, SHM_BASE + 4)]
            expect(found, [0xffffffff] * 4, f"{name}: region {region}")


@law("4.2.2-0b", dialects=both_dialects, rings=both_rings)
def queue_ready_reads_what_was_written(c):
    """QueueReady reads 1 after 1 and 0 after 0, per queue, and selects with QueueSel."""
    c.negotiate(c.console)
    c.console.queue(0, 8, packed=c.packed)
    c.console.put(QUEUE_SEL, 1)
    expect(c.console.get(QUEUE_READY), 0, "QueueReady of queue 1")
    c.console.put(QUEUE_SEL, 0)
    expect(c.console.get(QUEUE_READY), 1, "QueueReady of queue 0")
    c.console.put(QUEUE_READY, 0)
    expect(c.console.get(QUEUE_READY), 0, "QueueReady of queue 0, stopped")


@law("4.2.2.1-7", rings=both_rings)
def stopped_queue_is_left_alone(c):
    """A queue whose QueueReady reads 0 is not accessed, with a buffer in it and a notification, nor by a request that was held."""
    ring, = c.start(c.disk)
    c.say("x-hold blk0")
    ring.add(c.request(0, IN, room=512))
    ring.notify()
    c.disk.put(QUEUE_READY, 0)
    expect(c.disk.get(QUEUE_READY), 0, "QueueReady")
    ring.add(c.request(1, IN, room=512))
    before = used_words(ring)
    c.say("x-release blk0")
    ring.notify()
    expect(used_words(ring), before, "the ring after the release and a notification")
    expect((c.answer(0), c.answer(1)), (UNTOUCHED, UNTOUCHED), "the status bytes")
    expect((c.disk.status, c.disk.interrupt), (RUNNING, 0), "Status and InterruptStatus")


@law("4.2.2.1-3", "4.2.2.1-4", "4.2.3.4-0", "D-6", dialects=both_dialects, rings=both_rings)
def interrupt_bits(c):
    """Bit 0 for a used buffer, bit 1 for a configuration change, each until acknowledged, alone or together; the line follows."""
    ring, = c.start(c.disk)
    expect((c.disk.interrupt, c.disk.line), (0, "low"), "InterruptStatus and line at first")
    ring.send(c.request(0, IN, room=512))
    expect((c.disk.interrupt, c.disk.line), (1, "high"), "after a used buffer")
    c.say("x-capacity blk0 100")
    expect((c.disk.interrupt, c.disk.line), (3, "high"), "after a configuration change")
    c.disk.put(INTERRUPT_ACK, 1)
    expect((c.disk.interrupt, c.disk.line), (2, "high"), "after an acknowledgement of bit 0")
    c.disk.put(INTERRUPT_ACK, 1)
    expect((c.disk.interrupt, c.disk.line), (2, "high"), "after another one")
    c.disk.put(INTERRUPT_ACK, 0xfffffffc)
    expect((c.disk.interrupt, c.disk.line), (2, "high"), "after one of undefined bits")
    c.disk.put(INTERRUPT_ACK, 2)
    expect((c.disk.interrupt, c.disk.line), (0, "low"), "after one of bit 1")


@law("4.2.2.1-3", "2.7.8.2-1", "2.7.7.2-3", rings=both_rings)
def order_of_use_and_interrupt(c):
    """When the line rises, the used entry, the status byte and InterruptStatus are there; held, none of them is."""
    ring, = c.start(c.disk)
    c.say("x-hold blk0")
    ring.add(c.request(0, IN, room=512))
    ring.notify()
    expect((read_used(ring), c.answer(0), c.disk.interrupt, c.disk.line), ([], UNTOUCHED, 0, "low"), "held")
    c.say("x-release blk0")
    expect((read_used(ring), c.answer(0), c.disk.interrupt, c.disk.line), ([(0, 513)], OK, 1, "high"), "released")


@law("4.2.2.1-6", "2.5.2-1", "5.2.6.2-2", "3.2.1-0", dialects=both_dialects)
def generation(c):
    """ConfigGeneration changes with the bytes of the configuration space, and only then; two reads of a field between equal
    generations belong together."""
    c.start(c.disk)
    old = c.disk.get(CONFIG_GENERATION)
    expect(c.disk.get(CONFIG_GENERATION), old, "ConfigGeneration without a change")
    low = c.disk.get(CONFIG)
    c.say(f"x-capacity blk0 {0x500000001:#x}")
    high = c.disk.get(CONFIG + 4)
    new = c.disk.get(CONFIG_GENERATION)
    expect(new != old, True, "a torn read shows in ConfigGeneration")
    expect((low, high), (0x8000, 5), "a torn capacity")
    expect((c.disk.get(CONFIG), c.disk.get(CONFIG + 4), c.disk.get(CONFIG_GENERATION)), (1, 5, new), "capacity read again")
    expect(c.disk.interrupt, 2, "InterruptStatus")


@law("4.2.2.1-6", "2.5.2-1", "3.2.1-0")
def change_before_driver_ok(c):
    """A change before DRIVER_OK shows in the field and in ConfigGeneration. If the driver may have read the field, since FEATURES_OK, it is
    notified at DRIVER_OK, not before."""
    def change():
        old = c.disk.get(CONFIG_GENERATION)
        capacity = c.disk.get(CONFIG) + 1
        c.say(f"x-capacity blk0 {capacity}")
        expect(c.disk.get(CONFIG), capacity, "capacity")
        expect(c.disk.get(CONFIG_GENERATION) != old, True, "ConfigGeneration changed")
        expect((c.disk.interrupt, c.disk.line), (0, "low"), "InterruptStatus and line before DRIVER_OK")
    for status in (1, 3):
        c.disk.status = status
        change()
    c.disk.accept(VERSION_1)
    for status in (0xb, RUNNING):
        c.disk.status = status
    expect((c.disk.status, c.disk.interrupt), (RUNNING, 0), "Status and InterruptStatus after a change before FEATURES_OK")
    c.negotiate(c.disk)
    change()
    c.negotiate(c.disk)
    c.disk.status = RUNNING
    expect(c.disk.interrupt, 0, "InterruptStatus after a reset")
    c.negotiate(c.disk)
    change()
    c.disk.status = RUNNING
    expect((c.disk.interrupt, c.disk.line), (2, "high"), "InterruptStatus and line at DRIVER_OK")


@law("2.5.2-1", options=NET)
def fields_before_features_ok(c):
    """Every field of an offered feature reads the same before FEATURES_OK, at Status 0 too, as afterwards; by 1, 2 and 4 bytes."""
    sizes = {"blk": 60, "console": 8, "net": 12, "rng": 0}
    for name, device in c.slots.items():
        size = sizes[name[:-1]]
        first = [device.get(CONFIG + at, 1) for at in range(size)]
        device.negotiate(device.offered(0) | device.offered(1) << 32)
        expect(device.status & FEATURES_OK, FEATURES_OK, f"{name}: FEATURES_OK")
        expect([device.get(CONFIG + at, 1) for at in range(size)], first, f"{name}: the fields after FEATURES_OK")
        words = [device.get(CONFIG + at, 4) for at in range(0, size, 4)]
        expect(b"".join(word.to_bytes(4, "little") for word in words), bytes(first), f"{name}: by 4 bytes")
        halves = [device.get(CONFIG + at, 2) for at in range(0, size, 2)]
        expect(b"".join(half.to_bytes(2, "little") for half in halves), bytes(first), f"{name}: by 2 bytes")


@law("4.2.2.1-10", "4.2.2.1-12", "4.2.2.1-9", "2.6.1.1.1-1", "2.6.1.1.1-2", "2.6.1.2.1-1", dialects=both_dialects,
     rings=both_rings)
def queue_reset(c):
    """After a queue reset with a request held, QueueReset and QueueReady read 0; the old ring is not written any more, no interrupt
    comes, and the queue starts from 0 with other addresses and another size."""
    ring, = c.start(c.disk, RING_RESET)
    for n in range(3):
        ring.send(c.request(n, IN, room=512))
    c.acknowledge(c.disk)
    c.say("x-hold blk0")
    ring.add(c.request(3, IN, room=512))
    ring.notify()
    ring.add(c.request(4, IN, room=512))
    before = used_words(ring)
    c.disk.put(QUEUE_RESET, 1)
    expect((c.disk.get(QUEUE_RESET), c.disk.get(QUEUE_READY)), (0, 0), "QueueReset and QueueReady")
    c.say("x-release blk0")
    expect(used_words(ring), before, "the old ring")
    expect((c.disk.interrupt, c.disk.line), (0, "low"), "InterruptStatus and line")
    base = RINGS + 0x20000
    new = c.disk.queue(0, 16, packed=c.packed, desc=base, driver=base + 0x4000, device=base + 0x8000)
    expect((c.disk.get(QUEUE_RESET), c.disk.get(QUEUE_READY)), (0, 1), "QueueReset and QueueReady when enabled again")
    expect([new.send(c.request(n, IN, room=512)) for n in range(20)], ["used 513"] * 20, "reads in the new ring")
    expect(used_words(ring), before, "the old ring, later")
    expect(c.disk.status, RUNNING, "Status")


@law("4.2.2.1-11", "4.2.2.1-12", "2.6.1.1.1-1", "D-16", dialects=both_dialects, rings=both_rings)
def queue_reset_that_waits(c):
    """A queue reset asked of a suspended device waits for the resume: QueueReset reads 1 until then, the ring is not touched before
    or after, and both registers then read 0."""
    ring, = c.start(c.disk, RING_RESET)
    c.suspended(c.disk)
    ring.add(c.request(0, IN, room=512))
    before = used_words(ring)
    c.disk.put(QUEUE_RESET, 1)
    expect((c.disk.get(QUEUE_RESET), c.disk.get(QUEUE_READY)), (1, 1), "QueueReset and QueueReady while it waits")
    ring.notify()
    c.resumed(c.disk)
    expect((c.disk.get(QUEUE_RESET), c.disk.get(QUEUE_READY)), (0, 0), "QueueReset and QueueReady after the resume")
    ring.notify()
    expect((used_words(ring), c.disk.interrupt, c.answer(0)), (before, 0, UNTOUCHED), "ring, InterruptStatus, status byte")


@law("4.2.2.1-8", "4.2.2.1-9")
def queue_reset_without_the_feature(c):
    """Without RING_RESET, QueueReset reads 0 and a write changes nothing."""
    ring, = c.start(c.disk)
    c.disk.put(QUEUE_RESET, 1)
    expect((c.disk.get(QUEUE_RESET), c.disk.get(QUEUE_READY)), (0, 1), "QueueReset and QueueReady")
    expect(ring.send(c.request(0, IN, room=512)), "used 513", "a read")


@law("2.6.1.1.1-1", options=("-d", "FILE,queues=2"))
def queue_reset_leaves_the_others(c):
    """The reset of one queue leaves the other's requests alone."""
    zero, one = c.start(c.disk, RING_RESET | 1 << 12, queues=(0, 1))
    c.say("x-hold blk0")
    zero.add(c.request(0, IN, room=512))
    one.add(c.request(1, IN, room=512))
    zero.notify()
    one.notify()
    c.disk.put(QUEUE_SEL, 0)
    c.disk.put(QUEUE_RESET, 1)
    c.say("x-release blk0")
    expect((read_used(zero), read_used(one)), ([], [(0, 513)]), "used buffers of both queues")
    expect(c.disk.interrupt, 1, "InterruptStatus")


@law("2.6.1.1.1-1", "4.2.2.1-11", rings=both_rings, options=("--torture", "1,slow-queue-reset"))
def slow_queue_reset(c):
    """While QueueReset reads 1, a request that the driver makes available is not executed, and the driver is not notified."""
    slow = 0
    for _ in range(16):
        ring, = c.start(c.disk, RING_RESET)
        c.disk.put(QUEUE_SEL, 0)
        c.disk.put(QUEUE_RESET, 1)
        ring.add(c.request(0, IN, room=512))
        before = used_words(ring)
        ring.notify()
        slow += c.disk.get(QUEUE_RESET)
        expect((used_words(ring), c.answer(0), c.disk.interrupt), (before, UNTOUCHED, 0), "ring, status byte and InterruptStatus")
        c.disk.status = 0
    expect(slow > 0, True, "whether a queue reset took time")


@law("2.6.1.2.1-1", rings=both_rings)
def sizes_1_and_max(c):
    """A queue of one entry works through many wraps of its index, and so does one of QueueSizeMax entries."""
    c.disk.put(QUEUE_SEL, 0)
    largest = c.disk.get(QUEUE_SIZE_MAX)
    for size in (1, largest):
        c.negotiate(c.disk, 1 << 28)
        c.qtest.fill(RINGS, 0x20000)
        ring = c.disk.queue(0, size, packed=c.packed)
        c.disk.status = RUNNING
        for n in range(9 if size == 1 else 2 * size + 3):
            if size > 1 and n >= 4:
                expect(ring.send([(0x2f0000, 16, False), (0x2f0010, 1, True)], indirect=0x2f1000), "used 1", f"request {n}")
                continue
            expect(ring.send(c.request(n % 4, 99), indirect=0x2f1000), "used 1", f"size {size}, request {n}")
        expect(c.disk.status, RUNNING, "Status")


@law("2.6.1.2.1-1", "2.7-0", rings=both_rings, options=("-d", "FILE,queue-size=32768,features=+packed"))
def size_32768(c):
    """A queue of 32768 entries works, with a head in its last descriptor, and past the wrap of a packed ring."""
    c.negotiate(c.disk, 1 << 28)
    c.disk.put(QUEUE_SEL, 0)
    expect(c.disk.get(QUEUE_SIZE_MAX), 32768, "QueueSizeMax")
    c.qtest.fill(0x400000, 0x100000)
    c.qtest.fill(0x500000, 0x100000)
    ring = c.disk.queue(0, 32768, packed=c.packed, desc=0x400000, driver=0x500000, device=0x580000)
    c.disk.status = RUNNING
    c.qtest.write(0x200000, (99).to_bytes(16, "little"))
    if not c.packed:
        ring.free = 32767
    for n in range(3):
        expect(ring.send([(0x200000, 16, False), (0x200010, 1, True)], indirect=0x201000), "used 1", f"request {n}")
    if c.packed:
        while ring.wrap:  # 1024 descriptors at once
            count = min(1024, 32768 - ring.slot)
            descriptor = (0x201000).to_bytes(8, "little") + (32).to_bytes(4, "little") + bytes(2) + (4 | 1 << 7).to_bytes(2, "little")
            c.qtest.write(ring.desc + 16 * ring.slot, descriptor * count)
            ring.slot, ring.wrap = (ring.slot + count) % 32768, ring.slot + count < 32768
            ring.notify()
            flags = [c.qtest.load(ring.desc + 16 * (ring.slot - at) % 0x80000 + 14, 2) for at in (1, count)]
            expect(flags, [0x8082] * 2, f"flags of the first and the last used descriptor before {ring.slot}")
        ring.chains += [1] * (32768 - 3)
        ring.done, ring.used_slot, ring.used_wrap = 32768, 0, False
        expect(ring.send([(0x200000, 16, False), (0x200010, 1, True)], indirect=0x201000), "used 1", "the request after the wrap")
    expect(c.disk.status, RUNNING, "Status")


@law("4.2.2.1-7", "2.1.2-1")
def sizes_that_are_none(c):
    """A split queue whose size is 0, no power of two or above QueueSizeMax does not become ready."""
    for size in (0, 3, 6, 512, 0x8000, 0x10000, 0x10008, 0xffffffff):
        c.negotiate(c.disk)
        c.disk.queue(0, size)
        expect(c.disk.get(QUEUE_READY), 0, f"QueueReady of size {size}")


@law("4.2.3.3-0", "2.7.10.2-5")
def notifications_of_no_queue(c):
    """A notification of a queue that does not exist, or is not ready, changes nothing."""
    ring, = c.start(c.disk)
    for value in (1, 255, 0x10000, 0xffff, 0xffffffff):
        c.disk.put(QUEUE_NOTIFY, value)
    expect((c.disk.status, c.disk.interrupt), (RUNNING, 0), "Status and InterruptStatus")
    expect(ring.send(c.request(0, IN, room=512)), "used 513", "a read")


@law("D-5", "4.2.2-0b", dialects=both_dialects)
def live_queue_keeps_its_registers(c):
    """What is written to the registers of a ready queue does not move it."""
    ring, = c.start(c.disk)
    c.disk.put(QUEUE_SIZE, 4)
    for offset in (0, 4, 0x10, 0x14, 0x20, 0x24):
        c.disk.put(QUEUE_DESC + offset, 0x7f0000)
    c.disk.put(QUEUE_READY, 1)
    expect([ring.send(c.request(n, IN, room=512)) for n in range(12)], ["used 513"] * 12, "reads")


@law("4.2.2.1-4", "4.2.2.1-2", options=NET)
def other_widths_and_offsets(c):
    """Reads of other widths, of write-only registers and of offsets without a register give 0, writes there have no effect."""
    for name, device in c.slots.items():
        for offset in (0x014, 0x020, 0x024, 0x030, 0x038, 0x050, 0x064, 0x080, 0x084, 0x0ac, 0x028, 0x03c, 0x040, 0x0f0):
            expect(device.get(offset), 0, f"{name}: offset {offset:#x}")
        for offset in (0, 4, 8, 0xc, 0x10, 0x34, 0x44, 0x60, 0xfc):
            device.put(offset, 0xffffffff)
        expect((device.get(MAGIC), device.get(VERSION), device.status, device.interrupt), (0x74726976, 2, 0, 0), f"{name}: after writes")
