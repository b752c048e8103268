"""The network device (VIRTIO 1.4, 5.1)."""
from driver import CONFIG, CONFIG_GENERATION, QUEUE_RESET, QUEUE_SEL, QUEUE_SIZE_MAX, RINGS, RING_RESET
from law import BUFFERS, both_rings, expect, law, read_used, used_words

CSUM, GUEST_CSUM, MTU, MAC, MRG_RXBUF, STATUS, CTRL_VQ, CTRL_RX, CTRL_VLAN, CTRL_RX_EXTRA, ANNOUNCE, MQ, CTRL_MAC_ADDR = (
    1 << bit for bit in (0, 1, 3, 5, 15, 16, 17, 18, 19, 20, 21, 22, 23))
ONE = ("--net", "null,suspend=1.4,features=+packed")
TWO = ("--net", "null,queues=2,suspend=1.4")
WITH_MTU = ("--net", "null,mtu=1400,suspend=1.4")
HEADER = 12
BROADCAST = b"\xff" * 6
MULTICAST = bytes.fromhex("01005e000001")
OTHER = bytes.fromhex("020000000077")


def mac(c):
    return bytes(c.net0.get(CONFIG + at, 1) for at in range(6))


def udp(checksum):
    """An IPv4 frame with a UDP datagram of 8 bytes, which has this checksum."""
    header = bytes.fromhex("450000240000000040110000" "0a000001" "0a000002")
    return OTHER + bytes.fromhex("020000000001" "0800") + header + bytes.fromhex("100020000010") + checksum + b"datagram"


def frame(to, size=60, kind=0x88b5, fill=0x41):
    return to + bytes.fromhex("020000000001") + kind.to_bytes(2, "big") + bytes([fill]) * (size - 14)


class Network:
    """A running network device: receive and transmit of pair 0, and the control queue."""

    def __init__(self, c, features=0, pairs=1, size=32, buffers=8, room=2048):
        self.c, self.device, self.room = c, c.net0, room
        self.control_index = 2 * pairs if features & CTRL_VQ else None
        queues = list(range(2 * pairs)) + ([self.control_index] if features & CTRL_VQ else [])
        c.dialect = "1.4"
        self.rings = c.start(c.net0, features, queues=queues, size=size)
        self.receive, self.transmit, self.control = self.rings[0], self.rings[1], self.rings[-1]
        self.posted = []
        for _ in range(buffers):
            self.post()
        self.receive.notify()

    def post(self):
        address = BUFFERS + 0x1000 * (len(self.posted) % 32)
        self.c.qtest.fill(address, self.room, 0xee)
        self.posted.append(address)
        self.receive.add([(address, self.room, True)])

    def arrives(self, data, pair=None):
        """A frame arrives from the link; returns the headers and frames that the driver received."""
        self.c.say(f"x-input net0 0x{data.hex()}" + ("" if pair is None else f" {pair}"))
        return self.received()

    def received(self):
        first, found = self.receive.done, []
        for n, (_, length) in enumerate(read_used(self.receive)):
            data = self.c.qtest.read(self.posted[first + n], length)
            found.append((data[:HEADER], data[HEADER:]))
        return found

    def send(self, data, header=bytes(HEADER)):
        self.c.qtest.write(BUFFERS + 0x40000, header + data)
        self.transmit.add([(BUFFERS + 0x40000, HEADER, False), (BUFFERS + 0x40000 + HEADER, len(data), False)])
        self.transmit.notify()
        read_used(self.transmit)
        return bytes.fromhex(self.c.say("x-output net0")[2:])

    def command(self, kind, number, data=b""):
        """The acknowledgement of a control command."""
        base = BUFFERS + 0x50000
        self.c.qtest.write(base, bytes([kind, number]) + data)
        self.c.qtest.fill(base + 0x800, 1, 0xee)
        self.control.add([(base, 2 + len(data), False), (base + 0x800, 1, True)])
        self.control.notify()
        expect([length for _, length in read_used(self.control)], [1], "used length of a command")
        return self.c.qtest.load(base + 0x800, 1)


