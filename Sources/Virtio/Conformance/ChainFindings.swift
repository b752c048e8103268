// What was seen of the driver in one chain, on the chain's way through the device.

/// What makes a chain known again, so that a change of it while the device has it is seen.
struct ChainFingerprint: Sendable {
    /// Of its descriptors as they were fetched.
    var digest: UInt64
    /// Its table of indirect descriptors, if it had one.
    var table: GuestBuffer?
}

/// A digest of descriptors, in the order in which they were fetched. It need not withstand an enemy, for whom there is nothing in it.
struct Digest {
    private(set) var value: UInt64 = 0xcbf2_9ce4_8422_2325

    mutating func add(_ low: UInt64, _ high: UInt64) {
        value = (value ^ low) &* 0x9e37_79b9_7f4a_7c15
        value = ((value << 29 | value >> 35) ^ high) &* 0x9e37_79b9_7f4a_7c15
    }
}

/// What was seen in a chain.
struct ChainFindings: Sendable {
    var covered = CheckSet()
    var broken = CheckSet()
    var fingerprint: ChainFingerprint?
}

/// Where the remarks about the chain in hand are: one place in a batch, so that a chain takes no more than a pointer along. None where
/// nobody looks. Valid as long as the batch is.
@usableFromInline @safe struct ChainFindingsPointer: @unchecked Sendable {
    private let place: UnsafeMutablePointer<ChainFindings>?

    /// Where nobody looks.
    init() { unsafe place = nil }
    /// There, empty.
    init(_ place: UnsafeMutablePointer<ChainFindings>) {
        unsafe place.pointee = ChainFindings()
        unsafe self.place = place
    }

    /// Whether anybody looks.
    var isOn: Bool { unsafe place != nil }
    /// What was seen so far.
    var value: ChainFindings? { unsafe place?.pointee }

    func check(_ check: Check, _ isKept: @autoclosure () -> Bool) {
        guard let place = unsafe place else { return }
        unsafe place.pointee.covered.insert(check)
        if !isKept() { unsafe place.pointee.broken.insert(check) }
    }

    func markCovered(_ checks: @autoclosure () -> CheckSet) {
        guard let place = unsafe place else { return }
        unsafe place.pointee.covered.formUnion(checks())
    }

    func set(_ fingerprint: @autoclosure () -> ChainFingerprint) {
        guard let place = unsafe place else { return }
        unsafe place.pointee.fingerprint = fingerprint()
    }
}

extension CheckSet {
    /// Every chain of a split ring is put to these.
    static let splitChain = CheckSet(
        .availableIndexAdvances, .headInTable, .headFree, .splitNoLoop, .splitNextInTable, .splitWritableLast,
        .addressInMemory)
    /// And one with a table to these.
    static let splitTable = CheckSet(.splitIndirectNegotiated, .splitTableEndsChain, .tableWhole, .splitOneTable)
    /// Every list of a packed ring is put to these.
    static let packedList = CheckSet(
        .packedRoom, .packedWholeList, .packedNoLoop, .packedLength, .packedWritableLast, .addressInMemory)
    /// And one with a table to these.
    static let packedTable = CheckSet(.packedIndirectNegotiated, .packedTableAlone, .tableWhole)
}

extension QueueFault {
    /// The clause that the driver broke, in a packed ring or a split one.
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
        case .chainTooLarge: isPacked ? .packedNoLoop : .splitNoLoop
        case .readableAfterWritable: isPacked ? .packedWritableLast : .splitWritableLast
        case .indirectNotNegotiated: isPacked ? .packedIndirectNegotiated : .splitIndirectNegotiated
        case .nestedTable: .splitOneTable
        case .indirectMisplaced: isPacked ? .packedTableAlone : .splitTableEndsChain
        case .badIndirectTable: .tableWhole
        case .noRoomForStatus: .requestFramed
        }
    }
}
