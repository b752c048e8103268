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
        let hasNoKeyWord = clause.level == .stated || clause.level == .advice
        if clause.level == .stated || key == "0" { #expect(key == "0" && hasNoKeyWord, "\(clause.id)") }
    }

    @Test("clause ids are unique, and every check is on the driver")
    func clauseNames() {
        var ids: Set<String> = []
        for clause in Clause.all { #expect(ids.insert("\(clause.id)").inserted, "\(clause.id) twice") }
        #expect(Clause.all.count == Check.allCases.count + Clause.otherDriverClauses.count + Clause.deviceClauses.count)
        #expect(Check.allCases.allSatisfy { $0.clause.target == .driver })
        #expect(Clause.otherDriverClauses.allSatisfy { $0.target == .driver })
        #expect(Clause.deviceClauses.allSatisfy { $0.target == .device })
    }
}
