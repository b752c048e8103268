// What vmm gives up before the guest runs, so that a guest that takes over a thread of it has taken little. In this order:
//
//     Machine.init, all is open     enter:   not dumpable, no new privileges, no capabilities, Landlock; inherited by threads started later
//     each thread, at its start     confine: a filter of its system calls
//     the main thread               confine
//     the vCPUs' threads            awaitOthers, then the first instruction of the guest
//
// A process has one sandbox, so this is global state. Not here: limits of resources, and name spaces, which need rights.

import CLinux
import Glibc
import Synchronization

/// The sandbox of this process.
public enum Sandbox {
    /// Whether there is one.
    public enum Mode: String, CaseIterable, Sendable {
        /// As much as the kernel can.
        case auto
        /// All layers, or no run.
        case on
        /// No sandbox.
        case off
    }

    /// The value of VMM_SANDBOX, the default of --sandbox; nil if it is not set.
    public static var environment: String? { unsafe getenv("VMM_SANDBOX").map { unsafe String(cString: $0) } }

    private static let isEntered = Atomic(false)
    private static let lock = Lock()
    /// Under the lock: threads that are to have a filter and have none yet; they will not all have one.
    private nonisolated(unsafe) static var (unconfined, isGivenUp) = (0, false)
    /// Written by `enter`: the kernel has filters; without them the run ends.
    private nonisolated(unsafe) static var (filters, needsFilters) = (false, false)

    /// Whether threads of this process are in the sandbox.
    static var isOn: Bool { isEntered.load(ordering: .acquiring) }

    /// Puts the calling thread into the sandbox, and with it the threads that it starts from now on. The names of files in `folders`
    /// may still be removed, and files and folders made in the folder `made`. Returns a sentence that says what the sandbox is made of.
    static func enter(
        _ mode: Mode, removingIn folders: [String], making made: String? = nil
    ) throws(MachineError) -> String {
        guard mode != .off else { return "the sandbox is off" }
        func isDone(_ result: Int32, _ what: String) throws(MachineError) -> String? {
            if result == 0 { return nil }
            guard mode == .auto else { throw .sandbox(what, errno: abs(result)) }
            return "\(what) (\(reason(abs(result))))"
        }
        // Each arena takes 64 MiB of addresses, and with the ninth the C library would ask how many processors there are.
        mallopt(M_ARENA_MAX, 4)
        // CAP_DAC_OVERRIDE, for a socket in another user's folder.
        let kept: UInt32 = folders.isEmpty ? 0 : 1 << 1
        _ = Log.descriptor  // a terminal there cannot be opened later
        let version = Landlock.version
        let filterResult = clinux_filter(nil, 0)
        var missing = [
            try isDone(clinux_prctl(PR_SET_DUMPABLE, 0), "dumps cannot be turned off"),
            try isDone(clinux_prctl(PR_SET_NO_NEW_PRIVS, 1), "privileges can be gained"),
            try isDone(clinux_keep_capabilities(kept), "capabilities cannot be dropped"),
            try isDone(
                version < 0 ? version : Landlock.restrict(version, removingIn: folders, making: made),
                "there is no Landlock"),
            try isDone(filterResult, "there are no filters of system calls"),
        ].compactMap(\.self)
        unsafe (filters, needsFilters) = (filterResult == 0, mode == .on)
        let unrestricted = Landlock.additions.filter { version > 0 && version < $0.version }.map(\.what)
        missing +=
            unrestricted.isEmpty ? [] : ["Landlock here does not restrict \(unrestricted.joined(separator: ", "))"]
        lock.locked { unsafe (unconfined, isGivenUp) = (1, false) }
        isEntered.store(true, ordering: .releasing)
        return "the sandbox is on" + (missing.isEmpty ? "" : ", but \(missing.joined(separator: ", "))")
    }

    /// A thread is about to start that will call `confine`; false if it need not, without a sandbox.
    @discardableResult
    static func expectThread() -> Bool {
        if isOn { lock.locked { unsafe unconfined += 1 } }
        return isOn
    }

    /// Filters the system calls of the calling thread, for good.
    static func confine(_ kind: ThreadKind) {
        guard isOn else { return }
        if unsafe filters {
            let number = SeccompFilter(kind.rules(process: UInt32(getpid()))).install()
            if unsafe number != 0 && needsFilters {
                Log.say(
                    "the thread \(Thread.currentName) has no filter of system calls (\(reason(number))); use --sandbox auto"
                )
                exit(1)
            }
        }
        lock.locked {
            unsafe unconfined -= 1
            lock.broadcast()
        }
    }

    /// Waits until every thread so far, the main thread included, is confined; false if the machine is given up before.
    static func awaitOthers() -> Bool {
        guard isOn else { return true }
        return lock.locked {
            while unsafe unconfined > 0 && !isGivenUp { lock.wait() }
            return unsafe !isGivenUp
        }
    }

    /// Ends the waits of `awaitOthers`: a thread could not be started, or the run is over.
    static func giveUp() {
        lock.locked {
            unsafe isGivenUp = true
            lock.broadcast()
        }
    }

    /// Calls `body`, the run of a machine, in a thread of its own, which can enter the sandbox while the caller stays out of it.
    public static func callApart(
        _ body: @escaping @Sendable () throws(MachineError) -> Int32
    ) throws(MachineError) -> Int32 {
        nonisolated(unsafe) var result = Result<Int32, MachineError>.success(1)
        try Thread("vmm") { unsafe result = .init { () throws(MachineError) in try body() } }.join()
        isEntered.store(false, ordering: .releasing)
        _ = clinux_prctl(PR_SET_DUMPABLE, 1)
        return try unsafe result.get()
    }

    // MARK: Ends

    /// Says on standard error why a signal ends the process, if it is in the sandbox; false if it is not. Async-signal-safe.
    static func describeEnd(
        _ number: Int32, _ information: UnsafeMutablePointer<siginfo_t>?, _ context: UnsafeMutableRawPointer?
    ) -> Bool {
        guard isOn, let information = unsafe information, let context = unsafe context else { return false }
        let call = unsafe clinux_trapped_call(information)
        let name = unsafe SystemCallNames.name(of: call)
        unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 16 + 384) { buffer in
            guard let thread = buffer.baseAddress else { return }
            let text = unsafe thread + 16
            unsafe thread[0] = 0
            _ = unsafe clinux_thread_name(thread)
            let count = unsafe name.withMemoryRebound(to: CChar.self) { name in
                unsafe clinux_describe_end(
                    text, 384, thread, call < 0 ? nil : name.baseAddress, Int32(name.count), call < 0 ? number : call,
                    context)
            }
            unsafe write(2, text, Int(min(count, 383)))
        }
        return true
    }
}
