"""SUSPEND and queues: notifications, stops and resets, receive buffers (VIRTIO 1.4, 3.4; the draft of 2024)."""
from driver import EVENT_IDX, QUEUE_READY, QUEUE_RESET, QUEUE_SEL, RING_RESET
from law import (
    BLK_FLUSH, BLK_MQ, BUFFERS, FLUSH, IN, IN_ORDER, OK, OUT, RUNNING, SUSPENDED, both_dialects, both_rings, expect,
    law, read_used, used_words, wants_notification, where)

QUEUES = ("-d", "FILE,queues=3,features=+packed,+in_order")
EACH = {"dialects": both_dialects, "rings": both_rings}


@law("V14-DEV-8", "V5-DEV-1", dialects=both_dialects)
def suspend_without_a_queue(c):
    """A device without a queue suspends and resumes; a queue set up afterwards works."""
    c.negotiate(c.disk)
    c.disk.status = RUNNING
    c.suspended(c.disk)
    c.resumed(c.disk)
    ring = c.disk.queue(0, 8)
    expect(ring.send(c.request(0, IN, room=512)), "used 513", "a read")


@law("V5-DEV-11", "V14-DEV-10", "D-7", "D-11", **EACH)
def suspend_before_any_notification(c):
    """Buffers made available before the suspend and never notified: the draft uses them before the acknowledgement, 1.4 leaves them;
    both have used them after the resume, without a notification."""
    ring, = c.start(c.disk)
    ring.add(c.request(0, IN, room=512))
    ring.add(c.request(1, IN, room=512))
    c.suspended(c.disk)
    expect(len(read_used(ring)), 2 if c.dialect == "draft" else 0, "used buffers of the suspended device")
    c.resumed(c.disk)
    expect(ring.done, 2 if c.dialect == "draft" else 0, "used buffers before")
    read_used(ring)
    expect((ring.done, c.answer(0), c.answer(1), c.disk.interrupt), (2, OK, OK, 1), "used buffers, status bytes, InterruptStatus")


@law("D-7", "2.7.10.2-4", "2.7.7.2-5", "2.8.12-1", **EACH)
def notification_missed_across_a_resume(c):
    """With EVENT_IDX, at each position of two laps: a buffer made available to a suspended device without a notification is used
    after the resume, and a driver that then notifies as the device's event words ask is served each time."""
    ring, = c.start(c.disk, EVENT_IDX, size=4 if not c.packed else 5)
    for n in range(12):
        if c.packed:
            ring.set_events(2, ring.slot | ring.wrap << 15)
        else:
            ring.set_used_event(ring.available & 0xffff)
        c.suspended(c.disk)
        ring.add(c.request(0, IN, room=512))
        c.resumed(c.disk)
        expect((len(read_used(ring)), c.acknowledge(c.disk)), (1, 1), f"used buffers and InterruptStatus after resume {n}")
        for more in range(n % 3):
            before = where(ring)
            if c.packed:
                ring.set_events(2, ring.slot | ring.wrap << 15)
            else:
                ring.set_used_event(ring.available & 0xffff)
            ring.add(c.request(0, IN, room=512))
            if wants_notification(ring, before):
                ring.notify()
            expect((len(read_used(ring)), c.acknowledge(c.disk)), (1, 1), f"chain {more} after resume {n}")


@law("D-7", "2.7.10.2-3", **EACH)
def notification_missed_in_a_drain(c):
    """With EVENT_IDX a buffer added while the device drains, without a notification: it is used before the acknowledgement or after
    the resume; then the driver's notifications are asked for again."""
    ring, = c.start(c.disk, EVENT_IDX, size=16)
    for n in range(5):
        c.say("x-hold blk0")
        before = where(ring)
        ring.add(c.request(0, IN, room=512))
        if wants_notification(ring, before):
            ring.notify()
        c.suspend(c.disk)
        ring.add(c.request(1, IN, room=512))
        c.say("x-release blk0")
        expect(c.disk.status, SUSPENDED[c.dialect], "Status")
        c.resumed(c.disk)
        expect(len(read_used(ring)), 2, f"used buffers of round {n}")
        before = where(ring)
        ring.add(c.request(2, IN, room=512))
        if wants_notification(ring, before):
            ring.notify()
        expect(len(read_used(ring)), 1, f"used buffers after round {n}")


