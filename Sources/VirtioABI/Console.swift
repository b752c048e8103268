// The console device's numbers (VIRTIO 1.4, 5.3).

/// Feature bits of the console device (5.3.3).
public enum ConsoleFeature {
    public static let size = Features(bit: 0)
    public static let multiport = Features(bit: 1)
    public static let emergencyWrite = Features(bit: 2)
}

/// Offsets in the console's configuration space (5.3.4).
public enum ConsoleConfiguration {
    /// Columns, le16.
    public static let columns = 0
    /// Rows, le16.
    public static let rows = 2
    public static let maximumPorts = 4
    /// A byte written here comes out at once, virtqueues or not, le32.
    public static let emergencyWrite = 8
    public static let size = 12
}

/// The queues of port 0.
public enum ConsoleQueue {
    public static let receive = 0
    public static let transmit = 1
}

/// Device types (5).
public enum DeviceID {
    public static let network: UInt32 = 1
    public static let block: UInt32 = 2
    public static let console: UInt32 = 3
}
