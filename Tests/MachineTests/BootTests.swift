// The built-in guest on KVM, with unmodified devices: every check passes.

import Glibc
import Testing
import VirtioABI

@testable import Machine

@Suite("Boot on KVM", .needsKVM, .serialized)
struct BootTests {
    @Test("the guest's whole suite passes", arguments: [SuspendDialect.draft, .ratified])
    func suite(dialect: SuspendDialect) throws {
        let run = try GuestRun(suspend: dialect)
        #expect(run.outcome == .poweredOff, "\(run.output)")
        #expect(run.lines.filter { !$0.passed } == [])
        #expect(run.lines.count == run.planned)
        #expect(run.planned >= 40)
        // A check may be skipped only if the dialect does not have what it tests.
        for line in run.lines where line.directive?.hasPrefix("SKIP") == true {
            #expect(dialect == .ratified && line.name == "suspend-resume-abort", "\(line)")
        }
    }

    @Test("without SUSPEND the other checks pass and the suspend checks are skipped with the reason")
    func suspendOff() throws {
        let run = try GuestRun(suspend: nil)
        #expect(run.outcome == .poweredOff, "\(run.output)")
        for line in run.lines where line.name.contains("suspend-") {
            #expect(line.passed && line.directive == "SKIP device offers no SUSPEND", "\(line)")
        }
        #expect(run.lines.contains { $0.name == "blk-write-read" && $0.passed && $0.directive == nil })
    }

    @Test("input typed at the host reaches the guest, which echoes it")
    func hostInput() throws {
        var ends: [2 of Int32] = [0, 0]
        var span = ends.mutableSpan
        try #require(unsafe span.withUnsafeMutableBufferPointer { unsafe pipe($0.baseAddress) } == 0)
        let typed = Array("typed,by,a,test".utf8)
        try #require(unsafe write(ends[1], typed, typed.count) == typed.count)
        close(ends[1])
        defer { close(ends[0]) }
        let run = try GuestRun(append: ["only=console-input", "input=typed,by,a,test"], input: ends[0])
        #expect(run.outcome == .poweredOff, "\(run.output)")
        #expect(run.output.contains("# echo: typed,by,a,test"), "\(run.output)")
    }

    @Test("the time limit stops a guest that does not end")
    func timeout() throws {
        var configuration = Machine.Configuration()
        configuration.console = .null
        configuration.append = ["only=suspend-cycles"]
        let machine = try Machine(configuration)
        #expect(try machine.run(timeout: .milliseconds(1)) == .timedOut)
    }

    @Test("a stop from another thread ends the run, and the first signal is reported")
    func stop() throws {
        var configuration = Machine.Configuration()
        configuration.console = .null
        let machine = try Machine(configuration)
        #expect(machine.stop(signal: 15))
        #expect(!machine.stop(signal: 2))
        #expect(try machine.run(timeout: .seconds(60)) == .stopped(signal: 15))
    }
}
