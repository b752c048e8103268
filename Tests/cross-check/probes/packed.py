"""A packed ring, valid and broken (2.8)."""
from disk import GET_ID, HEADER, TABLE, answer, ask, notified, prepare, request
from driver import AVAIL, EVENT_IDX, INDIRECT, INDIRECT_DESC, INTERRUPT_ACK, NEXT, RING_PACKED, USED, WRITE
from probes import listing, probe


@probe("2.8.6")
def packed(board):
    return ask(board.disk.start(RING_PACKED), GET_ID, room=20)


@probe("2.8.1")
def packed_goes_round(board):
    """Chains of three in a ring of 8, so that one wraps around."""
    ring = board.disk.start(RING_PACKED)
    return " or ".join(sorted({ask(ring, GET_ID, room=20) for _ in range(8)}))


@probe("2.8.3")
def packed_used_write_flag(board):
    """The WRITE flag of a used descriptor, after the device wrote the buffer."""
    ring = board.disk.start(RING_PACKED)
    ask(ring, GET_ID, room=20)
    return "set" if ring.qtest.load(ring.desc + 14, 2) & WRITE else "clear"


@probe("2.8.6", "2.8.15")
def packed_used_id(board):
    """A request with buffer id 5; the device writes only its first descriptor."""
    ring = board.disk.start(RING_PACKED)
    buffers = prepare(ring, GET_ID, room=20)
    ring.add(buffers, buffer_id=5)
    before = ring.qtest.read(ring.desc + 16, 16 * (ring.size - 1))
    result = notified(ring)
    same = "unchanged" if before == ring.qtest.read(ring.desc + 16, 16 * (ring.size - 1)) else "changed"
    return f"{result}, id {ring.qtest.load(ring.desc + 12, 2)}, {same}"


@probe("2.8.17")
def packed_id_out_of_range(board):
    """The driver chooses the buffer id; 8 is not below the queue size."""
    ring = board.disk.start(RING_PACKED)
    return answer(ring, prepare(ring, GET_ID, room=20), buffer_id=8)


@probe("2.8.7")
def packed_indirect(board):
    return ask(board.disk.start(RING_PACKED | INDIRECT_DESC), GET_ID, room=20, indirect=TABLE)


@probe("2.8.7")
def packed_indirect_other_flags(board):
    """NEXT, INDIRECT, AVAIL and USED in a table: reserved, and ignored."""
    ring = board.disk.start(RING_PACKED | INDIRECT_DESC)
    return ask(ring, GET_ID, room=20, indirect=TABLE, flags=NEXT | INDIRECT | AVAIL | USED)


@probe("2.8.19")
def packed_indirect_behind_direct(board):
    ring = board.disk.start(RING_PACKED | INDIRECT_DESC)
    header, room, status = prepare(ring, GET_ID, room=20)
    for slot, (address, length, _) in enumerate((room, status)):
        ring.describe(slot, address, length, 0, WRITE, table=TABLE)
    ring.describe(1, TABLE, 32, 0, INDIRECT | AVAIL)
    ring.describe(0, *header[:2], 0, NEXT | AVAIL)
    ring.chains.append(2)
    return notified(ring)


@probe("2.8.19")
def packed_indirect_not_negotiated(board):
    return ask(board.disk.start(RING_PACKED), GET_ID, room=20, indirect=TABLE)


@probe("2.8.17", "2.1.2")
def packed_endless_chain(board):
    """NEXT in every descriptor of the ring."""
    ring = board.disk.start(RING_PACKED)
    prepare(ring, GET_ID)
    for slot in range(ring.size):
        ring.describe(slot, HEADER, 16, 0, NEXT | AVAIL)
    ring.chains.append(ring.size)
    return notified(ring)


@probe("2.8.4")
def packed_zero_length_descriptor(board):
    ring = board.disk.start(RING_PACKED)
    header, room, status = prepare(ring, GET_ID, room=20)
    return answer(ring, [header, (0, 0, True), room, status])


@probe("2.8.10")
def packed_driver_event_flags(board):
    """Disabled, then enabled."""
    ring = board.disk.start(RING_PACKED)
    seen = []
    for flags in (1, 0):
        ring.set_events(flags)
        ask(ring, GET_ID, room=20)
        seen.append(board.disk.interrupt)
    return listing(seen)


@probe("2.8.10")
def packed_driver_event_offset(board):
    """The driver wants a notification for descriptor 3 in the first lap, which the second chain of three uses."""
    ring = board.disk.start(RING_PACKED | EVENT_IDX)
    ring.set_events(2, 1 << 15 | 3)
    seen = []
    for _ in range(3):
        ask(ring, GET_ID, room=20)
        seen.append(board.disk.interrupt)
        board.disk.put(INTERRUPT_ACK, 1)
    return listing(seen)


@probe("2.8.10")
def packed_device_event(board):
    """Device Event Suppression after one chain of three, without VIRTIO_F_EVENT_IDX and with it."""
    seen = []
    for features in (0, EVENT_IDX):
        ring = board.disk.start(RING_PACKED | features)
        ask(ring, GET_ID, room=20)
        seen.append(ring.qtest.load(ring.area))
        board.qtest.fill(ring.desc, 0x10000)
    return listing(seen)
