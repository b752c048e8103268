// A pthread with a name. Signals are blocked in it, so that the thread that serves them receives them; but not a vCPU's own, those of
// faults, and SIGPROF.

import CLinux
import Glibc

/// A running thread, to be joined or detached, once.
struct Thread: ~Copyable {
    private let handle: pthread_t

    /// Starts `body` in a thread that shows as `name` (15 bytes at most) in ps and gdb. In the sandbox it is confined as `kind`: before
    /// `body`, or by it if the kind `confinesItself`. Without a kind it has the confinement of the thread that starts it.
    init(_ name: String, _ kind: ThreadKind? = nil, _ body: @escaping @Sendable () -> Void) throws(MachineError) {
        var everything = sigset_t()
        var before = sigset_t()
        unsafe sigfillset(&everything)
        // A fault must reach its handler, which restores the terminal; by SIGPROF the Swift runtime's pauses the other threads for a
        // backtrace, and waits for them.
        for number in [SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT, SIGSYS, SIGPROF] {
            unsafe sigdelset(&everything, number)
        }
        unsafe pthread_sigmask(SIG_SETMASK, &everything, &before)
        defer { unsafe pthread_sigmask(SIG_SETMASK, &before, nil) }

        // By the sandbox of the thread that starts it, which is the new thread's, and not by one that has come since.
        let isInSandbox = kind != nil && Sandbox.expectThread()
        let start = unsafe Unmanaged.passRetained(
            Body {
                unsafe clinux_set_thread_name(name)
                if isInSandbox, let kind, !kind.confinesItself { Sandbox.confine(kind) }
                body()
            })
        var handle = pthread_t()
        let result = unsafe pthread_create(
            &handle, nil,
            { argument in
                guard let argument = unsafe argument else { return nil }
                unsafe Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            }, start.toOpaque())
        guard result == 0 else {
            unsafe start.release()
            throw .host("no thread for \(name)", errno: result)
        }
        self.handle = handle
    }

    /// The calling thread's name.
    static var currentName: String {
        unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 16) { buffer in
            guard let base = buffer.baseAddress, unsafe clinux_thread_name(base) == 0 else { return "" }
            return unsafe String(cString: base)
        }
    }

    /// Waits until the thread has ended.
    consuming func join() { pthread_join(handle, nil) }

    /// Lets the thread run on; it is not joined.
    consuming func detach() { pthread_detach(handle) }
}

private final class Body: Sendable {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
}

/// The host's processors.
enum Host {
    /// How many this process may run on, 1 at least.
    static var processors: Int { max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }
}
