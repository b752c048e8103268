"""The console: output, control messages, emergency output (5.3)."""
from driver import BUFFERS, CONFIG, QUEUE_SEL, QUEUE_SIZE_MAX
from probes import listing, probe

SIZE, MULTIPORT, EMERGENCY_WRITE = 1, 2, 4
COLUMNS, ROWS, MAX_PORTS, EMERGENCY = 0, 2, 4, 8
RECEIVE, TRANSMIT, CONTROL_RECEIVE, CONTROL_TRANSMIT = range(4)
READY, PORT_READY, OPEN = 0, 3, 6
MESSAGES = ("READY", "ADD", "REMOVE", "PORT_READY", "CONSOLE_PORT", "RESIZE", "OPEN", "NAME")
TEXT, ROOM = BUFFERS, BUFFERS + 0x1000


def send(ring, data):
    """Sends bytes in one buffer, and returns the chain's result."""
    ring.qtest.write(TEXT, data)
    return ring.send([(TEXT, len(data), False)])


@probe("5.3.4")
def console_size(board):
    """Columns and rows, if VIRTIO_CONSOLE_F_SIZE is offered."""
    if not board.console.offered(0) & SIZE:
        return "none"
    return listing(board.console.get(CONFIG + at, 2) for at in (COLUMNS, ROWS))


@probe("5.3.4")
def console_ports(board):
    return str(board.console.get(CONFIG + MAX_PORTS))


@probe("5.3.5.1")
def emergency_write(board):
    """Before initialisation: the low byte is written, the rest of the word is not."""
    board.console.put(CONFIG + EMERGENCY, 0x6c6c6141)
    return f"{board.output(1).decode()}, Status {board.console.status:#x}"


@probe("5.3.5.1", "4.2.2.2")
def emergency_write_by_width(board):
    """Accesses of one and of two bytes to the field of 32 bits."""
    board.console.put(CONFIG + EMERGENCY, 0x42, 1)
    board.console.put(CONFIG + EMERGENCY, 0x43, 2)
    return board.output(2).decode() or "nothing"


@probe("5.3.4")
def emergency_field_reads(board):
    board.console.put(CONFIG + EMERGENCY, 0x44)
    board.output(1)
    return f"{board.console.get(CONFIG + EMERGENCY):#x}"


@probe("5.3.5", "2.1")
def emergency_write_to_a_broken_device(board):
    board.console.negotiate()
    ring = board.console.queue(TRANSMIT)
    board.console.status = 0x0f
    ring.offer(5000)
    ring.notify()
    result = ring.result()
    board.console.put(CONFIG + EMERGENCY, 0x45)
    return f"{result}, {board.output(1).decode()}"


@probe("5.3.2")
def control_queues_without_multiport(board):
    """QueueSizeMax of queues 2 and 3."""
    board.console.negotiate()
    seen = []
    for index in (CONTROL_RECEIVE, CONTROL_TRANSMIT):
        board.console.put(QUEUE_SEL, index)
        seen.append("there" if board.console.get(QUEUE_SIZE_MAX) else "0")
    return listing(seen)


@probe("5.3.2")
def queues_with_multiport(board):
    """The number of queues for two ports."""
    board.console.negotiate(MULTIPORT)
    count = 0
    while count < 80:
        board.console.put(QUEUE_SEL, count)
        if board.console.get(QUEUE_SIZE_MAX) == 0:
            break
        count += 1
    return str(count)


@probe("5.3.6", "2.7.8")
def console_output(board):
    board.console.negotiate()
    ring = board.console.queue(TRANSMIT)
    board.console.status = 0x0f
    result = send(ring, b"hello")
    return f"{result}, '{board.output(5).decode()}', InterruptStatus {board.console.interrupt:#x}"


