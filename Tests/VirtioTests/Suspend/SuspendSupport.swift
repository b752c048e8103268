// Support for the suspend tests: the Status words of the dialects, helpers to bring a device into every state, and a
// device type with several queues whose requests all wait for the backend.

import Glibc
import Testing
import VirtioABI

@testable import Virtio

extension SuspendDialect {
    /// The value of Status while suspended.
    var suspended: UInt32 { self == .draft ? 0x1f : 0x1b }
    /// The word that resumes: the draft clears SUSPEND, 1.4 sets DRIVER_OK and clears no bit.
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

    /// Writes the suspend request; does not wait.
    @discardableResult
    func requestSuspend() -> Effects { write(.status, 0x1f) }

    /// Writes the resume request; does not wait.
    @discardableResult
    func requestResume() -> Effects { write(.status, dialect.resume) }

    /// Suspends an idle device, whose drain is immediate; fails unless the next read of Status shows it.
    func suspend(_ location: SourceLocation = #_sourceLocation) {
        requestSuspend()
        #expect(statusByte == dialect.suspended, state, sourceLocation: location)
    }

    /// Resumes a device whose backend is ready at once; fails unless the next read of Status shows it.
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
    /// A running disk with one read in flight.
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

/// The state of a device that a driver can see. Two values show whether a suspended device changed.
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
    /// The visible state, read without a write to a selector.
    var appearance: Appearance {
        Appearance(
            registers: dump(selecting: false), generation: read(.configGeneration), memory: memory.snapshot(),
            risingEdges: backend.line.risingEdges)
    }

    /// Fails if a register, a configuration byte or a byte of guest memory has changed, or the line rose.
    func expectUntouched(since old: Appearance, _ location: SourceLocation = #_sourceLocation) {
        #expect(appearance == old, state, sourceLocation: location)
        #expect(memory.changes(since: old.memory) == [], state, sourceLocation: location)
    }
}

extension FakeMemory {
    /// Runs `body` with the region at 0 inaccessible: an access ends the process.
    func sealed(_ body: () -> Void) {
        guard let low = guest.resolve(0, UInt64(lowSize)) else { preconditionFailure("there is no memory at 0") }
        let closed = unsafe mprotect(low.base, lowSize, PROT_NONE)
        precondition(closed == 0, "the region is not made of pages")
        body()
        unsafe mprotect(low.base, lowSize, PROT_READ | PROT_WRITE)
    }
}

/// A device with four queues, whose requests all wait for the backend, and a configuration of one number.
struct FourQueues: VirtioDevice, ~Copyable {
    struct Request: Sendable {
        let queue: Int
    }

    struct Configuration: Equatable, Sendable {
        var value: UInt32 = 0
    }

    /// The id of an entropy source, which has no configuration and no features of its own.
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

    /// Makes a chain of `descriptors` writable descriptors of one byte available in queue `index`.
    @discardableResult
    func offer(_ index: Int = 0, descriptors: Int = 1, kick: Bool = true) -> Chain {
        add((0..<descriptors).map { _ in writable(1) }, to: index, kick: kick)
    }

    /// Advances ring 0 by `count` descriptors.
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
