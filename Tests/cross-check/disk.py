"""Requests of a block device, as chains of buffers that a probe may rearrange, and their results (5.2.6)."""
from driver import BUFFERS

IN, OUT, FLUSH, GET_ID, GET_LIFETIME, DISCARD, WRITE_ZEROES, SECURE_ERASE = 0, 1, 4, 8, 10, 11, 13, 14
FLUSH_FEATURE, CONFIG_WCE, DISCARD_FEATURE, WRITE_ZEROES_FEATURE = 1 << 9, 1 << 11, 1 << 13, 1 << 14

# Fields of the configuration space (5.2.4): offset, and width.
CAPACITY, SEG_MAX, BLK_SIZE, WRITEBACK = 0, 12, 20, 32
TOPOLOGY = ((24, 1), (25, 1), (26, 2), (28, 4))
RANGE_LIMITS = ((36, 4), (40, 4), (44, 4), (48, 4), (52, 4), (56, 1))

HEADER, DATA, ANSWER, TABLE = BUFFERS, BUFFERS + 0x10000, BUFFERS + 0x20000, BUFFERS + 0x30000
UNTOUCHED = 0xee


def prepare(ring, kind, sector=0, data=b"", room=0):
    """Writes a request into memory, and returns its buffers: header, data, writable data, status byte."""
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
    """Makes a request and returns its used length and status byte."""
    return answer(ring, prepare(ring, kind, sector, data, room), **how)


def answer(ring, buffers, at=ANSWER, **how):
    """Sends a chain whose status byte is at `at`, and returns its used length and status byte."""
    result = ring.send(buffers, **how)
    if not result.startswith("used"):
        return result
    return f"{result}, {status_byte(ring, at)}"


def status_byte(ring, at=ANSWER):
    byte = ring.qtest.load(at, 1)
    return {0: "OK", 1: "IOERR", 2: "UNSUPP", UNTOUCHED: "no status byte"}.get(byte, f"status byte {byte:#x}")


def text(data):
    """The text before the trailing zeroes and the bytes that were not written."""
    return data.rstrip(bytes([UNTOUCHED])).rstrip(bytes(1)).decode("latin-1")


def notified(ring):
    """Notifies, and returns the result of the next chain."""
    ring.notify()
    result = ring.result()
    return f"{result}, {status_byte(ring)}" if result.startswith("used") else result
