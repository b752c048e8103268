// What the clauses say, as text.

import Testing

@testable import Virtio

@Suite struct ClauseTests {
    @Test("every clause has something to say", arguments: Clause.all.indices)
    func clauses(index: Int) throws {
        let clause = Clause.all[index]
        let (sentence, cause, remedy) = ("\(clause.sentence)", "\(clause.cause)", "\(clause.remedy)")
        for text in [sentence, cause, remedy] {
            let isTrimmed = text.first != " " && text.last != " " && !text.contains("  ")
            #expect(text.count > 10 && isTrimmed, "\(clause.id): \(text)")
        }
        for text in [sentence, remedy] { #expect(text.hasSuffix("."), "\(clause.id): \(text)") }
        // No sentence: it goes behind a colon or a dash.
        #expect(try #require(cause.last).isPunctuation == false || cause.hasSuffix(")"), "\(clause.id): \(cause)")
        let key = "\(clause.id)".split(separator: "-").last.map { $0.prefix { $0.isNumber } }
        // 0 is what a section says without a key word.
        let isUnsaid = clause.level == .stated || clause.level == .advice
        if clause.level == .stated || key == "0" { #expect(key == "0" && isUnsaid, "\(clause.id)") }
    }

    @Test("no two clauses have the same name, and what is checked is the driver's")
    func clauseNames() {
        var tracedLoad: Set<String> = []
        for clause in Clause.all { #expect(tracedLoad.insert("\(clause.id)").inserted, "\(clause.id) twice") }
        #expect(Clause.all.count == Check.allCases.count + Clause.otherDriverClauses.count + Clause.deviceClauses.count)
        #expect(Check.allCases.allSatisfy { $0.clause.target == .driver })
        #expect(Clause.otherDriverClauses.allSatisfy { $0.target == .driver })
        #expect(Clause.deviceClauses.allSatisfy { $0.target == .device })
    }
}
