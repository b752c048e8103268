// A TCP socket that listens at a port of one of this host's addresses. Names of hosts are not looked up.

import Glibc

/// A listening TCP socket.
final class PortListener: ClientListener {
    let descriptor: Int32
    private let reserve: DescriptorReserve
    /// With the port that the host chose if 0 was asked for.
    let place: String

    /// Listens at `port` of the address `host`, in the numbers of IPv4 or IPv6.
    init(host: String, port: UInt16) throws(MachineError) {
        var address = sockaddr_storage()
        var size = socklen_t(0)
        unsafe withUnsafeMutablePointer(to: &address) { storage in
            unsafe storage.withMemoryRebound(to: sockaddr_in.self, capacity: 1) {
                guard unsafe inet_pton(AF_INET, host, &$0.pointee.sin_addr) == 1 else { return }
                unsafe ($0.pointee.sin_family, $0.pointee.sin_port) = (sa_family_t(AF_INET), port.bigEndian)
                size = socklen_t(MemoryLayout<sockaddr_in>.size)
            }
            if size > 0 { return }
            unsafe storage.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) {
                guard unsafe inet_pton(AF_INET6, host, &$0.pointee.sin6_addr) == 1 else { return }
                unsafe ($0.pointee.sin6_family, $0.pointee.sin6_port) = (sa_family_t(AF_INET6), port.bigEndian)
                size = socklen_t(MemoryLayout<sockaddr_in6>.size)
            }
        }
        guard size > 0 else { throw .port(host: host, port, errno: EADDRNOTAVAIL) }
        let kind = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        let descriptor = socket(Int32(address.ss_family), kind, 0)
        guard descriptor >= 0 else { throw .port(host: host, port, errno: errno) }
        var yes: Int32 = 1
        unsafe setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, 4)
        let number = unsafe withUnsafeMutablePointer(to: &address) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe bind(descriptor, $0, size) == 0 && listen(descriptor, 4) == 0
                    && getsockname(descriptor, $0, &size) == 0
                    ? 0 : errno
            }
        }
        guard number == 0 else {
            close(descriptor)
            throw .port(host: host, port, errno: number)
        }
        do throws(MachineError) { reserve = try DescriptorReserve { .port(host: host, port, errno: $0) } } catch {
            close(descriptor)
            throw error
        }
        self.descriptor = descriptor
        // The port is in both families behind the family's number.
        let chosen = unsafe withUnsafeBytes(of: &address) {
            unsafe UInt16(bigEndian: $0.load(fromByteOffset: 2, as: UInt16.self))
        }
        place = "\(host.contains(":") ? "[\(host)]" : host):\(chosen)"
    }

    deinit { close(descriptor) }

    /// See `ClientListener`. Its packets are small and are waited for, so none is held back (TCP_NODELAY).
    func accept() -> Int32? {
        guard let client = UnixListener.accept(descriptor, reserve) else { return nil }
        var yes: Int32 = 1
        unsafe setsockopt(client, Int32(IPPROTO_TCP), TCP_NODELAY, &yes, 4)
        return client
    }
}
