"""Feature bits (VIRTIO 1.4, 2.2 and 6)."""
from driver import DRIVER_FEATURES, DRIVER_FEATURES_SEL, EVENT_IDX, FEATURES_OK, RING_PACKED, RING_RESET, VERSION_1
from law import (
    IN, IN_ORDER, NOTIFICATION_DATA, RUNNING, SUSPEND_FEATURE, both_dialects, both_rings, expect, law, read_used)

NET = ("--net", "null")
WITH_PORT = ("--port", "null,name=second")

# Bits a device of the type may offer over virtio-mmio: those of the queues, and those of the type (5.1.3, 5.2.3, 5.3.3, 5.4.3).
COMMON = {28, 29, 32, 33, 34, 35, 36, 38, 40, 42, 43}
OWN = {"net": set(range(0, 24)) - {6} | set(range(50, 64)), "blk": {1, 2, 4, 5, 6, 9, 10, 11, 12, 13, 14, 15, 16, 17},
       "console": {0, 1, 2}, "rng": set()}

# What a bit requires: one of the others (5.1.3.1, 5.2.5.2).
NETWORK_NEEDS = {7: {1}, 8: {1}, 9: {7, 8}, 10: {1}, 54: {1}, 55: {1}, 11: {0}, 12: {0}, 13: {11, 12}, 14: {0}, 56: {0},
                 18: {17}, 19: {17}, 20: {17}, 21: {17}, 22: {17}, 23: {17}, 61: {11, 12}}


def offered(device):
    return device.offered(0) | device.offered(1) << 32


def bits(features):
    return {bit for bit in range(64) if features >> bit & 1}


@law("6.2-1", "2.2.2-4", "6.2-9", "4.2.5-0", "V5-FEAT-1", "V14-FEAT-1", "D-1", "5.2.5.2-5", "5.2.6.2-15", "5.2.6.2-16", "6.2-3", dialects=both_dialects, options=NET)
def offered_bits(c):
    """Each device offers VERSION_1, no bit that is reserved or not of its type or transport, and one SUSPEND bit at most."""
    for name, device in c.slots.items():
        kind, found = name.rstrip("0123456789"), bits(offered(device))
        expect(32 in found, True, f"{name}: VERSION_1")
        expect(sorted(found - COMMON - OWN[kind]), [], f"{name}: bits of no meaning here")
        expect(sorted(found & {37, 39, 41, 33, 36}), [], f"{name}: bits of other transports and platforms")
        suspend = found & {42, 43}
        expect(suspend, {42 if c.dialect == "draft" else 43} if name != "net0" or c.dialect == "1.4" else set(), f"{name}: SUSPEND")
        expect(sorted(found & {15, 16, 17}) if kind == "blk" else [], [], f"{name}: lifetime, secure erase and zones of a file")
        for word in (2, 3, 4, 0x80000000, 0xffffffff):
            expect(device.offered(word), 0, f"{name}: word {word:#x} of the features")


@law("2.2.2-1", "5.2.5.2-2", "5.2.5.2-1", options=NET)
def offered_requirements(c):
    """No device offers a feature without one that it requires; a disk offers FLUSH."""
    for name, device in c.slots.items():
        found = bits(offered(device))
        for bit, needs in NETWORK_NEEDS.items() if name == "net0" else ():
            expect(bit not in found or bool(needs & found), True, f"{name}: bit {bit} without {needs}")
        if name.startswith("blk"):
            expect(9 in found, True, f"{name}: FLUSH")


for _missing in ("csum", "guest_csum", "ctrl_vq", "host_tso4,features=-host_tso6", "guest_tso4,features=-guest_tso6"):
    def _withheld(c):
        """A network device without a feature offers none that requires it."""
        found = bits(offered(c.net0))
        for bit, needs in NETWORK_NEEDS.items():
            expect(bit not in found or bool(needs & found), True, f"bit {bit} without {needs}")
    _withheld.__name__ = f"network_without_{_missing.replace(',features=-', '_and_')}"
    law("2.2.2-1", "5.1.4.1-14", options=("--net", f"null,features=-{_missing}"))(_withheld)


