// The host ends of console ports whose peers connect and disconnect: sockets and pseudo-terminals.

import Glibc
import Testing

@testable import Machine

@Suite struct ConsolePortTests {
    private let path = "/tmp/vmm-port-\(getpid())-\(UInt64.random(in: 0 ... .max))"

    /// Waits until `descriptor` is readable; at most ten seconds.
    private func awaitReadable(_ descriptor: Int32?) -> Bool {
        guard let descriptor else { return false }
        var state = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return unsafe poll(&state, 1, 10_000) == 1
    }

    private func send(_ text: String, to descriptor: Int32) -> Bool {
        let bytes = Array(text.utf8)
        return unsafe bytes.withUnsafeBytes { unsafe write(descriptor, $0.baseAddress, $0.count) } == bytes.count
    }

    private func receive(from descriptor: Int32) -> String {
        guard awaitReadable(descriptor) else { return "nothing received" }
        var bytes = [UInt8](repeating: 0, count: 100)
        let count = unsafe bytes.withUnsafeMutableBytes { unsafe read(descriptor, $0.baseAddress, $0.count) }
        return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
    }

    /// Reads from `port` until it has detected that its peer disconnected.
    private func detectDisconnect(_ port: ConsolePort) -> Bool {
        for _ in 0..<100 where port.isOpen {
            guard awaitReadable(port.input) else { return false }
            _ = port.read(100)
        }
        return !port.isOpen
    }

    /// Connects two peers with `connect`, one after the other; output between them is dropped.
    private func connectTwice(_ port: ConsolePort, connect: () -> Int32) throws {
        for round in 1...2 {
            #expect(!port.isOpen && port.input == nil && port.output == nil)
            #expect(port.write(Array("lost".utf8)[...]) == 4, "output without a peer is dropped")
            let peer = connect()
            try #require(peer >= 0, "errno \(errno)")
            try #require(awaitReadable(port.door), "no connection in round \(round)")
            port.admit()
            #expect(port.isOpen && port.door == nil)

            #expect(port.write(Array("to the peer".utf8)[...]) == 11)
            #expect(receive(from: peer) == "to the peer")
            #expect(send("from the peer", to: peer) && awaitReadable(port.input))
            #expect(String(decoding: port.read(100), as: UTF8.self) == "from the peer")
            close(peer)
            #expect(detectDisconnect(port), "the port did not detect that the peer disconnected in round \(round)")
        }
    }

    @Test("A socket serves one client after the other, and is removed at the end") func socketPort() throws {
        do {
            let port = try ConsolePort(.unix(path), name: "test")
            try connectTwice(port) {
                let client = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
                var address = sockaddr_un()
                address.sun_family = sa_family_t(AF_UNIX)
                unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: path.utf8) }
                let size = socklen_t(MemoryLayout<sockaddr_un>.size)
                let result = unsafe withUnsafePointer(to: &address) {
                    unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe connect(client, $0, size) }
                }
                return result == 0 ? client : -1
            }
        }
        #expect(unsafe access(path, F_OK) == -1)
    }

    @Test("A pseudo-terminal serves one peer after the other") func terminalPort() throws {
        let terminal = try PseudoTerminal()
        #expect(!terminal.isOpenedNow(), "\(terminal.path) is not open yet")
        let port = ConsolePort(terminal)
        try connectTwice(port) { unsafe open(terminal.path, O_RDWR | O_NOCTTY) }
    }

    @Test("When the reader is gone, output is dropped and the port stays usable", arguments: [true, false])
    func closedPipe(isSocket: Bool) throws {
        var ends: [Int32] = [-1, -1]
        let made = unsafe isSocket ? socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) : pipe(&ends)
        try #require(made == 0)
        _ = signal(SIGPIPE, SIG_IGN)
        let port = try ConsolePort(.descriptors(input: nil, output: ends[1]), name: "test")
        close(ends[0])
        #expect(port.write([1, 2, 3]) == 3 && port.output == nil)
        #expect(port.write([4]) == 1)
        close(ends[1])
    }
}
