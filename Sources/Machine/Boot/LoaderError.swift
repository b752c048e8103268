// Why a kernel cannot be booted, in a sentence that says what to do next.

import Glibc

/// Why a kernel, its initrd or its command line cannot be used. `name` is the file as the user named it.
public enum LoaderError: Error, Equatable, CustomStringConvertible {
    /// The file cannot be opened or read.
    case unreadable(name: String, errno: Int32)
    /// The name is a directory's.
    case directory(name: String)
    /// The name is a pipe's, a socket's or a device's.
    case notAFile(name: String)
    /// The file has no bytes.
    case empty(name: String)
    /// The file ends before what it says it holds.
    case truncated(name: String)
    /// No ELF magic, and no boot header of Linux's.
    case notELF(name: String)
    /// No boot header of Linux's.
    case notBzImage(name: String)
    /// A boot header from before there was a 64-bit entry.
    case oldBzImage(name: String)
    /// A kernel without a 64-bit entry.
    case not64Bit(name: String)
    /// An ELF file for another machine.
    case wrongMachine(name: String)
    /// An ELF file that contradicts itself or the ELF specification.
    case malformed(name: String, what: String)
    /// An ELF file without a PVH entry that is not Linux's either.
    case noPVHNote(name: String)
    /// A part ends at `end`, beyond the `memory` bytes there are below the hole.
    case outsideMemory(part: String, end: UInt64, memory: UInt64)
    /// A part lies where the board can have no RAM, however much it is given.
    case inTheHole(part: String, address: UInt64)
    /// Two parts need the same addresses.
    case overlap(String, String, address: UInt64)
    /// The initrd is larger than the memory that is left for it.
    case initrdTooLarge(name: String, size: UInt64, room: UInt64)
    /// The command line has more bytes than the kernel reads.
    case commandLineTooLong(length: Int, limit: Int)

    /// One sentence.
    public var description: String {
        switch self {
        case .unreadable(let name, ENOENT): "there is no file \(name); check the path"
        case .unreadable(let name, EACCES): "\(name) may not be read; change its permissions, or name a copy"
        case .unreadable(let name, let number):
            "\(name) cannot be read (\(reason(number))); check the path and the disk it is on"
        case .directory(let name): "\(name) is a directory; name the file in it"
        case .notAFile(let name): "\(name) is not a regular file; copy its contents into one"
        case .empty(let name): "\(name) is empty; build or copy it again"
        case .truncated(let name): "\(name) is cut short; build or copy it again"
        case .notELF(let name):
            "\(name) is not an ELF file (7f 45 4c 46 at 0) and has no Linux boot header (HdrS at 0x202); give a kernel of "
                + "either kind, or load it as bare code with --boot flat"
        case .notBzImage(let name):
            "\(name) has no Linux boot header (HdrS at 0x202); give a bzImage, as Debian's /boot/vmlinuz is, or another --boot"
        case .oldBzImage(let name):
            "\(name) has a Linux boot header older than version 2.12; give a kernel of Linux 3.8 or later"
        case .not64Bit(let name): "\(name) has no 64-bit entry; give a kernel for x86-64"
        case .wrongMachine(let name): "\(name) is not for x86; build it for x86-64"
        case .malformed(let name, let what): "\(name) is a broken ELF file (\(what)); link it again"
        case .noPVHNote(let name):
            "\(name) has no PVH entry note (owner Xen, type 18) and no notes of Linux's; link a PVH note in, with Linux by "
                + "CONFIG_PVH, or enter it in 64-bit mode with --boot elf64"
        case .outsideMemory(let part, let end, let memory):
            "\(part) needs \(Self.mebibytes(end)) MiB of memory, the guest has \(memory >> 20); "
                + "try -m \(Self.mebibytes(end))M or more"
        case .inTheHole(let part, let address):
            "\(part) lies at 0x\(String(address, radix: 16)), where this board has no RAM; link it lower"
        case .overlap(let first, let second, let address):
            "\(first) and \(second) both need address 0x\(String(address, radix: 16)); link the kernel elsewhere, "
                + "1 MiB and up is free"
        case .initrdTooLarge(let name, let size, let room):
            "\(name) needs \(Self.mebibytes(size)) MiB, the kernel leaves \(room >> 20); "
                + "try -m with \(Self.mebibytes(size - min(room, size))) MiB more"
        case .commandLineTooLong(let length, let limit):
            "the command line has \(length) bytes, the kernel reads \(limit); shorten it"
        }
    }

    /// Rounded up, so that the number suffices.
    private static func mebibytes(_ bytes: UInt64) -> UInt64 { bytes >> 20 + (bytes & 0xf_ffff == 0 ? 0 : 1) }
}
