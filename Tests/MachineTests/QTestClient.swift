// A qtest client with a driver: it accesses the device only by lines of text.

import Testing
import VirtioABI

@testable import Machine

/// A qtest session with a machine, and a split-ring driver that uses it.
final class QTestClient {
    private let session: QTestSession
    private let machine: QTestMachine
    /// The IRQ lines received since this was last emptied.
    var interrupts: [String] = []
    /// All lines sent and received.
    private(set) var transcript: [String] = []

    static let disk = 1
    static let console = 0

    init(
        suspend: SuspendDialect? = .draft, drainDeadline: Duration = .seconds(10),
        _ edit: (inout Machine.Configuration) -> Void = { _ in }
    ) throws {
        var configuration = Machine.Configuration()
        configuration.suspend = suspend
        configuration.drainDeadline = drainDeadline
        configuration.memory = 8 << 20
        configuration.reportsViolations = false
        edit(&configuration)
        machine = try QTestMachine(configuration)
        try machine.open(.stdio)
        session = QTestSession(machine)
    }

    /// The machine's devices, by slot.
    var devices: [BoardDevice] { machine.devices }

    var outcome: Machine.Outcome? { session.outcome }

    /// Writes the rest of the trace, as at the end of a run.
    func closeTrace() { machine.trace?.close() }

    /// Sends a line and returns the answer, which is the last of the lines received; the others are IRQ lines.
    @discardableResult
    func say(_ line: String) -> String {
        let received = session.handle(Array(line.utf8)[...])
        transcript += ["> " + line] + received
        interrupts += received.dropLast()
        #expect(received.dropLast().allSatisfy { $0.hasPrefix("IRQ ") }, "\(received)")
        return received.last ?? ""
    }

    /// Sends a line and returns the number after the OK.
    func number(_ line: String) -> UInt64 {
        let answer = say(line)
        #expect(answer.hasPrefix("OK 0x"), "\(line): \(answer)")
        return UInt64(answer.dropFirst(5), radix: 16) ?? 0
    }

    // MARK: Registers

    func address(_ slot: Int, _ offset: UInt32) -> String {
        "0x" + hex(MemoryMap.window(slot: slot).lowerBound + UInt64(offset), digits: 8)
    }

    func get(_ slot: Int, _ register: Register) -> UInt64 { number("readl \(address(slot, register.rawValue))") }

    func set(_ slot: Int, _ register: Register, _ value: UInt64) {
        #expect(say("writel \(address(slot, register.rawValue)) 0x\(hex(value, digits: 1))") == "OK")
    }

    func status(_ slot: Int) -> UInt64 { get(slot, .status) }

    /// Initialises the device in `slot` to DRIVER_OK with VIRTIO_F_VERSION_1, its SUSPEND feature, `features` (bits
    /// below 32), and queues of 8 entries: queue n at 0x10000 + slot * 0x8000 + n * 0x1000.
    func bringUp(_ slot: Int, queues: Int, features: UInt64 = 0) {
        for status: UInt64 in [0, 1, 3] { set(slot, .status, status) }
        set(slot, .deviceFeaturesSel, 1)
        let offered = get(slot, .deviceFeatures)
        let wanted = Features([.version1, .suspendDraft, .suspend]).word(1)
        for (word, value): (UInt64, UInt64) in [(0, features), (1, offered & UInt64(wanted))] {
            set(slot, .driverFeaturesSel, word)
            set(slot, .driverFeatures, value)
        }
        set(slot, .status, 0x0b)
        #expect(status(slot) == 0x0b)
        for queue in 0..<queues {
            let base = ring(slot, queue)
            say("memset \(base) 0x1000 0")
            set(slot, .queueSel, UInt64(queue))
            set(slot, .queueSize, 8)
            set(slot, .queueDescLow, base)
            set(slot, .queueDriverLow, base + 0x400)
            set(slot, .queueDeviceLow, base + 0x800)
            set(slot, .queueReady, 1)
        }
        set(slot, .status, 0x0f)
        #expect(status(slot) == 0x0f)
    }

    // MARK: Queues

    private func ring(_ slot: Int, _ queue: Int) -> UInt64 { 0x1_0000 + UInt64(slot) * 0x8000 + UInt64(queue) * 0x1000 }

    /// Makes a chain available, without a notification. Its descriptors start at `first`.
    func offer(_ slot: Int, _ queue: Int, first: Int, _ buffers: [(address: UInt64, length: Int, writes: Bool)]) {
        let base = ring(slot, queue)
        for (index, buffer) in buffers.enumerated() {
            let isLast = index == buffers.count - 1
            let descriptor = base + 16 * UInt64(first + index)
            say("writeq \(descriptor) \(buffer.address)")
            say("writel \(descriptor + 8) \(buffer.length)")
            say("writew \(descriptor + 12) \((isLast ? 0 : 1) | (buffer.writes ? 2 : 0))")
            say("writew \(descriptor + 14) \(first + index + 1)")
        }
        let index = number("readw \(base + 0x402)")
        say("writew \(base + 0x404 + 2 * (index % 8)) \(first)")
        say("writew \(base + 0x402) \(index + 1)")
    }

    func notify(_ slot: Int, _ queue: Int) { set(slot, .queueNotify, UInt64(queue)) }

    /// The device's used index.
    func used(_ slot: Int, _ queue: Int) -> UInt64 { number("readw \(ring(slot, queue) + 0x802)") }

    /// Makes a request of one sector at `buffer` available and notifies: the header is before the buffer, the status
    /// byte after it.
    func request(_ kind: UInt32, sector: UInt64, at buffer: UInt64, first: Int = 0, slot: Int = QTestClient.disk) {
        say("writel \(buffer - 16) \(kind)")
        say("writel \(buffer - 12) 0")
        say("writeq \(buffer - 8) \(sector)")
        say("writeb \(buffer + 512) 0xff")
        let reads = kind == BlockRequest.Kind.read
        offer(
            slot, 0, first: first,
            [(buffer - 16, 16, false), (buffer, 512, reads), (buffer + 512, 1, true)])
        notify(slot, 0)
    }

    // MARK: State

    /// The JSON text of the first member `name` in the device's x-state.
    func state(_ device: String, _ name: String) -> String {
        let text = say("x-state \(device)")
        guard let start = text.firstRange(of: "\"\(name)\":")?.upperBound else { return "" }
        return String(text[start...].prefix { $0 != "," && $0 != "}" && $0 != "]" })
    }
}
