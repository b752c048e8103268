"""Virtqueues of both formats (VIRTIO 1.4, 2.7 and 2.8)."""
from driver import EVENT_IDX, INDIRECT, INDIRECT_DESC, NEXT, WRITE
from law import (
    BUFFERS, GET_ID, IN, OK, OUT, RUNNING, UNTOUCHED, both_dialects, both_rings, expect, law, read_used, used_words,
    wants_notification, where)

TABLE = 0x2c0000
PATTERN = bytes((7 * n + 3) & 0x7f for n in range(1024))


def pieces(buffers, size):
    """The same buffers, cut so that no descriptor is longer than `size`."""
    return [(address + at, min(size, length - at), writable) for address, length, writable in buffers
            for at in range(0, length, size)]


def joined(c, kind, data=b"", room=0):
    """Request 0 with header and data in one place, and data and status byte in one."""
    base = BUFFERS
    c.qtest.write(base, kind.to_bytes(4, "little") + bytes(12) + data)
    c.qtest.fill(base + 16 + len(data), room + 1, UNTOUCHED)
    return [(base, 16 + len(data), False), (base + 16 + len(data), room + 1, True)]


@law("2.7.4.1-1", "2.8.18-1", "2.7.5.3.2-2", rings=both_rings)
def every_framing(c):
    """A write and a read give the same bytes with header, data and status byte in one descriptor for each direction, in pieces of 1 to
    600 bytes, direct or in an indirect table."""
    ring, = c.start(c.disk, INDIRECT_DESC, size=256)
    number = 0
    for size in (5, 7, 16, 17, 100, 511, 512, 513, 600, 4096):
        for indirect in (None, TABLE):
            data = bytes((byte + number) & 0x7f for byte in PATTERN)
            number += 1
            for kind, given, room, length in ((OUT, data, 0, 1), (IN, b"", len(data), len(data) + 1)):
                for make in (lambda: c.request(0, kind, data=given, room=room), lambda: joined(c, kind, given, room)):
                    buffers = pieces(make(), size)
                    what = f"type {kind} in {len(buffers)} descriptors of {size} bytes{' and a table' if indirect else ''}"
                    expect(ring.send(buffers, indirect=indirect), f"used {length}", what)
                    expect(c.qtest.load(buffers[-1][0] + buffers[-1][1] - 1, 1), OK, f"{what}: status byte")
                    if kind == IN:
                        start = next(address for address, _, writable in buffers if writable)
                        expect(c.qtest.read(start, room), data, f"{what}: data")


@law("2.7.5.1-1", "2.7.5.1-2", "2.7.5.1-3", "2.7.5.1-4", "2.8.15-1", "2.8.15-2", rings=both_rings)
def what_the_device_writes(c):
    """The device writes no device-readable buffer and, in a split queue, no descriptor and no word of the available ring; what is in
    a device-writable buffer makes no difference."""
    ring, = c.start(c.disk)
    for n in range(1, 6):
        ring.add(c.request(0, OUT, data=PATTERN))
        if not c.packed:
            table, available = c.qtest.read(ring.desc, 128), c.qtest.read(ring.driver, 22)
        ring.notify()
        if not c.packed:
            expect(c.qtest.read(ring.desc, 128), table, "the descriptor table")
            expect(c.qtest.read(ring.driver, 22), available, "the available ring")
        expect(c.data(0, len(PATTERN)), PATTERN, "the data written")
        expect(c.qtest.read(BUFFERS, 16), b"\1" + bytes(15), "the header")
        read_used(ring)
    for junk in (0, 0x55, 0xff):
        buffers = c.request(1, IN, room=1024)
        c.qtest.fill(buffers[1][0], 1024, junk)
        c.qtest.fill(buffers[2][0], 1, junk)
        expect(ring.send(buffers), "used 1025", "a read")
        expect(c.data(1, 1024), PATTERN, f"what was read over {junk:#x}")


