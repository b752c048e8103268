"""Device status and reset (VIRTIO 1.4, 2.1 and 2.4)."""
from driver import (
    ACKNOWLEDGE, DRIVER, DRIVER_OK, FAILED, FEATURES_OK, NEEDS_RESET, QUEUE_READY, QUEUE_RESET, QUEUE_SEL, RING_RESET,
    SUSPEND)
from law import IN, OK, RUNNING, SUSPENDED, UNTOUCHED, both_dialects, both_rings, expect, law, read_used, used_words

STATES = ("not live", "running", "suspending", "suspended", "resuming", "dead", "dead, suspended")


def bring(c, state):
    """Brings the disk into a state, with one request in flight where that is possible, and returns its ring."""
    device = c.disk
    if state == "not live":
        c.negotiate(device)
        return device.queue(0, 8, packed=c.packed)
    ring, = c.start(device)
    if state in ("suspended", "resuming", "dead, suspended"):
        c.suspended(device)
    if state == "suspending":
        c.say("x-hold blk0")
        ring.add(c.request(0, IN, room=512))
        ring.notify()
        c.suspend(device)
    if state == "resuming":
        c.say("x-hold-resume blk0")
        c.resume(device)
    if state.startswith("dead"):
        c.say("x-fatal blk0")
    return ring


@law("2.1.2-1", rings=both_rings)
def nothing_before_driver_ok(c):
    """A buffer that is available and notified before DRIVER_OK is not used; after DRIVER_OK it is."""
    c.negotiate(c.disk)
    ring = c.disk.queue(0, 8, packed=c.packed)
    ring.add(c.request(0, IN, room=512))
    before = used_words(ring)
    ring.notify()
    expect(used_words(ring), before, "the ring after a notification before DRIVER_OK")
    expect((c.answer(0), c.disk.interrupt, c.disk.line), (UNTOUCHED, 0, "low"), "status byte, InterruptStatus and line")
    c.disk.status = RUNNING
    ring.notify()
    expect(len(read_used(ring)), 1, "used buffers after DRIVER_OK")


@law("2.1.2-2", "2.1.2-3", "3.2.1-0", dialects=both_dialects)
def error_is_told(c):
    """An unrecoverable error of a running device sets DEVICE_NEEDS_RESET, and bit 1 of InterruptStatus."""
    c.start(c.disk)
    c.say("x-fatal blk0")
    expect((c.disk.status, c.disk.interrupt, c.disk.line), (RUNNING | NEEDS_RESET, 2, "high"), "Status, InterruptStatus, line")


@law("2.1.2-2", "2.1.2-1")
def error_before_driver_ok(c):
    """An unrecoverable error before DRIVER_OK sets DEVICE_NEEDS_RESET; a reset clears it, and the device works again."""
    c.negotiate(c.disk)
    c.say("x-fatal blk0")
    expect(c.disk.status & NEEDS_RESET, NEEDS_RESET, "DEVICE_NEEDS_RESET")
    ring, = c.start(c.disk)
    expect(ring.send(c.request(0, IN, room=512)), "used 513", "a read after the reset")


@law("2.1.2-2", "2.1.2-3", "2.7.6-0", "2.8.17-2", rings=both_rings)
def broken_ring_needs_reset(c):
    """A chain that cannot be read makes the device need a reset, with a configuration interrupt, and it uses nothing more."""
    ring, = c.start(c.disk)
    if c.packed:
        for slot in range(8):  # a list longer than the ring
            ring.describe(slot, 0x200000, 16, 0, 1 | 1 << 7)
    else:
        ring.offer(9)
    ring.notify()
    expect((c.disk.status, c.disk.interrupt), (RUNNING | NEEDS_RESET, 2), "Status and InterruptStatus")
    before = used_words(ring)
    ring.notify()
    expect(used_words(ring), before, "the ring after another notification")


@law("2.4.1-1", "2.4.1-2", "4.2.2.1-5", "4.2.2.1-8", "D-10", "2.1-0", dialects=both_dialects, rings=both_rings)
def reset_in_every_state(c):
    """In each state a written 0 reads 0 at once, with InterruptStatus, QueueReady, QueueReset and line 0; nothing comes later."""
    for state in STATES:
        ring = bring(c, state)
        before = used_words(ring)
        c.disk.status = 0
        expect(c.disk.status, 0, f"{state}: Status")
        expect((c.disk.interrupt, c.disk.line), (0, "low"), f"{state}: InterruptStatus and line")
        c.disk.put(QUEUE_SEL, 0)
        expect((c.disk.get(QUEUE_READY), c.disk.get(QUEUE_RESET)), (0, 0), f"{state}: QueueReady and QueueReset")
        c.say("x-release blk0")
        c.say("x-ready blk0")
        ring.notify()
        expect(used_words(ring), before, f"{state}: the ring after the reset")
        expect((c.disk.status, c.disk.interrupt, c.disk.line), (0, 0, "low"), f"{state}: later")


@law("2.4.1-1", "2.2.2-5", "D-10", dialects=both_dialects, rings=both_rings)
def reset_in_a_drain_and_set_up_at_once(c):
    """A reset while a suspend drains, and a new set-up in the same memory: the old request is never seen in the new ring."""
    old = bring(c, "suspending")
    c.disk.status = 0
    for address in (old.desc, old.driver, old.area):
        c.qtest.fill(address, 0x200)
    new, = c.start(c.disk)
    new.add(c.request(1, IN, room=512))
    new.notify()
    expect(c.disk.status, RUNNING, "Status")
    c.say("x-release blk0")
    expect(read_used(new), [(0, 513)], "used buffers of the new ring")
    expect(c.answer(0), UNTOUCHED, "status byte of the old request")
    expect(c.disk.interrupt, 1, "InterruptStatus")
    c.suspended(c.disk)
    c.resumed(c.disk)


