// A qtest session over a socket: clients that connect, disconnect, send half a line or never read; socket paths that
// are in use, stale or too long.

import Glibc
import Synchronization
import Testing

@testable import Machine

/// A client's connected socket.
private final class Connection: Sendable {
    private let descriptor: Int32

    /// Connects to `path` as soon as the server listens there; fails after ten seconds.
    init(to path: String) throws {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: path.utf8) }
        descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        let deadline = Instant.now.advanced(by: .seconds(10))
        let size = socklen_t(MemoryLayout<sockaddr_un>.size)
        while unsafe withUnsafePointer(
            to: &address,
            {
                unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe connect(descriptor, $0, size) }
            }) != 0
        { try #require(Instant.now < deadline, "timed out; no server listens at \(path): \(reason(errno))") }
    }

    deinit { close(descriptor) }

    func send(_ text: String) { send(Array(text.utf8)) }
    /// Sends bytes. Returns false if not all of them were sent.
    @discardableResult
    func send(_ bytes: [UInt8], _ flags: Int32 = Int32(MSG_NOSIGNAL)) -> Bool {
        unsafe bytes.withUnsafeBytes { unsafe Glibc.send(descriptor, $0.baseAddress, $0.count, flags) } == bytes.count
    }

    /// Reads until there are `count` lines or the peer has closed the connection; fails after ten seconds.
    func lines(_ count: Int) throws -> [String] {
        var text: [UInt8] = []
        let deadline = Instant.now.advanced(by: .seconds(10))
        while text.count(where: { $0 == UInt8(ascii: "\n") }) < count {
            var ready = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            try #require(
                unsafe poll(&ready, 1, deadline.millisecondsLeft) > 0, "\(String(decoding: text, as: UTF8.self))")
            var piece = [UInt8](repeating: 0, count: 4096)
            let received = unsafe read(descriptor, &piece, piece.count)
            guard received > 0 else { break }
            text += piece.prefix(received)
        }
        return String(decoding: text, as: UTF8.self).split(separator: "\n").map { String($0) }
    }
}

/// A qtest machine that serves a socket in its own thread.
private final class TestServer: Sendable {
    let machine: QTestMachine
    let path = "/tmp/vmm-qtest-\(getpid())-\(UInt64.random(in: 0 ... .max))"
    private let outcome = Mutex<Machine.Outcome?>(nil)

    init(timeout: Duration = .seconds(60)) throws {
        var configuration = Machine.Configuration()
        configuration.reportsViolations = false
        machine = try QTestMachine(configuration)
        try machine.open(.unix(path))
        try Thread("qtest server") { [self] in
            let end = try? machine.run(timeout: timeout)
            outcome.withLock { $0 = end }
        }.detach()
    }

    /// Waits for the run's outcome; fails after ten seconds.
    func waitForEnd() throws -> Machine.Outcome {
        let deadline = Instant.now.advanced(by: .seconds(10))
        while true {
            if let end = outcome.withLock({ $0 }) { return end }
            try #require(Instant.now < deadline, "timed out; the run did not end")
        }
    }
}

@Suite(.serialized) struct QTestServerTests {
    private func exists(_ path: String) -> Bool { unsafe access(path, F_OK) == 0 }

    @Test("lines are answered, however they are split, and the client's disconnect ends the run")
    func session() throws {
        let server = try TestServer()
        var client: Connection? = try Connection(to: server.path)
        client?.send("endian")
        client?.send("ness\nreadb 0\n")
        #expect(try client?.lines(2) == ["OK little", "OK 0x0000000000000000"])
        client?.send(String(repeating: "readw 2\n", count: 1000))
        #expect(try client?.lines(1000) == [String](repeating: "OK 0x0000000000000000", count: 1000))
        client?.send("not answered")
        client = nil
        #expect(try server.waitForEnd() == .clientLeft && !exists(server.path))
    }

    @Test("a line that is too long gets an error, and the next one is answered")
    func tooLong() throws {
        let server = try TestServer()
        let client = try Connection(to: server.path)
        for _ in 0..<100 { client.send([UInt8](repeating: UInt8(ascii: "z"), count: 1 << 16)) }
        client.send("\nendianness\n")
        #expect(try client.lines(2) == ["FAIL the line is too long", "OK little"])
        // The longest valid line.
        let bytes = "0x" + String(repeating: "ab", count: 1 << 20)
        client.send("write 0 0x100000 \(bytes)\nreadl 0xffffc\nwrite 0 0x100000 \(bytes) \(bytes)\n")
        #expect(try client.lines(3) == ["OK", "OK 0x00000000abababab", "FAIL the line is too long"])
    }

