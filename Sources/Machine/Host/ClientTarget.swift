// Where a client of vmm connects: that of a qtest session, or one that controls a running machine.

/// Where a client connects.
public enum ClientTarget: Equatable, Sendable {
    /// At standard input and output.
    case stdio
    /// At a Unix socket with this path.
    case unix(String)
}
