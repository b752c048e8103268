"""Requests split into buffers in several ways: a device makes no assumptions about the framing (2.7.4)."""
from disk import ANSWER, DATA, FLUSH, GET_ID, HEADER, IN, OUT, answer, ask, prepare
from probes import probe


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
def header_cut_short(board):
    """A header of 8 bytes, and none."""
    ring = board.disk.start()
    half = answer(ring, [(HEADER, 8, False)] + prepare(ring, FLUSH)[1:])
    ring = board.disk.start() if half == "needs reset" else ring
    return f"{half}; {answer(ring, prepare(ring, FLUSH)[1:])}"
