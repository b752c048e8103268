// The driver's last register access, for the diagnosis: where a driver stopped, or what it polls.

import VirtioABI

/// An access of the driver to a device's window.
struct RegisterAccess: Equatable, Sendable {
    let isWrite: Bool
    /// From the start of the window.
    let offset: UInt64
    /// The value read or written.
    let value: UInt64
    /// How many times in a row the driver made this access.
    fileprivate(set) var count: UInt64 = 1

    init(isWrite: Bool, offset: UInt64, value: UInt64) {
        (self.isWrite, self.offset, self.value) = (isWrite, offset, value)
    }

    /// Whether the access is a read of one of the registers by which a driver identifies the device.
    var identifiesDevice: Bool {
        switch Register(rawValue: UInt32(truncatingIfNeeded: offset)) {
        case .magicValue, .version, .deviceID, .vendorID: !isWrite
        default: false
        }
    }

    /// The access in a few words.
    var text: String {
        let name = Register.name(at: UInt16(truncatingIfNeeded: offset)) ?? "offset 0x\(hex(offset, digits: 3))"
        let number = "0x\(hex(value, digits: 1))"
        let what = isWrite ? "write of \(number) to \(name)" : "read of \(name), which returned \(number)"
        return count == 1 ? what : "\(what); \(count) times in a row"
    }
}

/// The driver's accesses, as far as the diagnosis needs them.
struct AccessHistory: Sendable {
    private(set) var last: RegisterAccess?
    /// Number of reads that repeated the read before them and returned the same value: the driver polls.
    private(set) var repeatedReads: UInt64 = 0

    mutating func add(_ access: RegisterAccess) {
        guard let last, last.isWrite == access.isWrite, last.offset == access.offset, last.value == access.value else {
            self.last = access
            return
        }
        self.last?.count = last.count &+ 1
        if !access.isWrite { repeatedReads &+= 1 }
    }
}
