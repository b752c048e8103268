// A thread of a device: the queues that are its own, and what wakes it.

import KVM
import Virtio

/// One of a device's threads.
final class Worker: @unchecked Sendable {
    /// From 0. The first does what is nobody's in particular.
    let index: Int
    /// The queues it serves.
    let queues: QueueSet
    /// Wakes it.
    let doorbell: EventFD
    private var thread: Thread?

    /// Worker `index` of `count`: it has every `count`th queue.
    init(index: Int, of count: Int) throws(MachineError) {
        self.index = index
        queues = QueueSet(rawValue: (0..<32).filter { $0 % count == index }.reduce(0) { $0 | 1 << UInt32($1) })
        do throws(KVMError) { doorbell = try EventFD() } catch { throw .kvm(error) }
    }

    /// Starts its thread, called `name`.
    func start(_ name: String, _ body: @escaping @Sendable () -> Void) throws(MachineError) {
        thread = try Thread(name, body)
    }

    /// Waits for the thread's end.
    func join() { thread.take()?.join() }
}
