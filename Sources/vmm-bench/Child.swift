// A child process of the benchmarks: its standard output is a pipe, its standard error a file, and it always has a
// deadline.

import Glibc

/// The reason why a sample could not be taken.
struct BenchError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// A running child process; `deinit` kills it if it still runs.
struct Child: ~Copyable {
    let process: pid_t
    /// The read end of its standard output's pipe.
    let output: Int32
    private let command: [String]
    private let deadline: ContinuousClock.Instant
    private var hasEnded = false

    /// Linux's F_SETPIPE_SZ, which Swift's Glibc lacks.
    private static let setPipeSize: Int32 = 1031

    /// The file that receives the standard error of every child.
    static let errors = "/tmp/vmm-bench-\(getpid()).stderr"

    /// Starts `command`; its first word is a path or is searched in PATH.
    init(_ command: [String], deadline: Duration = .seconds(30)) throws(BenchError) {
        (process, output) = try Self.start(command)
        self.command = command
        self.deadline = ContinuousClock.now + deadline
    }

    private static func start(_ command: [String]) throws(BenchError) -> (pid_t, Int32) {
        var ends: [2 of Int32] = [-1, -1]
        var span = ends.mutableSpan
        guard unsafe span.withUnsafeMutableBufferPointer({ unsafe pipe($0.baseAddress) }) == 0 else {
            throw BenchError("no pipe: \(String(errno: errno))")
        }
        // The largest pipe that is allowed, so that the reader does not limit what is measured.
        _ = fcntl(ends[1], Self.setPipeSize, 1 << 20)
        for index in ends.indices { _ = fcntl(ends[index], F_SETFD, FD_CLOEXEC) }
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        unsafe posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        unsafe posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
        unsafe posix_spawn_file_actions_addopen(&actions, 2, Self.errors, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        var words = unsafe command.map { unsafe strdup($0) } + [nil]
        var process: pid_t = 0
        let error = unsafe posix_spawnp(&process, command[0], &actions, nil, &words, environ)
        for index in unsafe words.indices { unsafe free(words[index]) }
        unsafe posix_spawn_file_actions_destroy(&actions)
        close(ends[1])
        guard error == 0 else {
            close(ends[0])
            throw BenchError("\(command[0]) cannot be started: \(String(errno: error))")
        }
        return (process, ends[0])
    }

    deinit {
        if !hasEnded {
            kill(process, SIGKILL)
            waitpid(process, nil, 0)
        }
        close(output)
    }

    /// Waits for output and reads it into `buffer`. Returns the number of bytes; 0 at the end of the output.
    func read(into buffer: inout [UInt8]) throws(BenchError) -> Int {
        while true {
            var descriptor = pollfd(fd: output, events: Int16(POLLIN), revents: 0)
            guard unsafe poll(&descriptor, 1, try millisecondsLeft()) > 0 else { continue }
            let count = unsafe buffer.withUnsafeMutableBytes { unsafe Glibc.read(output, $0.baseAddress, $0.count) }
            if count >= 0 { return count }
            guard errno == EINTR else {
                throw BenchError("the output of \(command[0]) cannot be read: \(String(errno: errno))")
            }
        }
    }

    /// Reads the rest of the output as text.
    mutating func readToEnd() throws(BenchError) -> String {
        var text: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = try read(into: &buffer)
            if count == 0 { return String(decoding: text, as: UTF8.self) }
            text += buffer[..<count]
        }
    }

    /// Waits until the process ends, and throws unless its exit code is one of `codes`.
    mutating func finish(_ codes: [Int32] = [0]) throws(BenchError) {
        // The pipe reports end of file when the process ends, so no polling for the process is needed.
        var buffer = [UInt8](repeating: 0, count: 4096)
        while try read(into: &buffer) > 0 {}
        var status: Int32 = 0
        while unsafe waitpid(process, &status, 0) < 0, errno == EINTR {}
        hasEnded = true
        let code = status & 0x7f == 0 ? status >> 8 & 0xff : -(status & 0x7f)
        if !codes.contains(code) { throw BenchError("\(command[0]) ended with \(code): \(lastErrorLine)") }
    }

    /// The processor time of all its threads, in seconds, until it is waited for; nil if the host does not tell.
    var processorSeconds: Double? {
        var clock = clockid_t()
        var time = timespec()
        guard unsafe clock_getcpuclockid(process, &clock) == 0, unsafe clock_gettime(clock, &time) == 0 else {
            return nil
        }
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }

    /// Kills the process.
    mutating func stop() {
        kill(process, SIGKILL)
        waitpid(process, nil, 0)
        hasEnded = true
    }

    /// The last line that the process wrote to standard error.
    var lastErrorLine: String {
        String(file: Self.errors).split(separator: "\n").last.map(String.init) ?? "(nothing on standard error)"
    }

    private func millisecondsLeft() throws(BenchError) -> Int32 {
        let left = deadline - .now
        if left <= .zero { throw BenchError("\(command[0]) timed out") }
        return Int32(clamping: left.components.seconds * 1000 + 1)
    }
}

extension String {
    init(errno number: Int32) { self = unsafe String(cString: strerror(number)) }

    /// The content of a file; empty if it cannot be opened.
    init(file path: String) {
        var text: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        while descriptor >= 0 {
            let count = unsafe buffer.withUnsafeMutableBytes { unsafe read(descriptor, $0.baseAddress, $0.count) }
            guard count > 0 else { break }
            text += buffer[..<count]
        }
        close(descriptor)
        self = String(decoding: text, as: UTF8.self)
    }

    /// The first line that a program prints; nil if it cannot be run.
    static func firstLine(of command: [String]) -> String? {
        guard var child = try? Child(command), let text = try? child.readToEnd() else { return nil }
        return text.split(separator: "\n").first.map(String.init)
    }
}

extension Duration {
    var seconds: Double {
        Double(components.seconds) + Double(components.attoseconds) * 1e-18
    }
}
