"""Corners where several rules meet."""
from driver import (
    CONFIG, CONFIG_GENERATION, EVENT_IDX, FAILED, INDIRECT_DESC, INTERRUPT_ACK, NEXT, QUEUE_NOTIFY, QUEUE_READY, QUEUE_RESET,
    QUEUE_SEL, QUEUE_SIZE_MAX, RINGS, RING_RESET)
from law import (
    BLK_CONFIG_WCE, BLK_FLUSH, BLK_MQ, BUFFERS, FLUSH, IN, NOTIFICATION_DATA, OK, OUT, RUNNING, SUSPENDED, UNTOUCHED,
    both_dialects, both_rings, expect, law, read_used, used_words, wants_notification, where)

EACH = {"dialects": both_dialects, "rings": both_rings}
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


@law("D-11", "V5-DEV-12", "D-8", rings=both_rings)
def retained_twice(c):
    """A request that stays in flight over two suspensions is used once, after its release, with one interrupt."""
    ring, = c.start(c.disk)
    c.say("x-hold blk0")
    ring.add(c.request(0, IN, room=512))
    ring.notify()
    for _ in range(2):
        c.suspend(c.disk)
        expect(c.disk.status, RUNNING, "Status in the drain")
        c.say("x-deadline blk0")
        expect(c.disk.status, SUSPENDED["draft"], "Status")
        c.resumed(c.disk)
        expect((read_used(ring), c.disk.interrupt), ([], 0), "used buffers and InterruptStatus")
    c.say("x-release blk0")
    expect((read_used(ring), c.answer(0), c.disk.interrupt), ([(0, 513)], OK, 1), "after the release")


@law("D-16", "2.6.1.1.1-1", "4.2.2.1-7", "V5-DEV-12", rings=both_rings)
def retained_and_its_queue_ends(c):
    """A retained request whose queue is stopped or reset while the device is suspended is never used, before or after the resume."""
    for register, value in ((QUEUE_READY, 0), (QUEUE_RESET, 1)):
        for released in (False, True):
            ring, = c.start(c.disk, RING_RESET)
            c.say("x-hold blk0")
            ring.add(c.request(0, IN, room=512))
            ring.notify()
            c.suspend(c.disk)
            c.say("x-deadline blk0")
            before = used_words(ring)
            if released:
                c.say("x-release blk0")
            c.disk.put(register, value)
            expect(c.disk.get(QUEUE_READY), 1, "QueueReady while suspended")
            c.resumed(c.disk)
            expect((c.disk.get(QUEUE_READY), c.disk.get(QUEUE_RESET)), (0, 0), "QueueReady and QueueReset after the resume")
            c.say("x-release blk0")
            expect((used_words(ring), c.disk.interrupt, c.answer(0)), (before, 0, UNTOUCHED), "ring, InterruptStatus, status byte")
            c.disk.status = 0


@law("D-17", "2.7.7.2-5", "2.7.7.2-6", "V5-DEV-12")
def retained_with_event_idx(c):
    """Used buffers owed at a resume make one interrupt if used_event names one of them, and none otherwise."""
    for event, expected in ((0, 1), (1, 1), (2, 1), (3, 0), (0xffff, 0)):
        ring, = c.start(c.disk, EVENT_IDX, size=16)
        ring.set_used_event(event)
        c.say("x-hold blk0")
        for n in range(3):
            ring.add(c.request(n, IN, room=512))
        ring.notify()
        c.suspend(c.disk)
        c.say("x-deadline blk0")
        c.say("x-release blk0")
        c.resumed(c.disk)
        expect((len(read_used(ring)), c.disk.interrupt), (3, expected), f"used buffers and InterruptStatus with used_event {event}")
        c.disk.status = 0


