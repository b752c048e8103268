"""Split rings and chains that a driver must not make (2.7), and the device's reaction."""
from boards import MEMORY
from disk import GET_ID, HEADER, TABLE, answer, ask, notified, prepare, request
from driver import BUFFERS, INDIRECT_DESC, NEXT
from probes import probe


@probe("2.7.6", "2.1.2")
def available_index_jumps(board):
    """By more than the ring has entries."""
    ring = board.disk.start()
    request(ring, GET_ID, room=20)
    ring.qtest.store(ring.driver + 2, 9, 2)
    return notified(ring)


@probe("2.7.6.1", "2.1.2")
def available_index_goes_back(board):
    ring = board.disk.start()
    for _ in range(2):
        ask(ring, GET_ID, room=20)
    ring.qtest.store(ring.driver + 2, 1, 2)
    return notified(ring)


@probe("2.7.6", "2.1.2")
def head_out_of_range(board):
    ring = board.disk.start()
    ring.offer(8)
    return notified(ring)


@probe("2.7.5", "2.1.2")
def next_out_of_range(board):
    ring = board.disk.start()
    prepare(ring, GET_ID)
    ring.describe(0, HEADER, 16, NEXT, 8)
    ring.offer(0)
    return notified(ring)


@probe("2.7.5.2", "2.1.2")
def loop(board):
    ring = board.disk.start()
    prepare(ring, GET_ID)
    ring.describe(0, HEADER, 16, NEXT, 1)
    ring.describe(1, HEADER, 16, NEXT, 0)
    ring.offer(0)
    return notified(ring)


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
    """One request made available twice, without waiting for it to be used."""
    ring = board.disk.start()
    head = request(ring, GET_ID, room=20)
    ring.offer(head)
    ring.notify()
    return ring.result(2)
