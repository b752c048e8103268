// The expected lifecycle as two tables, one per dialect: a row for each input, a column for each state. The tables are
// derived from the specifications and the decisions of the Suspend article, not from the implementation. The oracle
// models no device: it only says that a drain or a resume is due.

import Virtio
import VirtioABI

/// The expected lifecycle of a device.
struct Oracle: Hashable {
    /// A column. 1.4 has two dead states; the draft uses the first only.
    enum Column: Int, CaseIterable {
        case notLive, running, suspending, suspended, resuming, dead, deadSuspended
        /// Version 3 of virtio-mmio: not in the tables, since every input but `resetDone` leaves it.
        case resetting
    }

    /// The action that the transport must perform after an input.
    enum Action: Hashable {
        case nothing, reset, live, drain, rescan, resumeBackend, cancelBackendResume, acknowledge, deliver
        case notifiedDeath, quietDeath
        /// The draft latches a fatal error until the resume.
        case latch
        case beginReset
    }

    /// An input.
    enum Input: Hashable {
        case write(UInt32)
        case drained, deadline, ready, fail
        /// Version 3: no request is in flight any more.
        case resetDone
    }

    /// A row of the tables; Status writes are classified by the bits that matter.
    private enum Row: Hashable {
        case suspendAndOK, suspendOnly, okOnly, neither
        case drained, deadline, ready, fail
    }

    private struct Cell {
        let next: Column?
        let action: Action
    }

    let dialect: SuspendDialect?
    /// Version 3: a reset is over when Status reads 0.
    let pollsReset: Bool
    /// What Status shows during a reset.
    private var shown: UInt8 = 0
    private(set) var column = Column.notLive
    private(set) var negotiated = false
    private(set) var latched = false
    /// Bits that the driver set since the reset: ACKNOWLEDGE 1, DRIVER 2, DRIVER_OK 4, FEATURES_OK 8, FAILED 128.
    private(set) var sticky: UInt8 = 0

    init(dialect: SuspendDialect?, pollsReset: Bool = false) {
        (self.dialect, self.pollsReset) = (dialect, pollsReset)
    }

    // MARK: The tables

    private static let stay = Cell(next: nil, action: .nothing)
    private static func go(_ next: Column, _ action: Action) -> Cell { Cell(next: next, action: action) }

    // Columns:       notLive, running, suspending, suspended, resuming, dead, deadSuspended
    private static let draft: [Row: [Cell]] = {
        let set = [
            stay, go(.suspending, .drain), stay, stay, go(.suspended, .cancelBackendResume), stay, stay,
        ]
        let clear = [
            stay, stay, go(.running, .rescan), go(.resuming, .resumeBackend), stay, stay, stay,
        ]
        return [
            .suspendAndOK: set,
            .suspendOnly: set,
            .okOnly: clear,
            .neither: clear,
            .drained: [stay, stay, go(.suspended, .acknowledge), stay, stay, stay, stay],
            .deadline: [stay, stay, go(.suspended, .acknowledge), stay, stay, stay, stay],
            .ready: [stay, stay, stay, stay, go(.running, .deliver), stay, stay],
            .fail: [
                go(.dead, .quietDeath), go(.dead, .notifiedDeath), go(.dead, .notifiedDeath), go(.suspended, .latch),
                go(.dead, .notifiedDeath), stay, stay,
            ],
        ]
    }()

    private static let ratified: [Row: [Cell]] = {
        let resume = go(.resuming, .resumeBackend)
        return [
            .suspendAndOK: [stay, go(.suspending, .drain), stay, resume, stay, stay, stay],
            .suspendOnly: [stay, go(.suspending, .drain), stay, stay, stay, stay, stay],
            .okOnly: [stay, stay, stay, resume, stay, stay, stay],
            .neither: [stay, stay, stay, stay, stay, stay, stay],
            .drained: [stay, stay, go(.suspended, .acknowledge), stay, stay, stay, stay],
            .deadline: [stay, stay, go(.dead, .notifiedDeath), stay, stay, stay, stay],
            .ready: [stay, stay, stay, stay, go(.running, .deliver), stay, stay],
            .fail: [
                go(.dead, .quietDeath), go(.dead, .notifiedDeath), go(.dead, .notifiedDeath),
                go(.deadSuspended, .quietDeath), go(.deadSuspended, .quietDeath), stay, stay,
            ],
        ]
    }()

    /// Row "Status read": the expected value of Status.
    var status: UInt8 {
        if column == .resetting { return shown }
        let dead: UInt8 = column == .dead || column == .deadSuspended ? 0x40 : 0
        switch (column, dialect) {
        case (.suspended, .draft), (.resuming, .draft): return sticky | 0x10
        case (.suspended, _), (.resuming, _), (.deadSuspended, _): return sticky & ~0x04 | 0x10 | dead
        default: return sticky | dead
        }
    }

    /// Rows "QueueNotify" and "Backend input arrives": whether the device may pop a buffer.
    var pops: Bool { column == .running || column == .suspending && dialect == .draft }
    /// Row "Backend completion": whether a completion is written to the used ring. Otherwise a frozen device holds it,
    /// any other drops it.
    var uses: Bool { column == .running || column == .suspending }
    /// Rows "Config window write" and "Config change event": whether the device is frozen.
    var frozen: Bool { column == .suspended || column == .resuming }

    // MARK: Inputs

    /// Applies one input and returns the action due. `acceptable`: FEATURES_OK can be set; `accepts`: the driver
    /// accepted the dialect's feature bit.
    mutating func apply(_ input: Input, acceptable: Bool = true, accepts: Bool = true) -> Action {
        switch input {
        case .write(0) where pollsReset && status != 0:
            guard column != .resetting else { return .nothing }
            (shown, column, latched) = (status, .resetting, false)
            return .beginReset
        case .resetDone where column != .resetting: return .nothing
        case .write(0), .resetDone:
            self = Oracle(dialect: dialect, pollsReset: pollsReset)
            return .reset
        case _ where column == .resetting: return .nothing
        case .write(let word): return write(UInt8(word & 0xff), acceptable: acceptable, accepts: accepts)
        case .drained: return enter(.drained)
        case .deadline: return enter(.deadline)
        case .ready: return enter(.ready)
        case .fail: return enter(.fail)
        }
    }

    private mutating func write(_ byte: UInt8, acceptable: Bool, accepts: Bool) -> Action {
        sticky |= byte & 0x83
        if byte & 0x08 != 0 && sticky & 0x08 == 0 && acceptable {
            sticky |= 0x08
            negotiated = dialect != nil && accepts
        }
        if column == .notLive {
            // Row "One write: DRIVER_OK + SUSPEND": live if FEATURES_OK is set and FAILED is clear; SUSPEND is ignored.
            guard byte & 0x04 != 0, sticky & 0x88 == 0x08 else { return .nothing }
            sticky |= 0x04
            column = .running
            return .live
        }
        guard negotiated else { return .nothing }
        switch byte & 0x14 {
        case 0x14: return enter(.suspendAndOK)
        case 0x10: return enter(.suspendOnly)
        case 0x04: return enter(.okOnly)
        default: return enter(.neither)
        }
    }

    private mutating func enter(_ row: Row) -> Action {
        let table = dialect == .draft ? Self.draft : Self.ratified
        guard let cell = table[row]?[column.rawValue], let next = cell.next else { return .nothing }
        if next == .resuming && latched {
            // Cell "SUSPEND=0, Suspended": dead if an error is latched.
            (column, latched) = (.dead, false)
            return .notifiedDeath
        }
        latched = cell.action == .latch
        column = next
        return cell.action
    }
}
