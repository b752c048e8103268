// Links over Unix sockets. Their frames have no virtio header, and so no offloads. A peer that has gone may come back.

import Glibc
import Virtio
import VirtioABI

extension NetworkBackend {
    /// Makes a socket of `type`.
    fileprivate static func socket(_ type: __socket_type) -> Int32 {
        Glibc.socket(AF_UNIX, Int32(type.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
    }

    /// Connects `socket` to the one at `path`. Returns 0 or an errno.
    fileprivate static func connect(_ socket: Int32, to path: String) -> Int32 {
        unsafe SocketName.withAddress(path, { unsafe Glibc.connect(socket, $0, $1) }) == 0 ? 0 : errno
    }

    fileprivate static func unreachable(_ path: String, _ number: Int32) -> MachineError {
        .host("the network socket \(path) cannot be connected; is its server running?", errno: number)
    }
}

/// A Unix stream socket, to which QEMU's `-netdev stream` and passt connect: each frame behind its length, 4 bytes, the highest first.
@safe final class StreamLink: NetworkBackend, @unchecked Sendable {
    private static let lengthSize = 4
    private let path: String
    private var socket: Int32?
    /// Bytes that were read, those from `start` to `end` not yet passed on: always less than a frame when more are read.
    private let input = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 8)
    private var (start, end) = (0, 0)
    /// Bytes of the frame to send, its length included, that the socket has taken.
    private var sent = 0

    /// Connects to the socket at `path`.
    init(path: String) throws(MachineError) {
        self.path = path
        guard SocketName.fits(path) else { throw .socket(path: path, problem: .nameTooLong) }
        let result = connect()
        guard result == 0 else { throw Self.unreachable(path, result) }
    }

    deinit {
        disconnect()
        unsafe input.deallocate()
    }

    func descriptor(pair: Int) -> Int32? { socket }
    var isConnected: Bool { socket != nil }
    var mayReturn: Bool { true }
    func reconnect() { if socket == nil { _ = connect() } }

    /// Connects. Returns 0 or an errno.
    private func connect() -> Int32 {
        let socket = Self.socket(SOCK_STREAM)
        let result = socket < 0 ? errno : Self.connect(socket, to: path)
        if result == 0 { self.socket = socket } else if socket >= 0 { close(socket) }
        return result
    }

    private func disconnect() {
        if let socket { close(socket) }
        (socket, start, end, sent) = (nil, 0, 0, 0)
    }

    func read(pair: Int, into buffer: UnsafeMutableRawBufferPointer) -> Int {
        while let socket {
            if let length = unsafe takeFrame(into: buffer) { return length }
            unsafe input.copyMemory(from: .init(rebasing: input[start..<end]))
            (start, end) = (0, end - start)
            let free = unsafe UnsafeMutableRawBufferPointer(rebasing: input[end...])
            let count = unsafe recv(socket, free.baseAddress, free.count, 0)
            if count > 0 {
                end += count
                continue
            }
            // 0 is the end of the stream.
            if count == 0 || errno != EAGAIN && errno != EINTR { disconnect() }
            break
        }
        return 0
    }

    /// Moves the first frame of `input` to `buffer`, behind a header, if it is whole. Returns its length with the header. A length that no
    /// frame has ends the connection.
    private func takeFrame(into buffer: UnsafeMutableRawBufferPointer) -> Int? {
        guard end - start >= Self.lengthSize else { return nil }
        let length = unsafe Int(UInt32(bigEndian: input.loadUnaligned(fromByteOffset: start, as: UInt32.self)))
        guard length <= Network.maximumFrame else {
            disconnect()
            return nil
        }
        let bytes = start + Self.lengthSize
        guard end - bytes >= length else { return nil }
        start = bytes + length
        unsafe buffer[..<NetworkHeader.size].initializeMemory(as: UInt8.self, repeating: 0)
        unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[NetworkHeader.size...])
            .copyMemory(from: .init(rebasing: input[bytes..<start]))
        return NetworkHeader.size + length
    }

