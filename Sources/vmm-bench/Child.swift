// A program started by the benchmarks: its output through a pipe, its errors in a file, an end in any case.

import Glibc

/// Why a sample could not be taken.
struct BenchError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// A running program, stopped at the latest when this goes away.
struct Child: ~Copyable {
    let process: pid_t
    /// Its standard output.
    let output: Int32
    private let command: [String]
    private let deadline: ContinuousClock.Instant
    private var hasEnded = false

    /// Linux's F_SETPIPE_SZ, which Swift's Glibc leaves out.
    private static let setPipeSize: Int32 = 1031

    /// Where programs leave what they have to say of errors.
    static let errors = "/tmp/vmm-bench-\(getpid()).stderr"

    /// Starts `command`, whose first word is a path or is looked for in PATH.
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
        // A pipe as large as may be: the reader is not what is measured.
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
            throw BenchError("\(command[0]) does not start: \(String(errno: error))")
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

    /// Bytes of output, as many as there are up to the buffer's size; 0 at the end.
    func read(into buffer: inout [UInt8]) throws(BenchError) -> Int {
        while true {
            var descriptor = pollfd(fd: output, events: Int16(POLLIN), revents: 0)
            guard unsafe poll(&descriptor, 1, try millisecondsLeft()) > 0 else { continue }
            let count = unsafe buffer.withUnsafeMutableBytes { unsafe Glibc.read(output, $0.baseAddress, $0.count) }
            if count >= 0 { return count }
            guard errno == EINTR else { throw BenchError("output cannot be read: \(String(errno: errno))") }
        }
    }

    /// The rest of its output as text, to its end.
    mutating func readToEnd() throws(BenchError) -> String {
        var text: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = try read(into: &buffer)
            if count == 0 { return String(decoding: text, as: UTF8.self) }
            text += buffer[..<count]
        }
    }

    /// Waits for its end and expects one of the exit codes.
    mutating func finish(_ codes: [Int32] = [0]) throws(BenchError) {
        // The pipe's end comes with the program's, so that this does not have to poll for it.
        var buffer = [UInt8](repeating: 0, count: 4096)
        while try read(into: &buffer) > 0 {}
        var status: Int32 = 0
        while unsafe waitpid(process, &status, 0) < 0, errno == EINTR {}
        hasEnded = true
        let code = status & 0x7f == 0 ? status >> 8 & 0xff : -(status & 0x7f)
        if !codes.contains(code) { throw BenchError("\(command[0]) ended with \(code): \(complaint)") }
    }

    /// Ends it.
    mutating func stop() {
        kill(process, SIGKILL)
        waitpid(process, nil, 0)
        hasEnded = true
    }

    /// The last line it wrote to standard error.
    var complaint: String {
        String(file: Self.errors).split(separator: "\n").last.map(String.init) ?? "(it said nothing)"
    }

    private func millisecondsLeft() throws(BenchError) -> Int32 {
        let left = deadline - .now
        if left <= .zero { throw BenchError("\(command[0]): no end in time") }
        return Int32(clamping: left.components.seconds * 1000 + 1)
    }
}

extension String {
    init(errno number: Int32) { self = unsafe String(cString: strerror(number)) }

    /// What a file holds; nothing where there is none.
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

    /// The first line a program prints; nil if it cannot be run.
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
