import Glibc
import Synchronization
import Testing

@testable import Machine

@Suite("Syncs that callers share") struct SharedSyncTests {
    /// What the threads of a test write and sync.
    final class File: Sendable {
        let syncs = SharedSync()
        let written = Atomic(0)
        let running = Atomic(0)
        let count = Atomic(0)
        let overlaps = Atomic(0)
        let durable = Atomic(0)
        /// Writes that were not durable after the caller's sync.
        let lost = Atomic(0)

        func writeAndSync(failing: Int? = nil) -> Int32 {
            let own = written.add(1, ordering: .sequentiallyConsistent).newValue
            let result = syncs.run {
                let content = written.load(ordering: .sequentiallyConsistent)
                if running.add(1, ordering: .sequentiallyConsistent).newValue > 1 {
                    overlaps.add(1, ordering: .sequentiallyConsistent)
                }
                sched_yield()
                let number = count.add(1, ordering: .sequentiallyConsistent).newValue
                running.subtract(1, ordering: .sequentiallyConsistent)
                guard number != failing else { return EIO }
                durable.store(content, ordering: .sequentiallyConsistent)
                return 0
            }
            if result == 0, durable.load(ordering: .sequentiallyConsistent) < own {
                lost.add(1, ordering: .sequentiallyConsistent)
            }
            return result
        }
    }

    /// `calls` from each of `threads` threads.
    private func race(_ calls: Int, threads: Int = 8, on file: File) throws {
        guard threads > 0 else { return }
        let thread = try Thread("syncing") { for _ in 0..<calls { _ = file.writeAndSync() } }
        let others = Result { try race(calls, threads: threads - 1, on: file) }
        thread.join()
        try others.get()
    }

    @Test("Each caller's writes are durable, one sync runs at a time, and callers share one")
    func sharing() throws {
        let file = File()
        try race(1000, on: file)
        #expect(file.lost.load(ordering: .relaxed) == 0 && file.overlaps.load(ordering: .relaxed) == 0)
        #expect(file.count.load(ordering: .relaxed) < file.written.load(ordering: .relaxed))
    }

    @Test("One caller after another gets a sync each")
    func alone() {
        let file = File()
        for calls in 1...3 {
            #expect(file.writeAndSync() == 0)
            #expect(file.count.load(ordering: .relaxed) == calls)
        }
    }

    @Test("After one that failed there are none")
    func failure() {
        let file = File()
        #expect(file.writeAndSync(failing: 2) == 0 && file.writeAndSync(failing: 2) == EIO)
        #expect(file.writeAndSync() == EIO && file.count.load(ordering: .relaxed) == 2)
    }
}
