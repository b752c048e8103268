// Checks of the network device (VIRTIO 1.4, 5.1), with the host's IPv4 stack as the peer: the command line gives its address, and they
// run in place of the others. They poll with interrupts off.

let networkChecks: [_ of Check] = [
    Check("net-identity", networkIdentity),
    Check("net-control", networkControl),
    Check("net-arp", networkARP),
    Check("net-ping", networkPing),
    Check("net-merged", networkMerged),
    Check("net-suspend", networkSuspend),
]

/// A network device with its first pair of queues and its control queue.
private struct NetworkDriver {
    /// The guest's address is the peer's with this last byte.
    static let ownByte: UInt64 = 77
    static let header: UInt64 = 12
    static let frameSize: UInt64 = 2048

    let device: MMIODevice
    let features: Features
    let peer: UInt64
    /// Bytes of a receive buffer.
    let room: UInt64
    var receive: VirtQueue
    var transmit: VirtQueue
    var control: VirtQueue
    private let receiveMemory: UInt64
    private let transmitMemory: UInt64
    let controlMemory: UInt64
    /// The peer's MAC address, once it has answered.
    var peerMAC: UInt64 = 0xffff_ffff_ffff

    /// Initialises the board's network device, and posts all receive buffers, of `room` bytes.
    init(_ board: inout Board, room: UInt64 = 1526) throws(Failure) {
        guard let found = board.network else { throw .skipped("no network device") }
        disableInterrupts()
        device = found
        board.subject = found
        peer = board.load.peer ?? 0
        self.room = room
        let wanted: Features = [
            .version1, NetworkFeature.mac, NetworkFeature.mergeableBuffers, NetworkFeature.controlQueue,
            NetworkFeature.controlReceive, board.form.with(Suspend.features).features,
        ]
        features = try found.negotiate(wanted)
        let size = board.form.queueSize
        receive = try VirtQueue(found, 0, features, size: size, &board.arena)
        transmit = try VirtQueue(found, 1, features, size: size, &board.arena)
        control = try VirtQueue(found, 2, features, size: size, &board.arena)
        receiveMemory = board.arena.take(NetworkDriver.frameSize &* UInt64(VirtQueue.tagCount))
        transmitMemory = board.arena.take(NetworkDriver.frameSize)
        controlMemory = board.arena.take(64)
        try found.driverOK()
        for tag in 0..<VirtQueue.tagCount { try post(tag) }
        receive.kick()
    }

    /// The bytes of a receive buffer behind the header.
    func received(_ tag: Int) -> UInt64 {
        receiveMemory &+ NetworkDriver.frameSize &* UInt64(truncatingIfNeeded: tag) &+ NetworkDriver.header
    }

    mutating func post(_ tag: Int) throws(Failure) {
        receive.append(received(tag) &- NetworkDriver.header, room, .write)
        try receive.offer(tag)
    }

    /// The place of the frame to transmit.
    var frame: UInt64 { transmitMemory &+ NetworkDriver.header }

    /// Byte `index` of the device's MAC address.
    func octet(_ index: Int) -> UInt8 { load8(device.configuration(NetworkConfiguration.mac + index)) }

    /// Writes the `count` lower bytes of `value`, the highest first.
    func put(_ value: UInt64, _ count: UInt64, at address: UInt64) {
        for index in 0..<count {
            store8(address &+ index, UInt8(truncatingIfNeeded: value >> (8 &* (count &- 1 &- index))))
        }
    }

    func get(_ count: UInt64, at address: UInt64) -> UInt64 {
        var value: UInt64 = 0
        for index in 0..<count { value = value << 8 | UInt64(load8(address &+ index)) }
        return value
    }

    var ownMAC: UInt64 {
        var mac: UInt64 = 0
        for index in 0..<6 { mac = mac << 8 | UInt64(octet(index)) }
        return mac
    }
    var ownAddress: UInt64 { peer & ~0xff | NetworkDriver.ownByte }

    /// Writes the Ethernet header of a frame to the peer.
    func putHeader(type: UInt64) {
        put(peerMAC, 6, at: frame)
        put(ownMAC, 6, at: frame &+ 6)
        put(type, 2, at: frame &+ 12)
    }

