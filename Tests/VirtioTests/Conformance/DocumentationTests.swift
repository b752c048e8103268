// The documentation and the table of clauses agree.

import Glibc
import Testing

@testable import Virtio

/// A text file of this repository.
struct RepositoryFile: Sendable, CustomTestStringConvertible {
    let testDescription: String

    /// The files of the documentation that name clauses.
    static let documentation: [RepositoryFile] =
        ["Benchmarks", "Debugging", "DriverConformance", "Embedding", "FirstHost", "HostileDrivers"].map {
            .page($0)
        }
        + ["NetworkDevice", "QTest", "Suspend", "SuspendMutations", "SuspendRequirements", "Sweep"].map { .page($0) }
        + ["Trace", "Virtio"].map { .page($0) }
        + [RepositoryFile(testDescription: "README.md")]

    static func page(_ name: String) -> RepositoryFile {
        RepositoryFile(testDescription: "Sources/Virtio/Documentation.docc/\(name).md")
    }

    /// The contents. Fails the test if the file cannot be read.
    func contents() throws -> String {
        let root = "\(#filePath)".split(separator: "/").dropLast(4).map { "/" + $0 }.joined()
        let file = unsafe fopen("\(root)/\(testDescription)", "r")
        try #require(unsafe file != nil, "\(root)/\(testDescription) cannot be read")
        defer { unsafe fclose(file) }
        var bytes: [UInt8] = []
        while case let byte = unsafe getc(file), byte != EOF { bytes.append(UInt8(truncatingIfNeeded: byte)) }
        return String(decoding: bytes, as: UTF8.self)
    }
}

@Suite struct DocumentationTests {
    @Test(
        "every clause that the documentation names is known to `vmm explain`", arguments: RepositoryFile.documentation)
    func names(file: RepositoryFile) throws {
        let text = try file.contents()
        // Ids, and sections of three numbers or in parentheses. Others are versions and decimal fractions.
        let names = try Regex(
            #"\b(?:(?:V5|V14)-[A-Z]+-\d+|(?:B|MM|D|H|VMM)-\d+|[2-6](?:\.\d+)+-\d+[a-z]?|[2-6](?:\.\d+){2,})\b|\([2-6]\.\d+\)"#
        )
        for match in text.matches(of: names) {
            let name = String(text[match.range].filter { $0 != "(" && $0 != ")" })
            #expect(Clause.named(name) != nil, "\(name) in \(file.testDescription)")
        }
    }

    @Test("the comment of each check is the id and the level of its clause")
    func checkComments() throws {
        let text = try RepositoryFile(testDescription: "Sources/Virtio/Conformance/Check.swift").contents()
        for check in Check.allCases {
            let (id, level) = (check.clause.id, check.clause.level.word)
            #expect(text.contains("    /// \(id), \(level).\n    case \(check)\n"), "\(check): \(id), \(level)")
        }
    }

    @Test("every clause of VIRTIO 1.4 has a section with a title, and every section has a clause")
    func sections() {
        for clause in Clause.all {
            let id = clause.id.description
            let isOfSpecification = "0"..."9" ~= id.prefix(1) || id.hasPrefix("V14-")
            #expect((clause.section != nil) == isOfSpecification, "\(clause.id)")
            #expect(clause.section?.title.description.isEmpty != true, "\(clause.id)")
        }
        let used = Set(Clause.all.compactMap { $0.section?.number.description })
        #expect(Clause.Section.all.map(\.number.description) == used.sorted { precedes($0, $1) })
    }

    /// The order of the specification.
    private func precedes(_ left: String, _ right: String) -> Bool {
        left.split(separator: ".").compactMap { Int($0) }.lexicographicallyPrecedes(
            right.split(separator: ".").compactMap { Int($0) })
    }

    @Test("the documentation states how many clauses are checked", arguments: ["README.md", "DriverConformance"])
    func count(name: String) throws {
        let file = name.hasSuffix(".md") ? RepositoryFile(testDescription: name) : .page(name)
        let advice = Check.allCases.count { $0.clause.level == .advice }
        let sentence = "\(Check.allCases.count - advice) clauses of"
        let text = try file.contents().split(whereSeparator: \.isWhitespace).joined(separator: " ")
        #expect(text.contains(sentence) && text.contains("\(advice) rules of its own"), "\(sentence), \(advice) rules")
    }
}