@law("2.7.5.3.2-1", "2.8.19-2", rings=both_rings)
def indirect_write_flag(c):
    """VIRTQ_DESC_F_WRITE in the descriptor that refers to an indirect table is ignored."""
    ring, = c.start(c.disk, INDIRECT_DESC)
    for flag in (0, WRITE):
        ring.chain(c.request(0, IN, room=512), range(4), table=TABLE) if not c.packed else [
            ring.describe(n, address, length, 0, WRITE if writable else 0, table=TABLE)
            for n, (address, length, writable) in enumerate(c.request(0, IN, room=512))]
        if c.packed:
            ring.chains.append(1)
            ring.describe(ring.slot, TABLE, 48, 0, INDIRECT | flag | 1 << 7)
            ring.slot += 1
        else:
            ring.describe(0, TABLE, 48, INDIRECT | flag)
            ring.offer(0)
        ring.notify()
        expect(ring.result(), "used 513", f"with flag {flag}")


@law("2.7.5.3.2-2")
def direct_then_indirect(c):
    """A chain of direct descriptors followed by one that refers to an indirect table is one buffer."""
    ring, = c.start(c.disk, INDIRECT_DESC)
    buffers = c.request(0, IN, room=512)
    for direct in (1, 2):
        for n in range(direct):
            address, length, writable = buffers[n]
            ring.describe(n, address, length, NEXT | (WRITE if writable else 0), n + 1)
        rest = buffers[direct:]
        ring.chain(rest, range(len(rest) + 1), table=TABLE)
        ring.describe(direct, TABLE, 16 * len(rest), INDIRECT)
        ring.offer(0)
        ring.notify()
        expect(ring.result(), "used 513", f"{direct} direct descriptors, then a table")
        expect(c.answer(0), OK, "status byte")


@law("2.8.19-2", rings=(True,))
def packed_table_ignores_the_rest(c):
    """In the table of a packed queue only VIRTQ_DESC_F_WRITE counts; other flags and the buffer ids in it are ignored."""
    ring, = c.start(c.disk, INDIRECT_DESC)
    for n, (address, length, writable) in enumerate(c.request(0, IN, room=512)):
        ring.describe(n, address, length, 0x1234, (WRITE if writable else 0) | 0x8080, table=TABLE)
    ring.chains.append(1)
    ring.describe(0, TABLE, 48, 5, INDIRECT | 1 << 7)
    ring.slot = 1
    ring.notify()
    found = read_used(ring)
    expect((found, c.disk.status), ([(5, 513)], RUNNING), "used buffers and Status")


@law("2.7.7.2-1", "2.7.7.2-2", "2.7.7.2-3", "2.7.10.2-1")
def suppression_by_flags(c):
    """Without EVENT_IDX flags = 1 suppresses the interrupt and flags = 0 asks for it, whatever used_event says; the device's own
    flags are 0 or 1, and it does not write avail_event."""
    ring, = c.start(c.disk)
    c.qtest.store(ring.avail_event, 0xa5a5, 2)
    for n in range(20):
        ring.set_flags(n & 1)
        ring.set_used_event((n + 3 * (n >> 1)) & 0xffff)
        ring.send(c.request(0, IN, room=512))
        expect(c.acknowledge(c.disk), 0 if n & 1 else 1, f"InterruptStatus with flags {n & 1}")
        expect(c.qtest.load(ring.area, 2) <= 1, True, "flags of the used ring")
        expect(c.qtest.load(ring.avail_event, 2), 0xa5a5, "avail_event")


@law("2.7.7.2-4", "2.7.7.2-5", "2.7.7.2-6", "2.7.10.2-3")
def suppression_by_used_event(c):
    """With EVENT_IDX the interrupt comes with the used entry that used_event names, also past 65536, and with no other; flags of
    the available ring are ignored, those of the used ring are 0."""
    ring, = c.start(c.disk, EVENT_IDX)
    for n in range(12):
        event = (n, n + 1, n - 1, n + 0x8000)[n % 4] & 0xffff
        ring.set_flags(n >> 1 & 1)
        ring.set_used_event(event)
        ring.send(c.request(0, IN, room=512))
        expect(c.acknowledge(c.disk), 1 if event == n else 0, f"InterruptStatus at entry {n} with used_event {event}")
        expect(c.qtest.load(ring.area, 2), 0, "flags of the used ring")


