"""Requests of a block device: what is answered, how long the answer is, where the status byte stands (5.2.5, 5.2.6)."""
from driver import BUFFERS, CONFIG, NEXT, WRITE
from probes import listing, probe

IN, OUT, FLUSH, GET_ID, GET_LIFETIME, DISCARD, WRITE_ZEROES, SECURE_ERASE = 0, 1, 4, 8, 10, 11, 13, 14
FLUSH_FEATURE, CONFIG_WCE, DISCARD_FEATURE, WRITE_ZEROES_FEATURE = 1 << 9, 1 << 11, 1 << 13, 1 << 14

# Fields of the configuration space (5.2.4): offset, and width.
CAPACITY, SEG_MAX, BLK_SIZE, WRITEBACK = 0, 12, 20, 32
TOPOLOGY = ((24, 1), (25, 1), (26, 2), (28, 4))
DISCARD_LIMITS = ((36, 4), (40, 4), (44, 4))
WRITE_ZEROES_LIMITS = ((48, 4), (52, 4), (56, 1))

HEADER, DATA, ANSWER, TABLE = BUFFERS, BUFFERS + 0x10000, BUFFERS + 0x20000, BUFFERS + 0x30000
UNTOUCHED = 0xee


def prepare(ring, kind, sector=0, data=b"", room=0):
    """Writes a request's parts into memory, and returns them as buffers: header, data, room for data, status byte."""
    ring.qtest.write(HEADER, kind.to_bytes(4, "little") + bytes(4) + sector.to_bytes(8, "little"))
    ring.qtest.fill(ANSWER, 16, UNTOUCHED)
    buffers = [(HEADER, 16, False)]
    if data:
        ring.qtest.write(DATA, data)
        buffers.append((DATA, len(data), False))
    if room:
        ring.qtest.fill(DATA, room, UNTOUCHED)
        buffers.append((DATA, room, True))
    return buffers + [(ANSWER, 1, True)]


def request(ring, kind, sector=0, data=b"", room=0, **how):
    """Makes a request available, without a notification."""
    return ring.add(prepare(ring, kind, sector, data, room), **how)


def ask(ring, kind, sector=0, data=b"", room=0, **how):
    """Has a request answered: used length and status byte."""
    return answer(ring, prepare(ring, kind, sector, data, room), **how)


def answer(ring, buffers, at=ANSWER, **how):
    """Has a chain answered whose status byte is at `at`."""
    result = ring.send(buffers, **how)
    if not result.startswith("used"):
        return result
    return f"{result}, {status_byte(ring, at)}"


def status_byte(ring, at=ANSWER):
    byte = ring.qtest.load(at, 1)
    return {0: "OK", 1: "IOERR", 2: "UNSUPP", UNTOUCHED: "no status byte"}.get(byte, f"status byte {byte:#x}")


def text(data):
    """The printable bytes, and how many zeroes and untouched ones follow."""
    return f"{data.rstrip(bytes([UNTOUCHED])).rstrip(bytes(1)).decode('latin-1')}"


# What the driver is told.

@probe("5.2.4")
def capacity(board):
    return listing(device.get(CONFIG + CAPACITY) for device in (board.disk, board.read_only))


@probe("5.2.4", "5.2.5")
def limits(board):
    """seg_max and blk_size."""
    return listing(board.disk.get(CONFIG + at) for at in (SEG_MAX, BLK_SIZE))


@probe("5.2.4", "5.2.5")
def topology(board):
    """The physical block, its alignment, the least and the best size of I/O."""
    return listing(board.disk.get(CONFIG + at, width) for at, width in TOPOLOGY)


@probe("5.2.4")
def discard_limits(board):
    """Sectors, segments, alignment."""
    return listing(board.disk.get(CONFIG + at, width) for at, width in DISCARD_LIMITS)


@probe("5.2.4")
def write_zeroes_limits(board):
    """Sectors, segments, may unmap."""
    return listing(board.disk.get(CONFIG + at, width) for at, width in WRITE_ZEROES_LIMITS)


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