@law("D-11", "V5-DEV-11", "V14-DEV-10", **EACH)
def buffers_of_a_drain(c):
    """A buffer made available while the device drains, and notified, is not used before the acknowledgement; it is after the resume."""
    ring, = c.start(c.disk, size=16)
    c.say("x-hold blk0")
    ring.add(c.request(0, IN, room=512))
    ring.notify()
    c.suspend(c.disk)
    ring.add(c.request(1, IN, room=512))
    ring.notify()
    c.say("x-release blk0")
    expect((c.disk.status, len(read_used(ring))), (SUSPENDED[c.dialect], 1), "Status and used buffers")
    c.resumed(c.disk)
    expect(len(read_used(ring)), 1, "used buffers after the resume")


@law("V14-DEV-10", "D-12", "V5-DEV-12", **EACH)
def input_of_a_drain(c):
    """Input that comes while the console drains its output waits for the resume."""
    receive, transmit = c.start(c.console, queues=(0, 1), size=64)
    receive.add([(BUFFERS + 0x8000, 16, True)])
    receive.notify()
    for _ in range(64):
        transmit.add([(BUFFERS, 2000, False)])
    transmit.notify()
    c.suspend(c.console)
    expect(c.console.status, RUNNING, "Status while the host has no room")
    before = used_words(receive)
    c.say("x-input console0 0x61")
    expect(used_words(receive), before, "the receiveq in the drain")
    for _ in range(3):
        c.say("x-output console0")
    expect((c.console.status, used_words(receive)), (SUSPENDED[c.dialect], before), "Status and receiveq")
    c.resumed(c.console)
    expect([length for _, length in read_used(receive)], [1], "used lengths after the resume")


@law("4.2.2.1-10", "4.2.2.1-12", "D-5", "D-16", **EACH)
def reset_of_a_queue_selected_while_suspended(c):
    """QueueSel works while suspended: the queue that was selected when QueueReset was written is the one that the resume resets."""
    c.start(c.console, RING_RESET, queues=(0, 1))
    c.suspended(c.console)
    c.console.put(QUEUE_SEL, 0)
    c.console.put(QUEUE_RESET, 1)
    c.console.put(QUEUE_SEL, 1)
    expect(c.console.get(QUEUE_RESET), 0, "QueueReset of queue 1 while suspended")
    c.resumed(c.console)
    expect((c.console.get(QUEUE_RESET), c.console.get(QUEUE_READY)), (0, 1), "QueueReset and QueueReady of queue 1")
    c.console.put(QUEUE_SEL, 0)
    expect((c.console.get(QUEUE_RESET), c.console.get(QUEUE_READY)), (0, 0), "QueueReset and QueueReady of queue 0")


@law("D-5", **EACH)
def queue_set_up_while_suspended(c):
    """A queue that is set up while the device is suspended is not ready, then or after the resume, and can be set up then."""
    c.start(c.console, queues=(0,))
    c.suspended(c.console)
    c.console.queue(1, 8, packed=c.packed)
    expect(c.console.get(QUEUE_READY), 0, "QueueReady of queue 1 while suspended")
    c.resumed(c.console)
    c.console.put(QUEUE_SEL, 1)
    expect(c.console.get(QUEUE_READY), 0, "QueueReady of queue 1 after the resume")
    ring = c.console.queue(1, 8, packed=c.packed)
    expect(c.console.get(QUEUE_READY), 1, "QueueReady of queue 1 once it is set up")
    expect(ring.send([(BUFFERS, 1, False)]), "used 0", "output by queue 1")


