// A console and its ports. Output arrives complete and in order at its port, input arrives complete and in order at the
// driver, and control messages are correct and in a valid order (5.3.6).

import Virtio
import VirtioABI

/// The first bytes select the device, the features and the rings; the rest are steps of driver and host.
func fuzzConsole(_ input: inout Input) {
    let options = Options(input.byte())
    let packed = input.flag()
    let rig = Rig<Console>(options)
    var driver = ConsoleFuzzer(rig: rig)
    driver.restart(&input, packed)
    while !input.isEmpty { driver.step(&input, packed) }
    driver.drain()
    rig.checkHealth(packed: packed, choice: 0)
}

/// The state of a port at the driver and at the host.
private struct PortRecord {
    /// Output bytes that the host has not received yet, and input bytes that the driver has not received yet.
    var output: [UInt8] = []
    var input: [UInt8] = []
    var isAdded = false
    /// The driver sent PORT_READY, after the device had sent PORT_ADD.
    var isReady = false
    var isNamed = false
    /// The value of the last PORT_OPEN message from the device.
    var reportedOpen: Bool?
    var isOpenOnHost = false
}

private struct ConsoleFuzzer {
    let rig: Rig<Console>
    var rings: [Ring] = []
    var ram: GuestRAM { rig.ram }
    var ports: [PortRecord]
    /// The buffers that the driver made available, by queue and buffer id.
    var available: [[UInt16: Part]] = []
    var nextBuffer: UInt64 = 0x4000
    var deviceReady = false

    init(rig: Rig<Console>) {
        self.rig = rig
        ports = Array(repeating: PortRecord(), count: rig.portCount)
        ports[0].isOpenOnHost = true
    }

    var multiport: Bool { rig.driverFeatures.contains(ConsoleFeature.multiport) }

    mutating func restart(_ input: inout Input, _ packed: Bool) {
        let (choice, size) = (input.number(UInt16.self), input.byte())
        // Input that was delivered is not delivered again.
        collect()
        while !rig.pending.isEmpty { rig.finish(0, .ioError) }
        rings = rig.bringUp(
            rig.features(choice, packed: packed), size: packed ? 4 + UInt16(size % 29) : 4 << UInt16(size % 4))
        available = rings.map { _ in [:] }
        deviceReady = false
        for index in ports.indices {
            // Input is kept across a reset, for the next driver.
            var fresh = PortRecord()
            (fresh.input, fresh.isOpenOnHost) = (ports[index].input, ports[index].isOpenOnHost)
            ports[index] = fresh
        }
    }

    mutating func step(_ input: inout Input, _ packed: Bool) {
        let choice = input.byte()
        switch choice % 12 {
        case 0, 1: send(&input)
        case 2, 3: offer(&input)
        case 4, 5: put(&input)
        case 6: serve()
        case 7: finish()
        case 8: collect()
        case 9: control(&input)
        case 10: if choice & 0x80 != 0 { open(&input) } else { resize(input.byte()) }
        default: if choice & 0xe0 == 0xe0 { restart(&input, packed) } else { emergency(input.byte()) }
        }
    }

    private mutating func allocate(_ count: Int) -> UInt64 {
        if nextBuffer + UInt64(count) > UInt64(GuestRAM.lowSize) { nextBuffer = 0x4000 }
        defer { nextBuffer += UInt64(count) }
        return nextBuffer
    }

    /// A port that has queues.
    private func port(_ input: inout Input) -> Int { multiport ? input.below(ports.count) : 0 }

    // MARK: The driver

    private mutating func send(_ input: inout Input) {
        let port = port(&input)
        let bytes = input.take(1 + input.below(24))
        guard !bytes.isEmpty, addBuffer(bytes, count: bytes.count, to: ConsoleQueue.transmit(port: port), &input) else {
            return
        }
        ports[port].output += bytes
    }

    private mutating func offer(_ input: inout Input) {
        let wantsControl = multiport && input.byte() % 3 == 0
        let queue = wantsControl ? ConsoleQueue.controlReceive : ConsoleQueue.receive(port: port(&input))
        // 80 bytes, because a control message that does not fit is cut and cannot be checked.
        _ = addBuffer(nil, count: wantsControl ? 80 : 1 + input.below(48), to: queue, &input)
    }

    /// Sends a control message to the device, valid or not.
    private mutating func control(_ input: inout Input) {
        guard multiport else { return }
        // Weighted to what a driver mostly sends: DEVICE_READY, PORT_READY, PORT_OPEN.
        let events: [UInt16] = [0, 3, 3, 6, 6, 1, 2, 4, 5, 7, 8]
        let (id, event) = (UInt32(input.below(10) % 3), events[input.below(events.count)])
        let value: UInt16 = input.byte() & 7 == 0 ? 0 : 1
        var bytes = [UInt8](repeating: 0, count: 8)
        bytes.put(id, at: 0)
        bytes.put(event, at: 4)
        bytes.put(value, at: 6)
        let cut = input.below(32) == 0 ? 7 : 8
        guard addBuffer(Array(bytes.prefix(cut)), count: cut, to: ConsoleQueue.controlTransmit, &input), cut == 8 else {
            return
        }
        // The device reads the message when it is notified, before any other step.
        serve()
        if event == 0 && value == 1 { deviceReady = true }
        guard id < UInt32(ports.count) else { return }
        if event == 3 && value == 1 && deviceReady { ports[Int(id)].isReady = true }
    }