@law("4.2.2-0a", "5.1.9.5.6.2-1", options=TWO)
def number_of_queues(c):
    """The control queue is the one behind the pairs that were negotiated: 2 without MQ, 4 with it for two pairs; without CTRL_VQ there
    is none."""
    for features, last in ((0, 2), (CTRL_VQ, 3), (CTRL_VQ | MQ, 5)):
        c.dialect = "1.4"
        c.negotiate(c.net0, features)
        found = []
        for index in range(8):
            c.net0.put(QUEUE_SEL, index)
            found.append(c.net0.get(QUEUE_SIZE_MAX) > 0)
        expect(found.index(False), last, f"queues with features {features:#x}")
    net = Network(c, CTRL_VQ | CTRL_RX)
    expect(net.command(0, 0, b"\1"), 0, "a command to queue 2 without MQ")
    net = Network(c, CTRL_VQ | CTRL_RX | MQ, pairs=2)
    expect(net.command(0, 0, b"\1"), 0, "a command to queue 4 with MQ")


@law("5.1.4.1-1", "5.1.4.1-10", "5.1.4.1-11", "5.1.4.1-12", "2.5.2-1", options=TWO)
def configuration(c):
    """max_virtqueue_pairs is between 1 and 0x8000; speed and duplex are unknown, whatever the link, the driver and frames do."""
    expect(1 <= c.net0.get(CONFIG + 8, 2) <= 0x8000, True, "max_virtqueue_pairs")
    for up in (1, 0, 1):
        c.say(f"x-link net0 {up}")
        expect((c.net0.get(CONFIG + 12), c.net0.get(CONFIG + 16, 1)), (0xffffffff, 0xff), f"speed and duplex with link {up}")
    expect(mac(c)[0] & 1, 0, "the multicast bit of mac")
    net = Network(c)
    expect((len(net.arrives(frame(mac(c)))), len(net.send(frame(OTHER)))), (1, 60), "a frame received and the bytes of one sent")
    expect((c.net0.get(CONFIG + 12), c.net0.get(CONFIG + 16, 1)), (0xffffffff, 0xff), "speed and duplex after frames")


@law("5.1.4.1-2", "5.1.4.1-3", "5.1.4.1-4", "5.1.4.1-5", "5.1.4.1-6", options=WITH_MTU)
def mtu(c):
    """mtu is the one that was set, in its bounds, and stays; longer frames are not passed on, frames of that size are, both ways."""
    expect(c.net0.get(CONFIG + 10, 2), 1400, "mtu")
    net = Network(c, MTU)
    expect([len(data) for _, data in net.arrives(frame(mac(c), 1414))], [1414], "a frame of the MTU")
    expect(net.arrives(frame(mac(c), 1415)), [], "a frame that is longer")
    expect([len(data) for _, data in net.arrives(frame(mac(c), 1418, kind=0x8100))], [1418], "a frame of the MTU with a VLAN tag")
    expect(net.arrives(frame(mac(c), 1419, kind=0x8100)), [], "a frame with a VLAN tag that is longer")
    expect(len(net.send(frame(OTHER, 1414))), 1414, "a frame of the MTU, sent")
    expect(c.net0.get(CONFIG + 10, 2), 1400, "mtu, later")


@law("5.1.9.3.2-1", "5.1.9.3.2-2", "5.1.9.4.1-1", "5.1.9.4.1-5", "5.1.9.4.1-26", "2.7.8.2-2", rings=both_rings, options=ONE)
def one_buffer(c):
    """Without MRG_RXBUF and GUEST_CSUM a received frame has one buffer: num_buffers 1, flags 0, gso_type NONE, and its exact length."""
    net = Network(c)
    for size in (60, 61, 1000, 1514):
        (header, data), = net.arrives(frame(mac(c), size))
        expect((header[0], header[1], header[10:12]), (0, 0, b"\1\0"), "flags, gso_type, num_buffers")
        expect(data, frame(mac(c), size), "the frame")
    expect(net.arrives(frame(mac(c), 3000)), [], "a frame longer than a buffer")


@law("5.1.9.3.2-1", "5.1.9.4.1-2", "5.1.9.4.1-3", "5.1.9.4.1-4", rings=both_rings, options=ONE)
def merged_buffers(c):
    """With MRG_RXBUF a long frame fills all of its buffers but the last, num_buffers counts them, and all are used together; a frame
    for which there is no room waits, whole."""
    net = Network(c, MRG_RXBUF, buffers=3, room=400)
    found = net.arrives(frame(mac(c), 1000))
    expect([len(header) + len(data) for header, data in found], [400, 400, 212], "used lengths")
    expect(found[0][0][10:12], b"\3\0", "num_buffers")
    expect(b"".join([found[0][1]] + [header + data for header, data in found[1:]]), frame(mac(c), 1000), "the frame")
    expect(c.acknowledge(c.net0), 1, "InterruptStatus")
    net.post()
    before = used_words(net.receive)
    expect((net.arrives(frame(mac(c), 1000)), used_words(net.receive)), ([], before), "a frame without enough room")
    net.post()
    net.post()
    net.receive.notify()
    expect([len(header) + len(data) for header, data in net.received()], [400, 400, 212], "used lengths when there is room")