@law("2.2.2-1", "5.2.5.2-2", options=("-d", "FILE,features=-flush"))
def disk_without_flush(c):
    """A disk without FLUSH does not offer CONFIG_WCE."""
    expect(bits(offered(c.disk)) & {9, 11}, set(), "FLUSH and CONFIG_WCE")


@law("2.2.2-3", "2.2.2-4", "D-1", dialects=both_dialects, options=NET)
def unoffered_bits_are_refused(c):
    """FEATURES_OK stays clear when the driver accepts one bit that was not offered, each in turn, in words 0 to 3 and beyond."""
    for name, device in c.slots.items():
        have = offered(device)
        for word in (0, 1, 2, 3, 4, 0xffffffff):
            for bit in range(32) if word < 4 else (0, 31):
                if word < 2 and have >> 32 * word + bit & 1:
                    continue
                for status in (0, 1, 3):
                    device.status = status
                device.accept(VERSION_1 | have & (RING_RESET | EVENT_IDX))
                device.put(DRIVER_FEATURES_SEL, word)
                kept = (VERSION_1 | have & (RING_RESET | EVENT_IDX)) >> 32 * word & 0xffffffff if word < 2 else 0
                device.put(DRIVER_FEATURES, kept | 1 << bit)
                device.status = 0x0b
                expect(device.status & FEATURES_OK, 0, f"{name}: FEATURES_OK with bit {bit} of word {word:#x}")


@law("2.2.2-3", "D-1", dialects=both_dialects)
def both_suspend_bits(c):
    """A driver that accepts bits 42 and 43 is refused; so is one that accepts only the other dialect's."""
    other = SUSPEND_FEATURE["1.4" if c.dialect == "draft" else "draft"]
    for accepted in (c.suspend_feature | other, other):
        c.disk.negotiate(accepted)
        expect(c.disk.status, 0x03, "Status")
        c.disk.status = 0x0f
        expect(c.disk.status & 0x10, 0, "SUSPEND")


@law("6.2-2", "2.2.2-3", dialects=both_dialects)
def suspend_without_version_1(c):
    """Without VERSION_1 the device refuses FEATURES_OK, with SUSPEND and without; the same set with it is accepted afterwards."""
    for accepted in (0, c.suspend_feature):
        for status in (0, 1, 3):
            c.disk.status = status
        c.disk.accept(accepted)
        c.disk.status = 0x0b
        expect(c.disk.status, 0x03, "Status")
        c.start(c.disk)
        c.suspended(c.disk)
        c.resumed(c.disk)


@law("2.2.2-3")
def refused_then_accepted(c):
    """After a refusal the driver may accept less, in the same initialisation; the device then sets FEATURES_OK."""
    c.disk.negotiate(1 << 20)
    expect(c.disk.status, 0x03, "Status after the refusal")
    c.disk.accept(VERSION_1)
    c.disk.status = 0x0b
    expect(c.disk.status, 0x0b, "Status")


@law("2.2.2-2", "2.2.2-5", "2.2.2-3", dialects=both_dialects, options=WITH_PORT)
def every_subset_of_the_console(c):
    """Every subset of the console's features with VERSION_1 is accepted, twice, and output works with it; SUSPEND too."""
    have = bits(offered(c.console)) - {32}
    expect(have >= {0, 1, 2, 28, 29, 34, 35, 38, 40}, True, f"what the console offers, {sorted(have)}")
    chosen = sorted(have)
    for number in range(1 << len(chosen)):
        features = sum(1 << bit for n, bit in enumerate(chosen) if number >> n & 1)
        if c.dialect == "1.4" and not features & c.suspend_feature:
            continue  # as in the draft
        for area in (0x110000, 0x114000, 0x118000):
            c.qtest.fill(area, 0x100)
        c.console.negotiate(features)
        expect(c.console.status, 0x0b, f"Status with {features:#x}")
        ring = c.console.queue(1, 4, packed=bool(features & RING_PACKED))
        c.console.status = RUNNING
        text = b"%04x" % number
        c.qtest.write(0x200000, text)
        ring.add([(0x200000, 4, False)])
        data = ring.available << 16 if not features & RING_PACKED else 0x8001 << 16
        c.console.put(0x50, 1 | (data if features & NOTIFICATION_DATA else 0))
        expect(c.say("x-output console0"), "0x" + text.hex(), f"output with {features:#x}")
        expect(c.console.interrupt, 1, f"InterruptStatus with {features:#x}")
        if features & c.suspend_feature:
            c.suspended(c.console)
            c.resumed(c.console)


