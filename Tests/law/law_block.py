"""The block device (VIRTIO 1.4, 5.2)."""
import ctypes
import os

from driver import CONFIG
from law import (
    BLK_CONFIG_WCE, BLK_DISCARD, BLK_FLUSH, BLK_WRITE_ZEROES, DISCARD, FLUSH, GET_ID, IN, IOERR, OK, OUT, RUNNING,
    SECURE_ERASE, UNSUPP, WRITE_ZEROES, both_dialects, both_rings, expect, law, read_used)

RANGES = BLK_DISCARD | BLK_WRITE_ZEROES


def segment(sector, count, flags=0):
    return sector.to_bytes(8, "little") + count.to_bytes(4, "little") + flags.to_bytes(4, "little")


def answer(c, ring, *request, **how):
    """Sends request 0, and returns its status byte."""
    ring.add(c.request(0, *request, **how))
    ring.notify()
    expect(len(read_used(ring)), 1, "used buffers")
    return c.answer(0)


def volatile_pages(name):
    """Pages of a file that are not on its storage, by the kernel's count (cachestat, Linux 6.5); 0 where it counts none."""
    with open(name, "rb") as file:
        found = (ctypes.c_uint64 * 5)()
        result = ctypes.CDLL(None).syscall(451, file.fileno(), (ctypes.c_uint64 * 2)(), found, 0)
    return found[1] + found[2] if result == 0 else 0


@law("5.2.5.2-4", "5.2.5.2-7", "2.5.2-1")
def padding(c):
    """unused0, unused1 and all fields of zones read 0, before and after the initialisation, on both disks."""
    for device in (c.disk, c.blk1):
        for started in (False, True):
            if started:
                c.start(device)
            expect([device.get(CONFIG + at, 1) for at in (33, 57, 58, 59)], [0] * 4, "unused0 and unused1")
            expect([device.get(CONFIG + at, 1) for at in range(72, 96)], [0] * 24, "zoned")


@law("5.2.5.2-3")
def writeback_at_first(c):
    """writeback reads 0 after FEATURES_OK with CONFIG_WCE and without FLUSH, however often the driver comes back."""
    for flush in (BLK_FLUSH, 0, BLK_FLUSH, 0):
        c.negotiate(c.disk, BLK_CONFIG_WCE | flush)
        expect(c.disk.get(CONFIG + 32, 1), 1 if flush else 0, "writeback")
        c.disk.status = RUNNING
        c.disk.put(CONFIG + 32, 0 if flush else 1, 1)
        expect(c.disk.get(CONFIG + 32, 1), 0 if flush else 1, "writeback, written")
        c.disk.status = 0


@law("5.2.6.2-2", "5.2.6.2-1", dialects=both_dialects)
def capacity(c):
    """A changed capacity is told by bit 1 of InterruptStatus; requests are judged by it from then on."""
    ring, = c.start(c.disk)
    c.say("x-capacity blk0 8")
    expect((c.disk.get(CONFIG), c.disk.interrupt), (8, 2), "capacity and InterruptStatus")
    expect([answer(c, ring, IN, sector=sector, room=512) for sector in (7, 8)], [OK, IOERR], "status bytes of sectors 7 and 8")


@law("5.2.6.2-3", "5.2.6.2-4", rings=both_rings)
def read_only(c):
    """A read-only disk answers each kind of write with IOERR, or with UNSUPP where it does not offer the request; its sectors stay as
    they were."""
    ring, = c.start(c.blk1)
    expect(c.blk1.offered(0) >> 5 & 1, 1, "RO")
    expect(answer(c, ring, IN, room=512), OK, "a read")
    before = c.data(0, 512)
    expect(answer(c, ring, OUT, data=b"\x5a" * 512), IOERR, "a write")
    expect(answer(c, ring, OUT, data=b""), IOERR, "a write of nothing")
    expect(answer(c, ring, OUT, sector=1 << 50, data=b"\x5a" * 512), IOERR, "a write beyond the end")
    for kind in (DISCARD, WRITE_ZEROES):
        expect(answer(c, ring, kind, data=segment(0, 1)) != OK, True, f"type {kind}")
    expect(answer(c, ring, IN, room=512), OK, "a read")
    expect(c.data(0, 512), before, "sector 0")


@law("5.2.6.2-3")
def read_only_not_accepted(c):
    """A read-only disk fails writes too if the driver did not accept RO: it was offered."""
    c.negotiate(c.blk1)
    ring = c.blk1.queue(0, 8)
    c.blk1.status = RUNNING
    expect(int(c.state(c.blk1)["driverFeatures"], 16) >> 5 & 1, 0, "RO accepted")
    expect(answer(c, ring, OUT, data=b"\x5a" * 512), IOERR, "a write")


