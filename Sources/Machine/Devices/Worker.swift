// A thread of a device: the queues that are its own, and what wakes it.

import KVM
import Synchronization
import Virtio

/// One of a device's threads.
final class Worker: @unchecked Sendable {
    /// From 0. The first does what is nobody's in particular.
    let index: Int
    /// The queues it serves.
    let queues: QueueSet
    /// Wakes it: rung by us, and by reported that come as events.
    let eventFD: EventFD
    /// How often we rang it.
    private let ownSignals = Atomic<UInt64>(0)
    /// Under the device's lock: how often it was rung in all, and how many reported of that were told.
    private var received: UInt64 = 0
    private var reported: UInt64 = 0
    /// Under the device's lock.
    var polling = AdaptivePolling()
    private var thread: Thread?

    /// Worker `index` of `count`: it has every `count`th queue.
    init(index: Int, of count: Int) throws(MachineError) {
        self.index = index
        queues = QueueSet(rawValue: (0..<32).filter { $0 % count == index }.reduce(0) { $0 | 1 << UInt32($1) })
        do throws(KVMError) { eventFD = try EventFD() } catch { throw .kvm(error) }
    }

    /// Starts its thread, called `name`.
    func start(_ name: String, _ body: @escaping @Sendable () -> Void) throws(MachineError) {
        thread = try Thread(name, body)
    }

    /// Waits for the thread's end.
    func join() { thread.take()?.join() }

    /// Wakes it.
    func signal() {
        // Counted first: a ring of ours is never taken for a kick.
        ownSignals.add(1, ordering: .relaxed)
        eventFD.signal()
    }

    /// The eventFD had rung `count` times. Returns how many of all ownSignals were reported and had not been told; with the device's lock held.
    func unreportedNotifications(of count: UInt64) -> UInt64 {
        received += count
        let own = ownSignals.load(ordering: .relaxed)
        guard received > own + reported else { return 0 }
        defer { reported = received - own }
        return received - own - reported
    }
}

/// How a worker waits for its driver. To wake a thread takes tens of microseconds, so a driver that came back sooner the last time
/// is waited for awake: its ownSignals are looked at again and again, and it is not asked to notify.
struct AdaptivePolling {
    /// In nanoseconds: how long it waits awake at most, and about what it costs to fall asleep and wake up.
    private static let (longest, wakeUp): (UInt64, UInt64) = (80_000, 40_000)
    private var start: Instant?
    private var pays = false

    /// There was nothing in the ownSignals. Whether to look again before the worker sleeps.
    mutating func shouldPoll(at now: Instant) -> Bool {
        let began = start ?? now
        start = began
        return pays && now < began.advanced(byNanoseconds: Self.longest)
    }

    /// There was something.
    mutating func end(at now: Instant) {
        guard let began = start.take() else { return }
        // A worker that slept received of it late.
        pays = now < began.advanced(byNanoseconds: Self.longest + Self.wakeUp)
    }
}
