// What the suspend tests need beside the fake driver: the two dialects' words, a device that can be brought into every
// state, and a device type with several queues that no backend answers by itself.

import Glibc
import Testing
import VirtioABI

@testable import Virtio

extension SuspendDialect {
    /// What Status reads while suspended.
    var suspended: UInt32 { self == .draft ? 0x1f : 0x1b }
    /// What a driver writes to resume: the draft clears SUSPEND, 1.4 sets DRIVER_OK without clearing anything.
    var resume: UInt32 { self == .draft ? 0x0f : 0x1f }
}

extension FakeDriver where Device: ~Copyable {
    /// The dialect under test.
    var dialect: SuspendDialect {
        guard let dialect = backend.transport.lifecycle.dialect else { preconditionFailure("the test needs a dialect") }
        return dialect
    }

    /// Status as a number.
    var statusByte: UInt32 { read(.status) }

    /// Asks for suspension, and no more.
    @discardableResult
    func requestSuspend() -> Effects { write(.status, 0x1f) }

    /// Asks for resumption, and no more.
    @discardableResult
    func requestResume() -> Effects { write(.status, dialect.resume) }

    /// Suspends an idle device: nothing to wait for, so the next read shows it.
    func suspend(_ location: SourceLocation = #_sourceLocation) {
        requestSuspend()
        #expect(statusByte == dialect.suspended, state, sourceLocation: location)
    }

    /// Resumes a device whose backend is ready at once.
    func resume(_ location: SourceLocation = #_sourceLocation) {
        requestResume()
        #expect(statusByte == 0x0f, state, sourceLocation: location)
    }

    /// Brings the device up and suspends it.
    func bringUpSuspended(_ location: SourceLocation = #_sourceLocation) {
        bringUp()
        backend.events = []
        suspend(location)
    }

    /// The events reported since the last call.
    func takeEvents() -> Effects.Events {
        defer { backend.events = [] }
        return backend.events.reduce(into: []) { $0.formUnion($1) }
    }
}

extension BlockDriver {
    /// A running disk with one read in the backend's hands.
    static func busy(
        _ dialect: SuspendDialect, withholding: Features = []
    ) -> (driver: BlockDriver, chain: Chain) {
        let driver = BlockDriver(sectors: 8, suspend: dialect, withholding: withholding)
        driver.bringUp()
        driver.backend.events = []
        let chain = driver.submitRead()
        #expect(driver.backend.requests.count == 1, driver.state)
        return (driver, chain)
    }
}

/// What a device under test has shown at one point; two of them tell whether a suspended device moved.
struct Appearance: Equatable {
    let registers: RegisterDump
    let generation: UInt32
    let memory: FakeMemory.Snapshot
    let risingEdges: Int

    static func == (left: Appearance, right: Appearance) -> Bool {
        left.registers == right.registers && left.generation == right.generation
            && left.risingEdges == right.risingEdges
    }
}

extension FakeDriver where Device: ~Copyable {
    /// What can be seen without writing to a selector.
    var appearance: Appearance {
        Appearance(
            registers: dump(selecting: false), generation: read(.configGeneration), memory: memory.snapshot(),
            risingEdges: backend.line.risingEdges)
    }

    /// Fails unless no register, no configuration byte and no byte of guest memory has changed, and no edge was raised.
    func expectUntouched(since old: Appearance, _ location: SourceLocation = #_sourceLocation) {
        #expect(appearance == old, state, sourceLocation: location)
        #expect(memory.changes(since: old.memory) == [], state, sourceLocation: location)
    }
}

extension FakeMemory {
    /// Runs `body` while nobody can reach the region at 0: an access ends the process.
    func sealed(_ body: () -> Void) {
        guard let low = guest.resolve(0, UInt64(lowSize)) else { preconditionFailure("there is no memory at 0") }
        let closed = unsafe mprotect(low.base, lowSize, PROT_NONE)
        precondition(closed == 0, "the region is not made of pages")
        body()
        unsafe mprotect(low.base, lowSize, PROT_READ | PROT_WRITE)
    }
}

/// Four queues whose every chain waits for the backend, and a configuration of one number.
struct FourQueues: VirtioDevice, ~Copyable {
    struct Request: Sendable {
        let queue: Int
    }

    struct Configuration: Equatable, Sendable {
        var value: UInt32 = 0
    }

    /// An entropy source has no configuration and no features of its own: nobody mistakes this device for another.
    static var deviceID: UInt32 { 4 }
    func queueCount(_ features: Features) -> Int { 4 }
    func queueSizeMax(_ index: Int) -> UInt16 { 16 }
    var initialConfiguration: Configuration { Configuration() }

    func bytes(of configuration: Configuration) -> ConfigurationBytes {
        var bytes = ConfigurationBytes(size: 4)
        bytes.store(configuration.value, at: 0)
        return bytes
    }

    mutating func reset() {}
    func wantsBuffer(queue index: Int) -> Bool { true }

    mutating func take(
        _ chain: inout DescriptorChain, queue index: Int, _ configuration: Configuration
    ) -> TakeResult<Request> {
        guard let reply = Reply(cutFrom: &chain) else { return .unanswerable }
        return .work(Request(queue: index), reply: reply)
    }

    mutating func finish(_ outcome: Outcome, reply: Reply?) -> UsedLength {
        reply?.answer(0, afterWriting: 0) ?? UsedLength()
    }
}

/// The driver of the device with four queues.
final class FourQueuesDriver: FakeDriver<FourQueues> {
    init(
        suspend: SuspendDialect? = nil, freeze: FreezeScope = .wide, form: Form = Form(), adding: Features = [],
        memory: FakeMemory = FakeMemory(low: 1 << 16, high: 4096)
    ) {
        super.init(
            FourQueues(), suspend: suspend, freeze: freeze, form: form, adding: adding, memory: memory
        ) { _ in .ok() }
    }

    /// Makes a chain of `descriptors`, each of one byte of room, available in queue `index`.
    @discardableResult
    func offer(_ index: Int = 0, descriptors: Int = 1, kick: Bool = true) -> Chain {
        add((0..<descriptors).map { _ in writable(1) }, to: index, kick: kick)
    }

    /// Moves ring 0 on by `count` descriptors.
    func advance(by count: Int, _ location: SourceLocation = #_sourceLocation) {
        for _ in 0..<count {
            offer()
            backend.complete()
            guard takeUsed(0).count == 1 else {
                return _ = Issue.record("the ring does not move: \(state)", sourceLocation: location)
            }
        }
        acknowledge()
    }
}
