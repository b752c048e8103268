"""SUSPEND in both dialects, and what the rest of the specification says about a device in it (VIRTIO 1.4, 3.4; the draft of 2024)."""
from driver import CONFIG, SUSPEND
from law import IN, OK, RUNNING, SUSPENDED, UNTOUCHED, both_dialects, both_rings, expect, law, read_used, used_words

EACH = {"dialects": both_dialects, "rings": both_rings}


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
