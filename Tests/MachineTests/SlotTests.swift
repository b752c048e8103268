// Devices with their threads, driven through their registers by the test. No guest and no KVM: the interrupt line
// records its level.

import Glibc
import KVM
import Synchronization
import Testing
import VirtioABI

@testable import Machine
@testable import Virtio

/// An interrupt line that remembers its level.
private final class RecordedLine: InterruptLine {
    private let level = Atomic<Bool>(false)
    var isRaised: Bool { level.load(ordering: .acquiring) }
    func set(_ level: Bool) { self.level.store(level, ordering: .releasing) }
}

extension Slot where Device: ~Copyable {
    fileprivate func set(_ register: Register, _ value: UInt32) {
        write(at: UInt64(register.rawValue), width: 4, value: UInt64(value))
    }

    fileprivate func get(_ register: Register) -> UInt32 {
        UInt32(truncatingIfNeeded: read(at: UInt64(register.rawValue), width: 4))
    }

    /// Initialises the device to DRIVER_OK with VIRTIO_F_VERSION_1 and the draft's SUSPEND; `queues` are written after FEATURES_OK.
    fileprivate func bringUp(queues: [(Register, UInt32)] = []) throws {
        for status: UInt32 in [1, 3] { set(.status, status) }
        for word: UInt32 in [0, 1] {
            set(.driverFeaturesSel, word)
            set(.driverFeatures, Features([.version1, .suspendDraft]).word(word))
        }
        set(.status, 0x0b)
        for (register, value) in queues { set(register, value) }
        try #require(get(.status) == 0x0b)
        set(.status, 0x0f)
        try #require(get(.status) == 0x0f)
    }
}

