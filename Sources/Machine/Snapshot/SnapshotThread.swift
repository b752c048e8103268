// The thread that takes snapshots, and begins and ends traces. It is there from the start: in the sandbox no other thread opens files. A
// device's thread may ask for a snapshot, which it could not take itself.

import Glibc

/// Does jobs for which files are opened, one after the other, for other threads.
final class SnapshotThread: @unchecked Sendable {
    /// It stops this thread before it is gone.
    private unowned let machine: Machine
    private var thread: Thread?
    /// `/proc/self/pagemap`, which the sandbox does not let be opened later; negative if there is none.
    let pageMap = unsafe open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC)

    private let lock = Lock()
    // Under the lock:
    private var job: (@Sendable () -> Void)?
    private var isStopping = false

    init(_ machine: Machine) { self.machine = machine }

    deinit { if pageMap >= 0 { close(pageMap) } }

    func start() throws(MachineError) { thread = try Thread("snapshot", .snapshot) { [self] in serve() } }

    /// Ends the thread, after its job.
    func stop() {
        lock.locked {
            isStopping = true
            lock.broadcast()
        }
        thread.take()?.join()
    }

    /// Has `body` called, and waits for it.
    func perform<Value: Sendable>(
        _ body: @escaping @Sendable () throws(MachineError) -> Value
    ) throws(MachineError) -> Value {
        nonisolated(unsafe) var result: Result<Value, MachineError>?
        return try lock.locked { () throws(MachineError) in
            while job != nil { lock.wait() }
            guard !isStopping else { throw .control("the guest has ended") }
            job = { [lock] in
                let new = Result { () throws(MachineError) in try body() }
                lock.locked { unsafe result = new }
            }
            lock.broadcast()
            while true {
                if let result = unsafe result { return try result.get() }
                lock.wait()
            }
        }
    }

    /// Has a snapshot taken soon, unless there is a job; the user is told of it.
    func requestSnapshot(_ folder: String) {
        lock.locked {
            guard job == nil else { return }
            job = { [unowned machine, pageMap] in
                let result = Result { () throws(MachineError) in try machine.snapshot(to: folder, pageMap: pageMap) }
                Log.say(result.sentence(folder))
            }
            lock.broadcast()
        }
    }

    private func serve() {
        while let job = lock.locked({ next() }) {
            job()
            lock.locked {
                self.job = nil
                lock.broadcast()
            }
        }
    }

    /// Waits for a job; nil at the end. With the lock held.
    private func next() -> (@Sendable () -> Void)? {
        while job == nil && !isStopping { lock.wait() }
        return job
    }
}

extension Result<Machine.SnapshotReport, MachineError> {
    fileprivate func sentence(_ folder: String) -> String {
        switch self {
        case .success(let report):
            "snapshot \(folder): \(report.bytes >> 20) MiB of memory, the guest stood still for \(report.stopped.milliseconds) ms"
        case .failure(let error): error.description
        }
    }
}
