"""A block device's configuration, and its requests (5.2.4 to 5.2.6)."""
from disk import (
    CAPACITY, CONFIG_WCE, DATA, DISCARD, DISCARD_FEATURE, BLK_SIZE, FLUSH, FLUSH_FEATURE, GET_ID, GET_LIFETIME, IN, OUT,
    RANGE_LIMITS, SECURE_ERASE, SEG_MAX, TOPOLOGY, UNTOUCHED, WRITEBACK, WRITE_ZEROES, WRITE_ZEROES_FEATURE, ask, text)
from driver import CONFIG
from probes import listing, probe


# The configuration space.

@probe("5.2.4")
def capacity(board):
    return listing(device.get(CONFIG + CAPACITY) for device in (board.disk, board.read_only))


@probe("5.2.4", "5.2.5")
def limits(board):
    """seg_max and blk_size."""
    return listing(board.disk.get(CONFIG + at) for at in (SEG_MAX, BLK_SIZE))


@probe("5.2.4", "5.2.5")
def topology(board):
    """The physical block exponent, alignment_offset, min_io_size and opt_io_size."""
    return listing(board.disk.get(CONFIG + at, width) for at, width in TOPOLOGY)


@probe("5.2.4")
def range_limits(board):
    """Of a discard: sectors, segments, alignment. Of write zeroes: sectors, segments, may unmap."""
    return listing(board.disk.get(CONFIG + at, width) for at, width in RANGE_LIMITS)


@probe("5.2.5.2")
def padding(board):
    """unused0 and unused1."""
    return listing(board.disk.get(CONFIG + at, 1) for at in (33, 57, 58, 59))


@probe("5.2.5", "5.2.6.1")
def writeback(board):
    """After negotiation with VIRTIO_BLK_F_FLUSH, then written 0, 1 and 2."""
    board.disk.negotiate(FLUSH_FEATURE | CONFIG_WCE)
    seen = [board.disk.get(CONFIG + WRITEBACK, 1)]
    for value in (0, 1, 2):
        board.disk.put(CONFIG + WRITEBACK, value, 1)
        seen.append(board.disk.get(CONFIG + WRITEBACK, 1))
    return listing(seen)


@probe("5.2.6.1")
def writeback_not_negotiated(board):
    board.disk.negotiate(FLUSH_FEATURE)
    board.disk.put(CONFIG + WRITEBACK, 0, 1)
    return f"writeback {board.disk.get(CONFIG + WRITEBACK, 1)}"


@probe("5.2.5")
def writeback_after_reset(board):
    board.disk.negotiate(FLUSH_FEATURE | CONFIG_WCE)
    board.disk.put(CONFIG + WRITEBACK, 0, 1)
    board.disk.negotiate(FLUSH_FEATURE | CONFIG_WCE)
    return f"writeback {board.disk.get(CONFIG + WRITEBACK, 1)}"


# Reads and writes.

@probe("5.2.6", "2.7.8")
def written_and_read(board):
    ring = board.disk.start()
    data = bytes(range(256)) * 2
    wrote = ask(ring, OUT, 5, data)
    read = ask(ring, IN, 5, room=512)
    same = "the same" if ring.qtest.read(DATA, 512) == data else "different"
    return f"{wrote}; {read}; {same}"


@probe("5.2.6", "2.7.4.1")
def no_data(board):
    """Reading and writing 0 sectors."""
    ring = board.disk.start()
    return f"{ask(ring, IN)}; {ask(ring, OUT)}"


@probe("5.2.6.1")
def length_no_multiple_of_512(board):
    ring = board.disk.start()
    return f"{ask(ring, IN, room=600)}; {ask(ring, OUT, data=bytes(100))}"


@probe("5.2.6.1", "2.7.8.2")
def sectors_beyond_capacity(board):
    """Reads beyond the end, across it, and at the largest sector numbers; a write beyond the end."""
    ring = board.disk.start()
    reads = ((1 << 15, 512), ((1 << 15) - 1, 1024), (1 << 55, 512), (2 ** 64 - 1, 512))
    seen = [ask(ring, IN, sector, room=room) for sector, room in reads]
    return "; ".join(seen + [ask(ring, OUT, 1 << 15, bytes(512))])


@probe("5.2.6.2")
def write_to_a_read_only_disk(board):
    return ask(board.read_only.start(), OUT, data=bytes(512))


