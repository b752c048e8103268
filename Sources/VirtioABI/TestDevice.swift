// The test device: one 32-bit port through which the built-in guest controls the backends of its own board. It is not a
// virtio device and not part of the specification. With it a check can keep a request in flight for as long as it
// needs.
//
//   read:   `signature` where the device exists; all ones where it does not
//   write:  31......24 23......16 15.............0
//             verb       slot         argument        slot: 0 is the device at the lowest address

/// The test device's port and command encoding.
public enum TestDevice {
    /// The port, 32 bits wide.
    public static let port: UInt16 = 0x608
    /// "TEST", little-endian.
    public static let signature: UInt32 = 0x5453_4554

    /// What the guest asks of a backend.
    public enum Verb: UInt8, Sendable {
        /// The backend holds every request it receives from now on.
        case hold = 1
        /// `argument` held requests complete; 0 releases all and ends the hold.
        case release = 2
        /// The next `argument` requests fail with an I/O error.
        case fail = 3
        /// The byte `argument` arrives as console input.
        case input = 4
        /// The console's size becomes `argument & 0xff` columns by `argument >> 8` rows.
        case resize = 5
        /// The disk's capacity becomes `argument` sectors.
        case capacity = 6
        /// After the next resume request the backend is not ready until `ready`.
        case holdResume = 7
        /// The backend is ready: a resume that waits for it is over.
        case ready = 8
        /// The drain deadline passes now.
        case deadline = 9
        /// The backend fails unrecoverably.
        case fatal = 10
    }

    /// Encodes the command `verb` for the backend of slot `slot`.
    public static func command(_ verb: Verb, slot: UInt8, argument: UInt16 = 0) -> UInt32 {
        UInt32(verb.rawValue) << 24 | UInt32(slot) << 16 | UInt32(argument)
    }
}
