// A file for a test.

import Glibc
import Testing

/// A temporary file that `deinit` removes.
struct TemporaryFile: ~Copyable {
    let path: String
    private let descriptor: Int32

    init() throws {
        var template = Array("/tmp/vmm-test-XXXXXX\0".utf8CString.dropLast())
        descriptor = unsafe mkstemp(&template)
        try #require(descriptor >= 0)
        path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    deinit {
        close(descriptor)
        unsafe unlink(path)
    }

    /// Bytes in the file.
    var size: Int { lseek(descriptor, 0, SEEK_END) }

    /// Replaces the file's content.
    func write(_ bytes: [UInt8]) {
        ftruncate(descriptor, 0)
        let written = unsafe pwrite(descriptor, bytes, bytes.count, 0)
        precondition(written == bytes.count)
    }
}
