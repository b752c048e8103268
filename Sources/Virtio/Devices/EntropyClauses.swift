// The clauses of the entropy device (VIRTIO 1.4, 5.4.6).

extension Check {
    /// The clause, if it belongs to the entropy device.
    var entropyClause: Clause? {
        guard self == .entropyBufferWritable else { return nil }
        return Clause(
            "5.4.6.1-1", .driver, .mustNot, "The driver must not put device-readable buffers into the queue.",
            cause: "the WRITE flag missing in the descriptor, as of a transmit buffer",
            remedy: "Set VIRTQ_DESC_F_WRITE in every descriptor.")
    }
}

extension Clause {
    /// The clause on its driver that no check covers.
    static let entropyDriverClauses = [
        Clause(
            "5.4.6.1-2", .driver, .must,
            "The driver must read from the used length how many random bytes the device wrote.",
            cause: "the whole buffer taken for random, and the rest of it known to others",
            remedy: "Use no more bytes than the used length says.")
    ]

    /// The clause on the device.
    static let entropyDeviceClauses = [
        Clause(
            "5.4.6.2-1", .device, .must,
            "The device must write one or more random bytes into the buffer, and may use less than the whole buffer.",
            cause: "a buffer used with length 0 when the host has no random bytes yet",
            remedy: "Wait for the host's random bytes before the buffer is used.")
    ]
}
