"""A split ring, well used and broken (2.7). Chains are block requests; their answers are `used LENGTH` and a status byte."""
from boards import MEMORY
from driver import BUFFERS, EVENT_IDX, INDIRECT, INDIRECT_DESC, INTERRUPT_ACK, NEXT, WRITE
from probes import listing, probe
from probes.block import ANSWER, DATA, GET_ID, HEADER, TABLE, answer, ask, prepare, request, status_byte


def kicked(ring):
    """Notifies, and says what became of it."""
    ring.kick()
    result = ring.result()
    return f"{result}, {status_byte(ring)}" if result.startswith("used") else result


# Well used.

@probe("2.7.5.1")
def descriptors_are_not_written(board):
    """Nor the available ring, nor the header."""
    ring = board.disk.start()
    request(ring, GET_ID, room=20)
    places = ((ring.desc, 16 * ring.size), (ring.driver, 6 + 2 * ring.size), (HEADER, 16))
    before = [ring.qtest.read(*place) for place in places]
    result = kicked(ring)
    return f"{result}, {'unchanged' if before == [ring.qtest.read(*place) for place in places] else 'changed'}"


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
    ring.kick()
    result = ring.result(2)
    used = [ring.qtest.load(ring.area + 4 + 8 * n) for n in range(2)]
    return f"{result}, {'both heads' if sorted(used) == heads else used}, InterruptStatus {board.disk.interrupt:#x}"


@probe("2.7.10.2")
def spurious_notification(board):
    ring = board.disk.start()
    before = ask(ring, GET_ID, room=20)
    board.disk.put(INTERRUPT_ACK, 1)
    ring.kick()
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
    """The driver wants to hear of the second buffer; the flag says no, and counts for nothing."""
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
    """Without VIRTIO_F_EVENT_IDX there is no such field: the bytes are the driver's."""
    ring = board.disk.start()
    ring.qtest.store(ring.avail_event, 0x5a5a, 2)
    ask(ring, GET_ID, room=20)
    return f"{ring.qtest.load(ring.avail_event, 2):#x}"


@probe("2.7.10.2")
def avail_event(board):
    """After two requests: the entry of whose filling the device wants to hear."""
    ring = board.disk.start(EVENT_IDX)
    for _ in range(2):
        ask(ring, GET_ID, room=20)
    return str(ring.qtest.load(ring.avail_event, 2))


@probe("2.7.10.2")
def used_ring_flags(board):
    """Without and with VIRTIO_F_EVENT_IDX, nothing being available any more."""
    seen = []
    for features in (0, EVENT_IDX):
        ring = board.disk.start(features)
        ask(ring, GET_ID, room=20)
        seen.append(ring.qtest.load(ring.area, 2))
    return listing(seen)


# Indirect descriptors.

@probe("2.7.5.3")
def indirect(board):
    return ask(board.disk.start(INDIRECT_DESC), GET_ID, room=20, indirect=TABLE)


@probe("2.7.5.3")
def indirect_table_at_an_odd_address(board):
    return ask(board.disk.start(INDIRECT_DESC), GET_ID, room=20, indirect=TABLE + 3)


@probe("2.7.5.3.1")
def indirect_not_negotiated(board):
    return ask(board.disk.start(), GET_ID, room=20, indirect=TABLE)


def with_table(ring, length=48, flags=INDIRECT, entries=None):
    """A request in a table, the descriptor for which has this length and these flags."""
    buffers = prepare(ring, GET_ID, room=20)
    ring.chain(buffers, range(4), table=TABLE)
    for slot, entry in (entries or {}).items():
        ring.describe(slot, *entry, table=TABLE)
    ring.describe(0, TABLE, length, flags, 1)
    ring.describe(1, ANSWER, 1, WRITE)
    ring.offer(0)
    return kicked(ring)


@probe("2.7.5.3.2")
def indirect_with_the_write_flag(board):
    return with_table(board.disk.start(INDIRECT_DESC), flags=INDIRECT | WRITE)


@probe("2.7.5.3.1")
def indirect_with_the_next_flag(board):
    return with_table(board.disk.start(INDIRECT_DESC), flags=INDIRECT | NEXT)


@probe("2.7.5.3.1")
def indirect_in_a_table(board):
    return with_table(board.disk.start(INDIRECT_DESC), entries={0: (TABLE, 48, INDIRECT | NEXT, 1)})


@probe("2.7.5.3")
def indirect_table_of_no_length(board):
    return with_table(board.disk.start(INDIRECT_DESC), length=0)


@probe("2.7.5.3")
def indirect_table_of_a_broken_length(board):
    """Three descriptors and a half."""
    return with_table(board.disk.start(INDIRECT_DESC), length=56)


