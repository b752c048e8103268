"""SUSPEND in both dialects, and what the rest of the specification says about a device in it (VIRTIO 1.4, 3.4; the draft of 2024)."""
from driver import (
    CONFIG, CONFIG_GENERATION, DEVICE_FEATURES, DEVICE_FEATURES_SEL, EVENT_IDX, FAILED, INTERRUPT_ACK, NEEDS_RESET, QUEUE_DESC,
    QUEUE_NOTIFY, QUEUE_READY, QUEUE_RESET, QUEUE_SEL, QUEUE_SIZE, QUEUE_SIZE_MAX, RING_RESET, SHM_BASE, SHM_LEN, SUSPEND)
from law import (
    BLK_CONFIG_WCE, BLK_FLUSH, BLK_MQ, BUFFERS, FLUSH, IN, IN_ORDER, OK, OUT, RUNNING, SUSPENDED, UNTOUCHED, both_dialects,
    both_rings, expect, law, read_used, used_words, wants_notification, where)

QUEUES = ("-d", "FILE,queues=3,features=+packed,+in_order")
WRITEBACK = CONFIG + 32
EACH = {"dialects": both_dialects, "rings": both_rings}


def readable(c, device, queues):
    """Everything a driver can read of a device."""
    found = [device.status, device.interrupt, device.line, device.get(CONFIG_GENERATION)]
    found += [device.get(CONFIG + at, 1) for at in range(60)]
    for word in (0, 1, 2):
        found.append(device.offered(word))
    for index in range(queues + 1):
        device.put(QUEUE_SEL, index)
        found += [device.get(register) for register in (QUEUE_SIZE_MAX, QUEUE_READY, QUEUE_RESET)]
    device.put(QUEUE_SEL, 0)
    return found + [device.get(register) for register in (SHM_LEN, SHM_BASE, 0, 4, 8, 12)]


@law("V5-DEV-1", "V5-DEV-10", "V14-DEV-8", "V14-DEV-9", "V14-INF-1", "V14-INF-2", "V5-INF-1", **EACH)
def suspend_and_resume(c):
    """An idle device suspends and resumes, many times, and works each time."""
    ring, = c.start(c.disk)
    for n in range(20):
        c.suspended(c.disk)
        c.suspend(c.disk) if c.dialect == "draft" else None
        expect(c.disk.status, SUSPENDED[c.dialect], "Status")
        c.resumed(c.disk)
        expect(ring.send(c.request(0, IN, room=512)), "used 513", f"read {n}")


@law("V5-DEV-4", **EACH)
def nothing_readable_changes(c):
    """What a driver can read after the resume is what it could read before the suspend."""
    ring, = c.start(c.disk, RING_RESET)
    ring.send(c.request(0, IN, room=512))
    for acknowledged in (False, True):
        if acknowledged:
            c.acknowledge(c.disk)
        before, memory = readable(c, c.disk, 1), used_words(ring)
        c.suspended(c.disk)
        c.resumed(c.disk)
        expect(readable(c, c.disk, 1), before, "registers")
        expect(used_words(ring), memory, "the ring")


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


@law("V5-DEV-10", "V14-DEV-11", "V14-DEV-12", "D-3", "D-4", **EACH)
def acknowledgement_comes_last(c):
    """With a request in flight Status shows the old value; when it shows the suspended one, the used entry and InterruptStatus are
    there already."""
    ring, = c.start(c.disk)
    c.say("x-hold blk0")
    for n in range(2):
        ring.add(c.request(n, IN, room=512))
    ring.notify()
    c.suspend(c.disk)
    for left in (2, 1):
        expect([c.disk.status for _ in range(5)], [RUNNING] * 5, f"Status with {left} in flight")
        c.say("x-release blk0 1")
    expect((c.disk.status, c.disk.interrupt, c.disk.line), (SUSPENDED[c.dialect], 1, "high"), "Status, InterruptStatus and line")
    expect([length for _, length in read_used(ring)], [513, 513], "used lengths")


@law("V5-DEV-6", "V5-DEV-7", "V14-DEV-3", "V14-DEV-4", "D-7", **EACH)
def nothing_happens_while_suspended(c):
    """Buffers and notifications given to a suspended device change neither ring, data, InterruptStatus nor line; the resume serves
    them."""
    ring, = c.start(c.disk)
    c.suspended(c.disk)
    for n in range(2):
        ring.add(c.request(n, IN, room=512))
        ring.notify()
    before = used_words(ring)
    for _ in range(3):
        ring.notify()
    expect((used_words(ring), c.answer(0), c.disk.interrupt, c.disk.line), (before, UNTOUCHED, 0, "low"), "while suspended")
    c.resumed(c.disk)
    expect((len(read_used(ring)), c.disk.interrupt, c.disk.line), (2, 1, "high"), "after the resume")


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