@law("5.1.9.2.2-1", "5.1.9.2.2-2", "5.1.9.2.2-6", "5.1.9.2.2-7", "5.1.9.2.2-11", "5.1.9.2.2-12", "2.7.4.1-1", options=ONE)
def transmit(c):
    """Unknown flags, csum_start, csum_offset and hdr_len without their flag, and a wrong checksum make no difference to what is sent."""
    net = Network(c)
    data = frame(OTHER, 100)
    for header in (bytes(12), b"\xf8" + bytes(11), bytes(2) + b"\xff" * 8 + bytes(2), b"\xf8\0" + b"\xff" * 8 + b"\0\0"):
        expect(net.send(data, header), data, f"with header {header.hex()}")
    for checksum in (b"\0\0", b"\x12\x34", b"\xff\xff"):
        expect(net.send(udp(checksum)), udp(checksum), f"with the UDP checksum {checksum.hex()}")


@law("5.1.9.2.2-2", "2.7.4.1-1", rings=both_rings, options=ONE)
def transmit_framing(c):
    """A frame in one descriptor with its header, or in many, is the same frame; its used length is 0."""
    net = Network(c)
    data = bytes(12) + frame(OTHER, 300, fill=7)
    for size in (312, 12, 5, 13, 100):
        c.qtest.write(BUFFERS + 0x40000, data)
        parts = [(BUFFERS + 0x40000 + at, min(size, 312 - at), False) for at in range(0, 312, size)]
        if len(parts) > 32:
            continue
        net.transmit.add(parts)
        net.transmit.notify()
        expect([length for _, length in read_used(net.transmit)], [0], f"used length in pieces of {size}")
        expect(c.say("x-output net0"), "0x" + data[12:].hex(), f"the frame in pieces of {size}")


@law("5.1.9.5.1.1-1", "5.1.9.5.1.1-2", "5.1.9.5.1.1-3", "5.1.9.5.1.1-4", "5.1.9.5.2.1-4", options=ONE)
def receive_modes(c):
    """PROMISC and ALLMULTI are acknowledged, and decide which frames arrive; other frames are dropped."""
    net = Network(c, MAC | CTRL_VQ | CTRL_RX)
    own = mac(c)
    expect(len(net.arrives(frame(own))), 1, "a frame to the device's address")
    expect(len(net.arrives(frame(BROADCAST))), 1, "a broadcast frame")
    modes = [net.command(0, 0, b"\0"), net.command(0, 1, b"\0")]
    expect(modes, [0, 0], "PROMISC and ALLMULTI off")
    expect([len(net.arrives(frame(to))) for to in (OTHER, MULTICAST)], [0, 0], "frames to others")
    expect(net.command(0, 1, b"\1"), 0, "ALLMULTI on")
    expect([len(net.arrives(frame(to))) for to in (OTHER, MULTICAST)], [0, 1], "frames to others with ALLMULTI")
    expect(net.command(0, 0, b"\1"), 0, "PROMISC on")
    expect([len(net.arrives(frame(to))) for to in (OTHER, MULTICAST)], [1, 1], "frames to others with PROMISC")
    expect([net.command(0, 2, b"\1"), net.command(9, 0, b"\1"), net.command(0, 77, b"\1")], [1, 1, 1], "commands of no feature")


@law("5.1.9.5.1.1-5", "5.1.9.5.1.1-6", "5.1.9.5.1.1-7", "5.1.9.5.1.1-8", "5.1.9.5.1.1-9", "5.1.9.5.1.1-10", "5.1.9.5.1.1-11",
     "5.1.9.5.1.1-12", "5.1.9.5.1.1-13", "5.1.9.5.1.1-3", options=ONE)