@law("2.7.8-0", "2.7.7.2-5", "2.7.7.2-6", "2.7.13-0")
def used_event_inside_a_batch(c):
    """With several buffers used at once, one interrupt comes if used_event names any of them, and none otherwise."""
    ring, = c.start(c.disk, EVENT_IDX, size=16)
    for first, event, expected in ((0, 2, 1), (4, 7, 1), (8, 8, 1), (12, 11, 0), (16, 20, 0)):
        ring.set_used_event(event)
        for n in range(4):
            ring.add(c.request(n, IN, room=512))
        ring.notify()
        expect(len(read_used(ring)), 4, "used buffers")
        expect(c.acknowledge(c.disk), expected, f"InterruptStatus after entries {first} to {first + 3} with used_event {event}")


@law("2.7.7.2-5", "2.7.8.2-1", "2.7.10.2-4")
def indices_wrap_at_65536(c):
    """Used and available indices, used_event and avail_event pass 65535 to 0 without a missed or a spurious interrupt."""
    ring, = c.start(c.console, EVENT_IDX, queues=(1,), size=64)
    c.qtest.write(BUFFERS, b"x")
    for n in range(64):
        ring.describe(n, BUFFERS, 0, 0, 0)
        c.qtest.store(ring.driver + 4 + 2 * n, n, 2)
    ring.set_used_event(0x8000)
    for index in list(range(64, 0x10000 - 64 + 1, 64)):
        c.qtest.store(ring.driver + 2, index, 2)
        ring.notify()
        if index == 0x8000 + 64:
            expect(c.acknowledge(c.console), 1, "InterruptStatus past used_event 0x8000")
    expect(c.console.interrupt, 0, "InterruptStatus before the wrap")
    ring.available = ring.done = 0xffc0
    for n in range(0x80):
        event = n % 3 == 0
        ring.set_used_event((ring.done if event else ring.done + 5) & 0xffff)
        expect(wants_notification(ring, ring.available & 0xffff), True, f"avail_event before entry {ring.available:#x}")
        ring.offer(ring.available % 64)
        ring.notify()
        expect(len(read_used(ring)), 1, f"used buffers at {ring.available:#x}")
        expect(c.acknowledge(c.console), 1 if event else 0, f"InterruptStatus at {ring.available:#x}")


@law("2.8.15-4", "2.8.12-1", "2.8.12-2", rings=(True,))
def suppression_packed_flags(c):
    """The driver's event suppression structure: 0 asks for the interrupt, 1 suppresses it."""
    ring, = c.start(c.disk)
    for n in range(12):
        ring.set_events(n & 1, 0x1234)
        ring.send(c.request(0, IN, room=512))
        expect(c.acknowledge(c.disk), 0 if n & 1 else 1, f"InterruptStatus with flags {n & 1}")
        expect(c.qtest.load(ring.area) >> 16 & 0xfffc, 0, "reserved flags of the device's structure")


@law("2.8.12-2", "2.7.7.2-5", rings=(True,))
def suppression_packed_descriptor(c):
    """With EVENT_IDX and flags 2 the interrupt comes with the used descriptor that offset and wrap counter name, and with no other,
    in each lap of the ring."""
    ring, = c.start(c.disk, EVENT_IDX)
    for n in range(24):
        slot, wrap = ring.slot, ring.wrap
        kind = n % 4
        event = (slot, wrap) if kind == 0 else (slot, not wrap) if kind == 1 else ((slot + 6) % 8, wrap ^ (slot + 6 >= 8))
        ring.set_events(2, event[0] | event[1] << 15)
        ring.send(c.request(0, IN, room=512))
        expect(c.acknowledge(c.disk), 1 if kind == 0 else 0, f"InterruptStatus at {(slot, wrap)} with event {event}")