    /// Makes a buffer available: `bytes` to read, or room for `count` bytes, in two descriptors if the input says so.
    private mutating func addBuffer(_ bytes: [UInt8]?, count: Int, to queue: Int, _ input: inout Input) -> Bool {
        let address = allocate(count)
        if let bytes { ram.store(bytes, at: address) } else { ram.fill(0xee, at: address, count: count) }
        let whole = Part(address: address, count: UInt32(count), writable: bytes == nil)
        var parts = [whole]
        if count > 1 && input.flag() {
            parts[0].count = UInt32(count / 2)
            parts.append(
                Part(
                    address: address + UInt64(count / 2), count: UInt32(count - count / 2), writable: bytes == nil))
        }
        guard let id = rings[queue].add(parts, indirect: false) else { return false }
        available[queue][id] = whole
        rig.notify(queue, next: rings[queue].nextAvailable)
        return true
    }

    /// Takes the used buffers and checks their content.
    private mutating func collect() {
        for queue in rings.indices {
            for used in rings[queue].takeUsed() {
                guard let buffer = available[queue].removeValue(forKey: used.id) else {
                    return require(false, "a used buffer that the driver did not make available")
                }
                require(used.length <= (buffer.writable ? buffer.count : 0), "a used length beyond the buffer")
                guard buffer.writable else { continue }
                let bytes = ram.bytes(at: buffer.address, count: Int(used.length))
                if queue == ConsoleQueue.controlReceive { checkControl(bytes) } else { checkInput(bytes, queue) }
            }
        }
        rig.write(.interruptACK, 3)
    }

    private mutating func checkInput(_ bytes: [UInt8], _ queue: Int) {
        let port = queue < 2 ? 0 : queue / 2 - 1
        require(!bytes.isEmpty, "a receive buffer used without input")
        require(ports[port].input.starts(with: bytes), "input that differs from what the host sent")
        ports[port].input.removeFirst(bytes.count)
    }

    /// Checks a control message from the device: its port exists, and its order is valid.
    private mutating func checkControl(_ bytes: [UInt8]) {
        guard bytes.count >= 8 else { return require(false, "a message of \(bytes.count) bytes") }
        let (id, number, value): (UInt32, UInt16, UInt16) = (bytes.get(at: 0), bytes.get(at: 4), bytes.get(at: 6))
        require(deviceReady, "a message before the driver was ready")
        guard id < UInt32(ports.count), let event = ConsoleControl.Event(rawValue: number) else {
            return require(false, "a message for port \(id), event \(number)")
        }
        let port = Int(id)
        if event == .deviceAdd {
            require(!ports[port].isAdded, "a port added twice")
            return ports[port].isAdded = true
        }
        require(ports[port].isAdded && ports[port].isReady, "a message for a port that the driver is not ready for")
        switch event {
        case .consolePort: require(port == 0 && value == 1, "CONSOLE_PORT for port \(port)")
        case .resize:
            require(port == 0 && bytes.count == 12, "RESIZE for port \(port)")
            require(rig.driverFeatures.contains(ConsoleFeature.size), "RESIZE without VIRTIO_CONSOLE_F_SIZE")
        case .portName:
            require(
                port == 1 && bytes.count == (rig.options.device & 2 != 0 ? 8 + 64 : 8 + 4),
                "PORT_NAME of \(bytes.count) bytes")
            ports[port].isNamed = true
        case .portOpen:
            require(value <= 1, "PORT_OPEN with value \(value)")
            require(port == 0 || ports[port].isNamed, "PORT_OPEN before PORT_NAME")
            ports[port].reportedOpen = value == 1
        default: require(false, "a message that only a driver sends: \(event)")
        }
    }

    // MARK: The host

    private mutating func put(_ input: inout Input) {
        let port = input.below(ports.count)
        let bytes = input.take(1 + input.below(40))
        let accepted = rig.receive(bytes, port: port)
        ports[port].input += bytes.prefix(accepted)
    }

    private mutating func open(_ input: inout Input) {
        let port = input.below(ports.count)
        let isOpen = input.flag()
        ports[port].isOpenOnHost = isOpen
        rig.call { $0.setOpen(isOpen, port: port) }
    }

    private func resize(_ columns: UInt8) { rig.call { $0.change { $0.columns = UInt16(columns) } } }

    private func emergency(_ byte: UInt8) {
        let effects = rig.write(at: 0x100 + UInt64(ConsoleConfiguration.emergencyWrite), width: 4, UInt64(byte))
        require(effects.emergency == byte, "emergency output lost")
    }

    private mutating func serve() {
        rig.serve()
        require(rig.transport.lastFault == nil, "a legal ring is a fault")
    }

    /// Completes the oldest output request, and checks its bytes.
    private mutating func finish() {
        guard let next = rig.pending.first else { return }
        let port = next.request.port
        var bytes: [UInt8] = []
        withExtendedLifetime(next) {
            next.request.data.forEach { bytes += ram.bytes(at: ram.address(of: $0), count: $0.count) }
        }
        require(ports[port].output.starts(with: bytes), "output that differs from what the driver sent to port \(port)")
        ports[port].output.removeFirst(bytes.count)
        rig.finish(0)
    }

    /// Completes all output and delivers all input that there are buffers for.
    mutating func drain() {
        serve()
        while !rig.pending.isEmpty { finish() }
        collect()
        require(ports.allSatisfy { $0.output.isEmpty }, "output that was never completed")
        for (index, port) in ports.enumerated() where !multiport && index == 0 {
            require(port.input.isEmpty || available[0].isEmpty, "input was not delivered to an available buffer")
        }
    }
}