def extra_receive_modes(c):
    """ALLUNI, NOMULTI, NOUNI and NOBCAST each with the modes that they overrule, and NOMULTI and NOUNI with addresses in the table;
    PROMISC overrules them all."""
    net = Network(c, MAC | CTRL_VQ | CTRL_RX | CTRL_RX_EXTRA, buffers=32)
    own = mac(c)

    def seen():
        return [len(net.arrives(frame(to))) for to in (own, OTHER, MULTICAST, BROADCAST)]

    for number in range(6):
        expect(net.command(0, number, b"\0"), 0, f"mode {number} off")
    expect(seen(), [1, 0, 0, 1], "own, other, multicast and broadcast with all modes off")
    for on, expected in (((2,), [1, 1, 0, 1]), ((1,), [1, 0, 1, 1]), ((1, 3), [1, 0, 0, 1]), ((2, 4), [0, 0, 0, 1]), ((5,), [1, 0, 0, 0]),
                         ((1, 5), [1, 0, 1, 0]), ((0, 3, 4, 5), [1, 1, 1, 1])):
        for number in on:
            expect(net.command(0, number, b"\1"), 0, f"mode {number} on")
        expect(seen(), expected, f"frames with modes {on}")
        for number in on:
            net.command(0, number, b"\0")
    expect(net.command(1, 0, (1).to_bytes(4, "little") + OTHER + (1).to_bytes(4, "little") + MULTICAST), 0, "MAC_TABLE_SET")
    for number, expected in ((3, [1, 1, 0, 1]), (4, [0, 0, 1, 1])):
        expect(net.command(0, number, b"\1"), 0, f"mode {number} on")
        expect(seen(), expected, f"frames with mode {number} and a table")
        net.command(0, number, b"\0")


@law("5.1.9.5.2.1-1", "5.1.9.5.2.1-2", "5.1.9.5.2.1-3", "5.1.9.5.2.1-4", options=ONE)
def mac_filter(c):
    """The table decides when its command is used; a reset empties it. MAC_ADDR_SET shows in mac when its command is used, and frames to
    the new address arrive."""
    features = CTRL_VQ | CTRL_RX | CTRL_MAC_ADDR | MAC
    net = Network(c, features)
    for number in (0, 1):
        net.command(0, number, b"\0")
    table = (1).to_bytes(4, "little") + OTHER + (1).to_bytes(4, "little") + MULTICAST
    expect(net.command(1, 0, table), 0, "MAC_TABLE_SET")
    expect([len(net.arrives(frame(to))) for to in (OTHER, MULTICAST)], [1, 1], "frames to addresses in the table")
    expect(net.command(1, 0, table[:-1]), 1, "a table that is cut")
    new = bytes.fromhex("020000000099")
    expect(net.command(1, 1, new), 0, "MAC_ADDR_SET")
    expect((mac(c), len(net.arrives(frame(new)))), (new, 1), "mac, and frames to it")
    net = Network(c, features)
    for number in (0, 1):
        net.command(0, number, b"\0")
    expect([len(net.arrives(frame(to))) for to in (OTHER, MULTICAST)], [0, 0], "frames to them after a reset")


@law("5.1.9.5.3.1-1", "5.1.9.5.3.1-2", "5.1.9.5.3.1-3", options=ONE)
def vlan_filter(c):
    """Without CTRL_VLAN every tagged frame arrives; with it those of VLANs in the table do, and others do not."""
    own = mac(c)

    def tagged(number):
        return own + bytes.fromhex("020000000001") + b"\x81\0" + number.to_bytes(2, "big") + bytes(60)

    net = Network(c, CTRL_VQ)
    expect([len(net.arrives(tagged(number))) for number in (0, 5, 4095)], [1, 1, 1], "tagged frames without the filter")
    net = Network(c, CTRL_VQ | CTRL_VLAN, buffers=16)
    expect([len(net.arrives(tagged(number))) for number in (5, 6)], [0, 0], "tagged frames with an empty table")
    expect(net.command(2, 0, (5).to_bytes(2, "little")), 0, "VLAN_ADD")
    expect([len(net.arrives(tagged(number))) for number in (5, 6, 0x2005)], [1, 0, 1], "tagged frames, the last with a priority")
    expect(net.command(2, 1, (5).to_bytes(2, "little")), 0, "VLAN_DEL")
    expect([len(net.arrives(tagged(number))) for number in (5, 6)], [0, 0], "tagged frames after it")
    expect(len(net.arrives(frame(own))), 1, "a frame without a tag")


