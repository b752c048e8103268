// Constants of the console device (VIRTIO 1.4, 5.3).

/// Feature bits of the console device (5.3.3).
public enum ConsoleFeature {
    /// VIRTIO_CONSOLE_F_SIZE, bit 0: `cols` and `rows` have the size of the terminal.
    public static var size: Features { Features(bit: 0) }
    /// VIRTIO_CONSOLE_F_MULTIPORT, bit 1: the device has several ports and control queues.
    public static var multiport: Features { Features(bit: 1) }
    /// VIRTIO_CONSOLE_F_EMERG_WRITE, bit 2: `emerg_wr` exists.
    public static var emergencyWrite: Features { Features(bit: 2) }
}

/// Offsets in the console's configuration space (5.3.4).
public enum ConsoleConfiguration {
    /// Width in columns, le16.
    public static let columns = 0
    /// Height in rows, le16.
    public static let rows = 2
    /// Maximum number of ports, le32, with VIRTIO_CONSOLE_F_MULTIPORT.
    public static let maximumPorts = 4
    /// Emergency write, le32: the low byte is output at once, without a virtqueue.
    public static let emergencyWrite = 8
    /// Size of the structure in bytes.
    public static let size = 12
}

/// The console's queues (5.3.2).
public enum ConsoleQueue {
    /// Port 0.
    /// Index of port 0's receive queue: input for the driver.
    public static let receive = 0
    /// Index of port 0's transmit queue: output of the driver.
    public static let transmit = 1
    /// Index of the queue of control messages to the driver, with VIRTIO_CONSOLE_F_MULTIPORT.
    public static let controlReceive = 2
    /// Index of the queue of control messages from the driver.
    public static let controlTransmit = 3

    /// The receive queue of `port`.
    public static func receive(port: Int) -> Int { port == 0 ? receive : 2 + 2 * port }
    /// The transmit queue of `port`.
    public static func transmit(port: Int) -> Int { receive(port: port) + 1 }
}

/// A control message (5.3.6.2): port le32, event le16, value le16, then the event's data.
public enum ConsoleControl {
    /// Size of a message in bytes, without the event's data.
    public static let size = 8
    /// Offset of the event, le16.
    public static let eventOffset = 4
    /// Offset of the value, le16.
    public static let valueOffset = 6

    /// Values of the message's event field.
    public enum Event: UInt16, CaseIterable, Sendable {
        /// Driver: ready for control messages (value 1), or failed (0).
        case deviceReady = 0
        /// Device: the port exists.
        case deviceAdd = 1
        /// Device: the port is gone.
        case deviceRemove = 2
        /// Driver: ready for the port (value 1), or failed (0).
        case portReady = 3
        /// Device: the port is a console.
        case consolePort = 4
        /// Device: columns le16 and rows le16 follow.
        case resize = 5
        /// Both: the sender's side of the port is open (value 1) or closed (0).
        case portOpen = 6
        /// Device: the port's name follows, UTF-8, not terminated.
        case portName = 7
    }
}

/// Device types (5).
public enum DeviceID {
    /// Network device (5.1).
    public static let network: UInt32 = 1
    /// Block device (5.2).
    public static let block: UInt32 = 2
    /// Console device (5.3).
    public static let console: UInt32 = 3
    /// Entropy device (5.4).
    public static let entropy: UInt32 = 4
}
