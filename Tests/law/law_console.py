"""The console (VIRTIO 1.4, 5.3), and the entropy device (5.4)."""
from driver import CONFIG, CONFIG_GENERATION
from law import BUFFERS, RUNNING, both_dialects, both_rings, expect, law, read_used, used_words

SIZE, MULTIPORT, EMERG_WRITE = 1, 2, 4
EMERG_WR = CONFIG + 8
TWO = ("--port", "null,name=second")
READY, ADD, REMOVE, PORT_READY, CONSOLE_PORT, RESIZE, OPEN, NAME = range(8)
EACH = {"dialects": both_dialects, "rings": both_rings}


class Ports:
    """A console with its control queues: it posts control buffers, sends messages, and reads what arrived."""

    def __init__(self, c, features=MULTIPORT, buffers=16):
        self.c = c
        self.rings = c.start(c.console, features, queues=(0, 1, 2, 3, 4, 5), size=32)
        self.posted = 0
        for _ in range(buffers):
            self.post()
        self.rings[2].notify()

    def post(self):
        self.rings[2].add([(BUFFERS + 0x100 * self.posted, 64, True)],
                          **({"buffer_id": self.posted % 32} if self.c.packed else {}))
        self.posted += 1

    def send(self, port, event, value):
        self.c.qtest.write(BUFFERS + 0x8000, port.to_bytes(4, "little") + event.to_bytes(2, "little") + value.to_bytes(2, "little"))
        self.rings[3].add([(BUFFERS + 0x8000, 8, False)])
        self.rings[3].notify()

    def messages(self):
        """What arrived since the last call: (port, event, value, rest)."""
        found, first = [], self.rings[2].done
        for n, (_, length) in enumerate(read_used(self.rings[2])):
            data = self.c.qtest.read(BUFFERS + 0x100 * (first + n), length)
            found.append((int.from_bytes(data[:4], "little"), int.from_bytes(data[4:6], "little"),
                          int.from_bytes(data[6:8], "little"), data[8:]))
        return found

    def ready(self):
        """The driver's part until all ports are open."""
        self.send(0, READY, 1)
        ports = [port for port, event, _, _ in self.messages() if event == ADD]
        for port in ports:
            self.send(port, PORT_READY, 1)
            self.send(port, OPEN, 1)
        self.messages()
        return ports


@law("5.3.5.1-2", rings=both_rings)
def emergency_output_behind_more_than_is_buffered(c):
    """Bytes written to emerg_wr appear although the transmit queue has filled the device's buffer."""
    ring, = c.start(c.console, EMERG_WRITE, queues=(1,))
    c.qtest.fill(BUFFERS, 0x20000, 0x2e)
    ring.add([(BUFFERS, 0x20000, False)])
    ring.notify()
    for byte in b"Oops":
        c.console.put(EMERG_WR, byte)
    output = b""
    while (text := c.say("x-output console0")) != "0x":
        output += bytes.fromhex(text[2:])
    expect((output.replace(b".", b""), output.count(b".")), (b"Oops", 0x20000), "emergency output, and other bytes")


@law("5.3.5.1-1", "5.3.5.1-2", "D-15", "V5-DEV-5", "V14-DEV-2", dialects=both_dialects)
def emergency_output(c):
    """The low byte written to emerg_wr appears, at Status 0, at each step, and while running; while suspended in 1.4 only."""
    for status in (0, 1, 3):
        c.console.status = status
        c.console.put(EMERG_WR, 0x12345600 | 0x41 + status)
        expect(c.say("x-output console0"), f"0x{0x41 + status:02x}", f"output at Status {status}")
    for features in (0, EMERG_WRITE):
        c.start(c.console, features, queues=(0, 1))
        c.console.put(EMERG_WR, 0x42)
        expect(c.say("x-output console0"), "0x42", "output of the running console")
        c.suspended(c.console)
        c.console.put(EMERG_WR, 0x43)
        expect(c.say("x-output console0"), "0x" if c.dialect == "draft" else "0x43", "output of the suspended console")
        c.resumed(c.console)
        expect(c.say("x-output console0"), "0x", "output of the resume")
        c.console.put(EMERG_WR, 0x44, 1)
        c.say("x-output console0")
        c.say("x-fatal console0")
        c.console.put(EMERG_WR, 0x45)
        expect(c.say("x-output console0"), "0x45", "output of a console that needs a reset")
        c.console.status = 0