@law("5.1.9.5.6.2-1", "5.1.9.5.6.2-2", "5.1.9.5.6.2-4", options=TWO)
def queue_pairs(c):
    """Frames arrive in receiveq1 only, until two pairs are enabled, and again after one is; a number out of range is refused."""
    net = Network(c, CTRL_VQ | MQ | RING_RESET, pairs=2)
    second = net.rings[2]
    second.add([(BUFFERS + 0x60000, 2048, True)])
    second.notify()
    expect(len(net.arrives(frame(mac(c)))), 1, "frames in receiveq1")
    net.arrives(frame(mac(c)), 1)
    expect(read_used(second), [], "frames in receiveq2 before it is enabled")
    expect([net.command(4, 0, n.to_bytes(2, "little")) for n in (0, 3, 0x8001)], [1, 1, 1], "numbers out of range")
    expect(net.command(4, 0, b"\2\0"), 0, "VQ_PAIRS_SET 2")
    net.received()
    c.say(f"x-input net0 0x{frame(mac(c)).hex()} 1")
    expect(len(read_used(second)), 1, "frames in receiveq2")
    expect(net.command(4, 0, b"\1\0"), 0, "VQ_PAIRS_SET 1")
    second.add([(BUFFERS + 0x60000, 2048, True)])
    second.notify()
    net.received()
    expect((len(net.arrives(frame(mac(c)), 1)), read_used(second)), (1, []), "frames in receiveq1 and receiveq2 after it")


@law("5.1.9.5.6.2-3", "5.1.9.5.6.2-4", "2.6.1.1.1-1", options=TWO)
def receive_queues_reset(c):
    """A frame for a receive queue that the driver has reset arrives in the other one; if both are reset it is dropped, and does not
    arrive when they are enabled again."""
    net = Network(c, CTRL_VQ | MQ | RING_RESET, pairs=2)
    expect(net.command(4, 0, b"\2\0"), 0, "VQ_PAIRS_SET 2")
    second = net.rings[2]
    second.add([(BUFFERS + 0x60000, 2048, True)])
    second.notify()
    c.net0.put(QUEUE_SEL, 0)
    c.net0.put(QUEUE_RESET, 1)
    expect((net.arrives(frame(mac(c)), 0), len(read_used(second))), ([], 1), "frames in receiveq1 and receiveq2")
    c.net0.put(QUEUE_SEL, 2)
    c.net0.put(QUEUE_RESET, 1)
    net.arrives(frame(mac(c)), 0)
    c.qtest.fill(RINGS, 0x10000)
    again = c.net0.queue(0, 32)
    again.add([(BUFFERS + 0x60000, 2048, True)])
    again.notify()
    expect(read_used(again), [], "frames in receiveq1, enabled again")


@law("V14-DEV-3", "V14-DEV-4", "V14-DEV-5", "V14-DEV-7", "D-8", "5.1.9.5.4.2-1", rings=both_rings, options=ONE)
def suspended_network(c):
    """Frames and a change of the link that come while the device is suspended: nothing happens until the resume, then both show; the
    announcement, if there is one, ends with its acknowledgement."""
    net = Network(c, STATUS | CTRL_VQ | ANNOUNCE)
    c.acknowledge(c.net0)
    c.suspended(c.net0)
    status, generation = c.net0.get(CONFIG + 6, 2), c.net0.get(CONFIG_GENERATION)
    before = used_words(net.receive)
    c.say(f"x-input net0 0x{frame(mac(c)).hex()}")
    c.say("x-link net0 0")
    found = (used_words(net.receive), c.net0.interrupt, c.net0.get(CONFIG + 6, 2), c.net0.get(CONFIG_GENERATION))
    expect(found, (before, 0, status, generation), "ring, InterruptStatus, status, ConfigGeneration while suspended")
    c.resumed(c.net0)
    expect(c.net0.get(CONFIG + 6, 2) & 1, 0, "the link after the resume")
    expect(c.net0.interrupt & 2, 2, "bit 1 of InterruptStatus")
    expect([data for _, data in net.received()], [frame(mac(c))], "the frame after the resume")
    # The link comes back in a suspension, and a frame with it.
    c.suspended(c.net0)
    c.say("x-link net0 1")
    expect(net.arrives(frame(mac(c))), [], "frames while suspended")
    c.resumed(c.net0)
    expect([data for _, data in net.received()], [frame(mac(c))], "the frame after the second resume")
    if c.net0.get(CONFIG + 6, 2) & 2:
        expect(net.command(3, 0), 0, "ANNOUNCE_ACK")
        expect(c.net0.get(CONFIG + 6, 2) & 2, 0, "ANNOUNCE in status")
