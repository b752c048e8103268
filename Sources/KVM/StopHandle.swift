// Makes KVM_RUN return in another thread. Kernel: Documentation/virt/kvm/api.rst, "KVM_RUN" and kvm_run.immediate_exit.
//
//   stopping thread                        vCPU thread
//   ---------------                        -----------
//   1. immediate_exit = 1                  a. thread = own id
//   2. thread known? signal it             b. KVM_RUN: immediate_exit set, or a signal pending: EINTR
//
// No order loses the stop. If 1 precedes a, b reads immediate_exit = 1. If 2 follows a, 2 signals the thread: the
// signal interrupts b, or it arrives before b, and then b reads immediate_exit = 1. The flag stays set, so every later
// KVM_RUN returns too, until the vCPU thread clears it.

import CKVM
import Glibc
import Synchronization

/// Stops one vCPU. It may outlive the vCPU; then it does nothing.
@safe public final class StopHandle: Sendable {
    /// The area shared with the kernel; mapped for as long as this handle lives.
    nonisolated(unsafe) let run: UnsafeMutablePointer<kvm_run>
    private let size: Int
    /// The kernel's id of the thread that runs the vCPU; 0 before the first run and after the vCPU is destroyed. It is
    /// an id because signalling a `pthread_t` that has ended is undefined, while a signal to a stale id at worst
    /// interrupts a system call of another thread of this process.
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

    /// Makes the current or the next `run` of the vCPU return `.interrupted`, and every later one until `clear`. Any
    /// thread may call this at any time.
    public func requestStop() {
        unsafe ckvm_set_immediate_exit(run, 1)
        let thread = thread.load(ordering: .sequentiallyConsistent)
        if thread != 0 { ckvm_tgkill(getpid(), thread, Self.signal) }
    }

    /// Lets the vCPU run again. Only the vCPU's thread may call this, and only before it reads what was requested: a
    /// stop that is requested later then stays in effect.
    public func clear() {
        unsafe ckvm_set_immediate_exit(run, 0)
    }

    /// The kernel's id of the thread that runs the vCPU; 0 before the first run.
    public var threadID: pid_t { thread.load(ordering: .sequentiallyConsistent) }

    /// Whether the calling thread is the one that runs the vCPU.
    public var isCurrentThread: Bool { threadID == ckvm_gettid() }

    /// Makes the calling thread the one to signal, and unblocks the signal in it.
    func adoptCurrentThread() {
        var mask = sigset_t()
        unsafe sigemptyset(&mask)
        unsafe sigaddset(&mask, Self.signal)
        unsafe pthread_sigmask(SIG_UNBLOCK, &mask, nil)
        thread.store(ckvm_gettid(), ordering: .sequentiallyConsistent)
    }

    /// Called when the vCPU is destroyed: no thread is signalled any more.
    func abandon() {
        thread.store(0, ordering: .sequentiallyConsistent)
    }

    /// The signal that interrupts KVM_RUN: the first real-time signal. This module installs its handler.
    public static let signal: Int32 = __libc_current_sigrtmin()

    /// Installs the handler, once. The handler does nothing, and is installed without SA_RESTART: the signal's arrival
    /// alone ends KVM_RUN.
    private static let installHandler: Void = {
        var action = sigaction()
        unsafe action.__sigaction_handler.sa_handler = { _ in }
        unsafe sigaction(signal, &action, nil)
    }()
}
