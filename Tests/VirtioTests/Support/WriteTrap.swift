// Traps the device's first store to a page of guest memory and runs the driver's code on the device's thread before the
// store completes. This makes a race between two processors deterministic.

import Glibc
import Virtio

/// The protected page and the hook. One per process: tests that set a trap are serialized.
@safe private struct Trap {
    let page: UnsafeMutableRawPointer
    let size: Int
    let hook: () -> Void
}

private nonisolated(unsafe) var trap: Trap?

/// Handler of SIGSEGV: for a store to the protected page, removes the protection and calls the hook. Any other fault
/// crashes the process.
private func segmentationFault(
    _ signal: Int32, _ info: UnsafeMutablePointer<siginfo_t>?, _ context: UnsafeMutableRawPointer?
) {
    guard let trap = unsafe trap, let address = unsafe info?.pointee._sifields._sigfault.si_addr,
        unsafe address >= trap.page && address < trap.page + trap.size
    else {
        _ = Glibc.signal(SIGSEGV, SIG_DFL)
        return
    }
    unsafe mprotect(trap.page, trap.size, PROT_READ | PROT_WRITE)
    trap.hook()
}

extension FakeMemory {
    /// Runs `body`. Calls `hook` before the first store to the page of `address`, which must be in the region at 0.
    /// Returns whether there was such a store.
    func catchStore(at address: UInt64, _ hook: @escaping () -> Void, in body: () -> Void) -> Bool {
        let size = 4096
        guard let page = guest.resolve(address / 4096 * 4096, 4096) else { preconditionFailure("no such page") }
        var caught = false
        unsafe trap = Trap(page: page.base, size: size) {
            caught = true
            hook()
        }
        var action = sigaction()
        var old = sigaction()
        unsafe action.__sigaction_handler.sa_sigaction = segmentationFault
        action.sa_flags = SA_SIGINFO | Int32(bitPattern: UInt32(SA_NODEFER))
        unsafe sigaction(SIGSEGV, &action, &old)
        let closed = unsafe mprotect(page.base, size, PROT_READ)
        precondition(closed == 0, "the region is not made of pages")
        body()
        unsafe mprotect(page.base, size, PROT_READ | PROT_WRITE)
        unsafe sigaction(SIGSEGV, &old, nil)
        unsafe trap = nil
        return caught
    }
}
