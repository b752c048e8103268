"""The register file, the configuration space and the interrupt (4.2.2, 2.5, 4.2.3.4)."""
from disk import CAPACITY, GET_ID, WRITEBACK, ask, request
from driver import (
    ACKNOWLEDGE, CONFIG, CONFIG_GENERATION, DEVICE_FEATURES, DEVICE_FEATURES_SEL, DEVICE_ID, DRIVER, DRIVER_FEATURES,
    DRIVER_FEATURES_SEL, INTERRUPT_ACK, INTERRUPT_STATUS, MAGIC, QUEUE_DESC, QUEUE_DEVICE, QUEUE_DRIVER, QUEUE_NOTIFY,
    QUEUE_READY, QUEUE_RESET, QUEUE_SEL, QUEUE_SIZE, QUEUE_SIZE_MAX, SHM_BASE, SHM_LEN, SHM_SEL, STATUS, VENDOR_ID,
    VERSION, VERSION_1)
from probes import listing, probe

READ_ONLY = (
    MAGIC, VERSION, DEVICE_ID, VENDOR_ID, DEVICE_FEATURES, QUEUE_SIZE_MAX, INTERRUPT_STATUS, SHM_LEN, SHM_LEN + 4,
    SHM_BASE, SHM_BASE + 4, CONFIG_GENERATION)
WRITE_ONLY = (
    DEVICE_FEATURES_SEL, DRIVER_FEATURES, DRIVER_FEATURES_SEL, QUEUE_SEL, QUEUE_SIZE, QUEUE_NOTIFY, INTERRUPT_ACK,
    QUEUE_DESC, QUEUE_DESC + 4, QUEUE_DRIVER, QUEUE_DRIVER + 4, QUEUE_DEVICE, QUEUE_DEVICE + 4, SHM_SEL)
LEGACY = (0x028, 0x03c, 0x040)
UNDEFINED = (
    0x018, 0x01c, 0x02c, 0x048, 0x04c, 0x054, 0x058, 0x05c, 0x068, 0x06c, 0x074, 0x078, 0x07c, 0x088, 0x098, 0x0a8,
    0x0c4, 0x0f8)


@probe("4.2.2.1")
def identity(board):
    return listing([device.get(register) for device in (board.console, board.disk, board.read_only)
                    for register in (MAGIC, VERSION, DEVICE_ID)])


@probe("4.2.2")
def vendor(board):
    return board.disk.get(VENDOR_ID).to_bytes(4, "little").decode().rstrip()


@probe("2.4.1", "4.2.2.1")
def registers_after_reset(board):
    board.disk.start()
    board.disk.status = 0
    return listing(map(board.disk.get, (STATUS, INTERRUPT_STATUS, QUEUE_READY, QUEUE_RESET)))


@probe("4.2.2.2")
def selectors_after_reset(board):
    board.disk.put(DEVICE_FEATURES_SEL, 1)
    board.disk.put(QUEUE_SEL, 1)
    board.disk.status = 0
    chosen = board.disk.get(DEVICE_FEATURES)
    queue = "queue 0" if board.disk.get(QUEUE_SIZE_MAX) else "queue 1"
    return f"word {[board.disk.offered(word) for word in (0, 1)].index(chosen)}, {queue}"


@probe("4.2.2.2")
def narrow_and_unaligned_register_reads(board):
    return listing(board.disk.get(*access) for access in ((MAGIC, 1), (MAGIC, 2), (MAGIC + 1, 4), (MAGIC + 2, 4)))


@probe("4.2.2.2")
def narrow_register_writes(board):
    board.disk.put(STATUS, 1, 1)
    board.disk.put(STATUS, 1, 2)
    return f"Status {board.disk.status:#x}"


@probe("4.2.2.2")
def wide_register_accesses(board):
    """An 8-byte read of MagicValue and Version; an 8-byte write to Status and the next register."""
    board.disk.put(STATUS, 1, 8)
    return f"{board.disk.get(MAGIC, 8):#x}, Status {board.disk.status:#x}"


@probe("4.2.2.2")
def reads_of_write_only(board):
    board.disk.put(DRIVER_FEATURES_SEL, 1)
    board.disk.put(QUEUE_SIZE, 8)
    return "all 0" if not any(map(board.disk.get, WRITE_ONLY)) else listing(map(board.disk.get, WRITE_ONLY))


@probe("4.2.2.2")
def writes_of_read_only(board):
    before = list(map(board.disk.get, READ_ONLY))
    for register in READ_ONLY:
        board.disk.put(register, 0x5a5a5a5a)
    return "unchanged" if before == list(map(board.disk.get, READ_ONLY)) else "changed"


@probe("4.2.2", "4.2.4")
def legacy_registers(board):
    for register in LEGACY:
        board.disk.put(register, 0x1000)
    return listing(map(board.disk.get, LEGACY)) + f", Status {board.disk.status:#x}"


@probe("4.2.2.2")
def undefined_registers(board):
    for register in UNDEFINED:
        board.disk.put(register, 0xffffffff)
    return "all 0" if not any(map(board.disk.get, UNDEFINED)) else listing(map(board.disk.get, UNDEFINED))


