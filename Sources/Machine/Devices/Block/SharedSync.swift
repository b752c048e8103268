// Syncs of one file that several threads share. No file: the caller supplies the sync.

/// Performs one sync at a time. A caller is served by a sync that began after its call, which may be that of another: what was written
/// before both calls is durable after it.
final class SharedSync: @unchecked Sendable {
    private let lock = Lock()

    // Under the lock:
    /// How many syncs began and ended; one is under way where they differ.
    private var (begun, ended): (UInt64, UInt64) = (0, 0)
    private var failure: Int32 = 0

    /// Returns 0 after a sync that began after this call, or the errno of the first sync that failed: after it there are none.
    func run(_ sync: () -> Int32) -> Int32 {
        let begins = lock.locked {
            let needed = begun + 1
            while failure == 0, ended < needed, begun > ended { lock.wait() }
            guard failure == 0, ended < needed else { return false }
            begun += 1
            return true
        }
        let number = begins ? sync() : 0
        return lock.locked {
            if begins {
                (ended, failure) = (begun, number)
                lock.broadcast()
            }
            return failure
        }
    }
}