@law("4.2.2.1-11", "4.2.2.1-12", "D-16", **EACH)
def queue_reset_then_stopped(c):
    """QueueReady = 0 written after QueueReset = 1 to a suspended device: QueueReset reads 1 until the resume, and both then read 0."""
    c.start(c.disk, RING_RESET)
    c.suspended(c.disk)
    c.disk.put(QUEUE_RESET, 1)
    c.disk.put(QUEUE_READY, 0)
    expect((c.disk.get(QUEUE_RESET), c.disk.get(QUEUE_READY)), (1, 1), "QueueReset and QueueReady while suspended")
    c.resumed(c.disk)
    expect((c.disk.get(QUEUE_RESET), c.disk.get(QUEUE_READY)), (0, 0), "QueueReset and QueueReady after the resume")


@law("D-16", "4.2.2.1-7", "4.2.2-0b", **EACH)
def queue_stopped_while_suspended(c):
    """QueueReady = 0 written to a suspended device: the queue is left alone at the latest when QueueReady reads 0; the resume does
    not serve it."""
    ring, = c.start(c.disk)
    c.suspended(c.disk)
    ring.add(c.request(0, IN, room=512))
    before = used_words(ring)
    c.disk.put(QUEUE_READY, 0)
    ring.notify()
    c.resumed(c.disk)
    ring.notify()
    expect(c.disk.get(QUEUE_READY), 0, "QueueReady after the resume")
    expect((used_words(ring), c.disk.interrupt), (before, 0), "ring and InterruptStatus")


@law("D-16", "4.2.2.1-7", "V5-DEV-10", "V14-DEV-8", **EACH)
def queue_stopped_in_a_drain(c):
    """QueueReady = 0, or QueueReset = 1, during a drain: the suspend is acknowledged, the old ring is not written, and the queue can
    be set up again after the resume."""
    for register, value in ((QUEUE_READY, 0), (QUEUE_RESET, 1)):
        ring, = c.start(c.disk, RING_RESET)
        c.say("x-hold blk0")
        ring.add(c.request(0, IN, room=512))
        ring.notify()
        c.suspend(c.disk)
        expect(c.disk.status, RUNNING, "Status in the drain")
        before = used_words(ring)
        c.disk.put(register, value)
        c.say("x-release blk0")
        expect(c.disk.status, SUSPENDED[c.dialect], "Status")
        expect((c.disk.get(QUEUE_READY), c.disk.get(QUEUE_RESET)), (0, 0), "QueueReady and QueueReset")
        expect((used_words(ring), c.disk.interrupt), (before, 0), "ring and InterruptStatus")
        c.resumed(c.disk)
        c.qtest.fill(ring.desc, 0x10000)
        again = c.disk.queue(0, 16, packed=c.packed)
        expect(again.send(c.request(1, IN, room=512)), "used 513", "a read in the queue set up again")
        c.disk.status = 0


@law("D-16", "V14-DEV-8", "V5-DEV-10", "2.6.1.1.1-1", **EACH)
def suspend_with_a_queue_reset_pending(c):
    """A queue reset is asked for with a request in flight, then SUSPEND: both complete, and the ring is not written."""
    ring, = c.start(c.disk, RING_RESET)
    c.say("x-hold blk0")
    ring.add(c.request(0, IN, room=512))
    ring.notify()
    before = used_words(ring)
    c.disk.put(QUEUE_RESET, 1)
    c.suspend(c.disk)
    c.say("x-release blk0")
    expect(c.disk.status, SUSPENDED[c.dialect], "Status")
    c.resumed(c.disk)
    expect((c.disk.get(QUEUE_READY), c.disk.get(QUEUE_RESET)), (0, 0), "QueueReady and QueueReset")
    expect((used_words(ring), c.disk.interrupt), (before, 0), "ring and InterruptStatus")


