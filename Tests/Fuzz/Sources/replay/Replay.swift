// Runs inputs through a target one by one, without libFuzzer: to reproduce a failure, and to measure the corpus'
// coverage.
//
// usage: replay TARGET PATH...        files, or directories of files

import FuzzTargets
import Glibc

@main
struct Replay {
    static func main() {
        let arguments = CommandLine.arguments
        guard arguments.count > 2, let target = Target(rawValue: arguments[1]) else {
            let names = Target.allCases.map(\.rawValue).joined(separator: ", ")
            print("usage: replay TARGET PATH...\nwhere TARGET is one of \(names)")
            exit(64)
        }
        var count = 0
        for path in arguments[2...].flatMap({ files(at: $0) }) {
            guard let bytes = read(path) else {
                print("\(path) cannot be read")
                exit(1)
            }
            target.run(bytes)
            count += 1
        }
        print("\(target.rawValue): \(count) inputs")
    }

    /// The files in a directory, sorted by name; or the file itself.
    static func files(at path: String) -> [String] {
        guard let directory = unsafe opendir(path) else { return [path] }
        defer { unsafe closedir(directory) }
        var names: [String] = []
        while let entry = unsafe readdir(directory) {
            let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                unsafe String(decoding: Array(bytes).prefix { $0 != 0 }, as: UTF8.self)
            }
            if !name.hasPrefix(".") && !name.hasSuffix(".txt") { names.append(name) }
        }
        return names.sorted().map { "\(path)/\($0)" }
    }

    static func read(_ path: String) -> [UInt8]? {
        guard let file = unsafe fopen(path, "r") else { return nil }
        defer { unsafe fclose(file) }
        var bytes: [UInt8] = []
        while case let byte = unsafe getc(file), byte != EOF { bytes.append(UInt8(byte)) }
        return bytes
    }
}
