// The host's side of a device under test: it owns the transport, samples the interrupt line after every call, serves
// the queues the model names, and keeps the requests until the test says what becomes of them. Nothing here runs by
// itself.

import Testing
import Virtio

@testable import struct Virtio.Token

/// The interrupt line as an interrupt controller would see it.
struct InterruptLine {
    private(set) var level = false
    /// Changes from low to high.
    private(set) var risingEdges = 0

    mutating func sample(_ level: Bool) {
        if level && !self.level { risingEdges += 1 }
        self.level = level
    }
}

/// A host whose every step is the test's decision.
final class ManualBackend<Device: VirtioDevice & ~Copyable> {
    /// A request in the backend's hands, and the batch that keeps its segments valid.
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
    /// Everything the model ever reported, in order; a test may empty it.
    var events: [Effects.Events] = []
    /// Bytes written to a console's emergency-write field.
    var emergency: [UInt8] = []
    /// How often the driver was refused, under strict conformance.
    private(set) var refusals = 0
    /// Requests taken and not completed, oldest first.
    private(set) var requests: [Pending] = []

    /// Requests complete as soon as they are taken. Otherwise they wait for `complete` or `fail`.
    var completesAtOnce = false
    /// Queues are served as soon as the model names them. Otherwise `owed` grows until `serve`.
    var servesAtOnce = true
    /// A resume request is answered with `backendReady` at once. Otherwise it waits for `ready`.
    var readiesAtOnce = true
    /// Most requests in one batch.
    var batchCapacity = 64
    /// Queues the model named and nobody served yet.
    private(set) var owed: QueueSet = []
    /// A call into the model from within `serve` does not start another.
    private var isServing = false

    /// Does a request's I/O and says how it went.
    private let execute: (Device.Request) -> Outcome

    init(
        _ transport: consuming MMIOTransport<Device>, memory: FakeMemory, execute: @escaping (Device.Request) -> Outcome
    ) {
        self.transport = transport
        self.memory = memory
        self.execute = execute
    }

    // MARK: Calls into the model

    /// Every call into the model goes through here.
    @discardableResult
    func call(_ body: (inout MMIOTransport<Device>) -> Effects) -> Effects {
        var effects = body(&transport)
        if transport.mustRefuse {
            refusals += 1
            effects.merge(transport.refuse())
        }
        line.sample(transport.interruptAsserted)
        if !effects.events.isEmpty { events.append(effects.events) }
        if let byte = effects.emergency { emergency.append(byte) }
        owed.formUnion(effects.queues)
        if effects.events.contains(.resumeRequested) && readiesAtOnce { ready() }
        if servesAtOnce { serve() }
        return effects
    }

    /// Takes from the queues the model named, until it names none.
    func serve() {
        if isServing { return }
        isServing = true
        defer { isServing = false }
        var left = 1 << 16
        while !owed.isEmpty {
            left -= 1
            if left == 0 { return _ = Issue.record("the model names queues \(owed.rawValue) for ever") }
            let index = owed.rawValue.trailingZeroBitCount
            owed.remove(QueueSet(queue: index))
            take(queue: index)
            if completesAtOnce { complete() }
        }
    }

    /// One `take`, whether the model named the queue or not.
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

    // MARK: What becomes of the requests

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

    /// Completes request `index` of `requests`, with `outcome` instead of its I/O if there is one. As a host must, it
    /// does no I/O for a token that means nothing any more; it reports that one all the same.
    @discardableResult
    func complete(at index: Int, with outcome: Outcome? = nil) -> Effects {
        let pending = requests.remove(at: index)
        let wanted = isCurrent(pending)
        let outcome = outcome ?? (wanted ? execute(pending.request) : .ok(written: 512))
        return call { $0.finish(pending.token, outcome) }
    }

    /// Whether the model still wants `pending`.
    func isCurrent(_ pending: Pending) -> Bool { transport.isCurrent(pending.token) }

    /// Reports `pending` once more, or after it was dropped from `requests`.
    @discardableResult
    func finish(_ pending: Pending, _ outcome: Outcome) -> Effects { call { $0.finish(pending.token, outcome) } }

    // MARK: What the host decides

    func ready() { call { $0.backendReady() } }
    func deadline() { call { $0.drainDeadlinePassed() } }
    func fatal() { call { $0.fail() } }

    /// The host edits the configuration the driver sees.
    @discardableResult
    func change(_ edit: (inout Device.Configuration) -> Void) -> Effects { call { $0.change(edit) } }
}
