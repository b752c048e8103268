// What a control client sends, split into objects, and requests read from them.

import Testing

@testable import Machine

@Suite struct JSONSplitterTests {
    private func entries(_ text: String, limit: Int = 100, chunk: Int) -> [JSONSplitter.Entry] {
        var splitter = JSONSplitter(limit: limit)
        var bytes = Array(text.utf8)[...]
        var entries: [JSONSplitter.Entry] = []
        while !bytes.isEmpty {
            entries += splitter.append(Array(bytes.prefix(chunk)))
            bytes = bytes.dropFirst(chunk)
        }
        return entries
    }

    private func object(_ text: String) -> JSONSplitter.Entry { .object(Array(text.utf8)) }

    @Test("objects end at their brace, with and without anything between them", arguments: [1, 2, 7, 1000])
    func objects(chunk: Int) {
        let texts = [#"{}"#, #"{"a": {"b": [{}]}}"#, #"{"}": "{\"\\"}"#, "{\n}"]
        for gap in ["", "\r\n", " \t"] {
            #expect(entries(texts.joined(separator: gap), chunk: chunk) == texts.map { object($0) })
        }
    }

    @Test("what begins no object is skipped to the end of its line", arguments: [1, 3, 1000]) func rubbish(chunk: Int) {
        #expect(entries("x{}\n{}", chunk: chunk) == [.rubbish, object("{}")])
        #expect(entries("\n\n]\n1 2\n{}", chunk: chunk) == [.rubbish, .rubbish, object("{}")])
        #expect(entries("{\"a\": ", chunk: chunk).isEmpty)
    }

    @Test("an object that is too long is skipped to the end of its line", arguments: [1, 3, 1000]) func tooLong(
        chunk: Int
    ) {
        let long = "{" + String(repeating: "x", count: 20) + "}"
        #expect(entries(long + "\n{}", limit: 10, chunk: chunk) == [.tooLong, object("{}")])
        #expect(entries("{12345678}{}", limit: 10, chunk: chunk) == [object("{12345678}"), object("{}")])
        #expect(entries("{123456789}\n{}", limit: 10, chunk: chunk) == [.tooLong, object("{}")])
        #expect(entries("{12345678\n9}\n{}", limit: 10, chunk: chunk) == [.tooLong, object("{}")])
    }

    @Test("requests are read with their arguments and id, and refused in QEMU's words") func requests() throws {
        let (read, id) = QMPRequest.read(
            Array(#"{"execute": "a", "arguments": {"n": 3, "t": "x"}, "id": [1, null]}"#.utf8))
        let request = try read.get()
        #expect(request.command == "a" && id == .array([.number(1), .null]))
        #expect(try request.arguments.integer("n", in: 0...3) == 3 && request.arguments.string("t") == "x")
        #expect(throws: QMPError.generic("Parameter 'n' expects a number from 0 to 2")) {
            try request.arguments.integer("n", in: 0...2)
        }
        #expect(throws: QMPError.generic("Parameter 'm' is missing")) { try request.arguments.string("m") }
        #expect(throws: QMPError.generic("Parameter 't' is unexpected")) { try request.arguments.check(["n"]) }
        for (text, error) in [
            ("{", "this is not valid JSON; numbers have to be integers"),
            ("{}", "QMP input lacks member 'execute', the name of a command"),
            (#"{"execute": 1}"#, "QMP input lacks member 'execute', the name of a command"),
            (#"{"execute": "a", "b": 1}"#, "QMP input member 'b' is unexpected"),
            (#"{"execute": "a", "arguments": []}"#, "QMP input member 'arguments' must be an object"),
        ] {
            guard case .failure(let failure) = QMPRequest.read(Array(text.utf8)).request else {
                Issue.record("\(text) is read")
                continue
            }
            #expect(failure == .generic(error), "\(text)")
        }
    }
}
