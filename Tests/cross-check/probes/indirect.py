"""Indirect descriptors of a split ring (2.7.5.3)."""
from boards import MEMORY
from disk import ANSWER, DATA, GET_ID, HEADER, TABLE, answer, ask, notified, prepare, request
from driver import INDIRECT, INDIRECT_DESC, NEXT, RINGS, WRITE
from probes import probe


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
    """Sends a request in an indirect table whose descriptor has this length and these flags."""
    buffers = prepare(ring, GET_ID, room=20)
    ring.chain(buffers, range(4), table=TABLE)
    for slot, entry in (entries or {}).items():
        ring.describe(slot, *entry, table=TABLE)
    ring.describe(0, TABLE, length, flags, 1)
    ring.describe(1, ANSWER, 1, WRITE)
    ring.offer(0)
    return notified(ring)


@probe("2.7.5.3.2")
def indirect_with_the_write_flag(board):
    return with_table(board.disk.start(INDIRECT_DESC), flags=INDIRECT | WRITE)


@probe("2.7.5.3.1")
def indirect_with_the_next_flag(board):
    return with_table(board.disk.start(INDIRECT_DESC), flags=INDIRECT | NEXT)


@probe("2.7.5.3.1")
def indirect_in_a_table(board):
    return with_table(board.disk.start(INDIRECT_DESC), entries={0: (TABLE, 48, INDIRECT | NEXT, 1)})


@probe("2.7.5.3", "2.1.2")
def indirect_table_of_a_wrong_length(board):
    """No bytes; three and a half descriptors."""
    seen = []
    for length in (0, 56):
        seen.append(with_table(board.disk.start(INDIRECT_DESC), length=length))
        board.qtest.fill(RINGS, 0x10000)
    return "; ".join(seen)


@probe("2.1.2")
def indirect_table_outside_memory(board):
    ring = board.disk.start(INDIRECT_DESC)
    ring.describe(0, MEMORY - 16, 48, INDIRECT)
    ring.offer(0)
    return notified(ring)


@probe("2.7.5.3", "2.7.5.2")
def indirect_next_gone_wrong(board):
    """Next outside the table; next is the descriptor itself."""
    seen = []
    for following in (3, 0):
        seen.append(with_table(board.disk.start(INDIRECT_DESC), entries={0: (HEADER, 16, NEXT, following)}))
        board.qtest.fill(RINGS, 0x10000)
    return "; ".join(seen)


@probe("2.7.5.3.2")
def indirect_behind_direct(board):
    """The header in the ring, the rest in a table."""
    ring = board.disk.start(INDIRECT_DESC)
    header, *rest = prepare(ring, GET_ID, room=20)
    ring.chain(rest, range(3), table=TABLE)
    ring.describe(0, *header[:2], NEXT, 1)
    ring.describe(1, TABLE, 32, INDIRECT)
    ring.offer(0)
    return notified(ring)


@probe("2.7.5.3.1", "2.7.4.1")
def indirect_longer_than_the_queue(board):
    """Ten descriptors in a queue of 8: a device may have a limit above the queue size."""
    ring = board.disk.start(INDIRECT_DESC)
    header, _, status = prepare(ring, GET_ID, room=20)
    pieces = [(DATA + at, 3 if at < 18 else 2, True) for at in range(0, 20, 3)]
    return answer(ring, [(HEADER, 8, False), (HEADER + 8, 8, False)] + pieces + [status], indirect=TABLE)
