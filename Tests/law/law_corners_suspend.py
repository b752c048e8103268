"""Corners where several rules meet in a suspension."""
from driver import CONFIG, EVENT_IDX, FAILED, INTERRUPT_ACK, QUEUE_READY, QUEUE_RESET, RING_RESET
from law import (
    BLK_FLUSH, BUFFERS, FLUSH, IN, OK, OUT, RUNNING, SUSPENDED, UNTOUCHED, both_dialects, both_rings, expect, law,
    read_used, used_words, wants_notification, where)

EACH = {"dialects": both_dialects, "rings": both_rings}


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
