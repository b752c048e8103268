// A process of a sweep: its console and its standard error are pipes, it has a process group of its own, and no other descriptor.

import CLinux
import Glibc

/// A running process and what it has printed.
final class SweepProcess {
    private let process: pid_t
    /// The read ends of its standard output's and its standard error's pipes; -1 once that has ended.
    private(set) var outputs: [2 of Int32] = [-1, -1]
    /// The file that gets all of its output; -1 for none.
    private let log: Int32
    /// The error of the first write to the log that failed.
    private(set) var logError: Int32 = 0
    private var verdict: SweepVerdict
    let start = Instant.now
    /// When it is killed, and whether it was, because of its time.
    var deadline: Instant
    private var isOverdue = false

    /// Starts this program with `arguments`, to be killed after `limit`.
    init(_ arguments: [String], _ plan: SweepPlan, limit: Duration, log: Int32) throws(MachineError) {
        var ends: [2 of Int32] = [-1, -1]
        for index in outputs.indices {
            let result = unsafe clinux_pipe(&outputs[index], &ends[index])
            guard result == 0 else { throw .host("no pipe for a cell", errno: -result) }
        }
        var error: Int32 = 0
        (process, error) = Self.spawn(arguments, ends)
        for index in ends.indices { close(ends[index]) }
        guard error == 0 else { throw .host("no process for a cell", errno: error) }
        (self.log, verdict, deadline) = (log, SweepVerdict(plan), start.advanced(by: limit))
    }

    deinit { for index in outputs.indices where outputs[index] >= 0 { close(outputs[index]) } }

    /// Starts this program anew, with no signal blocked or ignored. Returns its id, or an errno.
    private static func spawn(_ arguments: [String], _ outputs: [2 of Int32]) -> (pid_t, Int32) {
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        unsafe posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        for index in outputs.indices {
            unsafe posix_spawn_file_actions_adddup2(&actions, outputs[index], Int32(index + 1))
        }
        var attributes = posix_spawnattr_t()
        var (none, all) = (sigset_t(), sigset_t())
        unsafe sigemptyset(&none)
        unsafe sigfillset(&all)
        unsafe posix_spawnattr_init(&attributes)
        unsafe posix_spawnattr_setsigmask(&attributes, &none)
        unsafe posix_spawnattr_setsigdefault(&attributes, &all)
        let flags = POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF
        unsafe posix_spawnattr_setflags(&attributes, Int16(flags))
        var words = unsafe (["vmm"] + arguments).map { unsafe strdup($0) } + [nil]
        var process: pid_t = 0
        clinux_close_rest_on_exec()
        let error = unsafe posix_spawn(&process, "/proc/self/exe", &actions, &attributes, &words, environ)
        for index in unsafe words.indices { unsafe free(words[index]) }
        unsafe posix_spawn_file_actions_destroy(&actions)
        return (process, error)
    }

    /// Sends a signal to the process and those that it started.
    func send(_ signal: Int32) { kill(-process, signal) }

    /// Kills it once its time is over.
    func checkDeadline() {
        guard deadline <= .now, !isOverdue else { return }
        isOverdue = true
        send(SIGKILL)
    }

    /// Reads what output `index` has; closes it at its end.
    func read(_ index: Int) {
        var bytes = [UInt8](repeating: 0, count: 64 << 10)
        let count = unsafe Glibc.read(outputs[index], &bytes, bytes.count)
        if count < 0, errno == EINTR { return }
        bytes.removeSubrange(max(0, count)...)
        if bytes.isEmpty {
            close(outputs[index])
            outputs[index] = -1
        }
        if index == 0 { verdict.readConsole(bytes) } else { verdict.readErrors(bytes) }
        errno = ENOSPC
        if log >= 0, unsafe write(log, bytes, bytes.count) != bytes.count, logError == 0 { logError = errno }
    }

    /// Whether both outputs have ended, which is when the process ends.
    var hasEnded: Bool { outputs[0] < 0 && outputs[1] < 0 }

    /// Waits for the end of the process. Returns why it failed, and the last output of its console.
    func wait() -> (reasons: [String], console: [UInt8]) {
        var status: Int32 = 0
        while unsafe waitpid(process, &status, 0) < 0, errno == EINTR {}
        // What it started and left behind.
        send(SIGKILL)
        if log >= 0 { close(log) }
        let reasons = verdict.reasons(status: status, isOverdue: isOverdue)
        var tail = verdict.tail
        return (reasons, tail.takeAll().dropLast())
    }
}
