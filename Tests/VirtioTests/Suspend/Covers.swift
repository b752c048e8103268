// The requirements that a test covers. Tests that pass report them here, and the table in the documentation is
// generated from the report: it names no test that did not run.

import Glibc
import Synchronization
import Testing

/// Reports the requirements that a test covers, after it has passed with all its arguments.
struct Covers: TestTrait, TestScoping {
    let requirements: [String]

    /// The scope is the whole test: if one argument fails, the test covers nothing.
    func scopeProvider(for test: Test, testCase: Test.Case?) -> Covers? { testCase == nil ? self : nil }

    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        let failed = Flag()
        let watch = IssueHandlingTrait.compactMapIssues { issue in
            failed.raise()
            return issue
        }
        try await watch.provideScope(for: test, testCase: testCase, performing: function)
        if !failed.isRaised { report(test) }
    }

    private func report(_ test: Test) {
        guard let path = unsafe getenv("VMM_COVERAGE") else { return }
        let name = test.displayName ?? test.name
        let lines = requirements.map { "\($0)\t\(name)\n" }.joined()
        let file = unsafe open(path, O_WRONLY | O_CREAT | O_APPEND, 0o644)
        guard file >= 0 else {
            Issue.record("the file that VMM_COVERAGE names cannot be written")
            return
        }
        // One write, so that lines of concurrent tests do not mix.
        let written = unsafe Glibc.write(file, lines, lines.utf8.count)
        if written != lines.utf8.count { Issue.record("VMM_COVERAGE was not written") }
        close(file)
    }
}

extension Trait where Self == Covers {
    /// The test covers the requirements with these identifiers.
    static func covers(_ requirements: String...) -> Covers { Covers(requirements: requirements) }
}

/// A flag that is set when an issue is recorded, on any thread.
private final class Flag: Sendable {
    private let value = Atomic(false)

    var isRaised: Bool { value.load(ordering: .acquiring) }
    func raise() { value.store(true, ordering: .releasing) }
}