    /// Sends a frame, or the rest of one of which the socket took a part.
    func send(_ frame: Span<UInt8>, pair: Int) -> FrameResult {
        guard let socket else { return .lost }
        let bytes = frame.extracting(NetworkHeader.size...)
        var length = UInt32(bytes.count).bigEndian
        while sent < Self.lengthSize + bytes.count {
            let count = unsafe bytes.withUnsafeBytes { bytes in
                unsafe withUnsafeMutableBytes(of: &length) { length in
                    unsafe socket.send(
                        .init(rebasing: length[min(sent, Self.lengthSize)...]),
                        .init(rebasing: bytes[max(0, sent - Self.lengthSize)...]))
                }
            }
            guard count >= 0 else { return result(errno) }
            sent += count
        }
        sent = 0
        return .sent
    }

    private func result(_ number: Int32) -> FrameResult {
        if number == EAGAIN || number == EINTR { return .wouldBlock }
        disconnect()
        return .lost
    }
}

/// A Unix datagram socket, connected to another: each frame is a datagram.
final class DatagramLink: NetworkBackend, @unchecked Sendable {
    private let path: String
    /// The name of this end in the file system; nil for one that the kernel chose.
    private let local: SocketName?
    private let socket: Int32
    private(set) var isConnected = false

    /// Connects to the socket at `path`. With a name, `local`, the other end may come later.
    init(path: String, local: String?) throws(MachineError) {
        self.path = path
        guard SocketName.fits(path) else { throw .socket(path: path, problem: .nameTooLong) }
        socket = Self.socket(SOCK_DGRAM)
        do throws(MachineError) {
            if let local { self.local = try SocketName(local, of: socket) } else { self.local = nil }
        } catch {
            close(socket)
            throw error
        }
        if local == nil {
            // Without a name of any kind the other end could not answer; the kernel chooses one if the address is only its family.
            let size = socklen_t(MemoryLayout<sa_family_t>.size)
            _ = unsafe SocketName.withAddress("") { address, _ in unsafe bind(socket, address, size) }
        }
        let result = Self.connect(socket, to: path)
        isConnected = result == 0
        guard isConnected || local != nil && (result == ENOENT || result == ECONNREFUSED) else {
            throw Self.unreachable(path, result)
        }
    }

    deinit { close(socket) }

    func descriptor(pair: Int) -> Int32? { socket }
    var mayReturn: Bool { true }
    func reconnect() { if !isConnected { isConnected = Self.connect(socket, to: path) == 0 } }

    func read(pair: Int, into buffer: UnsafeMutableRawBufferPointer) -> Int {
        unsafe buffer[..<NetworkHeader.size].initializeMemory(as: UInt8.self, repeating: 0)
        let frame = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[NetworkHeader.size...])
        let count = unsafe recv(socket, frame.baseAddress, frame.count, 0)
        return count > 0 ? NetworkHeader.size + count : 0
    }

    /// Sends a frame. That the other end has gone is known only then.
    func send(_ frame: Span<UInt8>, pair: Int) -> FrameResult {
        guard isConnected else { return .lost }
        let bytes = frame.extracting(NetworkHeader.size...)
        let count = unsafe bytes.withUnsafeBytes {
            unsafe Glibc.send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
        }
        if count >= 0 { return .sent }
        if errno == EAGAIN || errno == ENOBUFS || errno == EINTR { return .wouldBlock }
        isConnected = errno == EMSGSIZE
        return .lost
    }
}

extension Int32 {
    /// Sends two pieces as one. Returns the number of bytes that the socket took, or -1.
    fileprivate func send(_ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer) -> Int {
        unsafe withUnsafeTemporaryAllocation(of: iovec.self, capacity: 2) { pieces in
            func set(_ index: Int, _ piece: UnsafeRawBufferPointer) {
                let base = unsafe UnsafeMutableRawPointer(mutating: piece.baseAddress)
                unsafe pieces.initializeElement(at: index, to: iovec(iov_base: base, iov_len: piece.count))
            }
            unsafe set(0, first)
            unsafe set(1, second)
            // Not `sendmsg`, which the sandbox forbids: it passes descriptors, too. `vmm` ignores SIGPIPE.
            return unsafe writev(self, pieces.baseAddress, 2)
        }
    }
}