@law("2.8.12-2", "2.8.15-4", rings=(True,))
def suppression_packed_inside_a_list(c):
    """With EVENT_IDX and flags 2 the interrupt of a list of three descriptors over the end of the ring comes if offset and wrap counter
    name one of the three, and not otherwise: used descriptors are skipped, not left out."""
    for offset in range(8):
        for wrap in (True, False):
            ring, = c.start(c.disk, EVENT_IDX)
            for _ in range(2):
                ring.send(c.request(0, IN, room=512))
                c.acknowledge(c.disk)
            ring.set_events(2, offset | wrap << 15)
            ring.send(c.request(0, IN, room=512))  # descriptors 6, 7 and, of the next lap, 0
            expected = 1 if (offset, wrap) in ((6, True), (7, True), (0, False)) else 0
            expect(c.acknowledge(c.disk), expected, f"InterruptStatus with event {offset} {wrap}")


@law("2.7.8.2-1", "2.7.8.2-2", "2.7.8.2-3", "2.8.15-4", "2.8.18-1", rings=both_rings)
def used_lengths_to_the_byte(c):
    """The used length is never more than what was written from the start of the writable part, whatever the answer; what lies
    behind is untouched."""
    ring, = c.start(c.disk, 0x6a00, size=64)
    zero = bytes(16)
    cases = [(IN, b"", 512, 0, ""), (IN, b"", 1536, 8, ""), (OUT, PATTERN, 0, 0, ""), (4, b"", 0, 0, ""), (GET_ID, b"", 20, 0, ""),
             (GET_ID, b"", 24, 0, ""), (GET_ID, b"", 64, 0, ""), (GET_ID, b"", 4, 0, ""), (99, b"", 512, 0, ""), (10, b"", 6, 0, ""),
             (IN, b"", 512, 1 << 40, ""), (IN, b"", 512, 0x7fff, ""), (IN, b"", 1024, 0x7fff, ""), (IN, b"", 500, 0, ""),
             (IN, b"", 0, 0, ""), (OUT, b"", 512, 0, ""), (IN, PATTERN, 0, 0, ""), (IN, b"", 512, 0, "EIO"), (IN, b"", 1536, 0, "EIO"),
             (OUT, PATTERN, 0, 0, "EIO"), (4, b"", 0, 0, "EIO"), (11, zero, 0, 0, ""), (13, zero, 0, 0, ""), (11, zero, 512, 0, ""),
             (13, zero, 512, 0, ""), (16, b"", 4096, 0, ""), (4, b"", 512, 0, "")]
    expect(ring.send(c.request(0, OUT, data=PATTERN)), "used 1", "the pattern")
    expect(ring.send(c.request(0, OUT, sector=2, data=PATTERN)), "used 1", "the pattern")
    for kind, data, room, sector, fail in cases:
        for at_end in (False, True):
            buffers = c.request(1, kind, sector=sector, data=data, room=room)
            if at_end and room:
                address, length, _ = buffers[-2]
                buffers[-2:] = [(address, length + 1, True)]
            if fail:
                c.say(f"x-fail blk0 {fail}")
            what = f"type {kind} sector {sector:#x} data {len(data)} room {room} {fail}{' joined' if at_end else ''}"
            ring.add(buffers)
            ring.notify()
            found = read_used(ring)
            expect(len(found), 1, f"{what}: used buffers")
            written = b"".join(c.qtest.read(address, length) for address, length, writable in buffers if writable)
            length, status = found[0][1], written[-1]
            first = written.find(UNTOUCHED) if UNTOUCHED in written else len(written)
            expect(length <= first, True, f"{what}: used length {length}, of which {first} bytes were written, status {status}")
            expect(status != UNTOUCHED, True, f"{what}: the status byte")
            if status == OK and kind == IN:
                expect(length, room + 1, f"{what}: used length of a read")
    expect(c.disk.status, RUNNING, "Status")


