// The console device (VIRTIO 1.4, 5.3): up to 15 ports, each with a receive and a transmit queue, and with
// VIRTIO_CONSOLE_F_MULTIPORT two control queues. A buffer of fixed size holds input until the driver adds receive
// buffers; when it is full, the host keeps the rest.

import VirtioABI

/// A virtio console.
public struct Console: VirtioDevice, ~Copyable, Sendable {
    /// Output that the backend writes.
    public struct Request: Sendable {
        /// The output port; 0 is the console.
        public let port: Int
        /// The output, in guest memory.
        public let data: Segments
    }

    /// The part of the configuration space that the host can change.
    public struct Configuration: Equatable, Sendable {
        /// Size of the terminal at port 0, in characters.
        public var columns: UInt16
        /// Its height in characters.
        public var rows: UInt16

        /// Creates the configuration of a terminal of `columns` by `rows` characters.
        public init(columns: UInt16, rows: UInt16) {
            self.columns = columns
            self.rows = rows
        }

        /// Creates the configuration from its word in a trace.
        public init(word: UInt64) {
            self.init(columns: UInt16(truncatingIfNeeded: word), rows: UInt16(truncatingIfNeeded: word >> 16))
        }
    }

    /// Maximum number of ports: 32 queues, of which each port has two, and the control messages two.
    public static let maximumPorts = 15
    /// Maximum length of a port's name in bytes; longer names are truncated.
    public static let maximumNameLength = 64

    public static var deviceID: UInt32 { DeviceID.console }
    public static var features: Features { defaultFeatures }
    public static var defaultFeatures: Features {
        [ConsoleFeature.size, ConsoleFeature.multiport, ConsoleFeature.emergencyWrite]
    }

    public let initialConfiguration: Configuration
    private let queueSize: UInt16
    private var ports: [ConsolePortState]
    private var offered: Features = []
    /// Whether VIRTIO_CONSOLE_F_MULTIPORT was negotiated.
    private var multiport = false
    private var acceptedSize = false
    /// Most bytes of input in one buffer.
    private var longestInput: UInt32 = .max

    /// Creates a console on a terminal of the given size, with a further port for each name in `ports` (UTF-8).
    public init(
        configuration: Configuration = Configuration(columns: 80, rows: 25), ports names: [[UInt8]] = [],
        queueSize: UInt16 = 64
    ) {
        precondition(names.count < Self.maximumPorts)
        initialConfiguration = configuration
        self.queueSize = queueSize
        ports = [ConsolePortState(name: [], isConsole: true)]
        for name in names {
            ports.append(ConsolePortState(name: Array(name.prefix(Self.maximumNameLength)), isConsole: false))
        }
    }

    /// Offers VIRTIO_CONSOLE_F_MULTIPORT only if there are several ports: one port needs no control queues.
    public mutating func offer(_ wanted: Features) -> Features {
        offered = ports.count > 1 ? wanted : wanted.subtracting(ConsoleFeature.multiport)
        return offered
    }

    public mutating func limit(by torture: Torture) { if torture.contains(.input) { longestInput = 1 } }

    /// A terminal of another size.
    public func passing(_ configuration: Configuration, _ word: UInt64) -> Configuration {
        Configuration(columns: UInt16(1 + word % 300), rows: UInt16(1 + (word >> 16) % 100))
    }

    /// The further ports that the host has open are closed, or open again.
    public mutating func disturbPorts() -> QueueSet {
        var owed = false
        for index in ports.indices.dropFirst() where ports[index].isOpenOnHost {
            ports[index].isClosedForNow.toggle()
            if ports[index].owe(.portOpen) { owed = true }
        }
        return owed ? QueueSet(queue: ConsoleQueue.controlReceive) : []
    }

    public func queueCount(_ features: Features) -> Int {
        features.contains(ConsoleFeature.multiport) ? 2 * ports.count + 2 : 2
    }

    public func queueSizeMax(_ index: Int) -> UInt16 { queueSize }