@probe("5.2.6.1")
def sector_beyond_capacity(board):
    ring = board.disk.start()
    return f"{ask(ring, IN, 1 << 15, room=512)}; {ask(ring, OUT, 1 << 15, bytes(512))}"


@probe("5.2.6.1")
def sectors_across_the_end(board):
    return ask(board.disk.start(), IN, (1 << 15) - 1, room=1024)


@probe("5.2.6.1")
def sectors_at_the_end_of_numbers(board):
    ring = board.disk.start()
    return f"{ask(ring, IN, 2 ** 64 - 1, room=512)}; {ask(ring, IN, 1 << 55, room=512)}"


@probe("5.2.6.2")
def write_to_a_read_only_disk(board):
    return ask(board.read_only.start(), OUT, data=bytes(512))


@probe("5.2.6.1", "2.7.4.2")
def read_into_readable_data(board):
    """A read whose data buffer only the driver may write."""
    return ask(board.disk.start(), IN, data=bytes(512))


# Other types.

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
    return f"{result}, '{text(ring.qtest.read(DATA, 20))}', {20 - ring.qtest.read(DATA, 20).count(UNTOUCHED)} bytes written"


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
    """Types that no feature brings: 2 and 3 (legacy SCSI), 5 (legacy flush), 10, 14, 99."""
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
    """unmap, and an unknown flag."""
    ring = board.disk.start(DISCARD_FEATURE)
    return "; ".join(ask(ring, DISCARD, data=extent(64, 8, flags)) for flags in (1, 2))


@probe("5.2.6.2")
def write_zeroes(board):
    """Without unmap, and with it: what was there reads as zeroes."""
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
    """One more than max_write_zeroes_sectors allows, as far as the disk goes."""
    ring = board.disk.start(WRITE_ZEROES_FEATURE)
    most = board.disk.get(CONFIG + 48)
    return ask(ring, WRITE_ZEROES, data=extent(0, most + 1))


# Framing: a device assumes nothing of the arrangement of descriptors.

@probe("2.7.4.1")
def header_in_pieces(board):
    ring = board.disk.start()
    header, room, status = prepare(ring, GET_ID, room=20)
    pieces = [(HEADER, 1, False), (HEADER + 1, 7, False), (HEADER + 8, 8, False)]
    return answer(ring, pieces + [room, status])


@probe("2.7.4.1")
def header_and_data_together(board):
    ring = board.disk.start()
    ring.qtest.write(HEADER + 16, bytes([9]) * 512)
    buffers = prepare(ring, OUT, 6)
    wrote = answer(ring, [(HEADER, 528, False), buffers[-1]])
    ask(ring, IN, 6, room=512)
    return f"{wrote}, {'as written' if ring.qtest.read(DATA, 512) == bytes([9]) * 512 else 'different'}"


@probe("2.7.4.1", "5.2.6")
def status_behind_the_data(board):
    """One buffer for the data and the status byte."""
    ring = board.disk.start()
    buffers = prepare(ring, GET_ID, room=21)
    return answer(ring, buffers[:2], at=DATA + 20)


@probe("2.7.4.1", "5.2.6")
def status_in_the_last_byte(board):
    """A last buffer of 4 bytes: three of data, one of status."""
    ring = board.disk.start()
    header, room, _ = prepare(ring, GET_ID, room=17)
    return answer(ring, [header, room, (ANSWER, 4, True)], at=ANSWER + 3)


@probe("2.7.4.1")
def zero_length_descriptor(board):
    ring = board.disk.start()
    header, room, status = prepare(ring, GET_ID, room=20)
    return answer(ring, [header, (DATA, 0, True), room, status])


@probe("5.2.6", "2.1.2")
def no_room_for_the_status(board):
    ring = board.disk.start()
    return answer(ring, prepare(ring, FLUSH)[:1])


@probe("5.2.6")
def header_too_short(board):
    ring = board.disk.start()
    *_, status = prepare(ring, FLUSH)
    return answer(ring, [(HEADER, 8, False), status])


@probe("5.2.6", "2.1.2")
def no_header(board):
    ring = board.disk.start()
    return answer(ring, prepare(ring, FLUSH)[1:])
