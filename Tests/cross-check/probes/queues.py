"""A queue's registers: sizes, addresses, QueueReady, QueueReset, QueueNotify (4.2.2, 2.6, 2.7)."""
from boards import MEMORY
from disk import GET_ID, TABLE, ask, request
from driver import (
    INDIRECT_DESC, QUEUE_DESC, QUEUE_NOTIFY, QUEUE_READY, QUEUE_RESET, QUEUE_SEL, QUEUE_SIZE_MAX, RING_PACKED,
    RING_RESET, RINGS)
from probes import listing, probe

OTHER = RINGS + 0x20000


def enabled(board, features=0, **place):
    """Sets up a queue with these registers, and returns QueueReady, then Status or the result of a request."""
    board.qtest.fill(RINGS, 0x20000)
    board.disk.negotiate(features | INDIRECT_DESC)
    ring = board.disk.queue(packed=bool(features & RING_PACKED), **place)
    ready = board.disk.get(QUEUE_READY)
    board.disk.status = 0x0f
    if board.disk.status != 0x0f:
        return f"{ready}, Status {board.disk.status:#x}"
    ring.size = ring.size or 8  # the size that the driver assumes
    return f"{ready}, {ask(ring, GET_ID, room=20, indirect=TABLE)}"


@probe("4.2.2")
def queue_size_max(board):
    board.disk.put(QUEUE_SEL, 0)
    return str(board.disk.get(QUEUE_SIZE_MAX))


@probe("4.2.2", "5.2.2")
def queue_that_is_not_there(board):
    values = []
    for index in (1, 1023):
        board.disk.put(QUEUE_SEL, index)
        values += [board.disk.get(QUEUE_SIZE_MAX), board.disk.get(QUEUE_READY)]
    return listing(values)


@probe("4.2.2")
def queue_index_too_large(board):
    values = []
    for index in (1024, 65536, 0xffffffff):
        board.disk.put(QUEUE_SEL, index)
        values += [board.disk.get(QUEUE_SIZE_MAX), board.disk.get(QUEUE_READY)]
    return listing(values)


@probe("4.2.2", "4.2.3.2")
def queue_that_is_not_there_made_ready(board):
    board.disk.negotiate()
    board.disk.queue(1)
    return f"QueueReady {board.disk.get(QUEUE_READY)}, Status {board.disk.status:#x}"


@probe("2.7", "4.2.2.2")
def queue_sizes_that_are_none(board):
    """0, 3 in a split ring, and 4096, which is more than QueueSizeMax."""
    return "; ".join(enabled(board, size=size) for size in (0, 3, 4096))


@probe("2.8.10.1")
def queue_size_3_packed(board):
    return enabled(board, RING_PACKED, size=3)


@probe("2.7")
def queue_size_1(board):
    return enabled(board, size=1)


@probe("2.7.1")
def rings_misaligned(board):
    """The descriptors at 8 modulo 16, the available ring at 1 modulo 2, the used ring at 2 modulo 4."""
    places = {"desc": RINGS + 8, "driver": RINGS + 0x4001, "device": RINGS + 0x8002}
    return "; ".join(enabled(board, **{part: address}) for part, address in places.items())


@probe("2.1.2")
def rings_outside_memory(board):
    """The descriptors beyond the end, the available ring too, the used ring across it; all at the largest address."""
    places = [{"desc": MEMORY}, {"driver": MEMORY}, {"device": MEMORY - 16}]
    places.append(dict.fromkeys(("desc", "driver", "device"), 2 ** 64 - 16))
    return "; ".join(enabled(board, **place) for place in places)


@probe("3.1.1", "4.2.3.2")
def ready_before_features_ok(board):
    board.disk.status = 1
    board.disk.status = 3
    board.disk.queue()
    return f"QueueReady {board.disk.get(QUEUE_READY)}"


