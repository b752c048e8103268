// The test device: one 32-bit port by which the built-in guest steers the backends of its own board. It is no virtio
// device and no part of the specification; it exists so that a request can be in flight for as long as a check needs.
//
//   read:   `signature` where the device exists; all ones where it does not
//   write:  31......24 23......16 15.............0
//             verb       slot         argument        slot: 0 is the device at the lowest address

/// The test device's port and command encoding.
public enum TestDevice {
    public static let port: UInt16 = 0x608
    /// "TEST", little-endian.
    public static let signature: UInt32 = 0x5453_4554

    public enum Verb: UInt8, Sendable {
        /// Requests the backend is given from now on wait.
        case hold = 1
        /// `argument` held requests complete, 0 for all; with 0 the hold ends too.
        case release = 2
        /// The next `argument` requests fail with an I/O error.
        case fail = 3
        /// The byte `argument` arrives as console input.
        case input = 4
        /// The console becomes `argument & 0xff` columns by `argument >> 8` rows.
        case resize = 5
        /// The disk becomes `argument` sectors.
        case capacity = 6
        /// After the next resume request the backend is not ready until `ready`.
        case holdResume = 7
        case ready = 8
        /// The drain deadline passes now.
        case deadline = 9
        /// The backend breaks for good.
        case fatal = 10
    }

    /// The word that asks the backend of slot `slot` for `verb`.
    public static func command(_ verb: Verb, slot: UInt8, argument: UInt16 = 0) -> UInt32 {
        UInt32(verb.rawValue) << 24 | UInt32(slot) << 16 | UInt32(argument)
    }
}