    public func bytes(of configuration: Configuration) -> ConfigurationBytes {
        var bytes = ConfigurationBytes(size: ConsoleConfiguration.size)
        if offered.contains(ConsoleFeature.size) {
            bytes.store(configuration.columns, at: ConsoleConfiguration.columns)
            bytes.store(configuration.rows, at: ConsoleConfiguration.rows)
        }
        if offered.contains(ConsoleFeature.multiport) {
            bytes.store(UInt32(ports.count), at: ConsoleConfiguration.maximumPorts)
        }
        return bytes
    }

    public static func field(at offset: Int) -> ConfigurationField? {
        switch offset {
        case 0..<4: ConfigurationField(offset & ~1, 2, ConsoleFeature.size)
        case 4..<8: ConfigurationField(ConsoleConfiguration.maximumPorts, 4, ConsoleFeature.multiport)
        case 8..<12: ConfigurationField(ConsoleConfiguration.emergencyWrite, 4, ConsoleFeature.emergencyWrite)
        default: nil
        }
    }

    public static func summary(of request: Request) -> RequestSummary {
        RequestSummary(.output, place: UInt64(request.port), count: UInt64(request.data.byteCount))
    }

    public static func word(of configuration: Configuration) -> UInt64 {
        UInt64(configuration.columns) | UInt64(configuration.rows) << 16
    }

    public func configuration(of word: UInt64) -> Configuration { Configuration(word: word) }

    public mutating func negotiated(_ features: Features) {
        multiport = features.contains(ConsoleFeature.multiport)
        acceptedSize = features.contains(ConsoleFeature.size)
    }

    /// Forgets the driver's state. Undelivered input is kept: it belongs to the terminal, not to the driver.
    public mutating func reset() {
        multiport = false
        acceptedSize = false
        for index in ports.indices { ports[index].driverLeft() }
    }

    /// With VIRTIO_CONSOLE_F_MULTIPORT, a new size is also announced by a control message.
    public mutating func configurationChanged(to new: Configuration) -> QueueSet {
        guard multiport, acceptedSize else { return [] }
        return ports[0].owe(.resize) ? QueueSet(queue: ConsoleQueue.controlReceive) : []
    }

    public func emergencyByte(_ value: UInt32, at offset: Int) -> UInt8? {
        let isEmergency =
            offset == ConsoleConfiguration.emergencyWrite && offered.contains(ConsoleFeature.emergencyWrite)
        return isEmergency ? UInt8(truncatingIfNeeded: value) : nil
    }

    // MARK: Buffers

    /// Returns the port of a queue other than the control queues, and whether it is the transmit queue.
    private func port(ofQueue index: Int) -> (port: Int, transmits: Bool) {
        (index < ConsoleQueue.controlReceive ? 0 : index / 2 - 1, index % 2 == 1)
    }

    public func wantsBuffer(queue index: Int) -> Bool {
        if index == ConsoleQueue.controlReceive { return ports.contains { $0.owesMessage } }
        if index == ConsoleQueue.controlTransmit { return true }
        let (port, transmits) = port(ofQueue: index)
        // A driver discards input that arrives before it opens the port.
        return transmits || !ports[port].input.isEmpty && (!multiport || ports[port].isOpenInGuest)
    }

    public mutating func take(
        _ chain: inout DescriptorChain, queue index: Int, _ configuration: Configuration
    ) -> TakeResult<Request> {
        if index % 2 == 0 {
            chain.check(.receiveWritable, chain.readable.byteCount == 0)
        } else {
            chain.check(.transmitReadable, chain.writable.byteCount == 0)
        }
        switch index {
        case ConsoleQueue.controlReceive: return .done(UsedLength(sendMessage(into: &chain.writable, configuration)))
        case ConsoleQueue.controlTransmit:
            let isValid = receiveMessage(&chain)
            if multiport { chain.check(.controlMessageValid, isValid) }
            return .done(UsedLength())
        default: break
        }
        let (port, transmits) = port(ofQueue: index)
        if transmits { return .work(Request(port: port, data: chain.readable), reply: nil) }
        var written: UInt32 = 0
        while chain.writable.byteCount > 0, written < longestInput, let byte = ports[port].input.removeFirst() {
            _ = chain.writable.write(byte)
            written += 1
        }
        return .done(UsedLength(written))
    }