@probe("2.7.4.1", "5.3.6")
def console_output_in_pieces(board):
    board.console.negotiate()
    ring = board.console.queue(TRANSMIT)
    board.console.status = 0x0f
    ring.qtest.write(TEXT, b"pieces")
    result = ring.send([(TEXT, 1, False), (TEXT + 1, 3, False), (TEXT + 4, 2, False)])
    return f"{result}, '{board.output(6).decode()}'"


@probe("5.3.6.1")
def console_output_writable(board):
    """A writable buffer in the transmit queue."""
    board.console.negotiate()
    ring = board.console.queue(TRANSMIT)
    board.console.status = 0x0f
    ring.qtest.write(TEXT, b"no")
    return ring.send([(TEXT, 2, True)])


@probe("5.3.6")
def console_receive_buffer_waits(board):
    board.console.negotiate()
    ring = board.console.queue(RECEIVE)
    board.console.status = 0x0f
    return ring.send([(ROOM, 64, True)])


# Control messages.

def show(data):
    return data.decode("latin-1").replace("\0", "\\0")


class Control:
    """The control queues of a console with two ports, all its queues enabled, and six buffers for messages."""

    def __init__(self, console, buffer=64):
        console.negotiate(MULTIPORT)
        rings = [console.queue(index) for index in range(6)]
        console.status = 0x0f
        self.qtest = console.qtest
        self.receive, self.transmit = rings[CONTROL_RECEIVE], rings[CONTROL_TRANSMIT]
        for count in range(6):
            self.receive.add([(ROOM + 0x100 * count, buffer, True)])
        self.receive.notify()

    def say(self, port, event, value=0):
        fields = ((port, 4), (event, 2), (value, 2))
        return send(self.transmit, b"".join(field.to_bytes(size, "little") for field, size in fields))

    def received(self):
        """The control messages received since the last call."""
        seen = []
        for length in self.receive.lengths(6):
            data = self.qtest.read(ROOM + 0x100 * (self.receive.done % 6), 64)[:length]
            self.receive.done += 1
            port, event, value = data[0], data[4], data[6]
            # Other events do not use the value, or leave it unspecified.
            opens = ("closed", "open")[value] if event == OPEN else ""
            seen.append(" ".join(part for part in (MESSAGES[event], str(port), opens, show(data[8:])) if part))
        return ", ".join(seen) or "nothing"


@probe("5.3.6.2")
def control_before_ready(board):
    return Control(board.console).received()


@probe("5.3.6.2.1", "5.3.6.2.2")
def control_device_ready(board):
    control = Control(board.console)
    return f"{control.say(0, READY, 1)}, {control.received()}"


@probe("5.3.6.2")
def control_device_failed(board):
    """READY with value 0: the driver failed to initialise."""
    control = Control(board.console)
    return f"{control.say(0, READY, 0)}, {control.received()}"


@probe("5.3.6.2")
def control_console_port(board):
    """PORT_READY for port 0, the console."""
    control = Control(board.console)
    control.say(0, READY, 1)
    control.received()
    return f"{control.say(0, PORT_READY, 1)}, {control.received()}"


@probe("5.3.6.2")
def control_named_port(board):
    """PORT_READY for port 1, which has a name."""
    control = Control(board.console)
    control.say(0, READY, 1)
    control.received()
    return f"{control.say(1, PORT_READY, 1)}, {control.received()}"


@probe("5.3.6.2")
def control_nonsense(board):
    """A port that does not exist, an undefined event, half a message; then READY."""
    control = Control(board.console)
    seen = [control.say(7, PORT_READY, 1), control.say(0, 99, 1), send(control.transmit, bytes(4))]
    control.say(0, READY, 1)
    return f"{'; '.join(seen)}; {control.received()}"


@probe("5.3.6.2")
def control_message_cut(board):
    """Buffers of 4 bytes for messages of 8."""
    control = Control(board.console, buffer=4)
    control.say(0, READY, 1)
    return f"used {' '.join(map(str, control.receive.lengths(6)))}"