@law("5.2.6.2-5", "5.2.6.2-6")
def unknown_flags(c):
    """Unknown flags of a discard, write zeroes or secure erase give UNSUPP, in any segment; so does unmap in a discard. Nothing of the
    request is done."""
    ring, = c.start(c.disk, RANGES)
    expect(answer(c, ring, OUT, data=b"\x33" * 512), OK, "a write")
    for kind in (DISCARD, WRITE_ZEROES, SECURE_ERASE):
        for flags in (2, 0x80000000, 3, 0xfffffffe) + ((1,) if kind == DISCARD else ()):
            expect(answer(c, ring, kind, data=segment(0, 1, flags)), UNSUPP, f"type {kind} with flags {flags:#x}")
    expect(answer(c, ring, WRITE_ZEROES, data=segment(0, 1, 2)), UNSUPP, "write zeroes with an unknown flag")
    expect(answer(c, ring, IN, room=512), OK, "a read")
    expect(c.data(0, 512), b"\x33" * 512, "sector 0")


@law("5.2.6.2-9", "5.2.6.2-8", "5.2.6.2-7", "5.2.6.2-10", "5.2.6.2-11", "5.2.6.2-12")
def zeroes(c):
    """After write zeroes, with unmap or without, the range reads zeroes and its neighbours are as before; write_zeroes_may_unmap does
    not change."""
    zeroes_of(c)
    expect(c.disk.get(CONFIG + 56, 1), 0, "write_zeroes_may_unmap of a disk in memory, which deallocates nothing")


@law("5.2.6.2-9", "5.2.6.2-8", "5.2.6.2-10", options=("-d", "FILE"))
def zeroes_of_a_file(c):
    """The same on a file; write_zeroes_may_unmap is set if write zeroes with unmap makes the file smaller on its storage."""
    zeroes_of(c)
    ring, = c.start(c.disk, RANGES | BLK_FLUSH)
    used = []
    for kind, data in ((OUT, b"\x77" * 8192), (WRITE_ZEROES, segment(0, 16, 1))):
        expect((answer(c, ring, kind, data=data), answer(c, ring, FLUSH)), (OK, OK), "a change and a flush")
        used.append(os.stat(c.files[0].name).st_blocks)
    expect(c.disk.get(CONFIG + 56, 1), 1 if used[1] < used[0] else 0, f"write_zeroes_may_unmap, with {used} blocks before and after")


def zeroes_of(c):
    """What both see, on the first disk."""
    ring, = c.start(c.disk, RANGES)
    may = c.disk.get(CONFIG + 56, 1)
    for unmap in (0, 1):
        for sector in range(8):
            expect(answer(c, ring, OUT, sector=sector, data=b"\x77" * 512), OK, "a write")
        expect(answer(c, ring, WRITE_ZEROES, data=segment(2, 3, unmap)), OK, "write zeroes")
        expect(answer(c, ring, IN, room=4096), OK, "a read")
        expect(c.data(0, 4096), b"\x77" * 1024 + bytes(1536) + b"\x77" * 1536, f"sectors with unmap {unmap}")
        expect(answer(c, ring, DISCARD, data=segment(6, 1)), OK, "a discard")
    expect(c.disk.get(CONFIG + 56, 1), may, "write_zeroes_may_unmap")


@law("5.2.6.2-18", "5.2.6.2-16")
def types_not_offered(c):
    """Zone requests, lifetime, secure erase and unknown types are answered with UNSUPP, whatever the request looks like."""
    ring, = c.start(c.disk)
    for kind in (15, 16, 18, 20, 22, 24, 26, 10, 14, 2, 3, 5, 99, 0x80000000, 0x80000001, 0xffffffff):
        expect(answer(c, ring, kind), UNSUPP, f"type {kind}")
        expect(answer(c, ring, kind, room=512), UNSUPP, f"type {kind} with room for data")
        expect(answer(c, ring, kind, sector=1 << 60, data=bytes(512)), UNSUPP, f"type {kind} with data")
    expect(c.disk.status, RUNNING, "Status")


@law("5.2.6.2-13", "5.2.6.1-13", rings=both_rings, options=("-d", "FILE,features=+packed"))
def flush(c):
    """A flush is answered after what it flushes is on the file; it does not wait for writes that are still in flight, nor fail."""
    ring, = c.start(c.disk, BLK_FLUSH, size=16)
    expect(answer(c, ring, OUT, data=b"\x11" * 512), OK, "a write")
    expect(answer(c, ring, FLUSH), OK, "a flush")
    with open(c.files[0].name, "rb") as file:
        expect(file.read(512), b"\x11" * 512, "the file")
    expect(volatile_pages(c.files[0].name), 0, "pages of the file that are not durable")
    c.say("x-hold blk0")
    ring.add(c.request(1, OUT, sector=1, data=b"\x22" * 512))
    ring.notify()
    ring.add(c.request(2, FLUSH))
    ring.notify()
    expect((c.answer(1), c.answer(2)), (0xee, 0xee), "status bytes while both are held")
    c.say("x-release blk0")
    expect((c.answer(1), c.answer(2)), (OK, OK), "status bytes")
    read_used(ring)
    c.say("x-fail blk0 EIO")
    expect(answer(c, ring, FLUSH), IOERR, "a flush that fails")