    /// Transmits the frame of `length` bytes, and waits until the device has used it.
    mutating func send(_ length: UInt64) throws(Failure) {
        transmit.append(transmitMemory, NetworkDriver.header)
        transmit.append(frame, length)
        try transmit.offer(0)
        transmit.kick()
        try expect(transmit.waitUsed("a transmitted frame").length, 0, "used length of a transmitted frame")
    }

    /// Asks for the peer's MAC address (RFC 826).
    mutating func sendARP() throws(Failure) {
        putHeader(type: 0x0806)
        put(0x0001_0800_0604_0001, 8, at: frame &+ 14)
        put(ownMAC, 6, at: frame &+ 22)
        put(ownAddress, 4, at: frame &+ 28)
        put(0, 6, at: frame &+ 32)
        put(peer, 4, at: frame &+ 38)
        try send(60)
    }

    /// Sends an echo request with `count` bytes of data (RFC 792).
    mutating func sendPing(_ sequence: UInt64, _ count: UInt64) throws(Failure) {
        let (packet, message) = (frame &+ 14, frame &+ 34)
        putHeader(type: 0x0800)
        put(0x4500, 2, at: packet)
        put(28 &+ count, 2, at: packet &+ 2)
        put(0, 4, at: packet &+ 4)
        put(0x4001, 2, at: packet &+ 8)
        put(0, 2, at: packet &+ 10)
        put(ownAddress, 4, at: packet &+ 12)
        put(peer, 4, at: packet &+ 16)
        put(checksum(packet, 20), 2, at: packet &+ 10)
        put(0x0800_0000_0042, 6, at: message)
        put(sequence, 2, at: message &+ 6)
        for index in 0..<count { store8(message &+ 8 &+ index, UInt8(truncatingIfNeeded: index &+ sequence)) }
        put(checksum(message, 8 &+ count), 2, at: message &+ 2)
        try send(42 &+ count)
    }

    /// The ones' complement sum of an even number of bytes (RFC 1071).
    private func checksum(_ address: UInt64, _ count: UInt64) -> UInt64 {
        var sum: UInt64 = 0
        for index in 0..<(count / 2) { sum &+= get(2, at: address &+ 2 &* index) }
        while sum >> 16 != 0 { sum = (sum & 0xffff) &+ sum >> 16 }
        return ~sum & 0xffff
    }

    /// Waits for a frame in one buffer that `isWanted`, and posts the others again. Returns its tag.
    mutating func waitFrame(_ what: StaticString, _ isWanted: (UInt64) -> Bool) throws(Failure) -> Int {
        let deadline = Deadline()
        while !deadline.passed {
            guard let used = try receive.takeUsed() else { continue }
            if isWanted(received(used.tag)) { return used.tag }
            try post(used.tag)
            receive.kick()
        }
        throw .timeout(what)
    }

    /// Learns the peer's MAC address.
    mutating func resolve() throws(Failure) {
        try sendARP()
        let (peer, own) = (peer, ownAddress)
        let tag = try waitFrame("an ARP reply") {
            load16($0 &+ 12) == 0x0608 && load16($0 &+ 20) == 0x0200 && big32($0 &+ 28) == peer
                && big32($0 &+ 38) == own
        }
        peerMAC = get(6, at: received(tag) &+ 22)
        try expect(load16(received(tag) &- 2), 1, "num_buffers")
        try post(tag)
        receive.kick()
    }

    /// Waits for the echo reply `sequence` in one buffer, checks its data, and posts the buffer again.
    mutating func expectReply(_ sequence: UInt64, _ count: UInt64) throws(Failure) {
        let tag = try waitFrame("an echo reply") {
            load16($0 &+ 12) == 0x0008 && load8($0 &+ 23) == 1 && load8($0 &+ 34) == 0
        }
        let message = received(tag) &+ 34
        try expect(get(2, at: message &+ 6) as UInt64, sequence, "sequence number of the reply")
        for index in 0..<count {
            try expect(load8(message &+ 8 &+ index), UInt8(truncatingIfNeeded: index &+ sequence), "data of the reply")
        }
        try post(tag)
        receive.kick()
    }

