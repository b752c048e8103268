"""Corners where several rules meet."""
from driver import (
    CONFIG, CONFIG_GENERATION, EVENT_IDX, INDIRECT_DESC, INTERRUPT_ACK, NEXT, QUEUE_NOTIFY, QUEUE_READY, QUEUE_RESET,
    QUEUE_SEL, QUEUE_SIZE_MAX, RINGS, RING_RESET)
from law import (
    BLK_CONFIG_WCE, BLK_FLUSH, BLK_MQ, BUFFERS, IN, NOTIFICATION_DATA, OK, OUT, RUNNING, both_rings, expect, law,
    read_used, used_words, wants_notification, where)

FOUR = ("-d", "FILE,queues=4,features=+packed")


@law("4.2.2-0a", "2.6.1.2.1-1", options=FOUR)
def queues_without_mq(c):
    """A disk has one queue if MQ is not negotiated, and num_queues if it is."""
    for features, count in ((0, 1), (BLK_MQ, 4)):
        c.negotiate(c.disk, features)
        found = []
        for index in range(6):
            c.disk.put(QUEUE_SEL, index)
            found.append(c.disk.get(QUEUE_SIZE_MAX) > 0)
        expect(found.index(False), count, f"queues with features {features:#x}")


@law("4.2.2-0a", options=("--port", "null,name=second"))
def queues_without_multiport(c):
    """A console has two queues if MULTIPORT is not negotiated, and two for each port and two more if it is."""
    for features, count in ((0, 2), (2, 6)):
        c.negotiate(c.console, features)
        found = []
        for index in range(8):
            c.console.put(QUEUE_SEL, index)
            found.append(c.console.get(QUEUE_SIZE_MAX) > 0)
        expect(found.index(False), count, f"queues with features {features:#x}")


@law("2.7.4.1-1", "2.7.8.2-2", rings=both_rings)
def empty_descriptors(c):
    """Descriptors of length 0 anywhere in a chain make no difference: the status byte is the last byte that can be written."""
    ring, = c.start(c.disk, size=32)
    for kind, data, room, length in ((IN, b"", 512, 513), (OUT, bytes(512), 0, 1)):
        for at in range(4):
            buffers = c.request(0, kind, data=data, room=room)
            writable = at > (1 if room else len(buffers) - 2)
            buffers.insert(at, (BUFFERS + 0x3000, 0, writable))
            expect(ring.send(buffers), f"used {length}", f"type {kind} with an empty descriptor at {at}")
            expect(c.answer(0), OK, "status byte")


@law("2.2.2-3", "2.4.1-1")
def reset_forgets_the_features(c):
    """After a reset the features accepted before are forgotten: FEATURES_OK without VERSION_1 is refused."""
    c.start(c.disk)
    for status in (0, 1, 3, 0x0b):
        c.disk.status = status
    expect(c.disk.status, 0x03, "Status")


@law("2.7.6-0", "6.1-5", "2.1.2-2", "2.7.5.2-1", rings=both_rings)
def addresses_that_are_not_memory(c):
    """Descriptors, tables and rings outside memory, or over its end, make the device need a reset or keep the queue from becoming
    ready; memory stays as it was, and a reset helps."""
    end = 128 << 20
    for address, length in ((end, 16), (end - 8, 16), ((1 << 64) - 8, 16), (0xd0000000, 16), (1 << 63, 16), (0x200000, 0xffffffff)):
        ring, = c.start(c.disk, INDIRECT_DESC)
        ring.add([(address, length, False), (BUFFERS, 1, True)])
        ring.notify()
        expect(c.disk.status, 0x4f, f"Status with a descriptor at {address:#x} of {length:#x}")
        ring, = c.start(c.disk, INDIRECT_DESC)
        if not c.packed:
            ring.describe(0, address, length & ~15, 4)
            ring.offer(0)
        else:
            ring.describe(0, address, length & ~15, 0, 4 | 1 << 7)
        ring.notify()
        expect(c.disk.status, 0x4f, f"Status with a table at {address:#x} of {length:#x}")
    for area in ("desc", "driver", "device"):
        for address in (end - 16, end, (1 << 64) - 16, 0xd0000000):
            c.negotiate(c.disk)
            c.disk.queue(0, 128, packed=c.packed, **{area: address})
            ready = c.disk.get(QUEUE_READY)
            if ready:  # a packed queue's event structures have 4 bytes
                expect(c.packed and area != "desc" and address == end - 16, True, f"QueueReady with {area} at {address:#x}")
    ring, = c.start(c.disk)
    expect(ring.send(c.request(0, IN, room=512)), "used 513", "a read after all that")


@law("2.7.1-1", "2.8.11-1", rings=both_rings)
def areas_out_of_alignment(c):
    """A queue whose parts are not aligned does not become ready, or works."""
    for area, step in (("desc", 8), ("driver", 1 if not c.packed else 2), ("device", 2)):
        c.negotiate(c.disk)
        base = {"desc": RINGS, "driver": RINGS + 0x4000, "device": RINGS + 0x8000}[area]
        ring = c.disk.queue(0, 8, packed=c.packed, **{area: base + step})
        if c.disk.get(QUEUE_READY):
            c.disk.status = RUNNING
            expect(ring.send(c.request(0, IN, room=512)), "used 513", f"a read with {area} at {base + step:#x}")


