// A pthread with a name. Every signal but the vCPU's own is blocked in it, so that signals find the thread that waits for
// them.

import CLinux
import Glibc

/// A running thread, to be joined or detached, once.
struct Thread: ~Copyable {
    private let handle: pthread_t

    /// Starts `body` in a thread that shows as `name` (15 bytes at most) in ps and gdb.
    init(_ name: String, _ body: @escaping @Sendable () -> Void) throws(MachineError) {
        var everything = sigset_t()
        var before = sigset_t()
        unsafe sigfillset(&everything)
        // A fault of ours must find its handler, which puts the terminal back.
        for fault in [SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT] { unsafe sigdelset(&everything, fault) }
        unsafe pthread_sigmask(SIG_SETMASK, &everything, &before)
        defer { unsafe pthread_sigmask(SIG_SETMASK, &before, nil) }

        let start = unsafe Unmanaged.passRetained(
            Body {
                Self.setName(name)
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

    /// Names the calling thread. A wish: the name is for people.
    private static func setName(_ name: String) {
        let file = unsafe open("/proc/thread-self/comm", O_WRONLY | O_CLOEXEC)
        guard file >= 0 else { return }
        var bytes = Array(name.utf8)
        unsafe write(file, &bytes, bytes.count)
        close(file)
    }

    /// What the calling thread is called.
    static var currentName: String {
        unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 16) { buffer in
            guard let base = buffer.baseAddress, unsafe clinux_thread_name(base) == 0 else { return "" }
            return unsafe String(cString: base)
        }
    }

    /// Waits until the thread has ended.
    consuming func join() { pthread_join(handle, nil) }

    /// Lets it run on by itself.
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
