// The qtest protocol as text: one line in, lines out, without descriptors and clocks. A line is carried out, then the devices
// run until they are idle, then it is answered.

/// One client's session with a machine.
public final class QTestSession {
    private let machine: QTestMachine
    /// The client asked for changes of interrupt lines.
    private var intercepting = false
    /// The outcome of the run, once a command has ended it.
    public private(set) var outcome: Machine.Outcome?

    /// Starts a session with `machine`.
    public init(_ machine: QTestMachine) { self.machine = machine }

    /// Carries out a line without its newline, and returns the lines for the client: changed interrupt lines, then one answer.
    /// A line without words has no answer.
    public func handle(_ line: ArraySlice<UInt8>) -> [String] {
        let answer: String
        do throws(QTestRefusal) {
            guard let command = try QTestCommand(line) else { return [] }
            answer = try carryOut(command)
        } catch { answer = error.line }
        machine.runUntilIdle()
        return interrupts() + [answer]
    }

    /// The answer to a line longer than every valid one.
    static let tooLong = "FAIL the line is too long"

    /// The interrupt lines that changed since the last command.
    private func interrupts() -> [String] {
        let changes = machine.connections.takeChanges()
        return intercepting ? changes.map { "IRQ \($0.level ? "raise" : "lower") \($0.gsi)" } : []
    }

    private func carryOut(_ command: QTestCommand) throws(QTestRefusal) -> String {
        switch command {
        case .read(let address, let width): return "OK 0x" + hex(machine.read(address, width: width), digits: 16)
        case .write(let address, let width, let value): machine.write(address, width: width, value: value)
        case .portIn(let port, let width): return "OK 0x" + hex(machine.portIn(port, width: width), digits: 4)
        case .portOut(let port, let width, let value):
            let value = UInt32(truncatingIfNeeded: value.low(bytes: width))
            if case .end(let end) = machine.board.writePort(port, width: width, value: value) {
                outcome = outcome ?? end
            }
        case .readBytes(let address, let count, let encoding):
            guard let bytes = machine.ram.read(at: address, count: count) else {
                throw notAllRAM(address, UInt64(count))
            }
            return encoding == .base64 ? "OK " + bytes.base64 : "OK 0x" + bytes.hexadecimal
        case .writeBytes(let address, let bytes):
            guard machine.ram.write(bytes, at: address) else { throw notAllRAM(address, UInt64(bytes.count)) }
        case .fill(let address, let count, let byte):
            guard machine.ram.fill(byte, at: address, count: count) else { throw notAllRAM(address, count) }
        case .interceptIn(let path): try intercept(path)
        case .interceptOut:
            throw QTestRefusal("no device here has an interrupt output of its own; use irq_intercept_in ioapic")
        case .clockStep(let step): return "OK \(machine.stepClock(by: step))"
        case .clockSet(let instant): return "OK \(machine.setClock(to: instant))"
        case .endianness: return "OK little"
        case .perform(let name, let command): try perform(name, command)
        case .output(let name, let port):
            guard let bytes = try device(name).takeOutput(port: port) else {
                throw QTestRefusal("\(name) has no such output: only the ports of a console have some")
            }
            return "OK 0x" + bytes.hexadecimal
        case .state(let name): return "OK " + (try device(name)).state.json.text
        }
        return "OK"
    }

    private func notAllRAM(_ address: UInt64, _ count: UInt64) -> QTestRefusal {
        QTestRefusal("\(count) bytes at 0x\(hex(address, digits: 1)) are not all RAM")
    }

    /// Starts reporting changes of the IOAPIC's inputs. The client takes all of them as low, so those that are high are reported
    /// at once.
    private func intercept(_ path: String) throws(QTestRefusal) {
        guard ["ioapic", "/machine/ioapic"].contains(path) else { throw QTestRefusal("Unknown device") }
        if !intercepting { machine.connections.restartChanges() }
        intercepting = true
    }

    private func device(_ name: String) throws(QTestRefusal) -> any DeviceControl {
        guard let device = machine.devices.first(where: { $0.name == name }) else {
            throw QTestRefusal("Unknown device '\(QTestCommand.printable(name))'")
        }
        return device
    }

    private func perform(_ name: String, _ command: TestCommand) throws(QTestRefusal) {
        let device = try device(name)
        do throws(TestCommandError) { try device.perform(command) } catch {
            switch error {
            case .unknown:
                let commands = DeviceKind.all.first { $0.id == device.deviceID }?.commands ?? []
                throw QTestRefusal("\(name) takes only \((commands + TestCommand.common).joined(separator: " "))")
            case .noPort:
                throw QTestRefusal("\(name) has no such port, or it is always open; --port adds one")
            case .noRoom: throw QTestRefusal("\(name) has no room for so much input; let the driver take some first")
            }
        }
    }
}

extension UInt64 {
    /// The low `bytes` bytes, 1 to 8.
    func low(bytes: Int) -> UInt64 { bytes >= 8 ? self : self & (1 << UInt64(8 * bytes) - 1) }
}