@law("D-6", "H-3", "H-4", "4.2.2.1-3", "4.2.3.4-0", **EACH)
def level_held_over_a_suspension(c):
    """An interrupt that was not acknowledged stays over the suspend; the suspended device's acknowledgement clears bit and line; the
    resume raises neither again."""
    ring, = c.start(c.disk)
    for acknowledged in (False, True):
        ring.send(c.request(0, IN, room=512))
        c.suspended(c.disk)
        expect((c.disk.interrupt, c.disk.line), (1, "high"), "InterruptStatus and line while suspended")
        if acknowledged:
            c.disk.put(INTERRUPT_ACK, 2)
            expect(c.disk.interrupt, 1, "InterruptStatus after the acknowledgement of the other bit")
            c.disk.put(INTERRUPT_ACK, 1)
            expect((c.disk.interrupt, c.disk.line), (0, "low"), "after the acknowledgement")
        c.resumed(c.disk)
        expect((c.disk.interrupt, c.disk.line), (0, "low") if acknowledged else (1, "high"), "after the resume")
        c.acknowledge(c.disk)


@law("V5-DEV-8", "V14-DEV-5", "V14-DEV-6", "V14-DEV-7", "D-9", "4.2.2.1-6", dialects=both_dialects)
def capacity_changes_twice(c):
    """A suspended disk whose capacity changes twice shows the old one, the old ConfigGeneration and no interrupt; after the resume
    the last one, another generation and one interrupt. So too if it changes back."""
    c.start(c.disk)
    for last in (2000, 2000, 3000):
        old, generation = c.disk.get(CONFIG), c.disk.get(CONFIG_GENERATION)
        c.suspended(c.disk)
        for sectors in (1000, last):
            c.say(f"x-capacity blk0 {sectors}")
            found = (c.disk.get(CONFIG), c.disk.get(CONFIG_GENERATION), c.disk.interrupt, c.disk.line)
            expect(found, (old, generation, 0, "low"), "capacity, ConfigGeneration, InterruptStatus, line while suspended")
        c.resumed(c.disk)
        expect((c.disk.get(CONFIG), c.disk.interrupt), (last, 2), "capacity and InterruptStatus after the resume")
        expect(c.disk.get(CONFIG_GENERATION) != generation, True, "another ConfigGeneration")
        c.acknowledge(c.disk)
        expect(c.disk.interrupt, 0, "InterruptStatus after the acknowledgement")


@law("V14-DEV-7", "4.2.2.1-3", "D-6", "D-8", "D-9", dialects=both_dialects)
def owed_change_survives_an_acknowledgement(c):
    """A change before the suspend and another in it: the acknowledgement in the suspension takes the first, the resume tells the
    second."""
    c.start(c.disk)
    c.say("x-capacity blk0 10")
    c.suspended(c.disk)
    c.say("x-capacity blk0 20")
    expect(c.disk.interrupt, 2, "InterruptStatus while suspended")
    c.disk.put(INTERRUPT_ACK, 3)
    expect((c.disk.interrupt, c.disk.get(CONFIG)), (0, 10), "InterruptStatus and capacity")
    c.resumed(c.disk)
    expect((c.disk.interrupt, c.disk.get(CONFIG)), (2, 20), "after the resume")


@law("D-9", "2.4.1-2", "2.5.2-1", dialects=both_dialects)
def staged_change_and_reset(c):
    """A reset of a suspended disk whose capacity changed: the new capacity can be read, and no interrupt comes, then or later."""
    c.start(c.disk)
    c.suspended(c.disk)
    c.say("x-capacity blk0 99")
    c.disk.status = 0
    expect((c.disk.get(CONFIG), c.disk.interrupt, c.disk.line), (99, 0, "low"), "capacity, InterruptStatus and line")
    c.start(c.disk)
    expect((c.disk.get(CONFIG), c.disk.interrupt), (99, 0), "after the new initialisation")
    c.suspended(c.disk)
    c.resumed(c.disk)
    expect(c.disk.interrupt, 0, "InterruptStatus after a suspend and a resume")


