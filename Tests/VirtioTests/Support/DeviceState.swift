// The state that a failing test prints, and a register dump that compares two states as the driver sees them.

import Testing
import VirtioABI

@testable import Virtio

/// The values of all readable registers, by selector.
struct RegisterDump: Equatable, CustomStringConvertible {
    private(set) var lines: [String] = []

    mutating func note(_ name: String, _ value: UInt64) { lines.append("\(name) = 0x\(String(value, radix: 16))") }

    var description: String { lines.joined(separator: "\n") }
}

extension FakeDriver where Device: ~Copyable {
    /// Reads every readable register: for each feature word, each queue and one that does not exist, and two shared
    /// memory regions. The selectors are 0 afterwards. With `selecting: false` writes nothing and reads the selected
    /// registers only.
    func dump(selecting: Bool = true) -> RegisterDump {
        var dump = RegisterDump()
        for register in Register.allCases where register.direction != .write {
            let (selector, count): (Register, Int) =
                switch register {
                case .deviceFeatures: (.deviceFeaturesSel, 4)
                case .queueSizeMax, .queueReady, .queueReset: (.queueSel, backend.transport.queueCount + 1)
                case .shmLenLow, .shmLenHigh, .shmBaseLow, .shmBaseHigh: (.shmSel, 2)
                default: (.status, 0)
                }
            guard selecting, count > 0 else {
                dump.note("\(register)", UInt64(read(register)))
                continue
            }
            for index in 0..<count {
                write(selector, UInt32(index))
                dump.note("\(register)[\(index)]", UInt64(read(register)))
            }
            write(selector, 0)
        }
        for offset in stride(from: 0, to: 96, by: 4) { dump.note("config+\(offset)", configuration(offset)) }
        return dump
    }

    /// The device's state, for failure messages. Has no effect on the device.
    var state: Comment {
        let status = backend.transport.lifecycle.status.rawValue
        var lines = [
            """
            \(backend.transport.lifecycle.phase), status 0x\(String(status, radix: 16)), \
            interrupt status \(backend.transport.interruptStatus.rawValue), line \(backend.line), \
            generation \(backend.transport.generation), fault \(String(describing: backend.transport.lastFault)), \
            \(backend.requests.count) requests with the backend, queues owed \(backend.owed.rawValue)
            """
        ]
        for index in 0..<backend.transport.queueCount { lines.append(state(ofQueue: index)) }
        for check in Check.allCases where count(check) > 0 {
            lines.append("\(count(check)) x \(check)")
        }
        return Comment(rawValue: lines.joined(separator: "\n"))
    }

    private func state(ofQueue index: Int) -> String {
        let next = backend.transport.queues[index].live?.value.positions.available.count ?? 0
        let used = backend.transport.queues[index].live?.value.positions.used.count ?? 0
        let held = backend.transport.queues[index].live?.value.parked.finished ?? 0
        return """
            queue \(index): ready \(backend.transport.queues[index].isReady), \
            ending \(backend.transport.queues[index].ending), \
            in flight \(backend.transport.queues[index].inFlight), held \(held), \
            next available \(next), next used \(used)
            """
    }
}
