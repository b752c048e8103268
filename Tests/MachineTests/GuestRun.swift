// Runs the built-in guest in this process and parses its TAP report.

import Glibc
import Testing
import VirtioABI

@testable import KVM
@testable import Machine

/// The reason why tests that need KVM are skipped; nil where they run.
let noKVM: MachineError? = {
    do throws(KVMError) {
        _ = try Hypervisor()
        return nil
    } catch { return .opening(error) }
}()

extension Trait where Self == ConditionTrait {
    /// Skips the test where there is no KVM, and reports the reason.
    static var needsKVM: Self { .enabled(if: noKVM == nil, "\(noKVM?.description ?? "")") }
}

/// One line of a TAP report.
struct TAPLine: Equatable {
    let name: String
    let passed: Bool
    let directive: String?

    init?(_ line: Substring) {
        let passed = line.hasPrefix("ok ")
        guard passed || line.hasPrefix("not ok "), let dash = line.firstRange(of: " - ") else { return nil }
        let rest = line[dash.upperBound...]
        let hash = rest.firstRange(of: " # ")
        self.passed = passed
        name = String(rest[..<(hash?.lowerBound ?? rest.endIndex)])
        directive = hash.map { String(rest[$0.upperBound...]) }
    }
}

/// A finished run of the built-in guest.
struct GuestRun {
    let outcome: Machine.Outcome
    /// The console's output.
    let output: String

    /// Runs the guest with `append` on its command line, and `input` for its console to read from.
    init(
        append: [String] = [], suspend: SuspendDialect? = .draft, input: Int32? = nil,
        hooks: TestHooks = TestHooks()
    ) throws {
        let path = "/tmp/vmm-test-\(getpid())-\(UInt64.random(in: 0 ... .max))"
        defer { unsafe unlink(path) }
        var configuration = Machine.Configuration()
        configuration.append = append
        configuration.suspend = suspend
        let sink = unsafe open(path, O_WRONLY | O_CREAT | O_EXCL, 0o600)
        try #require(sink >= 0, "\(path): \(reason(errno))")
        defer { close(sink) }
        configuration.console = .descriptors(input: input, output: sink)
        configuration.reportsViolations = false
        let machine = try Machine(configuration, hooks: hooks)
        outcome = try machine.run(timeout: .seconds(120))
        output = String(decoding: try contents(of: path), as: UTF8.self)
    }

    /// The report's lines, one for each check.
    var lines: [TAPLine] { output.split(whereSeparator: \.isNewline).compactMap { TAPLine($0) } }

    /// The number of checks in the plan line; 0 if there is none.
    var planned: Int {
        output.split(whereSeparator: \.isNewline).first { $0.hasPrefix("1..") }.flatMap { Int($0.dropFirst(3)) } ?? 0
    }
}

/// The content of a file.
func contents(of path: String) throws -> [UInt8] {
    let descriptor = unsafe open(path, O_RDONLY)
    try #require(descriptor >= 0, "\(path): \(reason(errno))")
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    while true {
        let part = unsafe [UInt8](unsafeUninitializedCapacity: 65536) { buffer, count in
            count = max(0, unsafe read(descriptor, buffer.baseAddress, 65536))
        }
        if part.isEmpty { return bytes }
        bytes += part
    }
}