@law("5.2.6.2-13")
def flush_not_negotiated(c):
    """Without FLUSH a flush request is answered, with UNSUPP or OK, and writes are stable when they complete."""
    ring, = c.start(c.disk)
    expect(answer(c, ring, OUT, data=b"\x11" * 512), OK, "a write")
    expect(answer(c, ring, FLUSH) in (OK, UNSUPP), True, "a flush")


@law("5.2.6-0a", "2.1.2-2", rings=both_rings)
def frames_without_a_status_byte(c):
    """A request without a whole header or a writable byte for the status does not stop the others for ever: it is used with length 0,
    or the device needs a reset."""
    ring, = c.start(c.disk)
    for buffers in ([(0x200000, 15, False), (0x200100, 1, True)], [(0x200000, 16, False)], [(0x200100, 1, True)],
                    [(0x200000, 16, False), (0x200400, 512, False)]):
        ring.add(buffers)
        ring.notify()
        found = read_used(ring)
        if not found:
            expect(c.disk.status, 0x4f, "Status")
            ring, = c.start(c.disk)
        elif not any(writable for _, _, writable in buffers):
            expect(found[0][1], 0, "used length")


@law("5.2.6-0d", "5.2.6.1-2", "5.2.6.1-6", "5.2.6.1-7", "5.2.6.1-9", "5.2.6.1-11", rings=both_rings)
def requests_that_break_a_rule(c):
    """A driver's mistake in a request is answered in its status byte; nothing is read or written for it, and the device goes on. An error
    of the host is answered IOERR."""
    ring, = c.start(c.disk, RANGES)
    last = c.disk.get(CONFIG) - 1
    cases = [(IN, last, b"", 1024), (IN, last + 1, b"", 512), (IN, (1 << 64) - 1, b"", 512), (IN, (1 << 55) - 1, b"", 512),
             (OUT, last, bytes(1024), 0), (OUT, (1 << 64) - 1, bytes(512), 0), (IN, 0, b"", 511), (OUT, 0, bytes(100), 0),
             (DISCARD, 0, bytes(15), 0), (WRITE_ZEROES, 0, segment(last, 2), 0), (DISCARD, 0, segment((1 << 64) - 1, 2), 0),
             (DISCARD, 0, segment(0, 1) * 2, 0), (WRITE_ZEROES, 0, segment(0, 1) * 2, 0), (DISCARD, 0, b"", 0)]
    for kind, sector, data, room in cases:
        expect(answer(c, ring, kind, sector=sector, data=data, room=room) in (IOERR, UNSUPP), True,
               f"type {kind} sector {sector:#x} data {data[:16].hex()} room {room}: not OK")
        if room:
            expect(c.data(0, room), b"\xee" * room, f"type {kind} sector {sector:#x}: the data")
    expect(answer(c, ring, IN, sector=last, room=512), OK, "the last sector")
    c.say("x-fail blk0 EIO")
    expect(answer(c, ring, IN, room=512), IOERR, "a read that fails")
    expect(c.disk.status, RUNNING, "Status")


@law("5.2.6.1-8", "2.7.8.2-2")
def identity(c):
    """GET_ID gives 20 bytes, padded with NUL."""
    ring, = c.start(c.disk)
    expect(answer(c, ring, GET_ID, room=20), OK, "status byte")
    name = c.data(0, 20)
    expect(name.rstrip(b"\0") + bytes(20 - len(name.rstrip(b"\0"))), name, "padding")


@law("5.2.6.2-13", "5.2.6.2-14", options=("-d", "FILE"))
def writethrough(c):
    """With CONFIG_WCE and writeback 0, or without FLUSH and CONFIG_WCE, a completed write is in the file."""
    for features, writeback in ((0, None), (BLK_FLUSH | BLK_CONFIG_WCE, 0)):
        ring, = c.start(c.disk, features)
        if writeback is not None:
            c.disk.put(CONFIG + 32, writeback, 1)
        byte = b"\x44" if features else b"\x45"
        expect(answer(c, ring, OUT, data=byte * 512), OK, "a write")
        with open(c.files[0].name, "rb") as file:
            expect(file.read(512), byte * 512, "the file")
        expect(volatile_pages(c.files[0].name), 0, "pages of the file that are not durable")