@law("2.7.6.1-1", "2.1.2-2")
def available_index_jumps(c):
    """An available index that jumps by more than the queue's size makes the device need a reset."""
    for index in (9, 0x8000, 0xffff):
        ring, = c.start(c.disk)
        c.qtest.store(ring.driver + 2, index, 2)
        ring.notify()
        expect((c.disk.status, c.disk.interrupt), (0x4f, 2), f"Status and InterruptStatus with index {index:#x}")


@law("4.2.3.3-0", "2.7.10.2-5", rings=both_rings)
def notification_data(c):
    """With NOTIFICATION_DATA the queue is in the low 16 bits; whatever the rest says, what is available is used, and no more."""
    ring, = c.start(c.disk, NOTIFICATION_DATA)
    for rest in (0, 1, 0x8001, 0xffff, 0x7fff):
        ring.add(c.request(0, IN, room=512))
        c.disk.put(QUEUE_NOTIFY, rest << 16)
        expect(len(read_used(ring)), 1, f"used buffers after a notification with {rest:#x}")
        c.disk.put(QUEUE_NOTIFY, (rest + 5 & 0xffff) << 16)
        expect((len(read_used(ring)), c.disk.status), (0, RUNNING), "used buffers and Status after another one")


@law("5.2.5.2-3", "4.2.2.1-6", "5.2.6.1-12")
def writes_to_writeback(c):
    """writeback takes 0 and 1 if CONFIG_WCE was negotiated; a write by another width, of another field, or without the feature changes
    nothing."""
    for features, changes in ((BLK_FLUSH, False), (BLK_FLUSH | BLK_CONFIG_WCE, True)):
        c.start(c.disk, features)
        before = [c.disk.get(CONFIG + at, 1) for at in range(60)]
        c.disk.put(CONFIG + 32, 0, 1)
        expect(c.disk.get(CONFIG + 32, 1), 0 if changes else before[32], f"writeback with features {features:#x}")
        c.disk.put(CONFIG + 32, 1, 1)
        for at in list(range(0, 32, 4)) + list(range(36, 60, 4)):
            c.disk.put(CONFIG + at, 0xffffffff)
        expect([c.disk.get(CONFIG + at, 1) for at in range(60)], before, "the configuration space")


@law("3.2.1-0", "4.2.2.1-6", "2.5.2-1")
def resize_that_was_not_negotiated(c):
    """A resize of a console whose driver did not accept SIZE: if cols and rows change, ConfigGeneration changes too."""
    c.start(c.console, queues=(0, 1))
    before = (c.console.get(CONFIG), c.console.get(CONFIG_GENERATION))
    c.say("x-size console0 99 33")
    after = (c.console.get(CONFIG), c.console.get(CONFIG_GENERATION))
    expect((before[0] != after[0]), before[1] != after[1], "bytes changed, and ConfigGeneration changed")
    expect(bool(c.console.interrupt & 2), before[0] != after[0], "a configuration interrupt, and bytes that changed")


@law("2.7.7.2-3", "4.2.2.1-3", rings=both_rings)
def bit_already_set(c):
    """A buffer used while bit 0 is set and not acknowledged keeps bit and line; after the acknowledgement the next one sets both."""
    ring, = c.start(c.disk)
    for _ in range(3):
        ring.send(c.request(0, IN, room=512))
        expect((c.disk.interrupt, c.disk.line), (1, "high"), "InterruptStatus and line")
    c.disk.put(INTERRUPT_ACK, 1)
    expect((c.disk.interrupt, c.disk.line), (0, "low"), "after the acknowledgement")
    ring.send(c.request(0, IN, room=512))
    expect((c.disk.interrupt, c.disk.line), (1, "high"), "after the next one")


@law("2.7.5.3.1-3", "2.7.4.1-2", "2.8.18-2", "2.8.17-1", rings=both_rings)
def longest_chain(c):
    """A chain of as many descriptors as the queue has works; one more makes the device need a reset."""
    for count in (8, 9):
        ring, = c.start(c.disk, INDIRECT_DESC)
        buffers = c.request(0, IN)[:1] + [(BUFFERS + 0x1000 + 64 * n, 64, True) for n in range(count - 2)] + [(BUFFERS + 16, 1, True)]
        if count == 8:
            ring.add(buffers)
            ring.notify()
            expect(len(read_used(ring)), 1, "used buffers of a chain of 8")
            continue
        ring.add(buffers, indirect=0x2c0000)
        ring.notify()
        expect((len(read_used(ring)), c.disk.status) in ((1, RUNNING), (0, 0x4f)), True, "a longer chain is used, or the device needs a reset")