@probe("2.7.5.3")
def indirect_table_outside_memory(board):
    ring = board.disk.start(INDIRECT_DESC)
    ring.describe(0, MEMORY - 16, 48, INDIRECT)
    ring.offer(0)
    return kicked(ring)


@probe("2.7.5.3", "2.7.5.2")
def indirect_next_outside_the_table(board):
    return with_table(board.disk.start(INDIRECT_DESC), entries={0: (HEADER, 16, NEXT, 3)})


@probe("2.7.5.3", "2.7.5.2")
def indirect_loop(board):
    return with_table(board.disk.start(INDIRECT_DESC), entries={0: (HEADER, 16, NEXT, 0)})


@probe("2.7.5.3.2")
def indirect_behind_direct(board):
    """The header in the ring, the rest in a table."""
    ring = board.disk.start(INDIRECT_DESC)
    header, *rest = prepare(ring, GET_ID, room=20)
    ring.chain(rest, range(3), table=TABLE)
    ring.describe(0, *header[:2], NEXT, 1)
    ring.describe(1, TABLE, 32, INDIRECT)
    ring.offer(0)
    return kicked(ring)


@probe("2.7.5.3.1", "2.7.4.1")
def indirect_longer_than_the_queue(board):
    """Ten descriptors, of a queue of 8: a device may set a limit, and may have a higher one."""
    ring = board.disk.start(INDIRECT_DESC)
    header, _, status = prepare(ring, GET_ID, room=20)
    pieces = [(DATA + at, 3 if at < 18 else 2, True) for at in range(0, 20, 3)]
    return answer(ring, [(HEADER, 8, False), (HEADER + 8, 8, False)] + pieces + [status], indirect=TABLE)


# Broken rings.

@probe("2.7.6", "2.1.2")
def available_index_jumps(board):
    """By more than the ring has entries."""
    ring = board.disk.start()
    request(ring, GET_ID, room=20)
    ring.qtest.store(ring.driver + 2, 9, 2)
    return kicked(ring)


@probe("2.7.6.1", "2.1.2")
def available_index_goes_back(board):
    ring = board.disk.start()
    for _ in range(2):
        ask(ring, GET_ID, room=20)
    ring.qtest.store(ring.driver + 2, 1, 2)
    return kicked(ring)


@probe("2.7.6", "2.1.2")
def head_out_of_range(board):
    ring = board.disk.start()
    ring.offer(8)
    return kicked(ring)


@probe("2.7.5", "2.1.2")
def next_out_of_range(board):
    ring = board.disk.start()
    prepare(ring, GET_ID)
    ring.describe(0, HEADER, 16, NEXT, 8)
    ring.offer(0)
    return kicked(ring)


@probe("2.7.5.2", "2.1.2")
def loop(board):
    ring = board.disk.start()
    prepare(ring, GET_ID)
    ring.describe(0, HEADER, 16, NEXT, 1)
    ring.describe(1, HEADER, 16, NEXT, 0)
    ring.offer(0)
    return kicked(ring)


@probe("2.7.4.2", "2.1.2")
def readable_after_writable(board):
    ring = board.disk.start()
    header, room, status = prepare(ring, GET_ID, room=20)
    return answer(ring, [room, header, status])


@probe("2.1.2")
def buffer_outside_memory(board):
    """Header, data and status in turn, beyond the end."""
    seen = []
    for part in range(3):
        ring = board.disk.start()
        buffers = prepare(ring, GET_ID, room=20)
        buffers[part] = (MEMORY,) + buffers[part][1:]
        seen.append(answer(ring, buffers))
        board.qtest.fill(ring.desc, 0x10000)
    return "; ".join(seen)


@probe("2.1.2")
def buffer_across_the_end_of_memory(board):
    ring = board.disk.start()
    header, _, status = prepare(ring, GET_ID)[0], None, prepare(ring, GET_ID)[-1]
    return answer(ring, [header, (MEMORY - 8, 20, True), status])


@probe("2.7.5.2", "2.1.2")
def chain_longer_than_4_gigabytes(board):
    """The same 120 MiB, 36 times."""
    ring = board.disk.start(INDIRECT_DESC)
    header, *_, status = prepare(ring, 0)
    return answer(ring, [header] + [(BUFFERS, 120 << 20, True)] * 36 + [status], indirect=TABLE)


@probe("2.7.13", "2.1.2")
def same_head_twice(board):
    """One request made available twice: the second time it is still with the device, or was given back already."""
    ring = board.disk.start()
    head = request(ring, GET_ID, room=20)
    ring.offer(head)
    ring.kick()
    return ring.result(2)
