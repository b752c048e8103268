// A snapshot's machine.json: every byte counts, and what is cut, or no JSON, or another version, gets a sentence. The text watch.

import Testing

@testable import Machine

@Suite struct SnapshotFileTests {
    /// The smallest file that is one, with `version`.
    private static func file(version: Int = SnapshotFile.version) -> [UInt8] {
        let text =
            #"{"snapshot":\#(version),"vmm":"0","memory":{"ram":2097152,"size":2097152,"pages":0,"digest":"0x0","modified":"0"},"#
            + #""kernel":null,"commandLine":"","testDevice":false,"suspend":"draft","serial":null,"links":[],"entropy":0,"#
            + #""cpuid":"0x","tscKHz":0,"vcpus":[{"registers":"0x00"}],"chips":{"pic0":"0x"},"clockRegister":0,"devices":[]"#
        return Array((text + SnapshotFile.ending(of: text.utf8)).utf8)
    }

    private func problem(_ bytes: [UInt8]) -> String? {
        do throws(MachineError) {
            _ = try SnapshotFile.decode(bytes, in: "s")
            return nil
        } catch { return error.description }
    }

    @Test("The file itself is read, and no file of which one byte is another")
    func bytes() throws {
        let file = Self.file()
        #expect(try SnapshotFile.decode(file, in: "s").vcpus.count == 1)
        for index in file.indices {
            for value in [0, file[index] ^ 1, file[index] ^ 0x80, 0x22, 0xff] where value != file[index] {
                var changed = file
                changed[index] = value
                #expect(problem(changed)?.hasPrefix("snapshot s: ") == true, "byte \(index)")
            }
        }
        // A change of the digest alone, and of what follows it.
        #expect(problem(file + [0x20]) != nil)
    }

    @Test("A file that is cut is refused at every length")
    func cuts() {
        let file = Self.file()
        for length in file.indices { #expect(problem(Array(file[..<length])) != nil, "\(length) bytes") }
    }

    @Test("Another version is named, also where its digest is another's")
    func version() {
        #expect(problem(Self.file(version: 1))?.contains("it is of version 1") == true)
        #expect(
            problem(Array(#"{"snapshot":3}"#.utf8 + Array(repeating: 0x20, count: 40)))?.contains("version 3") == true)
    }

    @Test("A text is found across writes, once, and in no other text")
    func watch() {
        nonisolated(unsafe) var found = 0
        let wanted = WantedText("aab") { unsafe found += 1 }
        var first = OutputBuffer(keepsNewest: false)
        var second = OutputBuffer(keepsNewest: false)
        first.watch = TextWatch(wanted)
        second.watch = TextWatch(wanted)
        for byte in "aa".utf8 { first.append(byte) }
        for byte in "b a b ab".utf8 { second.append(byte) }
        #expect(unsafe found == 0 && !wanted.wasFound)
        for byte in "ab".utf8 { first.append(byte) }
        #expect(unsafe found == 1 && wanted.wasFound)
        for byte in "aab".utf8 { second.append(byte) }
        #expect(unsafe found == 1)
    }
}