@law("5.3.6.2.1-1", "5.3.6.2.1-2", dialects=both_dialects, rings=both_rings, options=TWO)
def ports_are_announced_once(c):
    """Each port is added once, below max_nr_ports, though the driver says twice that it is ready; after a reset again."""
    for _ in range(2):
        ports = Ports(c)
        count = c.console.get(CONFIG + 4)
        expect(count, 2, "max_nr_ports")
        ports.send(0, READY, 1)
        ports.send(0, READY, 1)
        found = [(port, event) for port, event, _, _ in ports.messages()]
        expect(found, [(0, ADD), (1, ADD)], "control messages")
        c.console.status = 0


@law("5.3.6.2.1-1", rings=both_rings, options=TWO)
def ports_without_room(c):
    """With one control buffer at a time no message is lost, none comes twice, and none needs a notification that was not asked for."""
    ports = Ports(c, buffers=0)
    ports.send(0, READY, 1)
    found = []
    for _ in range(3):
        ports.post()
        ports.rings[2].notify()
        found += ports.messages()
    expect([(port, event) for port, event, _, _ in found], [(0, ADD), (1, ADD)], "control messages")


@law("5.3.6.2.1-2", options=TWO)
def a_refused_port(c):
    """Control messages that name no port, or an unknown event, change nothing and are used with length 0."""
    ports = Ports(c)
    ports.ready()
    for port, event, value in ((7, PORT_READY, 1), (0xffffffff, OPEN, 1), (0, 99, 1), (1, ADD, 0), (1, REMOVE, 0)):
        ports.send(port, event, value)
    expect(ports.messages(), [], "control messages")
    expect({length for _, length in read_used(ports.rings[3])}, {0}, "used lengths")
    expect(c.console.status, RUNNING, "Status")


@law("V5-DEV-6", "V5-DEV-7", "V14-DEV-3", "V14-DEV-4", "D-8", options=TWO, **EACH)
def ports_while_suspended(c):
    """A port that the host opens and closes while the console is suspended: no message until the resume, then the state at the end,
    told once; a message of the driver given in the suspension is read after it."""
    ports = Ports(c)
    ports.ready()
    c.acknowledge(c.console)
    c.suspended(c.console)
    before = used_words(ports.rings[2])
    for state in (0, 1, 0):
        c.say(f"x-open console0 1 {state}")
    ports.rings[2].notify()
    expect((used_words(ports.rings[2]), c.console.interrupt), (before, 0), "control receiveq and InterruptStatus while suspended")
    c.resumed(c.console)
    found = [(port, event, value) for port, event, value, _ in ports.messages()]
    expect(found[-1:], [(1, OPEN, 0)], "the last control message after the resume")
    expect(c.console.interrupt, 1, "InterruptStatus")


@law("V5-DEV-8", "V14-DEV-5", "V14-DEV-6", "V14-DEV-7", "D-9", "4.2.2.1-6", options=TWO, **EACH)
def resize_while_suspended(c):
    """A resize of a suspended console shows after the resume, once: cols and rows, ConfigGeneration, bit 1; with MULTIPORT also by a
    control message, or by it alone."""
    for features in (SIZE, SIZE | MULTIPORT):
        ports = Ports(c, features) if features & MULTIPORT else c.start(c.console, features, queues=(0, 1)) and None
        if ports:
            ports.ready()
        c.say("x-size console0 80 25")
        if ports:
            ports.messages()
        c.acknowledge(c.console)
        old, generation = c.console.get(CONFIG), c.console.get(CONFIG_GENERATION)
        c.suspended(c.console)
        c.say("x-size console0 100 30")
        c.say("x-size console0 120 40")
        found = (c.console.get(CONFIG), c.console.get(CONFIG_GENERATION), c.console.interrupt)
        expect(found, (old, generation, 0), "size, ConfigGeneration, InterruptStatus while suspended")
        c.resumed(c.console)
        expect(c.console.get(CONFIG), 40 << 16 | 120, "size after the resume")
        expect(c.console.get(CONFIG_GENERATION) != generation, True, "another ConfigGeneration")
        expect(c.console.interrupt & 2, 2, "bit 1 of InterruptStatus")
        if ports:
            resizes = [rest for port, event, _, rest in ports.messages() if event == RESIZE]
            expect(resizes[-1:], [(120).to_bytes(2, "little") + (40).to_bytes(2, "little")], "the last RESIZE")
        c.console.status = 0


@law("3.2.1-0", "2.5.2-1")
def resize(c):
    """A resize of a running console shows in cols and rows, with bit 1 of InterruptStatus, if SIZE was negotiated."""
    c.start(c.console, SIZE, queues=(0, 1))
    c.say("x-size console0 132 43")
    expect((c.console.get(CONFIG, 2), c.console.get(CONFIG + 2, 2), c.console.interrupt), (132, 43, 2), "cols, rows, InterruptStatus")


