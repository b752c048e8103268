// What the model has seen of its driver's manners: which clauses were put to the test, and which were broken, how often and where.
// It looks on: nothing here changes what the device does, but in strict mode, where a driver that breaks a binding clause is
// refused. Nothing grows: a counter and the first evidence a check.

/// What is done about a driver that breaks a clause.
public enum ConformanceMode: String, CaseIterable, Sendable {
    /// Nothing, and nobody looks.
    case off
    /// It is counted and reported.
    case report
    /// And where the clause binds the device refuses the driver: DEVICE_NEEDS_RESET.
    case strict
}

/// Where a clause was broken.
public struct Evidence: Equatable, Sendable {
    /// The queue, if it was about one.
    public var queue: UInt16?
    /// The offset in the device's window, if it was an access of that.
    public var offset: UInt16?
    /// What was read or written there, or the chain's head or buffer id.
    public var value: UInt64?

    /// What is known; nil for what is not.
    public init(queue: Int? = nil, offset: UInt64? = nil, value: UInt64? = nil) {
        self.queue = queue.map { UInt16(truncatingIfNeeded: $0) }
        self.offset = offset.map { UInt16(truncatingIfNeeded: $0) }
        self.value = value
    }
}

/// A clause that was broken.
public struct Violation: Equatable, Sendable {
    public let check: Check
    /// Where, the last time.
    public let evidence: Evidence
    /// How often so far.
    public let count: UInt64
}

/// What is known of a driver's manners.
@safe public struct Conformance: ~Copyable, @unchecked Sendable {
    fileprivate struct Record {
        var counts = InlineArray<96, UInt64>(repeating: 0)
        var evidence = InlineArray<96, Evidence>(repeating: Evidence())
        var covered = CheckSet()
        var due = CheckSet()
        var mustRefuse = false
        var history = DriverHistory()
    }

    /// What is done about violations.
    public let mode: ConformanceMode
    /// Whether anybody looks.
    public let isOn: Bool
    private let record: UnsafeMutablePointer<Record>

    init(_ mode: ConformanceMode) {
        precondition(Check.allCases.count <= 96)
        self.mode = mode
        isOn = mode != .off
        unsafe record = .allocate(capacity: 1)
        unsafe record.initialize(to: Record())
    }

    deinit { unsafe record.deallocate() }

    /// How often `check` was broken since the device was made.
    public subscript(_ check: Check) -> UInt64 { unsafe record.pointee.counts[Int(check.rawValue)] }
    /// Checks whose clause was put to the test.
    public var covered: CheckSet { unsafe record.pointee.covered }

    /// A violation due for a report: the first, second, fourth, eighth ... of its kind, so that a guest cannot flood a log; each due
    /// one once; nil when there is none.
    public mutating func nextDue() -> Violation? {
        guard let check = unsafe record.pointee.due.removeFirst() else { return nil }
        return violation(check)
    }

    /// What is known of a violation of `check`; nil if there was none.
    public func violation(_ check: Check) -> Violation? {
        guard self[check] > 0 else { return nil }
        return unsafe Violation(
            check: check, evidence: record.pointee.evidence[Int(check.rawValue)],
            count: record.pointee.counts[Int(check.rawValue)])
    }

    /// Everything that is known, as a value.
    struct State {
        fileprivate let record: Record
    }

    /// What is known now. A replay puts back what was known before a call that it could not follow.
    var state: State {
        get { unsafe State(record: record.pointee) }
        set { unsafe record.pointee = newValue.record }
    }

    // MARK: For the model

    /// What the driver did of late, as far as it matters.
    var history: DriverHistory {
        _read { yield unsafe record.pointee.history }
        _modify { yield unsafe &record.pointee.history }
    }

    /// The driver is to be refused for what it did since this was last asked.
    mutating func takeRefusal() -> Bool {
        defer { unsafe record.pointee.mustRefuse = false }
        return unsafe record.pointee.mustRefuse
    }

    /// Whether a refusal waits to be taken.
    var mustRefuse: Bool { unsafe record.pointee.mustRefuse }

    /// `check` was put to the test.
    mutating func markCovered(_ check: Check) { unsafe record.pointee.covered.insert(check) }

    /// All of `checks` were.
    mutating func markCovered(_ checks: CheckSet) { unsafe record.pointee.covered.formUnion(checks) }

    /// The driver broke the clause of `check`.
    mutating func violate(_ check: Check, _ evidence: Evidence) {
        guard isOn else { return }
        let index = Int(check.rawValue)
        unsafe record.pointee.covered.insert(check)
        unsafe record.pointee.evidence[index] = evidence
        unsafe record.pointee.counts[index] &+= 1
        if unsafe record.pointee.counts[index].nonzeroBitCount == 1 { unsafe record.pointee.due.insert(check) }
        if mode == .strict && check.clause.level.binds { unsafe record.pointee.mustRefuse = true }
    }
}

extension MMIOTransport where Device: ~Copyable {
    /// The driver keeps the clause of `check` if `holds`.
    @inline(__always)
    mutating func check(
        _ check: Check, _ holds: @autoclosure () -> Bool, queue: Int? = nil, at offset: UInt64? = nil,
        value: UInt64? = nil
    ) {
        guard conformance.isOn else { return }
        self.check(check, holds(), Evidence(queue: queue, offset: offset, value: value))
    }

    mutating func check(_ check: Check, _ holds: Bool, _ evidence: Evidence) {
        if holds { conformance.markCovered(check) } else { violate(check, evidence) }
    }

    /// The driver broke the clause of `check`.
    mutating func violate(_ check: Check, _ evidence: Evidence) {
        conformance.violate(check, evidence)
        memory.recorder.record(.violation(check, evidence))
    }

    /// The device refuses a driver that broke a binding clause since this was last asked. A host asks after every call in strict
    /// mode, if `mustRefuse`.
    public mutating func refuse() -> Effects {
        memory.recorder.record(.refuse)
        defer { closeCall() }
        return conformance.takeRefusal() ? failed() : Effects()
    }

    /// A driver is to be refused.
    public var mustRefuse: Bool { conformance.mustRefuse }
}