    /// Sends a control command with one byte of data. Returns the answer.
    mutating func command(_ kind: UInt8, _ command: UInt8, _ data: UInt8) throws(Failure) -> UInt8 {
        store8(controlMemory, kind)
        store8(controlMemory &+ 1, command)
        store8(controlMemory &+ 2, data)
        store8(controlMemory &+ 3, 0xff)
        control.append(controlMemory, 3)
        control.append(controlMemory &+ 3, 1, .write)
        try control.offer(0)
        control.kick()
        try expect(control.waitUsed("a control command").length, 1, "used length of a command")
        return load8(controlMemory &+ 3)
    }
}

/// The four bytes at `address`, the highest first.
private func big32(_ address: UInt64) -> UInt64 {
    var value: UInt64 = 0
    for index in 0..<4 as Range<UInt64> { value = value << 8 | UInt64(load8(address &+ index)) }
    return value
}

/// 5.1.4: the device has the MAC address of one interface.
private func networkIdentity(_ board: inout Board) throws(Failure) {
    let driver = try NetworkDriver(&board)
    try expect(driver.features.contains(NetworkFeature.mac), "VIRTIO_NET_F_MAC")
    try expect(driver.ownMAC != 0 && driver.octet(0) & 1 == 0, "the address of one interface")
}

/// 5.1.9.5: a command is done, and one that is not known is answered VIRTIO_NET_ERR.
private func networkControl(_ board: inout Board) throws(Failure) {
    var driver = try NetworkDriver(&board)
    for value in 0..<2 as Range<UInt8> {
        try expect(
            driver.command(NetworkControl.Class.receive, NetworkControl.Receive.promiscuous, 1 &- value), 0,
            "the answer")
    }
    try expect(driver.command(0x7f, 0, 0), 1, "the answer to an unknown command")
}

private func networkARP(_ board: inout Board) throws(Failure) {
    var driver = try NetworkDriver(&board)
    try driver.resolve()
}

/// The host answers, whatever the frame's length.
private func networkPing(_ board: inout Board) throws(Failure) {
    var driver = try NetworkDriver(&board)
    try driver.resolve()
    let counts: [4 of UInt64] = [8, 56, 600, 1472]
    for index in counts.indices {
        try driver.sendPing(UInt64(index), counts[index])
        try driver.expectReply(UInt64(index), counts[index])
    }
}

/// 5.1.9.4: a frame longer than its buffers is spread over them.
private func networkMerged(_ board: inout Board) throws(Failure) {
    var driver = try NetworkDriver(&board, room: 200)
    try driver.resolve()
    try driver.sendPing(7, 600)
    var (used, total) = ([5 of Used](repeating: Used(tag: 0, length: 0, isWritten: false)), UInt64(0))
    var count = 0
    repeat {
        used[count] = try driver.receive.waitUsed("a part of the reply")
        let first = driver.received(used[count].tag)
        // Another frame of the host, in one buffer.
        if count == 0, load16(first &+ 12) != 0x0008 || load8(first &+ 34) != 0 {
            try driver.post(used[0].tag)
            driver.receive.kick()
            continue
        }
        total &+= UInt64(used[count].length)
        count &+= 1
    } while count < 4
    try expect(total, 12 &+ 42 &+ 600, "bytes of the reply with its header")
    try expect(load16(driver.received(used[0].tag) &- 2), 4, "num_buffers")
    for index in 0..<3 { try expect(UInt64(used[index].length), 200, "used length of a full buffer") }
}

/// Posted receive buffers do not delay a suspend, the replies that come meanwhile wait, and come on resume in order, each once.
private func networkSuspend(_ board: inout Board) throws(Failure) {
    var driver = try NetworkDriver(&board)
    let suspend = try Suspend(driver.device, driver.features)
    try driver.resolve()
    for round in 0..<(board.cycles / 10) {
        for index in 0..<4 as Range<UInt64> { try driver.sendPing(round &* 4 &+ index, 56) }
        try suspend.suspend()
        try expectUnchanged(driver.device, "used receive buffers while suspended") { UInt64(driver.receive.pending) }
        try suspend.resume()
        for index in 0..<4 as Range<UInt64> { try driver.expectReply(round &* 4 &+ index, 56) }
    }
}
