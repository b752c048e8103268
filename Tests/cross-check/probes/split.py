"""A valid split ring: buffers and notifications (2.7). Chains are block requests."""
from disk import GET_ID, HEADER, ask, notified, request
from driver import EVENT_IDX, INTERRUPT_ACK
from probes import listing, probe


# Buffers.

@probe("2.7.5.1")
def descriptors_are_not_written(board):
    """The device writes neither the descriptors nor the available ring nor the header."""
    ring = board.disk.start()
    request(ring, GET_ID, room=20)
    areas = ((ring.desc, 16 * ring.size), (ring.driver, 6 + 2 * ring.size), (HEADER, 16))
    before = [ring.qtest.read(*area) for area in areas]
    result = notified(ring)
    return f"{result}, {'unchanged' if before == [ring.qtest.read(*area) for area in areas] else 'changed'}"


@probe("2.7.6", "2.7.8")
def ring_goes_round(board):
    """Three rounds of a ring of 4 with one request at a time."""
    ring = board.disk.start(size=4)
    results = {ask(ring, GET_ID, room=20) for _ in range(12)}
    return f"{' or '.join(sorted(results))}; index {ring.qtest.load(ring.area + 2, 2)}"


@probe("2.7.8", "2.7.13")
def two_at_once(board):
    """Two requests, one notification: used entries and interrupt."""
    ring = board.disk.start()
    heads = [request(ring, GET_ID, room=20) for _ in range(2)]
    ring.notify()
    result = ring.result(2)
    used = [ring.qtest.load(ring.area + 4 + 8 * n) for n in range(2)]
    return f"{result}, {'both heads' if sorted(used) == heads else used}, InterruptStatus {board.disk.interrupt:#x}"


@probe("2.7.10.2")
def spurious_notification(board):
    ring = board.disk.start()
    before = ask(ring, GET_ID, room=20)
    board.disk.put(INTERRUPT_ACK, 1)
    ring.notify()
    seen = f"index {ring.qtest.load(ring.area + 2, 2)}, InterruptStatus {board.disk.interrupt:#x}"
    return f"{before}; {seen}; {ask(ring, GET_ID, room=20)}"


# Notifications.

@probe("2.7.7.2")
def no_interrupt_flag(board):
    ring = board.disk.start()
    seen = []
    for flags in (1, 0):
        ring.set_flags(flags)
        ask(ring, GET_ID, room=20)
        seen.append(board.disk.interrupt)
    return listing(seen)


@probe("2.7.7.2")
def used_event_not_negotiated(board):
    ring = board.disk.start()
    ring.set_used_event(5)
    ask(ring, GET_ID, room=20)
    return f"InterruptStatus {board.disk.interrupt:#x}"


@probe("2.7.7.2")
def used_event(board):
    """The driver wants a notification for the second buffer; NO_INTERRUPT is set and must be ignored."""
    ring = board.disk.start(EVENT_IDX)
    ring.set_flags(1)
    ring.set_used_event(1)
    seen = []
    for _ in range(3):
        ask(ring, GET_ID, room=20)
        seen.append(board.disk.interrupt)
        board.disk.put(INTERRUPT_ACK, 1)
    return listing(seen)


@probe("2.7.10.2")
def avail_event_not_negotiated(board):
    """Without VIRTIO_F_EVENT_IDX the device must not write the field."""
    ring = board.disk.start()
    ring.qtest.store(ring.avail_event, 0x5a5a, 2)
    ask(ring, GET_ID, room=20)
    return f"{ring.qtest.load(ring.avail_event, 2):#x}"


@probe("2.7.10.2")
def avail_event(board):
    """avail_event after two requests: the index for which the device wants a notification."""
    ring = board.disk.start(EVENT_IDX)
    for _ in range(2):
        ask(ring, GET_ID, room=20)
    return str(ring.qtest.load(ring.avail_event, 2))


@probe("2.7.10.2")
def used_ring_flags(board):
    """Without and with VIRTIO_F_EVENT_IDX, with no buffer available."""
    seen = []
    for features in (0, EVENT_IDX):
        ring = board.disk.start(features)
        ask(ring, GET_ID, room=20)
        seen.append(ring.qtest.load(ring.area, 2))
    return listing(seen)
