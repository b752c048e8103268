// The links of a network device over Unix sockets.

import Glibc
import Testing
import Virtio
import VirtioABI

@testable import Machine

@Suite("Network links over sockets")
struct SocketLinkTests {
    private func frame(_ seed: UInt8, _ length: Int = 60) -> [UInt8] { (0..<length).map { UInt8($0 % 200) &+ seed } }
    private func path(_ name: String) -> String { "/tmp/vmm-\(name)-\(getpid())" }

    /// Sends a frame, behind a header.
    private func send(_ link: any NetworkBackend, _ frame: [UInt8]) -> FrameResult {
        let bytes = [UInt8](repeating: 0, count: NetworkHeader.size) + frame
        return link.send(bytes.span, pair: 0)
    }

    /// The next frame without its header; nil if there is none.
    private func read(_ link: any NetworkBackend) -> [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: FrameQueue.longest)
        let length = unsafe buffer.withUnsafeMutableBytes { unsafe link.read(pair: 0, into: $0) }
        return length > 0 ? Array(buffer[NetworkHeader.size..<length]) : nil
    }

    @Test("A stream carries frames behind their lengths; a peer that leaves may come back")
    func stream() throws {
        let path = path("net")
        let listener = try UnixListener(path: path)
        let link = try StreamLink(path: path)
        var peer = try #require(listener.accept())
        let bytes = frame(5)
        #expect(send(link, bytes) == .sent && receive(peer, 64) == [0, 0, 0, 60] + bytes)
        // In two parts, and two in one.
        send(peer, [0, 0, 0])
        #expect(read(link) == nil)
        send(peer, [60] + bytes + [0, 0, 0, 60] + bytes)
        for _ in 0..<2 { #expect(read(link) == bytes) }
        close(peer)
        #expect(read(link) == nil && !link.isConnected && send(link, bytes) == .lost)
        link.reconnect()
        peer = try #require(listener.accept())
        #expect(link.isConnected && send(link, bytes) == .sent)
        send(peer, [255, 255, 255, 255])
        #expect(read(link) == nil && !link.isConnected)
        close(peer)
    }

    @Test("A peer that does not read makes the device wait; no frame is lost or cut")
    func backPressure() throws {
        let path = path("net-full")
        let listener = try UnixListener(path: path)
        let link = try StreamLink(path: path)
        let peer = try #require(listener.accept())
        let bytes = frame(5, 60_000)
        var (sent, received): (Int, [UInt8]) = (0, [])
        while sent < 100, send(link, bytes) == .sent { sent += 1 }
        #expect(sent < 100)
        let total = sent + 3
        while received.count < total * 60_004 {
            received += receive(peer, 100_000)
            if sent < total, send(link, bytes) == .sent { sent += 1 }
        }
        let one = [0, 0, 0xea, 0x60] + bytes
        #expect(received == (0..<total).flatMap { _ in one })
        close(peer)
    }

    @Test("Many frames that come at once are read whole, however they are cut")
    func cutStream() throws {
        let path = path("net-cut")
        let listener = try UnixListener(path: path)
        let link = try StreamLink(path: path)
        let peer = try #require(listener.accept())
        let frames = (0..<60).map { frame(UInt8($0), 14 + $0 * 211 % 60_000) }
        var stream: ArraySlice<UInt8> = []
        for frame in frames {
            stream += [0, 0, UInt8(frame.count >> 8), UInt8(truncatingIfNeeded: frame.count)] + frame
        }
        var got = 0
        while got < frames.count {
            let count = unsafe stream.prefix(70_001).withUnsafeBytes { unsafe write(peer, $0.baseAddress, $0.count) }
            if count > 0 { stream.removeFirst(count) }
            while got < frames.count, let next = read(link) {
                #expect(next == frames[got], "frame \(got)")
                got += 1
            }
        }
        close(peer)
    }

    @Test("Datagrams are frames; two ends with names find each other in either order, and again")
    func datagrams() throws {
        let (first, second) = (path("dgram-a"), path("dgram-b"))
        let early = try DatagramLink(path: second, local: first)
        #expect(!early.isConnected && send(early, frame(1)) == .lost)
        var late: DatagramLink? = try DatagramLink(path: first, local: second)
        early.reconnect()
        #expect(early.isConnected && send(early, frame(2, 9000)) == .sent)
        #expect(late.map { read($0) } == .some(frame(2, 9000)) && late.map { read($0) } == .some(nil))
        #expect(late.map { send($0, frame(3)) } == .sent && read(early) == frame(3))
        // A full receiver makes the device wait.
        var sent = 0
        while sent < 1000, send(early, frame(4)) == .sent { sent += 1 }
        #expect(sent < 1000 && send(early, frame(4)) == .wouldBlock && early.isConnected)
        late = nil
        #expect(send(early, frame(5)) == .lost && !early.isConnected)
        let isThere = unsafe access(second, F_OK) == 0
        #expect(!isThere)
        late = try DatagramLink(path: first, local: second)
        early.reconnect()
        #expect(send(early, frame(6)) == .sent && late.map { read($0) } == .some(frame(6)))
    }

    @Test("A datagram server answers a client without a name")
    func autobind() throws {
        let path = path("dgram-server")
        let server = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        defer {
            close(server)
            unsafe unlink(path)
        }
        let isBound = unsafe SocketName.withAddress(path) { unsafe bind(server, $0, $1) } == 0
        #expect(isBound)
        let link = try DatagramLink(path: path, local: nil)
        #expect(send(link, frame(7)) == .sent)
        var (address, size) = (sockaddr_un(), socklen_t(MemoryLayout<sockaddr_un>.size))
        let result = unsafe withUnsafeMutablePointer(to: &address) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                var buffer = [UInt8](repeating: 0, count: 100)
                let count = unsafe recvfrom(server, &buffer, 100, 0, address, &size)
                return unsafe (count, sendto(server, buffer, count, 0, address, size))
            }
        }
        #expect(result == (60, 60) && read(link) == frame(7))
    }

    @Test("A name that is a file of another kind is kept, and a missing server is told of")
    func refused() throws {
        #expect(throws: MachineError.self) { try DatagramLink(path: path("none"), local: nil) }
        #expect(throws: MachineError.self) { try StreamLink(path: path("none")) }
        let file = try TraceFile()
        #expect(throws: MachineError.socket(path: file.path, problem: .notASocket)) {
            try DatagramLink(path: path("none"), local: file.path)
        }
    }

    private func send(_ socket: Int32, _ bytes: [UInt8]) {
        #expect(unsafe bytes.withUnsafeBytes { unsafe write(socket, $0.baseAddress, $0.count) } == bytes.count)
    }

    private func receive(_ socket: Int32, _ most: Int) -> [UInt8] {
        unsafe [UInt8](unsafeUninitializedCapacity: most) { bytes, count in
            unsafe count = max(0, recv(socket, bytes.baseAddress, most, 0))
        }
    }
}
