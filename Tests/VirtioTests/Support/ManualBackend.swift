// The host's side of a device under test: owns the transport, samples the interrupt line after every call, serves the
// queues that the model reports, and keeps requests in flight until the test completes them.

import Testing
import Virtio

@testable import struct Virtio.Token

/// The interrupt line, as an interrupt controller sees it.
struct InterruptLine {
    private(set) var level = false
    /// Changes from low to high.
    private(set) var risingEdges = 0

    mutating func sample(_ level: Bool) {
        if level && !self.level { risingEdges += 1 }
        self.level = level
    }
}

/// A host that the test controls step by step.
final class ManualBackend<Device: VirtioDevice & ~Copyable> {
    /// A request in flight, and the batch that keeps its segments valid.
    struct Pending {
        let token: Token
        let request: Device.Request
        fileprivate let owner: Owner
    }

    fileprivate final class Owner {
        var batch: Batch<Device.Request>
        init(_ batch: consuming Batch<Device.Request>) { self.batch = batch }
    }

    /// The device under test. Call it through `call`, which samples the line.
    var transport: MMIOTransport<Device>
    let memory: FakeMemory
    private(set) var line = InterruptLine()
    /// All events that the model reported, in order; a test may empty it.
    var events: [Effects.Events] = []
    /// The trace of a device that records one; a test may empty it.
    var trace: [Event] = []
    /// Bytes written to a console's emergency-write field.
    var emergency: [UInt8] = []
    /// Number of refusals in strict conformance mode.
    private(set) var refusals = 0
    /// Requests in flight, oldest first.
    private(set) var requests: [Pending] = []

    /// Whether requests complete as soon as they are taken; otherwise `complete` or `fail` ends them.
    var completesAtOnce = false
    /// Whether queues are served as soon as the model reports them; otherwise `owed` collects them until `serve`.
    var servesAtOnce = true
    /// Whether a resume request is answered with `backendReady` at once; otherwise `ready` does it.
    var resumesAtOnce = true
    /// Whether what a device under torture puts off goes on at once, to its end; otherwise `passDelay` lets it go on.
    var passesDelays = true
    /// Maximum number of requests in a batch.
    var batchCapacity = 64
    /// Queues that the model reported and that are not served yet.
    private(set) var owed: QueueSet = []
    /// Prevents recursion of `serve` through `call`.
    private var isServing = false
    private var isPassing = false

    /// Performs a request's I/O and returns the outcome.
    private let execute: (Device.Request) -> Outcome

    init(
        _ transport: consuming MMIOTransport<Device>, memory: FakeMemory, execute: @escaping (Device.Request) -> Outcome
    ) {
        self.transport = transport
        self.memory = memory
        self.execute = execute
    }

    // MARK: Calls into the model

    /// Calls the model. Every call goes through this function.
    @discardableResult
    func call(_ body: (inout MMIOTransport<Device>) -> Effects) -> Effects {
        var effects = body(&transport)
        if transport.mustRefuse {
            refusals += 1
            effects.merge(transport.refuse())
        }
        transport.drainEvents { trace.append($0) }
        line.sample(transport.interruptAsserted)
        if !effects.events.isEmpty { events.append(effects.events) }
        if let byte = effects.emergency { emergency.append(byte) }
        owed.formUnion(effects.queues)
        if effects.events.contains(.resumeRequested) && resumesAtOnce { ready() }
        if servesAtOnce { serve() }
        if passesDelays { passDelays() }
        return effects
    }

    /// Serves the queues that the model reported until there are none left.
    func serve() {
        if isServing { return }
        isServing = true
        defer { isServing = false }
        var left = 1 << 16
        while !owed.isEmpty {
            left -= 1
            if left == 0 { return _ = Issue.record("the model reports queues \(owed.rawValue) without end") }
            let index = owed.rawValue.trailingZeroBitCount
            owed.remove(QueueSet(queue: index))
            take(queue: index)
            if completesAtOnce { complete() }
        }
    }

    /// Calls `take` once, whether or not the model reported the queue.
    @discardableResult
    func take(queue index: Int, requestsNotification: Bool = true) -> Effects {
        let owner = Owner(Batch(capacity: batchCapacity, longestChain: transport.longestChain))
        let effects = call { $0.take(queue: index, into: &owner.batch, requestsNotification: requestsNotification) }
        for index in 0..<owner.batch.count {
            let work = owner.batch[index]
            requests.append(Pending(token: work.token, request: work.request, owner: owner))
        }
        return effects
    }

    // MARK: Completing requests

    /// Completes the `count` oldest requests, or all.
    func complete(_ count: Int = .max) {
        var left = count
        while left > 0, !requests.isEmpty {
            complete(at: 0)
            left -= 1
        }
    }

    /// Fails the `count` oldest requests, or all, without any I/O.
    func fail(_ count: Int = .max) {
        for _ in 0..<min(count, requests.count) where !requests.isEmpty { complete(at: 0, with: .ioError) }
    }

    /// Completes request `index` of `requests` with `outcome`, or with the outcome of its I/O if nil. As a host must,
    /// it performs no I/O for a stale token, but reports the completion.
    @discardableResult
    func complete(at index: Int, with outcome: Outcome? = nil) -> Effects {
        let pending = requests.remove(at: index)
        let wanted = isCurrent(pending)
        let outcome = outcome ?? (wanted ? execute(pending.request) : .ok(written: 512))
        return call { $0.finish(pending.token, outcome) }
    }

    /// Whether the token of `pending` is current.
    func isCurrent(_ pending: Pending) -> Bool { transport.isCurrent(pending.token) }

    /// Reports the completion of `pending`, which may already have completed.
    @discardableResult
    func finish(_ pending: Pending, _ outcome: Outcome) -> Effects { call { $0.finish(pending.token, outcome) } }

    // MARK: Host events

    /// Lets what a device under torture has put off go on, by one step.
    func passDelay() { call { $0.delayPassed() } }

    /// Lets it go on to its end.
    func passDelays() {
        guard !isPassing else { return }
        isPassing = true
        defer { isPassing = false }
        var left = 1000
        while transport.isDelayed, left > 0 {
            passDelay()
            left -= 1
        }
        if left == 0 { Issue.record("what the device puts off has no end") }
    }

    func ready() { call { $0.backendReady() } }
    func deadline() { call { $0.drainDeadlinePassed() } }
    func fatal() { call { $0.fail() } }

    /// The host changes the configuration.
    @discardableResult
    func change(_ edit: (inout Device.Configuration) -> Void) -> Effects { call { $0.change(edit) } }
}