@law("5.3.6.2.1-1", "5.3.6.2.1-2", rings=both_rings, options=TWO)
def what_follows_a_ready_port(c):
    """A port's other messages follow its PORT_READY and name ports that were added; a port that is not ready, value 0, gets none."""
    ports = Ports(c)
    ports.send(0, READY, 1)
    expect([event for _, event, _, _ in ports.messages()], [ADD, ADD], "messages after DEVICE_READY")
    ports.send(1, PORT_READY, 0)
    expect([event for port, event, _, _ in ports.messages() if port == 1], [], "messages after a PORT_READY of value 0")
    ports.send(0, PORT_READY, 1)
    found = ports.messages()
    expect({port for port, _, _, _ in found}, {0}, "the port of the messages after PORT_READY of port 0")
    expect(CONSOLE_PORT in [event for _, event, _, _ in found], True, "CONSOLE_PORT for port 0")
    expect(ADD in [event for _, event, _, _ in found], False, "another ADD")
    ports.send(1, PORT_READY, 1)
    found = ports.messages()
    expect([rest for port, event, _, rest in found if event == NAME], [b"second"], "the name of port 1")
    c.say("x-open console0 1 0")
    c.say("x-open console0 1 1")
    expect([(port, event, value) for port, event, value, _ in ports.messages()][-1:], [(1, OPEN, 1)], "the last message")


@law("5.3.6-0", "2.7.8.2-2", "2.7.4.1-1", rings=both_rings)
def output(c):
    """Output of a chain of several buffers appears in order, with used length 0; input fills a buffer and goes on in the next."""
    receive, transmit = c.start(c.console, queues=(0, 1), size=16)
    c.qtest.write(BUFFERS, b"abcdefghij")
    expect(transmit.send([(BUFFERS, 3, False), (BUFFERS + 3, 0, False), (BUFFERS + 3, 7, False)]), "used 0", "output")
    expect(c.say("x-output console0"), "0x" + b"abcdefghij".hex(), "what appeared")
    for n in range(3):
        receive.add([(BUFFERS + 0x100 * n, 2, True), (BUFFERS + 0x100 * n + 0x10, 2, True)])
    receive.notify()
    c.say("x-input console0 0x313233343536")
    lengths = [length for _, length in read_used(receive)]
    expect(lengths, [4, 2], "used lengths of input")
    data = b"".join(c.qtest.read(BUFFERS + 0x100 * n + at, 2) for n in range(2) for at in (0, 0x10))[:6]
    expect(data, b"123456", "input")


@law("V5-DEV-11", "V14-DEV-10", "D-7", **EACH)
def output_across_a_suspension(c):
    """Output added before, in and after a suspension appears once, in order."""
    _, ring = c.start(c.console, queues=(0, 1), size=16)
    for n, when in enumerate(("before", "drain", "in", "after")):
        c.qtest.write(BUFFERS + 16 * n, b"%d" % n)
    add = lambda n: ring.add([(BUFFERS + 16 * n, 1, False)])  # noqa: E731
    add(0)
    c.suspended(c.console)
    add(1)
    ring.notify()
    expect(len(read_used(ring)), 1 if c.dialect == "draft" else 0, "used buffers while suspended")
    c.resumed(c.console)
    add(2)
    ring.notify()
    expect(c.say("x-output console0"), "0x" + b"012".hex(), "output")


@law("5.4.6.2-1", "5.4.6.2-2", "2.7.8.2-2", rings=both_rings)
def entropy(c):
    """The entropy device fills the whole buffer, of one or several parts, with bytes that differ from the last ones."""
    ring, = c.start(c.rng0)
    seen = set()
    for parts in ((1,), (64,), (64,), (3, 5, 64), (1000,), (0, 7)):
        c.qtest.fill(BUFFERS, 0x4000, 0)
        buffers = [(BUFFERS + 0x1000 * n, size, True) for n, size in enumerate(parts)]
        ring.add(buffers)
        ring.notify()
        found = read_used(ring)
        expect(len(found), 1, "used buffers")
        length = found[0][1]
        expect(1 <= length <= sum(parts), True, f"used length {length} of {sum(parts)}")
        data = b"".join(c.qtest.read(address, size) for address, size, _ in buffers if size)[:length]
        if length >= 32:
            expect(data in seen or data == bytes(length), False, "bytes seen before, or zeroes")
            seen.add(data)
            expect(c.qtest.read(BUFFERS + 0x1000 * (len(parts) - 1) + parts[-1], 16), bytes(16), "what lies behind the buffer")
