// The texts and ids of the clauses.

import Testing

@testable import Virtio

@Suite struct ClauseTests {
    @Test(
        "every clause has a sentence, a cause and a remedy in the form that reports print",
        arguments: Clause.all.indices)
    func clauses(index: Int) throws {
        let clause = Clause.all[index]
        let (sentence, cause, remedy) = ("\(clause.sentence)", "\(clause.cause)", "\(clause.remedy)")
        for text in [sentence, cause, remedy] {
            let isTrimmed = text.first != " " && text.last != " " && !text.contains("  ")
            #expect(text.count > 10 && isTrimmed, "\(clause.id): \(text)")
        }
        for text in [sentence, remedy] { #expect(text.hasSuffix("."), "\(clause.id): \(text)") }
        // Not a sentence: reports print it after a colon.
        #expect(try #require(cause.last).isPunctuation == false || cause.hasSuffix(")"), "\(clause.id): \(cause)")
        let key = "\(clause.id)".split(separator: "-").last.map { $0.prefix { $0.isNumber } }
        // Number 0: the section states it without a key word.
        let isNumbered = "\(clause.id)".first?.isNumber == true
        let hasNoKeyWord = clause.level == .stated || clause.level == .advice
        if isNumbered { #expect((key == "0") == hasNoKeyWord, "\(clause.id)") }
    }

    @Test("clause ids are unique, and every check is on the driver")
    func clauseNames() {
        var ids: Set<String> = []
        for clause in Clause.all { #expect(ids.insert("\(clause.id)").inserted, "\(clause.id) twice") }
        #expect(Clause.all.count == Check.allCases.count + Clause.otherDriverClauses.count + Clause.deviceClauses.count)
        #expect(Check.allCases.allSatisfy { $0.clause.target == .driver })
        #expect(Clause.otherDriverClauses.allSatisfy { $0.target == .driver })
        #expect(Clause.deviceClauses.allSatisfy { $0.target != .driver })
    }

    @Test("a name stands for a clause, for the clauses that begin with it, or for those of the section around it")
    func named() throws {
        func ids(_ name: String) -> [String] { Clause.named(name)?.clauses.map { "\($0.id)" } ?? [] }
        #expect(ids("4.2.2.2-1") == ["4.2.2.2-1"] && ids("VMM-1") == ["VMM-1"])
        #expect(ids("B-6") == ["2.1.2-2", "2.1.2-3"])
        #expect(ids("3.1.1-1").sorted() == ["3.1.1-1a", "3.1.1-1b", "3.1.1-1c"])
        #expect(ids("2.7.1") == ["2.7.1-1"] && ids("V14-INF") == ["V14-INF-1", "V14-INF-2"])
        #expect(ids("2.8").allSatisfy { $0.hasPrefix("2.8.") } && ids("2.8").count > 10)
        #expect(Clause.named("2.8.6")?.name == "2.8" && ids("2.8.6") == ids("2.8"))
        for name in ["", "9.9.9-9", "4.2.2.2-99", "2.99", "7", "V6", "B-99", "x"] {
            #expect(ids(name) == [], "\(name)")
        }
    }
}
