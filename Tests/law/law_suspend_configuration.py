"""What SUSPEND leaves of the configuration space, the registers and InterruptStatus (VIRTIO 1.4, 3.4; the draft of 2024)."""
from driver import (
    CONFIG, CONFIG_GENERATION, INTERRUPT_ACK, QUEUE_DESC, QUEUE_READY, QUEUE_RESET, QUEUE_SEL, QUEUE_SIZE,
    QUEUE_SIZE_MAX, RING_RESET, SHM_BASE, SHM_LEN)
from law import BLK_CONFIG_WCE, BLK_FLUSH, IN, SUSPENDED, both_dialects, both_rings, expect, law, used_words

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