@probe("4.2.2")
def ready_with_other_values(board):
    """QueueReady written with values other than 0 and 1."""
    seen = []
    for value in (2, 3):
        board.disk.negotiate()
        board.disk.place()
        board.disk.put(QUEUE_READY, value)
        seen.append(board.disk.get(QUEUE_READY))
    return listing(seen)


@probe("4.2.2.1", "4.2.2.2")
def ready_taken_back(board):
    """QueueReady 0: a request that is made available then is not used."""
    ring = board.disk.start()
    board.disk.put(QUEUE_READY, 0)
    ready = board.disk.get(QUEUE_READY)
    request(ring, GET_ID, room=20)
    ring.notify()
    return f"QueueReady {ready}, {ring.result()}"


@probe("4.2.2.2", "4.2.3.2")
def ready_again_elsewhere(board):
    """QueueReady 0, a new ring, QueueReady 1: the queue starts empty."""
    ask(board.disk.start(), GET_ID, room=20)
    board.disk.put(QUEUE_READY, 0)
    board.disk.get(QUEUE_READY)
    ring = board.disk.queue(0, 8, desc=OTHER, driver=OTHER + 0x4000, device=OTHER + 0x8000)
    return ask(ring, GET_ID, room=20)


@probe("4.2.2.2")
def address_written_while_ready(board):
    ring = board.disk.start()
    board.disk.put(QUEUE_DESC, OTHER)
    return ask(ring, GET_ID, room=20)


@probe("2.6.1", "4.2.2")
def queue_reset_not_negotiated(board):
    ring = board.disk.start()
    board.disk.put(QUEUE_RESET, 1)
    seen = listing(map(board.disk.get, (QUEUE_RESET, QUEUE_READY)))
    return f"{seen}, {ask(ring, GET_ID, room=20)}"


@probe("2.6.1", "4.2.2.1")
def queue_reset(board):
    """QueueReset and QueueReady after a reset, and the result of a request."""
    board.disk.put(QUEUE_SEL, 0)
    ring = board.disk.start(RING_RESET)
    board.disk.put(QUEUE_RESET, 1)
    seen = listing(map(board.disk.get, (QUEUE_RESET, QUEUE_READY)))
    request(ring, GET_ID, room=20)
    ring.notify()
    return f"{seen}, {ring.result()}"


@probe("2.6.1.2", "4.2.2.1")
def queue_reset_and_enabled_again(board):
    ask(board.disk.start(RING_RESET), GET_ID, room=20)
    board.disk.put(QUEUE_RESET, 1)
    ring = board.disk.queue(0, 4, desc=OTHER, driver=OTHER + 0x4000, device=OTHER + 0x8000)
    return f"{listing(map(board.disk.get, (QUEUE_RESET, QUEUE_READY)))}, {ask(ring, GET_ID, room=20)}"


@probe("4.2.2", "4.2.3.3")
def notify_of_no_queue(board):
    ring = board.disk.start()
    for index in (1, 1023, 1024, 0xffff, 0xffffffff):
        board.disk.put(QUEUE_NOTIFY, index)
    return f"Status {board.disk.status:#x}, {ask(ring, GET_ID, room=20)}"


@probe("2.1.2", "3.1.1")
def notify_before_driver_ok(board):
    """The device must not consume buffers before DRIVER_OK."""
    board.disk.negotiate()
    ring = board.disk.queue()
    request(ring, GET_ID, room=20)
    ring.notify()
    return ring.result()


@probe("2.1.2", "2.7.13")
def available_before_driver_ok(board):
    """Made available before DRIVER_OK, and never notified."""
    board.disk.negotiate()
    ring = board.disk.queue()
    request(ring, GET_ID, room=20)
    board.disk.status = 0x0f
    return ring.result()


@probe("4.2.2.1")
def notify_of_a_queue_not_ready(board):
    board.disk.negotiate()
    board.disk.place()
    board.disk.status = 0x0f
    board.disk.put(QUEUE_NOTIFY, 0)
    return f"Status {board.disk.status:#x}, InterruptStatus {board.disk.interrupt:#x}"
