// Readers of source text, which find every definition: the macros of the kernel's UAPI headers, and the constants of
// Sources/VirtioABI. Neither is a full parser; each handles the few forms that occur, and the tests fail for
// definitions that it cannot read.

import Glibc
import Testing

/// The lines of a text file. A file that cannot be read fails the test.
func lines(of path: String) -> [Substring] {
    guard let file = unsafe fopen(path, "r") else {
        Issue.record("\(path) cannot be read")
        return []
    }
    defer { unsafe fclose(file) }
    var bytes: [UInt8] = []
    while case let byte = unsafe getc(file), byte != EOF { bytes.append(UInt8(byte)) }
    return String(decoding: bytes, as: UTF8.self).split(separator: "\n")
}

/// The macros of the headers that define virtio-mmio, its rings, and the block, console and network devices.
enum KernelHeaders {
    /// Value by name; nil for a macro that is not a number, such as one with parameters or an alias of such a macro.
    static let macros: [String: UInt64?] = {
        var macros: [String: UInt64?] = [:]
        for header in ["config", "ring", "mmio", "blk", "console", "net", "ids"] {
            for line in lines(of: "/usr/include/linux/virtio_\(header).h") {
                let words = line.split(whereSeparator: \.isWhitespace)
                // An include guard has no value.
                guard words.count > 2, words[0] == "#define" else { continue }
                let text = words[2...].joined(separator: " ").prefix { $0 != "/" }
                macros[String(words[1])] = .some(value(of: String(text), macros))
            }
        }
        return macros
    }()

    /// The value of `text`: a number, decimal or hexadecimal, `(1 << n)`, or a macro that was defined before.
    private static func value(of text: String, _ macros: [String: UInt64?]) -> UInt64? {
        let words = text.split { " ()".contains($0) }
        switch words.count {
        case 1:
            if words[0].hasPrefix("0x") { return UInt64(words[0].dropFirst(2), radix: 16) }
            return UInt64(words[0]) ?? macros[String(words[0])] ?? nil
        case 3 where words[1] == "<<":
            guard let base = UInt64(words[0]), let shift = UInt64(words[2]) else { return nil }
            return base << shift
        default: return nil
        }
    }
}

/// The constants of Sources/VirtioABI.
enum Constants {
    /// `Type.name` of each `static let` and `static var`, and of each `case` on a line of its own, in `files`.
    static func names(files: [String]) -> [String] {
        let folder = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        return files.flatMap { names(in: lines(of: "/\(folder)/Sources/VirtioABI/\($0).swift")) }
    }

    private static func names(in lines: [Substring]) -> [String] {
        var names: [String] = []
        // The types that enclose the line, and the number of open braces before each.
        var types: [(name: Substring, depth: Int)] = []
        var depth = 0
        for line in lines {
            let words = line.split { " :{=,".contains($0) }.prefix { !$0.hasPrefix("//") }
            if let keyword = words.firstIndex(where: { ["enum", "struct", "extension"].contains($0) }),
                keyword + 1 < words.count, line.hasSuffix("{")
            {
                types.append((words[keyword + 1], depth))
            }
            let path = types.map { $0.name + "." }.joined()
            if let keyword = words.firstIndex(of: "static"), keyword + 2 < words.count,
                ["let", "var"].contains(words[keyword + 1])
            {
                names.append(path + words[keyword + 2])
            } else if words.first == "case", words.count > 1, !words[1].hasPrefix(".") {
                names.append(path + words[1])
            }
            depth += line.count { $0 == "{" } - line.count { $0 == "}" }
            while let last = types.last, depth <= last.depth { types.removeLast() }
        }
        return names
    }
}