@probe("4.2.2", "2.10")
def no_shared_memory(board):
    values = []
    for region in (0, 7):
        board.disk.put(SHM_SEL, region)
        values += map(board.disk.get, (SHM_LEN, SHM_LEN + 4, SHM_BASE, SHM_BASE + 4))
    return listing(values)


# The interrupt.

@probe("4.2.2.1", "4.2.3.4")
def interrupt_line_is_level(board):
    """The line follows InterruptStatus: raised with the first bit, lowered with the last."""
    ring = board.disk.start()
    seen = [board.disk.line]
    for _ in range(2):
        ask(ring, GET_ID, room=20)
        seen.append(board.disk.line)
    board.disk.put(INTERRUPT_ACK, 1)
    return " ".join(seen + [board.disk.line])


@probe("4.2.2.1")
def interrupt_ack_of_other_bits(board):
    ask(board.disk.start(), GET_ID, room=20)
    board.disk.put(INTERRUPT_ACK, 0xfffffffe)
    return f"InterruptStatus {board.disk.interrupt:#x}, line {board.disk.line}"


@probe("4.2.2.1")
def interrupt_ack_of_nothing(board):
    board.disk.start()
    board.disk.put(INTERRUPT_ACK, 0xffffffff)
    return f"InterruptStatus {board.disk.interrupt:#x}, line {board.disk.line}, Status {board.disk.status:#x}"


@probe("4.2.2.1", "4.2.3.4")
def reset_lowers_the_line(board):
    ask(board.disk.start(), GET_ID, room=20)
    before = board.disk.line
    board.disk.status = 0
    return f"{before} {board.disk.line}, InterruptStatus {board.disk.interrupt:#x}"


@probe("2.1.2", "4.2.2.1")
def error_interrupts(board):
    """A broken queue: DEVICE_NEEDS_RESET, and a configuration change notification."""
    ring = board.disk.start()
    ring.offer(5000)
    ring.notify()
    result = ring.result()
    return f"{result}, Status {board.disk.status:#x}, InterruptStatus {board.disk.interrupt:#x}, line {board.disk.line}"


@probe("2.4.1", "2.1.2")
def reset_heals(board):
    ring = board.disk.start()
    ring.offer(5000)
    ring.notify()
    ring.result()
    board.qtest.fill(ring.desc, 0x10000)
    return ask(board.disk.start(), GET_ID, room=20)


# The configuration space.

@probe("4.2.2.2", "2.5.2")
def configuration_by_width(board):
    pieces = []
    for width in (1, 2, 4):
        values = [board.disk.get(CONFIG + CAPACITY + at, width) for at in range(0, 8, width)]
        pieces.append(sum(value << 8 * width * at for at, value in enumerate(values)))
    return listing(pieces)


@probe("4.2.2.2")
def configuration_read_of_8_bytes(board):
    return f"{board.disk.get(CONFIG + CAPACITY, 8):#x}"


@probe("4.2.2.2")
def configuration_unaligned(board):
    return listing([board.disk.get(CONFIG + 1, 2), board.disk.get(CONFIG + 2, 4)])


@probe("2.5.1", "4.2.2.2")
def configuration_beyond_the_end(board):
    return listing(board.console.get(CONFIG + at, width) for at, width in ((12, 4), (0xf0, 4), (0xff, 1)))


@probe("4.2.2.2", "5.2.4")
def configuration_read_only_field(board):
    board.disk.negotiate()
    board.disk.put(CONFIG + CAPACITY, 1)
    return f"{board.disk.get(CONFIG + CAPACITY):#x}, Status {board.disk.status:#x}"


@probe("2.5", "4.2.2.1")
def generation_is_steady(board):
    """Only the driver changes the configuration, with a reset in between."""
    before = board.disk.get(CONFIG_GENERATION)
    board.disk.start(1 << 9 | 1 << 11)
    board.disk.put(CONFIG + WRITEBACK, 0, 1)
    during = board.disk.get(CONFIG_GENERATION)
    board.disk.status = 0
    return "the same" if before == during == board.disk.get(CONFIG_GENERATION) else "changes"


@probe("3.1.1", "5.2.5.1")
def configuration_write_before_features_ok(board):
    """`writeback`, which the driver must not write before FEATURES_OK."""
    for value in (0, ACKNOWLEDGE, ACKNOWLEDGE | DRIVER):
        board.disk.status = value
    board.disk.accept(VERSION_1 | 1 << 9 | 1 << 11)
    board.disk.put(CONFIG + WRITEBACK, 0, 1)
    board.disk.status = ACKNOWLEDGE | DRIVER | 8
    return f"writeback {board.disk.get(CONFIG + WRITEBACK, 1)}"


@probe("2.1.2", "2.4.1")
def reset_forgets_a_request(board):
    """A request made available, then a reset, then the notification."""
    ring = board.disk.start()
    request(ring, GET_ID, room=20)
    board.disk.status = 0
    ring.notify()
    return ring.result()