@law("2.7.10.2-5", "2.8.16-4", rings=both_rings, dialects=both_dialects)
def spurious_notifications(c):
    """Notifications without a new buffer change nothing: no used buffer, no interrupt."""
    ring, = c.start(c.disk)
    ring.send(c.request(0, IN, room=512))
    c.acknowledge(c.disk)
    before = used_words(ring)
    for _ in range(10):
        ring.notify()
    expect((used_words(ring), c.disk.interrupt, c.disk.status), (before, 0, RUNNING), "ring, InterruptStatus and Status")


@law("2.8.15-3", "2.8.12-1", rings=(True,))
def packed_needs_a_change(c):
    """Descriptors whose AVAIL and USED are as after zeroing, or as of the lap before, are not used."""
    ring, = c.start(c.disk)
    for flags in (0, 0x8000, 0x8080):
        ring.describe(0, BUFFERS, 16, 0, flags)
        ring.notify()
        expect((c.qtest.load(ring.desc + 14, 2), c.disk.interrupt, c.disk.status), (flags, 0, RUNNING), f"with flags {flags:#x}")


@law("2.6-0", "2.8.15-4", "2.8.12-2", "2.8.12-3", "2.8.18-1", rings=(True,))
def packed_out_of_order(c):
    """Buffers are used in the order in which they complete, each by one descriptor with its id; the others keep their bytes."""
    ring, = c.start(c.disk, size=16)
    c.say("x-hold blk0")
    for n, kind in enumerate((IN, 99, IN, 99)):
        ring.add(c.request(n, kind, room=512 if kind == IN else 0), buffer_id=10 + n)
    before = c.qtest.read(ring.desc, 256)
    ring.notify()
    middle = c.qtest.read(ring.desc, 256)
    changed = [n for n in range(16) if before[16 * n:16 * n + 16] != middle[16 * n:16 * n + 16]]
    ids = [int.from_bytes(middle[16 * n + 12:16 * n + 14], "little") for n in changed]
    expect((changed, ids), ([0, 2], [11, 13]), "descriptors that changed, and their ids")
    c.say("x-release blk0")
    after = c.qtest.read(ring.desc, 256)
    changed = [n for n in range(16) if middle[16 * n:16 * n + 16] != after[16 * n:16 * n + 16]]
    ids = [int.from_bytes(after[16 * n + 12:16 * n + 14], "little") for n in changed]
    expect((changed, ids), ([4, 7], [10, 12]), "descriptors that changed at the end, and their ids")


@law("2.6-0", "2.7.8.2-1", "2.7.8.2-2")
def split_out_of_order(c):
    """Buffers are used in the order in which they complete, each entry with its head and length."""
    ring, = c.start(c.disk, size=16)
    c.say("x-hold blk0")
    heads = [ring.add(c.request(n, kind, room=512 if kind == IN else 0)) for n, kind in enumerate((IN, 99, IN, 99))]
    ring.notify()
    expect(read_used(ring), [(heads[1], 1), (heads[3], 1)], "used buffers while the reads are held")
    c.say("x-release blk0 1")
    expect(read_used(ring), [(heads[0], 513)], "used buffers after one release")
    c.say("x-release blk0")
    expect(read_used(ring), [(heads[2], 513)], "used buffers at the end")


@law("2.7.10.2-2", "2.7.10.2-4", rings=both_rings)
def notification_is_never_missed(c):
    """A driver that notifies only when flags, avail_event or the device's event structure ask for it is served each time."""
    for features in (0, EVENT_IDX):
        ring, = c.start(c.disk, features)
        for n in range(40):
            before = where(ring)
            ring.add(c.request(0, IN, room=512))
            if wants_notification(ring, before):
                ring.notify()
            expect(len(read_used(ring)), 1, f"used buffers of chain {n} with features {features:#x}")
