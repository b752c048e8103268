// A thread of a device, its queues, and the eventfd that wakes it.

import KVM
import Synchronization
import Virtio

/// One of a device's threads.
final class Worker: @unchecked Sendable {
    /// From 0. Worker 0 also runs device-wide tasks such as the drain deadline.
    let index: Int
    /// The queues it serves.
    let queues: QueueSet
    /// Wakes the thread. Signalled by `signal()`, and by KVM for available buffer notifications (ioeventfd).
    let eventFD: EventFD
    /// Signals by `signal()`.
    private let ownSignals = Atomic<UInt64>(0)
    /// Under the device's lock: signals read from the eventfd, and notifications among them that were reported to the model.
    private var receivedSignals: UInt64 = 0
    private var reportedNotifications: UInt64 = 0
    /// Under the device's lock.
    var polling = AdaptivePolling()
    private var thread: Thread?

    /// Makes worker `index` of `count`, which serves every `count`th queue.
    init(index: Int, of count: Int) throws(MachineError) {
        self.index = index
        queues = QueueSet(rawValue: (0..<32).filter { $0 % count == index }.reduce(0) { $0 | 1 << UInt32($1) })
        do throws(KVMError) { eventFD = try EventFD() } catch { throw .kvm(error) }
    }

    /// Starts the thread, named `name`.
    func start(_ name: String, _ kind: ThreadKind, _ body: @escaping @Sendable () -> Void) throws(MachineError) {
        thread = try Thread(name, kind, body)
    }

    /// Waits for the end of the thread.
    func join() { thread.take()?.join() }

    /// Wakes the thread.
    func signal() {
        // Counted before the signal, so that it is never taken for a notification.
        ownSignals.add(1, ordering: .relaxed)
        eventFD.signal()
    }

    /// Adds `count` signals read from the eventfd. Returns the available buffer notifications among all signals that were not
    /// reported to the model before; with the device's lock held.
    func unreportedNotifications(of count: UInt64) -> UInt64 {
        receivedSignals += count
        let own = ownSignals.load(ordering: .relaxed)
        guard receivedSignals > own + reportedNotifications else { return 0 }
        defer { reportedNotifications = receivedSignals - own }
        return receivedSignals - own - reportedNotifications
    }
}

/// Decides between polling and sleeping, as KVM's halt polling does. Waking a thread takes tens of microseconds. If the driver's last
/// buffers came sooner than that, the worker polls the queues, with notifications suppressed.
struct AdaptivePolling {
    /// The longest poll, and the approximate cost of sleeping and waking up; in nanoseconds.
    private static let maximumPoll: UInt64 = 80_000
    private static let wakeUpCost: UInt64 = 40_000
    /// When the queues became empty; nil while they are not.
    private var start: Instant?
    private var isWorthwhile = false

    /// Called when the queues were empty: whether the worker polls again instead of sleeping.
    mutating func shouldPoll(at now: Instant) -> Bool {
        let began = start ?? now
        start = began
        return isWorthwhile && now < began.advanced(byNanoseconds: Self.maximumPoll)
    }

    /// Called when a queue had a chain: decides whether the next wait is worth polling.
    mutating func end(at now: Instant) {
        guard let began = start.take() else { return }
        // After a sleep the chain is seen late, by the cost of waking up.
        isWorthwhile = now < began.advanced(byNanoseconds: Self.maximumPoll + Self.wakeUpCost)
    }
}
