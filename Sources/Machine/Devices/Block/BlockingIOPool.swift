// A pool of few threads for requests that would block the device's own threads. The threads start when they are first needed.

import Glibc

/// Performs requests that may block, in threads of its own.
final class BlockingIOPool: @unchecked Sendable {
    private static let maximumThreads = 4

    private let name: String
    private let perform: @Sendable ([BatchedRequest]) -> Void
    private let lock = Lock()

    // Under the lock:
    private var waiting: [BatchedRequest] = []
    private var idle = 0
    private var threads = 0
    private var stopping = false

    /// Makes a pool without threads; they will be named `name` and call `perform` for each request, or for all flushes that wait.
    init(_ name: String, perform: @escaping @Sendable ([BatchedRequest]) -> Void) {
        self.name = name
        self.perform = perform
    }

    /// Queues `request` for a thread; false if there is no thread and the host refuses one.
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
        while let requests = next() { perform(requests) }
    }

    /// Takes the oldest request, with every other flush if it is one; nil if the thread is to end.
    private func next() -> [BatchedRequest]? {
        lock.locked {
            idle += 1
            while waiting.isEmpty, !stopping { lock.wait() }
            idle -= 1
            guard !waiting.isEmpty else {
                threads -= 1
                lock.broadcast()
                return nil
            }
            let first = waiting.removeFirst()
            guard first.isFlush else { return [first] }
            defer { waiting.removeAll { $0.isFlush } }
            return [first] + waiting.filter { $0.isFlush }
        }
    }
}
