// Conformance state: clauses covered and broken by the driver, how often and where. Checking does not change the
// device's behaviour, except in strict mode, where the device refuses a driver that breaks a binding clause. Memory is
// bounded: one counter and the last evidence for each check.

/// How a device handles a driver that breaks a clause.
public enum ConformanceMode: String, CaseIterable, Sendable {
    /// No checks.
    case off
    /// Violations are counted and reported.
    case report
    /// As `report`; if the clause is binding, the device also refuses the driver: it sets DEVICE_NEEDS_RESET.
    case strict
}

/// Where a clause was broken.
public struct Evidence: Equatable, Sendable {
    /// The queue concerned, if any.
    public var queue: UInt16?
    /// Offset of the register access in the device's window, if any.
    public var offset: UInt16?
    /// The value read or written, or the chain's head or buffer id.
    public var value: UInt64?

    /// Creates evidence; nil for what does not apply.
    public init(queue: Int? = nil, offset: UInt64? = nil, value: UInt64? = nil) {
        self.queue = queue.map { UInt16(truncatingIfNeeded: $0) }
        self.offset = offset.map { UInt16(truncatingIfNeeded: $0) }
        self.value = value
    }
}

/// The violations of one clause.
public struct Violation: Equatable, Sendable {
    /// The check of the clause that was broken.
    public let check: Check
    /// Where the last violation occurred.
    public let evidence: Evidence
    /// Number of violations since the device was created.
    public let count: UInt64
}

/// Conformance state: clauses covered and violated by the driver.
@safe public struct Conformance: ~Copyable, @unchecked Sendable {
    fileprivate struct Record {
        var counts = InlineArray<128, UInt64>(repeating: 0)
        var evidence = InlineArray<128, Evidence>(repeating: Evidence())
        var covered = CheckSet()
        var due = CheckSet()
        var mustRefuse = false
        var history = DriverHistory()
    }

    // The first: with -sanitize=thread the compiler takes the first field for the address that is written.
    private let record: UnsafeMutablePointer<Record>
    /// How violations are handled.
    public let mode: ConformanceMode
    /// Whether the driver is checked.
    public let isOn: Bool

    init(_ mode: ConformanceMode) {
        precondition(Check.allCases.count <= CheckSet.capacity)
        self.mode = mode
        isOn = mode != .off
        unsafe record = .allocate(capacity: 1)
        unsafe record.initialize(to: Record())
    }

    deinit { unsafe record.deallocate() }

    /// Number of violations of `check` since the device was created.
    public subscript(_ check: Check) -> UInt64 { unsafe record.pointee.counts[Int(check.rawValue)] }
    /// Checks that the driver's behaviour has covered, whether kept or broken.
    public var covered: CheckSet { unsafe record.pointee.covered }

    /// Removes and returns a violation to be reported; nil if there is none. Only the first, second, fourth, eighth ...
    /// violation of a check is reported, so that a guest cannot flood a log.
    public mutating func nextReport() -> Violation? {
        guard let check = unsafe record.pointee.due.removeFirst() else { return nil }
        return violation(check)
    }

    /// The violations of `check`; nil if there was none.
    public func violation(_ check: Check) -> Violation? {
        guard self[check] > 0 else { return nil }
        return unsafe Violation(
            check: check, evidence: record.pointee.evidence[Int(check.rawValue)],
            count: record.pointee.counts[Int(check.rawValue)])
    }

    /// A copy of the conformance state.
    struct State {
        fileprivate let record: Record
    }

    /// The state now. A replay restores the state before a call in which it differs from the trace.
    var state: State {
        get { unsafe State(record: record.pointee) }
        set { unsafe record.pointee = newValue.record }
    }

    // MARK: For the model

    /// State that checks keep between two accesses of the driver.
    var history: DriverHistory {
        _read { yield unsafe record.pointee.history }
        _modify { yield unsafe &record.pointee.history }
    }

    /// Returns whether the device must refuse the driver for a violation since the last call, and clears that request.
    mutating func takeRefusal() -> Bool {
        defer { unsafe record.pointee.mustRefuse = false }
        return unsafe record.pointee.mustRefuse
    }

    /// Whether a refusal is pending.
    var mustRefuse: Bool { unsafe record.pointee.mustRefuse }

    /// Records that the driver's behaviour covered `check`.
    @inline(always)
    mutating func markCovered(_ check: Check) { unsafe record.pointee.covered.insert(check) }

    /// Records that the driver's behaviour covered all of `checks`.
    mutating func markCovered(_ checks: CheckSet) { unsafe record.pointee.covered.formUnion(checks) }

    /// Counts a violation of `check`, and requests a refusal in strict mode.
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
    /// Records `check` as covered if `holds`, as broken otherwise. Does not evaluate `holds` if checking is off.
    @inline(always)
    mutating func check(
        _ check: Check, _ holds: @autoclosure () -> Bool, queue: Int? = nil, at offset: UInt64? = nil,
        value: UInt64? = nil
    ) {
        guard conformance.isOn else { return }
        self.check(check, holds(), Evidence(queue: queue, offset: offset, value: value))
    }

    @inline(always)
    mutating func check(_ check: Check, _ holds: Bool, _ evidence: Evidence) {
        if holds { conformance.markCovered(check) } else { violate(check, evidence) }
    }

    /// Counts a violation of `check` and records it in the trace.
    @inline(never)
    mutating func violate(_ check: Check, _ evidence: Evidence) {
        conformance.violate(check, evidence)
        memory.recorder.record(.violation(check, evidence))
    }

    /// Refuses a driver that has broken a binding clause since the last call: DEVICE_NEEDS_RESET. In strict mode the
    /// host calls this after every other call, if `mustRefuse`.
    public mutating func refuse() -> Effects {
        memory.recorder.record(.refuse)
        defer { closeCall() }
        return conformance.takeRefusal() ? failed() : Effects()
    }

    /// Whether the host must call `refuse`.
    public var mustRefuse: Bool { conformance.mustRefuse }
}