@law("D-3", "D-9", "D-16", "V5-DEV-6", "V14-DEV-6", **EACH)
def events_of_a_resume_that_takes_time(c):
    """A change, an acknowledgement, a buffer and a queue reset between the request to resume and its end: as in the suspension."""
    ring, = c.start(c.disk, RING_RESET)
    ring.send(c.request(0, IN, room=512))
    c.suspended(c.disk)
    c.say("x-hold-resume blk0")
    c.resume(c.disk)
    c.say("x-capacity blk0 9")
    expect((c.disk.interrupt, c.disk.get(CONFIG)), (1, 0x8000), "InterruptStatus and capacity")
    c.disk.put(INTERRUPT_ACK, 3)
    expect((c.disk.interrupt, c.disk.line), (0, "low"), "InterruptStatus and line after the acknowledgement")
    ring.add(c.request(1, IN, room=512))
    before = used_words(ring)
    c.disk.put(QUEUE_RESET, 1)
    expect((c.disk.get(QUEUE_RESET), used_words(ring)), (1, before), "QueueReset and ring")
    c.say("x-ready blk0")
    expect((c.disk.status, c.disk.interrupt, c.disk.get(CONFIG), c.disk.get(QUEUE_RESET)), (RUNNING, 2, 9, 0), "at the end")
    expect((used_words(ring), c.answer(1)), (before, UNTOUCHED), "ring and status byte")


@law("D-13", "2.1.2-2", "2.1.2-3", "V14-DEV-8", **EACH)
def error_in_a_drain(c):
    """An unrecoverable error in a drain: DEVICE_NEEDS_RESET and a configuration interrupt, SUSPEND never shows, and the request that
    was held is not used."""
    ring, = c.start(c.disk)
    c.say("x-hold blk0")
    ring.add(c.request(0, IN, room=512))
    ring.notify()
    c.suspend(c.disk)
    c.say("x-fatal blk0")
    before = used_words(ring)
    expect((c.disk.status, c.disk.interrupt), (0x4f, 2), "Status and InterruptStatus")
    c.say("x-release blk0")
    expect((c.disk.status, used_words(ring)), (0x4f, before), "Status and ring later")


@law("D-13", "V14-DEV-9", "2.1.2-2", dialects=both_dialects)
def error_in_a_resume(c):
    """An unrecoverable error while the device resumes: the draft shows SUSPEND = 0 and DEVICE_NEEDS_RESET, with the interrupt; 1.4
    stays suspended with DEVICE_NEEDS_RESET."""
    c.start(c.disk)
    c.suspended(c.disk)
    c.say("x-hold-resume blk0")
    c.resume(c.disk)
    c.say("x-fatal blk0")
    c.say("x-ready blk0")
    found = (c.disk.status, c.disk.interrupt)
    expect(found, (0x4f, 2) if c.dialect == "draft" else (0x5b, 0), "Status and InterruptStatus")


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


@law("D-2", "V5-DEV-1", "V14-DEV-9", "D-14", dialects=both_dialects)
def failed_in_a_suspension(c):
    """FAILED in the write that resumes, or before it: the bit is kept, and the rest of the word counts."""
    for first in (False, True):
        c.start(c.disk)
        c.suspended(c.disk)
        if first:
            c.disk.status = SUSPENDED[c.dialect] | FAILED
            expect(c.disk.status, SUSPENDED[c.dialect] | FAILED, "Status with FAILED")
        c.disk.status = (RUNNING if c.dialect == "draft" else 0x1f) | FAILED
        expect(c.disk.status, RUNNING | FAILED, "Status after the resume")
        c.disk.status = 0
        expect(c.disk.status, 0, "Status after the reset")


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


@law("V14-DEV-11", "V5-DEV-11", "V5-DEV-12", "D-11", **EACH)
def output_that_waits_for_the_host(c):
    """Output for which the host has no room when the console is asked to suspend: nothing is lost or doubled over the suspension."""
    _, ring = c.start(c.console, queues=(0, 1), size=64)
    text = bytes(range(65, 91)) * 40
    c.qtest.write(BUFFERS, text)
    for _ in range(64):
        ring.add([(BUFFERS, len(text), False)])
    ring.notify()
    ring.add([(BUFFERS, len(text), False)])
    ring.add([(BUFFERS, 5, False)])
    ring.notify()
    got = b""
    c.suspend(c.console)
    for _ in range(8):
        if c.console.status == SUSPENDED[c.dialect]:
            break
        got += bytes.fromhex(c.say("x-output console0")[2:])
    expect(c.console.status, SUSPENDED[c.dialect], "Status when the host has taken what there was")
    c.resumed(c.console)
    for _ in range(8):
        got += bytes.fromhex(c.say("x-output console0")[2:])
    expect(got, text * 65 + text[:5], "the output")
    expect(ring.qtest.load(ring.area + 2, 2) if not c.packed else 66, 66, "used idx")


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
                 lambda ring: ring.describe(0, 0x2c0000, 15, 4), lambda ring: ring.describe(0, 0x2c0000, 24, 4)):
        ring, = c.start(c.disk, INDIRECT_DESC)
        c.qtest.fill(0x2c0000, 64)
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


