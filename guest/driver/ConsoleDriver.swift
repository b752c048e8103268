// A driver for port 0 of the console device (VIRTIO 1.4, 5.3).

/// A console with both queues ready.
struct ConsoleDriver {
    static let bufferSize: UInt64 = 256
    /// Number of receive buffers, at most the queue's entries.
    static let receiveBuffers = VirtQueue.tagCount
    static let receiveSize: UInt64 = 16

    let device: MMIODevice
    let features: Features
    var receive: VirtQueue
    var transmit: VirtQueue
    /// The transmit buffer.
    let buffer: UInt64
    private let input: UInt64
    /// Receive buffers in the queue.
    private var posted = 0

    /// Resets and initialises the device; posts no receive buffer.
    @inline(never)
    init(_ device: MMIODevice, _ form: RingForm, _ arena: inout Arena) throws(Failure) {
        self.device = device
        features = try device.negotiate([.version1, ConsoleFeature.size, form.features])
        receive = try VirtQueue(device, ConsoleQueue.receive, features, size: form.queueSize, &arena)
        transmit = try VirtQueue(device, ConsoleQueue.transmit, features, size: form.queueSize, &arena)
        buffer = arena.take(ConsoleDriver.bufferSize)
        input = arena.take(UInt64(ConsoleDriver.receiveBuffers) &* ConsoleDriver.receiveSize)
        try device.driverOK()
    }

    /// Sends the first `count` bytes of the transmit buffer and waits until the device has used it.
    mutating func send(_ count: UInt64) throws(Failure) -> Used {
        transmit.append(buffer, count)
        try transmit.offer(0)
        transmit.kick()
        return try transmit.waitUsed("a used transmit buffer")
    }

    /// Sends at most 247 bytes of `text` on a TAP comment line.
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

    /// Posts the receive buffers.
    mutating func postReceive() throws(Failure) {
        for number in 0..<min(ConsoleDriver.receiveBuffers, receive.depth(1)) {
            receive.append(receiveBuffer(number), ConsoleDriver.receiveSize, .write)
            try receive.offer(number)
        }
        posted = min(ConsoleDriver.receiveBuffers, receive.depth(1))
        receive.kick()
    }

    private func receiveBuffer(_ number: Int) -> UInt64 {
        input &+ ConsoleDriver.receiveSize &* UInt64(truncatingIfNeeded: number)
    }

    /// Waits until exactly the bytes of `expected` have arrived, in order. Posts the receive buffers again when all of
    /// them are used, as happens with a small queue.
    mutating func expectInput(_ expected: Text) throws(Failure) {
        var arrived: UInt64 = 0
        while arrived < expected.count {
            let used = try receive.waitUsed("console input")
            try expect(used.length > 0 && UInt64(used.length) <= ConsoleDriver.receiveSize, "used length of input")
            let bytes = Text(start: receiveBuffer(used.tag), count: UInt64(used.length))
            for index in 0..<bytes.count {
                try expect(arrived < expected.count, "no more bytes than were sent")
                try expect(bytes[index], expected[arrived], "byte of console input")
                arrived &+= 1
            }
            posted -= 1
            if posted == 0 { try postReceive() }
        }
    }
}