@law("4.2.2.1-8", "2.4.1-2", dialects=both_dialects, rings=both_rings)
def reset_in_a_queue_reset(c):
    """A reset while a queue reset waits for the resume: QueueReset and QueueReady read 0, and a resume that comes afterwards is none."""
    ring, = c.start(c.disk, RING_RESET)
    c.suspended(c.disk)
    before = used_words(ring)
    c.disk.put(QUEUE_RESET, 1)
    expect(c.disk.get(QUEUE_RESET), 1, "QueueReset while the device is suspended")
    c.disk.status = 0
    c.disk.put(QUEUE_SEL, 0)
    expect((c.disk.get(QUEUE_RESET), c.disk.get(QUEUE_READY)), (0, 0), "QueueReset and QueueReady after the reset")
    c.disk.status = RUNNING
    expect((used_words(ring), c.disk.interrupt), (before, 0), "ring and InterruptStatus")


def shown(c, state, value):
    """Status after `value` was written in `state`, as the texts say it; SUSPEND was negotiated and FEATURES_OK is set."""
    draft, suspend, driver_ok, failed = c.dialect == "draft", value & SUSPEND, value & DRIVER_OK, value & FAILED
    if state == "not live":  # SUSPEND is ignored before the initialisation is complete; FAILED gives up
        return 0x0b | failed | (driver_ok if not failed else 0)
    if state == "running":
        return (SUSPENDED[c.dialect] if suspend else RUNNING) | failed
    if state == "suspending":  # the old value until the drain ends; x-hold keeps it from that
        return RUNNING | failed
    if state == "suspended":
        resumes = not suspend if draft else driver_ok
        return (RUNNING if resumes else SUSPENDED[c.dialect]) | failed
    if state == "resuming":
        return SUSPENDED[c.dialect] | failed
    return None


@law("2.1-0", "V5-DEV-1", "V5-DEV-3", "V5-DEV-10", "V14-DEV-1", "V14-INF-1", "V14-INF-2", "D-2", "D-3", "D-14", dialects=both_dialects)
def every_write_in_every_state(c):
    """Several bits in one write, in each state: sticky bits stay, reserved ones read 0, SUSPEND is judged by the state before."""
    rest = ACKNOWLEDGE | DRIVER | FEATURES_OK
    for state in STATES[:5]:
        for bits in range(1, 64):
            value = sum(bit for n, bit in enumerate((DRIVER_OK, SUSPEND, NEEDS_RESET, FAILED, 0x20)) if bits >> n & 1)
            value |= rest if bits & 32 else 0
            if value == 0:
                continue
            bring(c, state)
            c.disk.status = value
            expect(c.disk.status, shown(c, state, value), f"{state}, {value:#x} written: Status")
            c.disk.status = 0
            c.say("x-release blk0")
            c.say("x-ready blk0")


@law("2.1-0", "D-2", dialects=both_dialects)
def dead_device_stays_dead(c):
    """A device that needs a reset shows it whatever is written; SUSPEND never appears in one that died running."""
    for state in STATES[5:]:
        for value in (0x0f, 0x1f, 0x1b, 0x10, 0x40, 0x8f, 0x9f, 0x100, 0x20):
            bring(c, state)
            if state == "dead, suspended" and c.dialect == "draft":
                expect(c.disk.status, 0x1f, "Status of a suspended draft device with an error")
                c.resume(c.disk)
                expect(c.disk.status, RUNNING | NEEDS_RESET, "Status after its resume")
            pair = 0x10 if state == "dead, suspended" and c.dialect == "1.4" else 0x04
            c.disk.status = value
            expect(c.disk.status, 0x4b | pair | value & FAILED, f"{state}, {value:#x} written: Status")
            c.disk.status = 0


@law("D-2", "2.1-0")
def only_zero_resets(c):
    """A word whose low byte is 0 is no reset; the device keeps running."""
    c.start(c.disk)
    for value in (0x100, 0xffffff00, 0x80000000):
        c.disk.status = value
        expect(c.disk.status, RUNNING, f"Status after {value:#x}")


@law("V5-DEV-2", "D-18", dialects=both_dialects)
def suspend_not_negotiated(c):
    """SUSPEND that was not negotiated is ignored, reads 0 and stops nothing."""
    ring, = c.start(c.disk, suspend=False)
    c.suspend(c.disk)
    expect(c.disk.status, RUNNING, "Status")
    expect(ring.send(c.request(0, IN, room=512)), "used 513", "a read")
    expect(c.answer(0), OK, "its status byte")


@law("2.1.2-1", "D-14")
def failed_never_goes_live(c):
    """After FAILED, DRIVER_OK does not start the device until a reset."""
    c.negotiate(c.disk)
    ring = c.disk.queue(0, 8)
    c.disk.status = 0x8b
    c.disk.status = 0x8f
    ring.add(c.request(0, IN, room=512))
    ring.notify()
    expect((len(read_used(ring)), c.disk.interrupt), (0, 0), "used buffers and InterruptStatus")
    ring, = c.start(c.disk)
    expect(ring.send(c.request(0, IN, room=512)), "used 513", "a read after the reset")