@law("V14-DEV-7", "V5-DEV-9", "D-4", dialects=both_dialects)
def change_in_a_drain(c):
    """A change before the acknowledgement is told at once, and not again at the resume."""
    ring, = c.start(c.disk)
    c.say("x-hold blk0")
    ring.add(c.request(0, IN, room=512))
    ring.notify()
    c.suspend(c.disk)
    c.say("x-capacity blk0 55")
    expect((c.disk.get(CONFIG), c.disk.interrupt), (55, 2), "capacity and InterruptStatus in the drain")
    c.disk.put(INTERRUPT_ACK, 2)
    c.say("x-release blk0")
    expect(c.disk.status, SUSPENDED[c.dialect], "Status")
    c.disk.put(INTERRUPT_ACK, 1)
    c.resumed(c.disk)
    expect(c.disk.interrupt, 0, "InterruptStatus after the resume")


@law("V5-DEV-5", "V14-DEV-2", "5.2.6.2-1", dialects=both_dialects)
def configuration_writes_are_ignored(c):
    """A write to writeback of a suspended disk is ignored, then and after the resume; before the acknowledgement and after the
    resume it works."""
    ring, = c.start(c.disk, BLK_FLUSH | BLK_CONFIG_WCE)
    expect(c.disk.get(WRITEBACK, 1), 1, "writeback")
    c.suspended(c.disk)
    c.disk.put(WRITEBACK, 0, 1)
    expect(c.disk.get(WRITEBACK, 1), 1, "writeback while suspended")
    c.resumed(c.disk)
    expect(c.disk.get(WRITEBACK, 1), 1, "writeback after the resume")
    c.disk.put(WRITEBACK, 0, 1)
    expect(c.disk.get(WRITEBACK, 1), 0, "writeback written then")
    c.say("x-hold blk0")
    ring.add(c.request(0, IN, room=512))
    ring.notify()
    c.suspend(c.disk)
    c.disk.put(WRITEBACK, 1, 1)
    expect(c.disk.get(WRITEBACK, 1), 1, "writeback written in the drain")
    c.say("x-release blk0")


@law("D-5", "D-19", "V5-DEV-4", **EACH)
def registers_of_a_suspended_device(c):
    """Sizes, addresses and features written to a suspended device change nothing: the queue works as before."""
    ring, = c.start(c.disk)
    c.suspended(c.disk)
    features = c.state(c.disk)["driverFeatures"]
    c.disk.put(QUEUE_SEL, 0)
    c.disk.put(QUEUE_SIZE, 2)
    for offset in (0, 4, 0x10, 0x14, 0x20, 0x24):
        c.disk.put(QUEUE_DESC + offset, 0x700000)
    c.disk.accept(0)
    expect(c.state(c.disk)["driverFeatures"], features, "the driver's features")
    c.resumed(c.disk)
    expect([ring.send(c.request(n, IN, room=512)) for n in range(9)], ["used 513"] * 9, "reads")


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


@law("V5-DEV-1", "V5-DRV-6", "V14-DEV-8", "D-3", **EACH)
def abort(c):
    """SUSPEND written back in a drain: the draft goes on at once and completes what is in flight; 1.4 knows no abort and suspends."""
    ring, = c.start(c.disk)
    c.say("x-hold blk0")
    ring.add(c.request(0, IN, room=512))
    ring.notify()
    c.suspend(c.disk)
    c.disk.status = RUNNING
    expect(c.disk.status, RUNNING, "Status after the abort")
    ring.add(c.request(1, 99, room=512))
    ring.notify()
    expect(len(read_used(ring)), 1 if c.dialect == "draft" else 0, "used buffers of a request added then")
    c.say("x-release blk0")
    expect(c.disk.status, RUNNING if c.dialect == "draft" else SUSPENDED["1.4"], "Status at the end")
    if c.dialect == "1.4":
        c.resumed(c.disk)
    read_used(ring)
    expect((ring.done, c.answer(0), c.disk.interrupt), (2, OK, 1), "used buffers, status byte, InterruptStatus")


@law("D-3", "D-4", "V14-DEV-9", "V5-DEV-6", **EACH)
def resume_that_takes_time(c):
    """Until the backend is ready Status shows the suspended value, and nothing is delivered; then Status and delivery."""
    ring, = c.start(c.disk)
    c.suspended(c.disk)
    ring.add(c.request(0, IN, room=512))
    before = used_words(ring)
    c.say("x-capacity blk0 5")
    c.say("x-hold-resume blk0")
    c.resume(c.disk)
    ring.notify()
    expect((c.disk.status, c.disk.interrupt, used_words(ring)), (SUSPENDED[c.dialect], 0, before), "before it is ready")
    if c.dialect == "draft":
        c.suspend(c.disk)
        expect(c.disk.status, 0x1f, "Status after the resume was taken back")
        c.resume(c.disk)
    c.say("x-ready blk0")
    expect((c.disk.status, c.disk.interrupt, len(read_used(ring)), c.disk.get(CONFIG)), (RUNNING, 3, 1, 5), "when it is ready")


