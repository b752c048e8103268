// A console under test: output is collected, input comes from the test (VIRTIO 1.4, 5.3).

import Virtio
import VirtioABI

/// What came out of a console, and where.
final class Terminal {
    var outputs: [Int: [UInt8]] = [:]
    /// That of port 0.
    var output: [UInt8] { outputs[0] ?? [] }

    func execute(_ request: Console.Request) -> Outcome {
        request.data.forEach { buffer in
            for index in 0..<buffer.count {
                outputs[request.port, default: []].append(unsafe buffer.base.load(fromByteOffset: index, as: UInt8.self))
            }
        }
        return .ok()
    }
}

/// The driver of a console, and the keyboard in front of it.
final class ConsoleDriver: FakeDriver<Console> {
    let terminal: Terminal

    /// A console with a further port for each of `ports`.
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