@law("V5-DEV-12", "6.2-5", "D-17", "V5-DEV-4", rings=both_rings, options=QUEUES)
def retained_requests_in_order(c):
    """With IN_ORDER, retained requests whose later ones ended first are used in the order in which they were made available."""
    ring, = c.start(c.disk, IN_ORDER, size=16)
    c.say("x-hold blk0")
    for n in range(3):
        ring.add(c.request(n, IN, room=512), **({"buffer_id": n} if c.packed else {}))
    ring.notify()
    c.suspend(c.disk)
    c.say("x-release blk0 1")
    c.say("x-deadline blk0")
    expect(c.disk.status, 0x1f, "Status")
    c.say("x-release blk0")
    c.resumed(c.disk)
    expect((c.answer(0), c.answer(1), c.answer(2), c.disk.interrupt), (OK, OK, OK, 1), "status bytes and InterruptStatus")
    if not c.packed:
        expect(c.qtest.load(ring.area + 2, 2), 3, "used idx")


@law("D-17", "V14-DEV-4", "V5-DEV-7", dialects=both_dialects, rings=both_rings, options=QUEUES)
def all_queues_are_served_at_the_resume(c):
    """Buffers in three queues of a suspended device, none notified: each is used after the resume."""
    rings = c.start(c.disk, BLK_MQ, queues=(0, 1, 2))
    c.suspended(c.disk)
    for n, ring in enumerate(rings):
        ring.add(c.request(n, IN, room=512))
    c.resumed(c.disk)
    expect(([len(read_used(ring)) for ring in rings], c.disk.interrupt), ([1, 1, 1], 1), "used buffers and InterruptStatus")


@law("6.2-5", "V5-DEV-11", "V14-DEV-11", "5.2.6.2-13", dialects=both_dialects)
def flush_and_suspend(c):
    """Writes and a flush in flight when the device is asked to suspend are complete when it says that it is suspended."""
    ring, = c.start(c.disk, BLK_FLUSH, size=32)
    c.say("x-hold blk0")
    for n in range(3):
        ring.add(c.request(n, OUT, sector=n, data=bytes([n + 1]) * 512))
    ring.add(c.request(3, FLUSH))
    ring.notify()
    c.suspend(c.disk)
    expect(c.disk.status, RUNNING, "Status")
    c.say("x-release blk0")
    expect((c.disk.status, [c.answer(n) for n in range(4)]), (SUSPENDED[c.dialect], [OK] * 4), "Status and the status bytes")


@law("V5-DEV-12", "D-12", "V14-DEV-11", **EACH)
def empty_receive_buffers(c):
    """A console with empty receive buffers suspends at once; input that arrives then is delivered once after the resume, in order."""
    ring, = c.start(c.console, queues=(0,))
    for n in range(4):
        ring.add([(BUFFERS + 0x100 * n, 16, True)])
    ring.notify()
    c.suspended(c.console)
    before = used_words(ring)
    c.say("x-input console0 0x616263")
    c.say("x-input console0 0x646566")
    expect((used_words(ring), c.console.interrupt), (before, 0), "ring and InterruptStatus while suspended")
    c.resumed(c.console)
    lengths = [length for _, length in read_used(ring)]
    data = b"".join(c.qtest.read(BUFFERS + 0x100 * n, length) for n, length in enumerate(lengths))
    expect((data, c.console.interrupt), (b"abcdef", 1), "input and InterruptStatus after the resume")


@law("V5-DEV-1", "V14-DEV-8", "V5-INF-2", **EACH)
def entropy_device(c):
    """The entropy device suspends with a request in flight, and serves what was added meanwhile after the resume."""
    ring, = c.start(c.rng0)
    c.say("x-hold rng0")
    ring.add([(BUFFERS, 32, True)])
    ring.notify()
    c.suspend(c.rng0)
    expect(c.rng0.status, RUNNING, "Status")
    c.say("x-release rng0")
    expect((c.rng0.status, read_used(ring)), (SUSPENDED[c.dialect], [(0, 32)]), "Status and used buffers")
    ring.add([(BUFFERS + 0x100, 16, True)])
    ring.notify()
    expect(c.qtest.read(BUFFERS + 0x100, 16), bytes(16), "the buffer while suspended")
    c.resumed(c.rng0)
    expect([length for _, length in read_used(ring)], [16], "used lengths after the resume")
