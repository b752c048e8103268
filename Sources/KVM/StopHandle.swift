// How a thread inside KVM_RUN is made to come out, from any other thread. Kernel: Documentation/virt/kvm/api.rst,
// "KVM_RUN" and kvm_run.immediate_exit.
//
//   who stops                              who runs
//   ---------                              --------
//   1. immediate_exit = 1                  a. thread = my id
//   2. thread known? signal it             b. KVM_RUN: immediate_exit set, or a signal pending: EINTR
//
// Whatever the order, the stop is not lost: before a, b sees 1; after a, 2 sees the thread, and its signal ends b or was
// too early, and then b sees 1. The flag stays set, so every later KVM_RUN returns too, until the runner clears it.

import CKVM
import Glibc
import Synchronization

/// Stops one vCPU. It may be kept and used after the vCPU is gone; then it does nothing.
@safe public final class StopHandle: Sendable {
    /// The area shared with the kernel; mapped for as long as this handle lives.
    nonisolated(unsafe) let run: UnsafeMutablePointer<kvm_run>
    private let size: Int
    /// The kernel's id of the thread that runs the vCPU; 0 before the first run and after the vCPU is gone. An id, since
    /// a signal to a `pthread_t` that has ended is undefined, and one to an old id at worst interrupts a call of another
    /// thread of this process.
    private let thread = Atomic<pid_t>(0)

    init(mapping vcpu: borrowing FileDescriptor, size: Int) throws(KVMError) {
        Self.installHandler
        let mapped = unsafe mmap(nil, size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu.number, 0)
        guard unsafe mapped != MAP_FAILED, let mapped = unsafe mapped else {
            throw KVMError(call: "mmap(kvm_run)", errno: errno)
        }
        unsafe run = mapped.bindMemory(to: kvm_run.self, capacity: 1)
        self.size = size
    }

    deinit { unsafe munmap(run, size) }

    /// Makes the present or the next `run` of the vCPU return `.interrupted`, and every later one until `clear`. Any thread
    /// may ask, at any time.
    public func requestStop() {
        unsafe ckvm_set_immediate_exit(run, 1)
        let thread = thread.load(ordering: .sequentiallyConsistent)
        if thread != 0 { ckvm_tgkill(getpid(), thread, Self.signal) }
    }

    /// Lets the vCPU run again. Only the thread that runs it may call this, and only before it looks at what was asked for:
    /// a stop requested later then stands.
    public func clear() {
        unsafe ckvm_set_immediate_exit(run, 0)
    }

    /// From now on the calling thread is the one to signal, and lets the signal through.
    func adoptCurrentThread() {
        var mask = sigset_t()
        unsafe sigemptyset(&mask)
        unsafe sigaddset(&mask, Self.signal)
        unsafe pthread_sigmask(SIG_UNBLOCK, &mask, nil)
        thread.store(ckvm_gettid(), ordering: .sequentiallyConsistent)
    }

    /// Nobody runs the vCPU any more.
    func abandon() {
        thread.store(0, ordering: .sequentiallyConsistent)
    }

    /// The signal that interrupts KVM_RUN: the first real-time one. Its handler belongs to this module.
    public static let signal: Int32 = __libc_current_sigrtmin()

    /// The handler does nothing, and has no SA_RESTART: that a signal came is what ends KVM_RUN. Installed once.
    private static let installHandler: Void = {
        var action = sigaction()
        unsafe action.__sigaction_handler.sa_handler = { _ in }
        unsafe sigaction(signal, &action, nil)
    }()
}