@probe("5.2.6.1", "2.7.4.2")
def read_into_readable_data(board):
    """A read whose data buffer only the driver may write."""
    return ask(board.disk.start(), IN, data=bytes(512))


# Other request types.

@probe("5.2.6")
def flush(board):
    return ask(board.disk.start(FLUSH_FEATURE), FLUSH)


@probe("5.2.3", "5.2.6")
def flush_not_negotiated(board):
    return ask(board.disk.start(), FLUSH)


@probe("5.2.6.1")
def flush_with_data(board):
    return ask(board.disk.start(FLUSH_FEATURE), FLUSH, 7, room=512)


@probe("5.2.6")
def get_id(board):
    ring = board.disk.start()
    result = ask(ring, GET_ID, room=20)
    data = ring.qtest.read(DATA, 20)
    return f"{result}, '{text(data)}', {20 - data.count(UNTOUCHED)} bytes written"


@probe("5.2.6.1")
def get_id_short(board):
    return ask(board.disk.start(), GET_ID, room=10)


@probe("5.2.6.1", "2.7.8.2")
def get_id_long(board):
    ring = board.disk.start()
    result = ask(ring, GET_ID, room=64)
    return f"{result}, {64 - ring.qtest.read(DATA, 64).count(UNTOUCHED)} bytes written"


@probe("5.2.6")
def unknown_types(board):
    """Types without a negotiated feature: 2 and 3 (legacy SCSI), 5 (legacy flush), 10, 14, 99."""
    ring = board.disk.start()
    return "; ".join(ask(ring, kind) for kind in (2, 3, 5, GET_LIFETIME, SECURE_ERASE, 99))


@probe("5.2.6")
def type_with_the_legacy_barrier_bit(board):
    return ask(board.disk.start(), 1 << 31, room=512)


# Discard and write zeroes.

def extent(sector, count, flags=0):
    return sector.to_bytes(8, "little") + count.to_bytes(4, "little") + flags.to_bytes(4, "little")


@probe("5.2.6")
def discard(board):
    return ask(board.disk.start(DISCARD_FEATURE), DISCARD, data=extent(64, 8))


@probe("5.2.3", "5.2.6")
def discard_not_negotiated(board):
    return ask(board.disk.start(), DISCARD, data=extent(64, 8))


@probe("5.2.6.2")
def discard_with_flags(board):
    """The unmap flag, and an unknown flag."""
    ring = board.disk.start(DISCARD_FEATURE)
    return "; ".join(ask(ring, DISCARD, data=extent(64, 8, flags)) for flags in (1, 2))


@probe("5.2.6.2")
def write_zeroes(board):
    """Without unmap, and with it: the range reads as zeroes."""
    ring = board.disk.start(WRITE_ZEROES_FEATURE)
    seen = []
    for flags in (0, 1):
        ask(ring, OUT, 72, bytes([7]) * 512)
        seen.append(ask(ring, WRITE_ZEROES, data=extent(72, 8, flags)))
        ask(ring, IN, 72, room=512)
        seen.append("zeroes" if ring.qtest.read(DATA, 512) == bytes(512) else "no zeroes")
    return "; ".join(seen)


@probe("5.2.6.2")
def write_zeroes_with_an_unknown_flag(board):
    return ask(board.disk.start(WRITE_ZEROES_FEATURE), WRITE_ZEROES, data=extent(72, 8, 2))


@probe("5.2.6.1")
def write_zeroes_beyond_capacity(board):
    ring = board.disk.start(WRITE_ZEROES_FEATURE)
    return "; ".join(ask(ring, WRITE_ZEROES, data=extent(sector, 8)) for sector in ((1 << 15) - 4, 2 ** 64 - 4))


@probe("5.2.6.1")
def discard_of_two_segments(board):
    """More than max_discard_seg."""
    return ask(board.disk.start(DISCARD_FEATURE), DISCARD, data=extent(64, 8) + extent(80, 8))


@probe("5.2.6.1")
def discard_of_half_a_segment(board):
    return ask(board.disk.start(DISCARD_FEATURE), DISCARD, data=extent(64, 8)[:8])


@probe("5.2.6.1")
def write_zeroes_of_too_many_sectors(board):
    """One more than max_write_zeroes_sectors; the disk may be smaller."""
    ring = board.disk.start(WRITE_ZEROES_FEATURE)
    most = board.disk.get(CONFIG + 48)
    return ask(ring, WRITE_ZEROES, data=extent(0, most + 1))