@law("D-7", "D-12", "2.7.10.2-4", "V5-DEV-7", "V14-DEV-4", **EACH)
def input_and_event_idx(c):
    """With EVENT_IDX, receive buffers added while the console is suspended or before, without a notification, take the input that
    came then and that comes later, byte for byte."""
    ring, _ = c.start(c.console, EVENT_IDX, queues=(0, 1), size=16)
    got, sent = b"", b""

    def take():
        return b"".join(c.qtest.read(BUFFERS + 0x100 * (n % 16), length) for n, length in taken())

    def taken():
        first = ring.done
        return [(first + n, length) for n, (_, length) in enumerate(read_used(ring))]

    for n in range(20):
        suspended = n % 2
        if suspended:
            c.suspended(c.console)
            c.say(f"x-input console0 0x{n:02x}41")
        before = where(ring)
        ring.add([(BUFFERS + 0x100 * (n % 16), 2, True)])
        if not suspended and wants_notification(ring, before):
            ring.notify()
        if suspended:
            c.resumed(c.console)
        else:
            c.say(f"x-input console0 0x{n:02x}41")
        sent += bytes([n, 0x41])
        got += take()
        expect(got, sent, f"input after step {n}")


@law("D-9", "D-17", "V14-DEV-7", "2.7.7.2-2", dialects=both_dialects)
def one_interrupt_for_both(c):
    """A buffer and a change owed at a resume show as both bits at once; with interrupts of buffers suppressed, only as bit 1."""
    for flags, expected in ((0, 3), (1, 2)):
        ring, = c.start(c.disk)
        ring.set_flags(flags)
        c.suspended(c.disk)
        ring.add(c.request(0, IN, room=512))
        c.say(f"x-capacity blk0 {100 + flags}")
        c.resumed(c.disk)
        expect((c.disk.interrupt, len(read_used(ring))), (expected, 1), f"InterruptStatus and used buffers with flags {flags}")
        c.disk.status = 0


@law("D-10", "2.4.1-2", "V5-DEV-12", rings=both_rings)
def retained_and_reset_and_set_up_anew(c):
    """A request retained over a suspension, a reset, and the same memory set up anew: its late end is not seen by the new driver,
    though the new request has the same place in the ring."""
    old, = c.start(c.disk)
    c.say("x-hold blk0")
    old.add(c.request(0, IN, room=512))
    old.notify()
    c.suspend(c.disk)
    c.say("x-deadline blk0")
    c.disk.status = 0
    new, = c.start(c.disk)
    new.add(c.request(1, IN, room=512))
    new.notify()
    expect(read_used(new), [], "used buffers while the new request is held")
    c.say("x-release blk0")
    expect((read_used(new), c.answer(0), c.answer(1), c.disk.interrupt), ([(0, 513)], UNTOUCHED, OK, 1), "at the end")


@law("5.2.6.2-13", "D-11", "V14-DEV-11", "V5-DEV-11", dialects=both_dialects, options=("-d", "FILE"))
def a_flush_that_fails_in_a_drain(c):
    """A write and a flush that fail in a drain are answered IOERR before the acknowledgement; the device works after the resume."""
    ring, = c.start(c.disk, BLK_FLUSH, size=16)
    c.say("x-hold blk0")
    ring.add(c.request(0, OUT, data=bytes(512)))
    ring.add(c.request(1, FLUSH))
    c.say("x-fail blk0 EIO 2")
    ring.notify()
    c.suspend(c.disk)
    c.say("x-release blk0")
    expect((c.disk.status, c.answer(0), c.answer(1)), (SUSPENDED[c.dialect], 1, 1), "Status and status bytes")
    c.resumed(c.disk)
    read_used(ring)
    expect(ring.send(c.request(2, IN, room=512)), "used 513", "a read")
