// Landlock: the calling thread, and threads that it starts, give up the file system by path, the network, and signals and abstract
// sockets of other processes. Files that are open stay so. Linux: Documentation/userspace-api/landlock.rst.

import CLinux
import Glibc

/// A Landlock domain.
enum Landlock {
    /// The version of the kernel's Landlock, from 1; negative, -errno, if it has none.
    static var version: Int32 { clinux_landlock_version() }

    /// The versions that brought more than file access, and what. A kernel without them does not restrict that.
    static let additions: [(version: Int32, what: String)] = [
        (3, "truncating files"), (4, "TCP ports"), (5, "devices' ioctl requests"), (6, "signals and abstract sockets"),
    ]

    /// LANDLOCK_ACCESS_FS_REMOVE_FILE
    private static let removeFile: UInt64 = 1 << 5
    /// Of LANDLOCK_ACCESS_FS_: WRITE_FILE, READ_FILE, READ_DIR, REMOVE_DIR, REMOVE_FILE, MAKE_DIR, MAKE_REG, TRUNCATE.
    private static let makeFiles: UInt64 = 0b1110 | 1 << 4 | 1 << 5 | 1 << 7 | 1 << 8 | 1 << 14

    /// The rights of the file system, the network and the scopes, as `version` knows them: struct landlock_ruleset_attr.
    private static func attributes(_ version: Int32) -> [UInt64] {
        let files: UInt64 =
            switch version {
            case 1: 1 << 13 - 1
            case 2: 1 << 14 - 1
            case 3, 4: 1 << 15 - 1
            default: 1 << 16 - 1
            }
        return [files] + (version >= 4 ? [0b11] : []) + (version >= 6 ? [0b11] : [])
    }

    /// Restricts the calling thread, as far as `version` of the kernel's Landlock can. Only the names in `folders` may still be
    /// removed, and files and folders made, read and removed in the folder `made`. Returns 0 or an errno.
    static func restrict(_ version: Int32, removingIn folders: [String], making made: String?) -> Int32 {
        let attributes = attributes(version)
        let ruleset = unsafe clinux_landlock_create(attributes, UInt(8 * attributes.count))
        guard ruleset >= 0 else { return -ruleset }
        defer { close(ruleset) }
        let permissions = folders.map { ($0, removeFile) } + (made.map { [($0, makeFiles & attributes[0])] } ?? [])
        for (path, rights) in permissions {
            let folder = unsafe open(path, CLINUX_O_PATH | O_DIRECTORY | O_CLOEXEC)
            guard folder >= 0 else { return Glibc.errno }
            defer { close(folder) }
            let result = clinux_landlock_permit(ruleset, rights, folder)
            guard result == 0 else { return -result }
        }
        return -clinux_landlock_restrict(ruleset)
    }
}
