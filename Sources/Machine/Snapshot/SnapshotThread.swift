// The thread that takes snapshots. It is there from the start: in the sandbox none can be started later, and no other thread opens files. A
// device's thread may ask for a snapshot, which it could not take itself.

import Glibc

/// Takes snapshots of a machine, one after the other, for other threads.
final class SnapshotThread: @unchecked Sendable {
    /// It stops this thread before it is gone.
    private unowned let machine: Machine
    private var thread: Thread?
    /// `/proc/self/pagemap`, which the sandbox does not let be opened later; negative if there is none.
    let pageMap = unsafe open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC)

    private let lock = Lock()
    // Under the lock:
    private var wanted: (folder: String, isAwaited: Bool)?
    private var result: Result<Machine.SnapshotReport, MachineError>?
    private var isStopping = false

    init(_ machine: Machine) { self.machine = machine }

    deinit { if pageMap >= 0 { close(pageMap) } }

    func start() throws(MachineError) { thread = try Thread("snapshot", .snapshot) { [self] in serve() } }

    /// Ends the thread, after a snapshot that is wanted.
    func stop() {
        lock.locked {
            isStopping = true
            lock.broadcast()
        }
        thread.take()?.join()
    }

    /// Has a snapshot taken, and waits for it.
    func take(_ folder: String) throws(MachineError) -> Machine.SnapshotReport {
        try lock.locked { () throws(MachineError) in
            while wanted != nil || result != nil { lock.wait() }
            guard !isStopping else { throw .control("there is no snapshot: the guest has ended") }
            wanted = (folder, true)
            lock.broadcast()
            while result == nil { lock.wait() }
            defer { lock.broadcast() }
            guard let result = result.take() else { preconditionFailure("no result") }
            return try result.get()
        }
    }

    /// Has a snapshot taken soon, unless one is under way; the user is told of it.
    func request(_ folder: String) {
        lock.locked {
            guard wanted == nil else { return }
            wanted = (folder, false)
            lock.broadcast()
        }
    }

    private func serve() {
        while let (folder, isAwaited) = lock.locked({ next() }) {
            let new = Result { () throws(MachineError) in try machine.snapshot(to: folder, pageMap: pageMap) }
            if !isAwaited { Log.say(new.sentence(folder)) }
            lock.locked {
                wanted = nil
                if isAwaited { result = new }
                lock.broadcast()
            }
        }
    }

    /// Waits for what is wanted; nil at the end. With the lock held.
    private func next() -> (folder: String, isAwaited: Bool)? {
        while wanted == nil && !isStopping { lock.wait() }
        return wanted
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
