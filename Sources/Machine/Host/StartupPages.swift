// The pages of the program's code that only its start needed: the parser of the command line, the loader, the makers of tables. Most of
// what a waiting vmm has in memory is these.

import CLinux
import Glibc

/// The code's pages.
enum StartupPages {
    /// Takes the code's pages out of this process; those that are executed again come back from the page cache, without I/O.
    static func drop() {
        var (first, last): (UInt, UInt) = (0, 0)
        unsafe clinux_code(&first, &last)
        let page: UInt = 4096
        guard let start = unsafe UnsafeMutableRawPointer(bitPattern: first / page * page) else { return }
        unsafe madvise(start, Int(last / page * page - first / page * page), MADV_DONTNEED)
    }

    /// Whether a debugger's breakpoints may be in the pages, which must then stay.
    static var areTraced: Bool {
        let file = unsafe open("/proc/self/status", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return false }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = unsafe read(file, &bytes, bytes.count)
        let line = String(decoding: bytes.prefix(max(0, count)), as: UTF8.self).split(separator: "\n").first {
            $0.hasPrefix("TracerPid:")
        }
        return line?.hasSuffix("\t0") == false
    }
}