    /// Returns the queues that a control message concerns: the control receiveq for the answer, and the receive queues
    /// of all ports, since the message may have opened one.
    public func queuesAffected(byQueue index: Int) -> QueueSet {
        guard multiport, index == ConsoleQueue.controlTransmit else { return [] }
        var queues = QueueSet(queue: ConsoleQueue.controlReceive)
        for port in ports.indices { queues.insert(QueueSet(queue: ConsoleQueue.receive(port: port))) }
        return queues
    }

    public mutating func finish(_ outcome: Outcome, reply: Reply?) -> UsedLength { UsedLength() }

    // MARK: Control messages (5.3.6.2)

    /// Writes the next pending control message, truncated to the buffer, and returns its length in bytes.
    private mutating func sendMessage(into room: inout Segments, _ configuration: Configuration) -> UInt32 {
        for index in ports.indices {
            guard let event = ports[index].nextMessage() else { continue }
            var written: UInt32 = 0
            func put(_ byte: UInt8) { if room.write(byte) { written += 1 } }
            func put16(_ value: UInt16) {
                put(UInt8(truncatingIfNeeded: value))
                put(UInt8(truncatingIfNeeded: value >> 8))
            }
            put16(UInt16(index))
            put16(0)
            put16(event.rawValue)
            put16(event == .consolePort || event == .portOpen && ports[index].looksOpen ? 1 : 0)
            switch event {
            case .resize:
                put16(configuration.columns)
                put16(configuration.rows)
            case .portName: for byte in ports[index].name { put(byte) }
            default: break
            }
            return written
        }
        return 0
    }

    /// Handles a control message of the driver. Returns false if the message is invalid, and ignores it.
    private mutating func receiveMessage(_ chain: inout DescriptorChain) -> Bool {
        guard multiport, let message: InlineArray<1, UInt64> = chain.removeFirst() else { return false }
        let id = message.littleEndian(UInt32.self, at: 0)
        let value = message.littleEndian(UInt16.self, at: ConsoleControl.valueOffset)
        let event = ConsoleControl.Event(
            rawValue: message.littleEndian(UInt16.self, at: ConsoleControl.eventOffset))
        if event == .deviceReady {
            if value == 1 { for index in ports.indices { ports[index].announce() } }
            return true
        }
        guard id < UInt32(ports.count) else { return false }
        switch event {
        case .portReady: if value == 1 { ports[Int(id)].describe(withSize: acceptedSize) }
        case .portOpen: ports[Int(id)].isOpenInGuest = value != 0
        default: return false
        }
        return true
    }

    // MARK: Host interface

    /// The names of ports 1 and up.
    var portNames: [[UInt8]] { ports.dropFirst().map { $0.name } }

    /// Free space in the input buffer of `port`, in bytes.
    func inputRoom(port: Int) -> Int { ports[port].input.room }

    /// Appends one byte of input; false if the buffer is full.
    mutating func accept(_ byte: UInt8, port: Int) -> Bool { ports[port].input.append(byte) }

    /// Sets whether the host has `port` open. Returns true if a message to the driver is pending.
    mutating func setOpen(_ isOpen: Bool, port: Int) -> Bool {
        guard ports[port].isOpenOnHost != isOpen else { return false }
        ports[port].isOpenOnHost = isOpen
        return ports[port].owe(.portOpen)
    }

    /// The state of each port, with its undelivered input.
    public var savedState: [UInt8] {
        var state: [UInt8] = []
        for port in ports { port.save(into: &state) }
        return state
    }

    public mutating func restore(_ state: [UInt8]) {
        var rest = state[...]
        for index in ports.indices { ports[index].restore(from: &rest) }
    }
}