/// Waits until `condition` is true, and fails with `state` after ten seconds.
private func eventually(_ state: @autoclosure () -> String, _ condition: () -> Bool) throws {
    let deadline = Instant.now.advanced(by: .seconds(10))
    while !condition() { try #require(Instant.now < deadline, "\(state())") }
}

@Suite struct SlotTests {
    private let line = RecordedLine()

    private func makeContext(_ onDeferred: @escaping @Sendable (String) -> Void = { _ in }) -> SlotContext {
        SlotContext(line: line, drainDeadline: .seconds(10), reportsViolations: false, onDeferredEvent: onDeferred)
    }

    private func console(input: Int32?, output: Int32, _ context: SlotContext) throws -> ConsoleSlot {
        try console(.descriptors(input: input, output: output), GuestMemory([]), context)
    }

    private func console(
        _ target: ConsoleTarget, _ memory: GuestMemory, _ context: SlotContext
    ) throws -> ConsoleSlot {
        try ConsoleSlot(
            name: "console0", transport: MMIOTransport(device: Console(), memory: memory, suspend: .draft),
            context: context,
            streams: [
                ConsoleStream(
                    port: 0, end: ConsolePort(target, name: "console0"), escapeKeys: false, longestChain: 128)
            ]
        ) { _ in }
    }

    /// Initialises the console to DRIVER_OK with a transmit queue: descriptors at 0x1000, and its other areas at 0x2000 and 0x3000.
    private func bringUpTransmitQueue(_ slot: ConsoleSlot) throws {
        try slot.bringUp(queues: [
            (.queueSel, 1), (.queueSize, 8), (.queueDescLow, 0x1000), (.queueDriverLow, 0x2000),
            (.queueDeviceLow, 0x3000), (.queueReady, 1),
        ])
    }

    private func makePipe() throws -> (read: Int32, write: Int32) {
        var ends: [2 of Int32] = [0, 0]
        var span = ends.mutableSpan
        try #require(unsafe span.withUnsafeMutableBufferPointer { unsafe pipe($0.baseAddress) } == 0)
        return (ends[0], ends[1])
    }

    @Test("while suspended the console's thread sleeps, even with input at the host, and reads it after the resume")
    func suspendedConsoleSleeps() throws {
        let input = try makePipe()
        let sink = unsafe open("/dev/null", O_WRONLY)
        defer { for descriptor in [input.read, input.write, sink] { close(descriptor) } }
        let slot = try console(input: input.read, output: sink, makeContext())
        defer { slot.stop() }
        try slot.start()
        try slot.bringUp()
        slot.set(.status, 0x1f)
        try #require(slot.get(.status) == 0x1f)

        let typed = [UInt8](repeating: 0x61, count: 10_000)
        try #require(unsafe write(input.write, typed, typed.count) == typed.count)
        #expect(slot.statistics.wakeUpsWhileSuspended == 0)
        #expect(slot.statistics.suspensions == 1)
        // Woken twice by the test, so that the thread has completed a whole round: the input is still unread.
        for _ in 0..<2 {
            let before = slot.statistics.wakeUps
            try eventually("\(slot.statistics)") {
                slot.workers[0].eventFD.signal()
                return slot.statistics.wakeUps > before
            }
        }
        var waiting: Int32 = 0
        #expect(unsafe ioctl(input.read, UInt(FIONREAD), &waiting) == 0 && waiting == 10_000)

        slot.set(.status, 0x0f)
        try #require(slot.get(.status) == 0x0f)
        try eventually("room \(slot.lock.locked { slot.transport.inputRoom() })") {
            slot.lock.locked { slot.transport.inputRoom() } == 0
        }
    }

    @Test(
        "where input can wake the guest, the host is notified once of input to a suspended console, and does not read it"
    )
    func inputWakes() throws {
        let deferred = DeferredEvents()
        let input = try makePipe()
        let sink = unsafe open("/dev/null", O_WRONLY)
        defer { for descriptor in [input.read, input.write, sink] { close(descriptor) } }
        var context = makeContext { deferred.add($0) }
        context.wakesGuest = true
        let slot = try console(input: input.read, output: sink, context)
        defer { slot.stop() }
        try slot.start()
        try slot.bringUp()
        slot.set(.status, 0x1f)
        try #require(slot.get(.status) == 0x1f)
        let typed = [UInt8](repeating: 0x61, count: 100)
        for _ in 0..<2 { try #require(unsafe write(input.write, typed, typed.count) == typed.count) }
        try eventually("\(deferred.all)") { deferred.all == ["console0"] }
        var waiting: Int32 = 0
        #expect(unsafe ioctl(input.read, UInt(FIONREAD), &waiting) == 0 && waiting == 200)
        #expect(slot.get(.interruptStatus) == 0 && !line.isRaised)
        slot.set(.status, 0x0f)
        try eventually(slot.state.report) { unsafe ioctl(input.read, UInt(FIONREAD), &waiting) == 0 && waiting == 0 }
        #expect(deferred.all == ["console0"])
    }

    @Test("the host is notified once of a deferred event, the driver not until the resume")
    func deferredEvent() throws {
        let deferred = DeferredEvents()
        let sink = unsafe open("/dev/null", O_WRONLY)
        defer { close(sink) }
        let slot = try console(input: nil, output: sink, makeContext { deferred.add($0) })
        defer { slot.stop() }
        try slot.start()
        try slot.bringUp()
        slot.set(.status, 0x1f)
        let generation = slot.get(.configGeneration)
        try slot.perform(.resize(columns: 90, rows: 30))
        try slot.perform(.input([0x61]))
        try slot.perform(.resize(columns: 100, rows: 30))
        #expect(deferred.all == ["console0"])
        #expect(slot.get(.interruptStatus) == 0 && !line.isRaised && slot.get(.configGeneration) == generation)

        slot.set(.status, 0x0f)
        #expect(slot.get(.interruptStatus) == 2 && line.isRaised && slot.get(.configGeneration) == generation + 1)
        #expect(slot.read(at: 0x100, width: 2) == 100)
        slot.set(.interruptACK, 2)
        #expect(!line.isRaised)
        slot.set(.status, 0x1f)
        try slot.perform(.resize(columns: 80, rows: 25))
        #expect(deferred.all == ["console0", "console0"])
    }

    @Test("a changed terminal size causes a new generation and one interrupt; an unchanged one nothing")
    func terminalSize() throws {
        // TIOCSPTLCK and TIOCGPTN: Swift's Glibc has neither these nor the functions that use them.
        let master = unsafe open("/dev/ptmx", O_RDWR | O_NOCTTY)
        var (unlocked, number): (Int32, Int32) = (0, 0)
        try #require(
            unsafe ioctl(master, 0x4004_5431, &unlocked) == 0 && ioctl(master, 0x8004_5430, &number) == 0)
        let terminal = unsafe open("/dev/pts/\(number)", O_RDWR | O_NOCTTY)
        defer { for descriptor in [master, terminal] { close(descriptor) } }
        var size = winsize(ws_row: 30, ws_col: 90, ws_xpixel: 0, ws_ypixel: 0)
        try #require(unsafe ioctl(master, UInt(TIOCSWINSZ), &size) == 0)
        let slot = try console(input: nil, output: terminal, makeContext())
        try slot.start()
        defer { slot.stop() }
        try slot.bringUp()
        slot.hostChanged()
        #expect(slot.read(at: 0x100, width: 4) == 90 | 30 << 16)
        let generation = slot.get(.configGeneration)
        slot.set(.interruptACK, 2)
        slot.hostChanged()
        #expect(slot.get(.configGeneration) == generation && !line.isRaised)

        slot.set(.status, 0x1f)
        size.ws_col = 120
        try #require(unsafe ioctl(master, UInt(TIOCSWINSZ), &size) == 0)
        slot.hostChanged()
        #expect(slot.get(.configGeneration) == generation && slot.read(at: 0x100, width: 2) == 90 && !line.isRaised)
        slot.set(.status, 0x0f)
        #expect(slot.get(.configGeneration) == generation + 1 && slot.read(at: 0x100, width: 2) == 120 && line.isRaised)
    }

    @Test("emergency output needs no queue and no driver")
    func emergencyOutput() throws {
        let output = try makePipe()
        defer { close(output.read) }
        let slot = try console(input: nil, output: output.write, makeContext())
        try slot.start()
        for byte in Array("help\n".utf8) { slot.write(at: 0x108, width: 4, value: UInt64(byte)) }
        slot.stop()
        close(output.write)
        var text = [UInt8](repeating: 0, count: 16)
        #expect(unsafe read(output.read, &text, text.count) == 5)
        #expect(Array(text.prefix(5)) == Array("help\n".utf8))
    }

    @Test("a disk that grew causes a new generation and one interrupt; an unchanged one nothing")
    func capacity() throws {
        let path = "/tmp/vmm-slot-\(getpid())-\(UInt64.random(in: 0 ... .max))"
        let descriptor = unsafe open(path, O_RDWR | O_CREAT | O_EXCL, 0o600)
        try #require(descriptor >= 0 && ftruncate(descriptor, 4096) == 0)
        defer {
            close(descriptor)
            unsafe unlink(path)
        }
        let file = try FileDisk(path: path, readOnly: false)
        let slot = try BlockSlot(
            name: "blk0",
            transport: MMIOTransport(device: Block(capacity: 8), memory: GuestMemory([]), suspend: .draft),
            context: makeContext(), backend: file, identity: "blk0", mode: .auto, workers: 1)
        defer { slot.stop() }
        try slot.start()
        try slot.bringUp()
        let generation = slot.get(.configGeneration)
        slot.hostChanged()
        #expect(slot.get(.configGeneration) == generation && !line.isRaised)
        try #require(ftruncate(descriptor, 8192) == 0)
        slot.hostChanged()
        #expect(slot.read(at: 0x100, width: 8) == 16)
        #expect(slot.get(.configGeneration) == generation + 1 && slot.get(.interruptStatus) == 2 && line.isRaised)
    }

    @Test("one notification is enough for more output than is buffered")
    func moreOutputThanIsBuffered() throws {
        let file = try TemporaryFile()
        let size = 1_000_000
        let memory = try RAM(size: 2 << 20)
        let slot = try console(.file(file.path), memory.guestMemory, makeContext())
        try slot.start()
        defer { slot.stop() }
        try bringUpTransmitQueue(slot)
        // One descriptor of that size at 0x10000, and index 1.
        var descriptor: [UInt8] = []
        descriptor.append(littleEndian: UInt64(0x10000))
        descriptor.append(littleEndian: UInt64(size))
        try #require(memory.write(descriptor, at: 0x1000) && memory.write([0, 0, 1, 0], at: 0x2000))
        slot.set(.queueNotify, 1)
        try eventually(slot.state.report) { memory.read(at: 0x3002, count: 1) == [1] }
        try eventually(slot.state.report) { file.size == size }
    }

    @Test("a notification by ioeventfd is counted before a later Status write, and as a violation while suspended")
    func notificationsByIOEventFD() throws {
        let sink = unsafe open("/dev/null", O_WRONLY)
        defer { close(sink) }
        let memory = try RAM(size: 2 << 20)
        let slot = try console(.descriptors(input: nil, output: sink), memory.guestMemory, makeContext())
        try bringUpTransmitQueue(slot)
        try slot.start()
        defer { slot.stop() }
        // After the first notification, notifications arrive by ioeventfd.
        slot.set(.queueNotify, 1)
        func violations(_ check: Check) -> UInt64 { slot.lock.locked { slot.transport.conformance[check] } }
        func notifications() -> UInt64 { slot.lock.locked { slot.transport.inspect().queues[1].notifications } }
        for round in 0..<100 {
            slot.workers[0].eventFD.signal()
            slot.set(.status, 0x1f)
            try eventually(slot.state.report) { slot.get(.status) == 0x1f }
            #expect(notifications() == UInt64(2 + round) && violations(.draftNoNotification) == 0)
            slot.set(.status, 0x0f)
            try eventually(slot.state.report) { slot.get(.status) == 0x0f }
        }
        slot.set(.status, 0x1f)
        try eventually(slot.state.report) { slot.get(.status) == 0x1f }
        slot.workers[0].eventFD.signal()
        try eventually(slot.state.report) { violations(.draftNoNotification) == 1 }
    }
}

/// The names of devices with a deferred event, collected from other threads.
private final class DeferredEvents: Sendable {
    private let names = Mutex<[String]>([])
    var all: [String] { names.withLock { $0 } }
    func add(_ name: String) { names.withLock { $0.append(name) } }
}