    @Test("a second client is refused, and the first stays connected")
    func secondClient() throws {
        let server = try TestServer()
        let first = try Connection(to: server.path)
        first.send("endianness\n")
        #expect(try first.lines(1) == ["OK little"])
        let second = try Connection(to: server.path)
        #expect(try second.lines(2) == ["FAIL another client is connected"])
        first.send("endianness\n")
        #expect(try first.lines(1) == ["OK little"])
    }

    @Test("a client that sends requests and never reads is not served further, and the machine can still be stopped")
    func neverReads() throws {
        let server = try TestServer()
        let client = try Connection(to: server.path)
        client.send("endianness\n")
        #expect(try client.lines(1) == ["OK little"])
        let request = Array("b64read 0 0x100000\n".utf8)
        var sent = 0
        // Each answer is larger than a socket's buffer, so the server stops reading, and the socket fills with lines.
        let deadline = Instant.now.advanced(by: .seconds(10))
        while client.send(request, Int32(MSG_NOSIGNAL | MSG_DONTWAIT)) {
            sent += 1
            try #require(Instant.now < deadline, "timed out; the server still reads after \(sent) lines")
        }
        #expect(server.machine.stop(signal: 15) && !server.machine.stop(signal: 2))
        #expect(try server.waitForEnd() == .stopped(signal: 15) && !exists(server.path))
    }

    @Test("the run times out, with a client and without one", arguments: [true, false])
    func timeout(connected: Bool) throws {
        let server = try TestServer(timeout: .milliseconds(200))
        let client = connected ? try Connection(to: server.path) : nil
        #expect(try server.waitForEnd() == .timedOut && !exists(server.path))
        withExtendedLifetime(client) {}
    }

    @Test("a write to the debug-exit port ends the run, after its answer")
    func powerOff() throws {
        let server = try TestServer()
        let client = try Connection(to: server.path)
        client.send("outb 0xf4 3\nendianness\n")
        #expect(try client.lines(2) == ["OK"])
        #expect(try server.waitForEnd() == .debugExit(3))
    }

    // MARK: Names

    private func problem(_ path: String) -> MachineError.SocketProblem? {
        do throws(MachineError) {
            _ = try UnixListener(path: path)
            return nil
        } catch {
            guard case .socket(_, let problem) = error else { return nil }
            return problem
        }
    }

    @Test("a socket path in use is refused, a stale one is replaced, a file of another kind is left unchanged")
    func names() throws {
        let path = "/tmp/vmm-name-\(getpid())-\(UInt64.random(in: 0 ... .max))"
        defer { unsafe unlink(path) }
        var owner: UnixListener? = try UnixListener(path: path)
        #expect(problem(path) == .inUse && exists(path))
        // A path is stale when its server dies; moving it away keeps the server from removing it.
        let kept = path + ".kept"
        try #require(unsafe rename(path, kept) == 0)
        owner = nil
        #expect(owner == nil && exists(kept))
        try #require(unsafe rename(kept, path) == 0)
        #expect(problem(path) == nil && !exists(path))

        let descriptor = unsafe open(path, O_CREAT | O_WRONLY, 0o600)
        close(descriptor)
        #expect(problem(path) == .notASocket && exists(path))
        #expect(problem("/tmp/" + String(repeating: "n", count: 103)) == .nameTooLong)
        #expect(problem("/tmp/missing-\(getpid())/name") == .failed(errno: ENOENT))
    }

    @Test("a server does not remove the socket of a later server at the same path")
    func replacedName() throws {
        let path = "/tmp/vmm-name-\(getpid())-\(UInt64.random(in: 0 ... .max))"
        var first: UnixListener? = try UnixListener(path: path)
        try #require(unsafe unlink(path) == 0)
        let second = try UnixListener(path: path)
        first = nil
        #expect(first == nil && exists(path))
        withExtendedLifetime(second) {}
    }
}
