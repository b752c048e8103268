// A place in guest memory at which the device can be caught in the middle of a step: the first store to it runs the
// driver's code, on the device's own thread, before the store is done. What two processors do in a race happens here
// in one order, always.

import Glibc
import Virtio

/// The page that is watched, and what to do. One at a time in the whole process: tests that set a trap are serialized.
@safe private struct Trap {
    let page: UnsafeMutableRawPointer
    let size: Int
    let hook: () -> Void
}

private nonisolated(unsafe) var trap: Trap?

/// The handler of SIGSEGV: a store to the watched page is let through, after the hook. Anything else is a crash, as
/// ever.
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
    /// Runs `body`; at its first store to the page of `address`, which is in the region at 0, `hook` runs first. True
    /// if there was such a store.
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