@law("2.6.1.1.1-2", "4.2.2.1-10", "2.7.7.2-5", "2.8.12-2", rings=both_rings)
def queue_reset_with_event_idx(c):
    """After a queue reset the positions that interrupts are judged by begin anew: in each round the first used buffer interrupts if the
    driver asks for it, and the second does not."""
    for rounds in range(4):
        if rounds == 0:
            ring, = c.start(c.disk, RING_RESET | EVENT_IDX)
        else:
            c.disk.put(QUEUE_RESET, 1)
            expect((c.disk.get(QUEUE_RESET), c.disk.get(QUEUE_READY)), (0, 0), "QueueReset and QueueReady")
            c.qtest.fill(RINGS, 0xc000)
            ring = c.disk.queue(0, 8, packed=c.packed)
        ring.set_events(2, 0x8000) if c.packed else ring.set_used_event(0)
        for n in range(rounds + 1):
            ring.add(c.request(0, IN, room=512))
            ring.notify()
            expect((len(read_used(ring)), c.acknowledge(c.disk)), (1, 1 if n == 0 else 0), f"round {rounds}, buffer {n}")


@law("2.6.1.1.1-2", "2.6.1.2.1-1", rings=both_rings)
def enabled_over_old_memory(c):
    """A queue enabled before DRIVER_OK, and one enabled again after a queue reset: the driver finds there that it should notify, whatever
    its memory held before, and the buffer is used."""
    for features in (RING_RESET, RING_RESET | EVENT_IDX):
        c.negotiate(c.disk, features)
        for how in ("before DRIVER_OK", "again"):
            if how == "again":
                c.disk.put(QUEUE_RESET, 1)
                c.qtest.fill(RINGS, 0xc000)
            _, _, area = c.disk.place()
            c.qtest.store(area, 0x00010003 if c.packed else 1)
            if not c.packed:
                c.qtest.store(area + 4 + 8 * 8, 5, 2)
            ring = c.disk.queue(0, 8, packed=c.packed)
            c.disk.status = RUNNING
            before = where(ring)
            ring.add(c.request(0, IN, room=512))
            expect(wants_notification(ring, before), True, f"a notification is asked for of a queue enabled {how}")
            ring.notify()
            expect([length for _, length in read_used(ring)], [513], f"used lengths of a queue enabled {how}")


@law("2.7.7.2-5", "2.7.10.2-4", "2.8.12-1", rings=both_rings)
def one_entry_with_event_idx(c):
    """A queue of one entry with EVENT_IDX: each buffer interrupts if it is asked for, and each next notification is asked for."""
    ring, = c.start(c.disk, EVENT_IDX | INDIRECT_DESC, size=1)
    for n in range(6):
        wanted = n % 3 != 1
        if c.packed:
            ring.set_events(2, (ring.wrap if wanted else not ring.wrap) << 15)
        else:
            ring.set_used_event(n if wanted else n + 7)
        before = where(ring)
        ring.add(c.request(0, IN, room=512), indirect=0x2c0000)
        expect(wants_notification(ring, before), True, f"a notification of buffer {n} is asked for")
        ring.notify()
        expect((len(read_used(ring)), c.acknowledge(c.disk)), (1, 1 if wanted else 0), f"used buffers and InterruptStatus of buffer {n}")


@law("2.7.5-0", "2.7.5.2-1", "2.7.5.3-0", "2.1.2-2")
def chains_that_do_not_end(c):
    """A next beyond the table, a chain that loops, an indirect table of a broken length: DEVICE_NEEDS_RESET, each time; nothing else."""
    for make in (lambda ring: ring.describe(0, BUFFERS, 16, NEXT, 8), lambda ring: ring.describe(0, BUFFERS, 16, NEXT, 0),
                 lambda ring: ring.describe(0, BUFFERS, 16, NEXT, 0xffff), lambda ring: ring.describe(0, 0x2c0000, 0, 4),
                 lambda ring: ring.describe(0, 0x2c0000, 32, 4), lambda ring: ring.describe(0, 0x2c0000, 15, 4), lambda ring: ring.describe(0, 0x2c0000, 24, 4)):
        ring, = c.start(c.disk, INDIRECT_DESC)
        ring.chain(c.request(0, IN, room=512), range(4), table=0x2c0000)  # what a table of a right length would hold
        make(ring)
        ring.offer(0)
        ring.notify()
        expect((c.disk.status, c.disk.interrupt), (0x4f, 2), "Status and InterruptStatus")
        expect(used_words(ring), bytes(70), "the used ring")


@law("2.5.2-1", "4.2.2.1-6", "4.2.2.1-2")
def wide_accesses(c):
    """An access of 8 bytes reads capacity whole, and does nothing to control registers."""
    expect(c.disk.get(CONFIG, 8), 0x8000, "capacity by 8 bytes")
    for offset in (0, 8, 0x70, 0x80, 0xa0):
        c.disk.put(offset, 0x0f0f0f0f0f0f0f0f, 8)
    expect((c.disk.status, c.disk.get(0), c.disk.get(4)), (0, 0x74726976, 2), "Status, MagicValue, Version")
