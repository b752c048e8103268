// A console under test: output is collected, input comes from the test (VIRTIO 1.4, 5.3).

import Testing
import Virtio
import VirtioABI

/// Collects the console's output, by port.
final class Terminal {
    var outputs: [Int: [UInt8]] = [:]
    /// Output of port 0.
    var output: [UInt8] { outputs[0] ?? [] }

    func execute(_ request: Console.Request) -> Outcome {
        request.data.forEach { buffer in
            for index in 0..<buffer.count {
                let byte = unsafe buffer.base.load(fromByteOffset: index, as: UInt8.self)
                outputs[request.port, default: []].append(byte)
            }
        }
        return .ok()
    }
}

/// The driver of a console, and the host's input to it.
final class ConsoleDriver: FakeDriver<Console> {
    let terminal: Terminal
    /// Buffers in the control receive queue, by id. A test that resets or moves the device empties or copies them.
    var controlBuffers: [UInt32: Chain] = [:]

    /// A console with one additional port for each of `ports`.
    init(
        ports: [String] = [], queueSize: UInt16 = 64, suspend: SuspendDialect? = nil, freeze: FreezeScope = .wide,
        form: Form = Form(), withholding: Features = [], memory: FakeMemory = FakeMemory()
    ) {
        let terminal = Terminal()
        self.terminal = terminal
        let device = Console(ports: ports.map { Array($0.utf8) }, queueSize: queueSize)
        super.init(
            device, suspend: suspend, freeze: freeze, form: form, withholding: withholding, memory: memory
        ) { terminal.execute($0) }
    }

    /// Input for `port` arrives at the host; returns how much of it the model took.
    @discardableResult
    func type(_ bytes: [UInt8], port: Int = 0) -> Int {
        var accepted = 0
        backend.call { $0.receive(bytes.span, port: port, accepted: &accepted) }
        return accepted
    }

    /// Makes `room` bytes, cut into descriptors at `cuts`, available for input.
    @discardableResult
    func post(_ room: Int, cuts: [Int] = [], kick: Bool = true) -> Chain {
        add(parts([], room: room, cuts: cuts), to: ConsoleQueue.receive, kick: kick)
    }

    /// Makes `bytes`, cut into descriptors at `cuts`, available for output.
    @discardableResult
    func print(_ bytes: [UInt8], cuts: [Int] = [], kick: Bool = true) -> Chain {
        add(parts(bytes, room: 0, cuts: cuts), to: ConsoleQueue.transmit, kick: kick)
    }
}

/// A control message as the driver reads it (5.3.6.2).
struct ControlMessage: Equatable, CustomStringConvertible {
    let port: UInt32
    let event: ConsoleControl.Event?
    var value: UInt16 = 0
    /// The bytes after the value.
    var rest: [UInt8] = []

    init(_ event: ConsoleControl.Event, port: UInt32, value: UInt16 = 0, rest: [UInt8] = []) {
        (self.port, self.event, self.value, self.rest) = (port, event, value, rest)
    }

    /// Decodes a buffer of at least 8 bytes.
    init(_ bytes: [UInt8]) {
        func word(_ offset: Int) -> UInt16 { UInt16(bytes[offset]) | UInt16(bytes[offset + 1]) << 8 }
        port = UInt32(word(0)) | UInt32(word(2)) << 16
        event = ConsoleControl.Event(rawValue: word(4))
        value = word(6)
        rest = Array(bytes[8...])
    }

    var description: String { "\(event.map { "\($0)" } ?? "?") of \(port): \(value) \(rest)" }
}

extension ConsoleDriver {
    /// The contents of the used buffers of the control receive queue. Posts buffers of `room` bytes one at a time until
    /// the device uses no more.
    func rawMessages(room: Int = 80) -> [[UInt8]] {
        var messages: [[UInt8]] = []
        while true {
            if controlBuffers.isEmpty {
                let chain = add(parts([], room: room), to: ConsoleQueue.controlReceive)
                controlBuffers[UInt32(chain.head)] = chain
            }
            let used = takeUsed(ConsoleQueue.controlReceive)
            if used.isEmpty { return messages }
            for element in used {
                guard let chain = controlBuffers.removeValue(forKey: element.id) else {
                    Issue.record("a buffer was used that is not with the device: \(state)")
                    return messages
                }
                messages.append(Array(answer(chain).prefix(Int(element.length))))
            }
        }
    }

    /// The messages since the last call. Leaves one buffer available.
    func messages() -> [ControlMessage] { rawMessages().map { ControlMessage($0) } }

    /// Sends a control message.
    func send(_ event: ConsoleControl.Event, port: UInt32 = 0, value: UInt16 = 1) {
        sendControl(port.bytes + event.rawValue.bytes + value.bytes)
    }

    /// Sends `bytes` over the control queue; fails unless the device uses the buffer.
    func sendControl(_ bytes: [UInt8], _ location: SourceLocation = #_sourceLocation) {
        add(parts(bytes, room: 0), to: ConsoleQueue.controlTransmit)
        #expect(takeUsed(ConsoleQueue.controlTransmit).map(\.length) == [0], state, sourceLocation: location)
    }

    /// Starts the control protocol as a driver does: sends DEVICE_READY, and PORT_READY for each port added. Returns
    /// all messages received.
    func announce() -> [ControlMessage] {
        send(.deviceReady)
        let ports = messages()
        for message in ports where message.event == .deviceAdd { send(.portReady, port: message.port) }
        return ports + messages()
    }
}
