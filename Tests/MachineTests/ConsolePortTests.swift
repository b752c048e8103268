// The host ends of console ports at which people come and go: sockets and pseudo-terminals.

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
        guard awaitReadable(descriptor) else { return "nothing came" }
        var bytes = [UInt8](repeating: 0, count: 100)
        let count = unsafe bytes.withUnsafeMutableBytes { unsafe read(descriptor, $0.baseAddress, $0.count) }
        return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
    }

    /// Reads from `port` until `peer` has left and the port has noticed.
    private func noticeLeaving(_ port: ConsolePort) -> Bool {
        for _ in 0..<100 where port.isOpen {
            guard awaitReadable(port.input) else { return false }
            _ = port.read(100)
        }
        return !port.isOpen
    }

    /// Two users, one after the other, at an end that `enter` opens; what is written between them is dropped.
    private func comeAndGo(_ port: ConsolePort, enter: () -> Int32) throws {
        for round in 1...2 {
            #expect(!port.isOpen && port.input == nil && port.output == nil)
            #expect(port.write(Array("lost".utf8)[...]) == 4, "output to nobody is dropped")
            let peer = enter()
            try #require(peer >= 0, "errno \(errno)")
            try #require(awaitReadable(port.door), "nobody at the door in round \(round)")
            port.admit()
            #expect(port.isOpen && port.door == nil)

            #expect(port.write(Array("to the peer".utf8)[...]) == 11)
            #expect(receive(from: peer) == "to the peer")
            #expect(send("from the peer", to: peer) && awaitReadable(port.input))
            #expect(String(decoding: port.read(100), as: UTF8.self) == "from the peer")
            close(peer)
            #expect(noticeLeaving(port), "the peer left in round \(round), and the port does not know")
        }
    }

    @Test("A socket serves one client after the other, and is removed at the end") func socketPort() throws {
        do {
            let port = try ConsolePort(.unix(path), name: "test")
            try comeAndGo(port) {
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

    @Test("A pseudo-terminal serves one user after the other") func terminalPort() throws {
        let terminal = try PseudoTerminal()
        #expect(!terminal.isOpenedNow(), "nobody has opened \(terminal.path)")
        let port = ConsolePort(terminal)
        try comeAndGo(port) { unsafe open(terminal.path, O_RDWR | O_NOCTTY) }
    }

    @Test("A reader that goes away takes the output with it, and nothing else", arguments: [true, false])
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
