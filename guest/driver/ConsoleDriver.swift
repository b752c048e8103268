// A driver for port 0 of the console device (VIRTIO 1.4, 5.3).

/// The console with both its queues live.
struct ConsoleDriver {
    static let bufferSize: UInt64 = 256
    /// Receive buffers: one for each descriptor posted.
    static let receiveBuffers: UInt64 = 8
    static let receiveSize: UInt64 = 16

    let device: MMIODevice
    let features: Features
    var receive: VirtQueue
    var transmit: VirtQueue
    /// The transmit buffer.
    let buffer: UInt64
    private let input: UInt64

    /// Initialises the device from the beginning, with no receive buffer posted.
    @inline(never)
    init(_ device: MMIODevice, _ arena: inout Arena, extra: Features = []) throws(Failure) {
        self.device = device
        features = try device.negotiate([.version1, ConsoleFeature.size, extra])
        receive = try VirtQueue(device, ConsoleQueue.receive, &arena)
        transmit = try VirtQueue(device, ConsoleQueue.transmit, &arena)
        buffer = arena.take(ConsoleDriver.bufferSize)
        input = arena.take(ConsoleDriver.receiveBuffers &* ConsoleDriver.receiveSize)
        try device.driverOK()
    }

    /// Sends the first `count` bytes of the buffer and waits until the device has used it.
    mutating func send(_ count: UInt64) throws(Failure) -> Used {
        transmit.append(buffer, count)
        transmit.offer()
        transmit.kick()
        return try transmit.waitUsed("a used transmit buffer")
    }

    /// Sends `text`, at most 247 bytes of it, on a comment line of the report.
    mutating func echo(_ text: Text) throws(Failure) {
        var column: UInt64 = 0
        let parts: [3 of Text] = [Text("# echo: "), text, Text("\n")]
        for number in parts.indices {
            let part = parts[number]
            for index in 0..<part.count where column < ConsoleDriver.bufferSize {
                store8(buffer &+ column, part[index])
                column &+= 1
            }
        }
        _ = try send(column)
    }

    /// Columns in the low half, rows in the high.
    func size() throws(Failure) -> UInt32 {
        let columns = device.configuration(ConsoleConfiguration.columns)
        let rows = device.configuration(ConsoleConfiguration.rows)
        return try device.consistently { UInt32(load16(columns)) | UInt32(load16(rows)) << 16 }
    }

    /// Posts every receive buffer: the first descriptors of a queue just set up.
    mutating func postReceive() {
        for number in 0..<ConsoleDriver.receiveBuffers {
            receive.append(input &+ ConsoleDriver.receiveSize &* number, ConsoleDriver.receiveSize, .write)
            receive.offer()
        }
        receive.kick()
    }

    /// Waits until the bytes of `expected` have come, in their order and nothing beside them.
    mutating func expectInput(_ expected: Text) throws(Failure) {
        var arrived: UInt64 = 0
        while arrived < expected.count {
            let used = try receive.waitUsed("console input")
            try expect(UInt64(used.id) < ConsoleDriver.receiveBuffers, "id of a posted receive buffer")
            try expect(used.length > 0 && UInt64(used.length) <= ConsoleDriver.receiveSize, "used length of input")
            let bytes = Text(
                start: input &+ ConsoleDriver.receiveSize &* UInt64(used.id), count: UInt64(used.length))
            for index in 0..<bytes.count {
                try expect(arrived < expected.count, "no more bytes than were sent")
                try expect(bytes[index], expected[arrived], "byte of console input")
                arrived &+= 1
            }
        }
    }
}
