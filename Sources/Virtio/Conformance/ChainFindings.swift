// Results of the conformance checks on one descriptor chain.

/// Identifies the contents of a chain, to detect that the driver changes descriptors while the device holds the chain.
struct ChainFingerprint: Sendable {
    /// Digest of the descriptors as they were fetched.
    var digest: UInt64
    /// The indirect table, if the chain has one.
    var table: GuestBuffer?
}

/// Digest of descriptors, in the order in which they were fetched. Not a cryptographic hash: it only detects accidental
/// changes.
struct Digest {
    private(set) var value: UInt64 = 0xcbf2_9ce4_8422_2325

    mutating func add(_ low: UInt64, _ high: UInt64) {
        // A bijection of `value` for each word: a change of one word always shows. The swap brings the upper bits of the
        // product to where the next product spreads them.
        value = ((value ^ low) &* 0x9e37_79b9_7f4a_7c15).byteSwapped ^ high
    }
}

/// Clauses that a chain covered and clauses that it broke.
struct ChainFindings: Sendable {
    var covered = CheckSet()
    var broken = CheckSet()
    var fingerprint: ChainFingerprint?
}

/// Pointer to the findings of the current chain, or none if conformance checking is off. The findings are stored once
/// in a batch, so that a chain carries only a pointer. Valid as long as the batch is.
@usableFromInline @safe struct ChainFindingsPointer: @unchecked Sendable {
    private let findings: UnsafeMutablePointer<ChainFindings>?

    /// Creates a pointer to nothing: checking is off.
    init() { unsafe findings = nil }
    /// Points to `findings`, which it clears, except that the chain covers the checks of `covered`.
    init(_ findings: UnsafeMutablePointer<ChainFindings>, _ covered: CheckSet) {
        unsafe findings.pointee = ChainFindings(covered: covered)
        unsafe self.findings = findings
    }

    /// Whether conformance checking is on.
    var isOn: Bool { unsafe findings != nil }
    /// The findings so far; none if checking is off.
    var covered: CheckSet { unsafe findings?.pointee.covered ?? CheckSet() }
    var broken: CheckSet { unsafe findings?.pointee.broken ?? CheckSet() }
    var fingerprint: ChainFingerprint? { unsafe findings?.pointee.fingerprint }

    func check(_ check: Check, _ isKept: @autoclosure () -> Bool) {
        guard let findings = unsafe findings else { return }
        unsafe findings.pointee.covered.insert(check)
        if !isKept() { unsafe findings.pointee.broken.insert(check) }
    }

    func markCovered(_ checks: @autoclosure () -> CheckSet) {
        guard let findings = unsafe findings else { return }
        unsafe findings.pointee.covered.formUnion(checks())
    }

    func set(_ fingerprint: @autoclosure () -> ChainFingerprint) {
        guard let findings = unsafe findings else { return }
        unsafe findings.pointee.fingerprint = fingerprint()
    }
}

extension CheckSet {
    /// Checks on every chain of a split virtqueue.
    static let splitChain = CheckSet(
        .availableIndexAdvances, .headInTable, .headFree, .splitNoLoop, .splitNextInTable, .splitWritableLast,
        .addressInMemory, .bufferOutsideRings)
    /// Additional checks on a chain with an indirect table.
    static let splitTable = CheckSet(.splitIndirectNegotiated, .splitTableEndsChain, .tableWhole, .splitOneTable)
    /// Checks on every descriptor list of a packed virtqueue.
    static let packedList = CheckSet(
        .packedRoom, .packedWholeList, .packedNoLoop, .packedBytes, .packedLength, .packedWritableLast,
        .addressInMemory, .bufferOutsideRings)
    /// Additional checks on a list with an indirect table.
    static let packedTable = CheckSet(.packedIndirectNegotiated, .packedTableAlone, .tableWhole)
}

extension QueueFault {
    /// The check whose clause this fault breaks, in a packed or a split virtqueue.
    public func check(isPacked: Bool) -> Check {
        switch self {
        case .badSize: isPacked ? .queueSizeAllowed : .splitSize
        case .misalignedRing: isPacked ? .packedAlignment : .splitAlignment
        case .ringOutsideMemory, .bufferOutsideMemory: .addressInMemory
        case .availableIndexJump: .availableIndexAdvances
        case .headOutOfRange: .headInTable
        case .headInFlight: isPacked ? .packedRoom : .headFree
        case .nextOutOfRange: .splitNextInTable
        case .descriptorNotAvailable: .packedWholeList
        case .endlessChain: isPacked ? .packedNoLoop : .splitNoLoop
        case .chainTooLong: isPacked ? .packedLength : .splitLength
        case .chainTooLarge: isPacked ? .packedBytes : .splitNoLoop
        case .readableAfterWritable: isPacked ? .packedWritableLast : .splitWritableLast
        case .indirectNotNegotiated: isPacked ? .packedIndirectNegotiated : .splitIndirectNegotiated
        case .nestedTable: .splitOneTable
        case .indirectMisplaced: isPacked ? .packedTableAlone : .splitTableEndsChain
        case .badIndirectTable: .tableWhole
        case .noRoomForStatus: .requestFramed
        }
    }
}
