// Threads for what may take its time: requests that the device's own thread would have to wait for. They are started when they are
// first needed, and there are few.

import Glibc

/// A few threads and the requests that wait for them.
final class BlockingIOPool: @unchecked Sendable {
    private static let maximumThreads = 4

    private let name: String
    private let perform: @Sendable (BatchedRequest) -> Void
    private let lock = Lock()

    // Under the lock:
    private var waiting: [BatchedRequest] = []
    private var idle = 0
    private var threads = 0
    private var stopping = false

    /// Threads that are called `name` and carry requests out by `perform`.
    init(_ name: String, perform: @escaping @Sendable (BatchedRequest) -> Void) {
        self.name = name
        self.perform = perform
    }

    /// Hands `request` to a thread; false if the host has none for us.
    func add(_ request: BatchedRequest) -> Bool {
        lock.locked {
            if idle <= waiting.count, threads < Self.maximumThreads, (try? start()) == nil, threads == 0 {
                return false
            }
            waiting.append(request)
            lock.broadcast()
            return true
        }
    }

    /// Waits until every request is done and every thread has ended.
    func stop() {
        lock.locked {
            stopping = true
            lock.broadcast()
            while threads > 0 { lock.wait() }
        }
    }

    private func start() throws(MachineError) {
        try Thread(name) { [self] in serve() }.detach()
        threads += 1
    }

    private func serve() {
        while let request = next() { perform(request) }
    }

    private func next() -> BatchedRequest? {
        lock.locked {
            idle += 1
            while waiting.isEmpty, !stopping { lock.wait() }
            idle -= 1
            guard waiting.isEmpty else { return waiting.removeFirst() }
            threads -= 1
            lock.broadcast()
            return nil
        }
    }
}