@law("2.2.2-2", "2.2.2-5", dialects=both_dialects, options=NET)
def each_feature_alone_and_each_missing(c):
    """Each device accepts each offered feature alone where it requires no other, and all but each that no other requires; again after
    a reset, after a suspension and after an error."""
    for name, device in c.slots.items():
        have = offered(device) & ~VERSION_1
        alone = [1 << bit for bit in bits(have) if name != "net0" or bit not in NETWORK_NEEDS]
        needed = {bit for needs in NETWORK_NEEDS.values() for bit in needs} if name == "net0" else {9}
        missing = [have & ~(1 << bit) for bit in bits(have) if bit not in needed]
        for features in [0, have] + alone + missing:
            for _ in range(2):
                device.negotiate(features)
                expect(device.status, 0x0b, f"{name}: Status with {features:#x}")
        device.status = RUNNING
        if have & c.suspend_feature:
            device.negotiate(have)
            device.status = RUNNING
            c.suspended(device)
        if name != "net0":
            c.say(f"x-fatal {name}")
        device.negotiate(have)
        expect(device.status, 0x0b, f"{name}: Status after the error")


@law("2.2.2-5", "3.1.1-4")
def features_are_final(c):
    """Features written after FEATURES_OK change nothing: the ring form that was negotiated is the one in use."""
    c.negotiate(c.disk)
    before = c.state(c.disk)["driverFeatures"]
    c.disk.accept(VERSION_1 | RING_PACKED)
    expect(c.state(c.disk)["driverFeatures"], before, "the driver's features")


@law("2.2.2-2", "2.2.2-3")
def words_of_features(c):
    """Zeroes written to words from 2 on change nothing: what words 0 and 1 hold is accepted."""
    for status in (0, 1, 3):
        c.disk.status = status
    c.disk.accept(VERSION_1 | EVENT_IDX)
    for word in (2, 3, 4, 0x100, 0xffffffff):
        c.disk.put(DRIVER_FEATURES_SEL, word)
        c.disk.put(DRIVER_FEATURES, 0)
    c.disk.status = 0x0b
    expect((c.disk.status, c.state(c.disk)["driverFeatures"]), (0x0b, f"0x{VERSION_1 | EVENT_IDX:016x}"), "Status and the driver's features")


@law("6.2-5", dialects=both_dialects, rings=both_rings)
def in_order(c):
    """With IN_ORDER buffers are used in the order in which they were made available, though the backend ends in another."""
    ring, = c.start(c.disk, IN_ORDER, size=16)
    c.say("x-hold blk0")
    heads = []
    for n, kind in enumerate((IN, 99, IN, 99)):  # an unknown type ends at once, a read is held
        request = c.request(n, kind, room=512 if kind == IN else 0)
        heads.append(ring.add(request) if not c.packed else ring.add(request, buffer_id=n) or n)
    ring.notify()
    expect(read_used(ring), [], "used buffers while the first is held")
    c.say("x-release blk0 1")
    first = read_used(ring)
    expect([head for head, _ in first][:1], heads[:1], "the first used buffer")
    c.say("x-release blk0")
    heads_found = [head for head, _ in first + read_used(ring)]
    expect(heads_found[-1], heads[-1], "the last used buffer")
    expect(sorted(heads_found, key=heads.index), heads_found, "the order of the used buffers")
