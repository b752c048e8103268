// The rows below Status in the dialects' tables: the effect of an event in each state. A row is a string with one
// letter per column, in the order of `Oracle.Column`; the draft has no seventh column.

import Testing
import VirtioABI

@testable import Virtio

@Suite("Suspend: tables")
struct SuspendCellTests {
    /// A console in the state `column`, with an output request in flight if the state allows one. An interrupt is
    /// pending only if `pending`.
    private static func console(_ dialect: SuspendDialect, in column: Oracle.Column, pending: Bool) -> ConsoleDriver {
        let driver = ConsoleDriver(suspend: dialect)
        driver.backend.resumesAtOnce = false
        driver.bringUp(to: column == .notLive ? .queues : .driverOK)
        driver.post(8)
        // Selects the queue without a request in flight.
        driver.write(.queueSel, UInt32(ConsoleQueue.receive))
        if column != .notLive { driver.print([1]) }
        if pending { driver.backend.change { $0.rows = 1 } }
        if column != .notLive && column != .running && column != .dead { driver.requestSuspend() }
        if column == .suspended || column == .resuming || column == .deadSuspended {
            dialect == .draft ? driver.backend.deadline() : driver.backend.complete()
        }
        if column == .resuming { driver.requestResume() }
        if column == .dead || column == .deadSuspended { driver.backend.fatal() }
        if !pending { driver.acknowledge() }
        return driver
    }

    /// A row: an event, and the letters of its effect in each state.
    struct Row: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let draft: String
        let ratified: String
        var pending = false
        let event: @Sendable (ConsoleDriver) -> Character
    }

    static let rows = [
        // k: the buffer is popped.
        Row(testDescription: "QueueNotify", draft: "-k----", ratified: "-k-----") { driver in
            let count = driver.backend.requests.count
            driver.print([2])
            return driver.backend.requests.count > count ? "k" : "-"
        },
        // w: the write takes effect.
        Row(testDescription: "Config window write", draft: "www--w", ratified: "wwwwwww") { driver in
            driver.write(at: 0x108, width: 4, 0x78)
            return driver.backend.emergency == [0x78] ? "w" : "-"
        },
        // c: applied with a new generation, t: the same with a notification.
        Row(testDescription: "Config change event", draft: "ctt---", ratified: "ctt----") { driver in
            let (generation, edges) = (driver.read(.configGeneration), driver.backend.line.risingEdges)
            driver.backend.change { $0.columns = 99 }
            let applied = driver.configuration(0, width: 2) == 99 && driver.read(.configGeneration) == generation + 1
            let told = driver.interruptStatus == .configurationChange && driver.backend.line.risingEdges == edges + 1
            if !applied { return told || driver.read(.configGeneration) != generation ? "?" : "-" }
            return told ? "t" : "c"
        },
        // a: the bits are cleared and the line falls.
        Row(testDescription: "InterruptACK", draft: " aaaaa", ratified: " aaaaaa", pending: true) { driver in
            guard driver.backend.line.level else { return "?" }
            driver.write(.interruptACK, 3)
            return driver.interruptStatus == [] && !driver.backend.line.level ? "a" : "-"
        },
        // l: the selector takes effect.
        Row(testDescription: "QueueSel", draft: "llllll", ratified: "lllllll") { driver in
            driver.write(.queueSel, 9)
            return driver.read(.queueSizeMax) == 0 ? "l" : "-"
        },
        // s: the queue stops at once, p: at the resume or when it fails.
        Row(testDescription: "QueueReady = 0", draft: "ssspps", ratified: "sssppss") { driver in
            driver.write(.queueReady, 0)
            if driver.read(.queueReady) == 0 { return "s" }
            driver.requestResume()
            driver.backend.ready()
            return driver.read(.queueReady) == 0 ? "p" : "-"
        },
        // r: reset at once, p: deferred until the resume.
        Row(testDescription: "QueueReset = 1", draft: "rrrppr", ratified: "rrrpprr") { driver in
            let was = driver.read(.queueReady)
            driver.write(.queueReset, 1)
            switch (was, driver.read(.queueReset), driver.read(.queueReady)) {
            case (1, 0, 0): return "r"
            case (1, 1, 1): return "p"
            default: return "-"
            }
        },
        // u: used, h: held until the resume.
        Row(testDescription: "Backend completion", draft: " uuhh-", ratified: " uu  - ") { driver in
            driver.backend.complete()
            if !driver.takeUsed(ConsoleQueue.transmit).isEmpty { return "u" }
            driver.requestResume()
            driver.backend.ready()
            return driver.takeUsed(ConsoleQueue.transmit).isEmpty ? "-" : "h"
        },
        // d: delivered.
        Row(testDescription: "Backend input", draft: "-d----", ratified: "-d-----") { driver in
            driver.type([7])
            return driver.takeUsed(ConsoleQueue.receive).isEmpty ? "-" : "d"
        },
    ]

    @Test(
        "every row in every column",
        .covers("D-5", "D-6", "D-7", "D-8", "D-9", "D-12", "D-15", "D-16", "B-5", "V5-DEV-9"),
        arguments: rows, SuspendDialect.allCases)
    func everyCell(_ row: Row, _ dialect: SuspendDialect) {
        let expected = dialect == .draft ? row.draft : row.ratified
        let found = zip(Oracle.Column.allCases, expected).map { column, letter -> Character in
            if letter == " " { return letter }
            let driver = Self.console(dialect, in: column, pending: row.pending)
            guard driver.backend.transport.lifecycle.column == column else { return "!" }
            return row.event(driver)
        }
        #expect(String(found) == expected)
    }
}