@law("D-13", "V14-DEV-9", "V5-DEV-4", "2.1.2-2", "2.1.2-3", dialects=both_dialects)
def error_while_suspended(c):
    """An unrecoverable error of a suspended device: the draft shows it after the resume with a configuration interrupt; 1.4 shows it
    at once and without one. A reset leaves nothing of it."""
    c.start(c.disk)
    c.suspended(c.disk)
    c.say("x-fatal blk0")
    expect((c.disk.interrupt, c.disk.line), (0, "low"), "InterruptStatus and line while suspended")
    expect(c.disk.status, 0x1f if c.dialect == "draft" else 0x5b, "Status while suspended")
    c.resume(c.disk)
    found = (c.disk.status, c.disk.interrupt)
    expect(found, (0x4f, 2) if c.dialect == "draft" else (0x5b, 0), "Status and InterruptStatus after the resume")
    c.disk.status = 0
    ring, = c.start(c.disk)
    expect((ring.send(c.request(0, IN, room=512)), c.disk.status), ("used 513", RUNNING), "a read after the reset")


@law("V14-DEV-8", "V5-DEV-12", "D-11", "D-13", "2.1.2-3", **EACH)
def deadline_of_a_drain(c):
    """When a request does not complete in time, the draft suspends and keeps it, to be used once after the resume; 1.4 needs a
    reset, with a configuration interrupt, and never shows SUSPEND."""
    ring, = c.start(c.disk)
    c.say("x-hold blk0")
    ring.add(c.request(0, IN, room=512))
    ring.notify()
    c.suspend(c.disk)
    c.say("x-deadline blk0")
    before = used_words(ring)
    if c.dialect == "1.4":
        expect((c.disk.status, c.disk.interrupt), (0x4f, 2), "Status and InterruptStatus")
        c.say("x-release blk0")
        expect(used_words(ring), before, "the ring")
        return
    expect(c.disk.status, 0x1f, "Status")
    c.say("x-release blk0")
    expect((used_words(ring), c.answer(0), c.disk.interrupt), (before, UNTOUCHED, 0), "ring, status byte, InterruptStatus")
    c.resumed(c.disk)
    expect((read_used(ring), c.answer(0), c.disk.interrupt), ([(0, 513)], OK, 1), "after the resume")


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


@law("2.4.1-2", "D-10", "V5-DEV-4", **EACH)
def reset_of_a_suspended_device(c):
    """A reset of a suspended device that owes a used buffer, a change and an interrupt: none of them comes, then or later."""
    ring, = c.start(c.disk)
    c.say("x-hold blk0")
    ring.add(c.request(0, IN, room=512))
    ring.notify()
    c.suspend(c.disk)
    if c.dialect == "draft":
        c.say("x-deadline blk0")
    else:
        c.say("x-release blk0")
        read_used(ring)
    ring.add(c.request(1, IN, room=512))
    c.say("x-capacity blk0 7")
    before = used_words(ring)
    c.disk.status = 0
    c.say("x-release blk0")
    expect((used_words(ring), c.disk.interrupt, c.disk.line, c.disk.status), (before, 0, "low", 0), "ring, InterruptStatus, line, Status")
    expect(c.answer(1), UNTOUCHED, "the status byte of the buffer that was never used")


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


@law("V14-DEV-1", "V5-DEV-3", dialects=both_dialects)
def suspend_before_driver_ok(c):
    """SUSPEND written at each step of the initialisation is ignored, and the initialisation goes on."""
    for status in (0x10, 0x11, 0x13):
        c.disk.status = 0
        c.disk.status = status
        expect(c.disk.status, status & ~SUSPEND, "Status")
    c.negotiate(c.disk)
    c.disk.status = 0x1b
    expect(c.disk.status, 0x0b, "Status before DRIVER_OK")
    ring = c.disk.queue(0, 8)
    c.disk.status = 0x1f
    expect(c.disk.status, RUNNING, "Status after DRIVER_OK and SUSPEND in one write")
    expect(ring.send(c.request(0, IN, room=512)), "used 513", "a read")


@law("V14-DEV-8", "V5-DEV-1", "D-13", dialects=both_dialects)
def suspend_of_a_dead_device(c):
    """SUSPEND written to a device that needs a reset: Status keeps showing that, so that a driver that waits can stop."""
    c.start(c.disk)
    c.say("x-fatal blk0")
    c.suspend(c.disk)
    expect(c.disk.status, 0x4f, "Status")


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
