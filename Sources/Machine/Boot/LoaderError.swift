// The errors of a kernel, its initrd and its command line, each as a sentence that says what to do next.

import Glibc

/// An error of a kernel, its initrd or its command line. `name` is the file as the user named it.
public enum LoaderError: Error, Equatable, CustomStringConvertible {
    /// The file cannot be opened or read.
    case unreadable(name: String, errno: Int32)
    /// The file is a directory.
    case directory(name: String)
    /// The file is a pipe, a socket or a device.
    case notAFile(name: String)
    /// The file has no bytes.
    case empty(name: String)
    /// The file is shorter than its headers say.
    case truncated(name: String)
    /// Neither ELF magic nor a Linux boot header.
    case notELF(name: String)
    /// No Linux boot header.
    case notBzImage(name: String)
    /// A Linux boot header that is too old to have a 64-bit entry.
    case oldBzImage(name: String)
    /// A kernel without a 64-bit entry.
    case not64Bit(name: String)
    /// An ELF file for another machine.
    case wrongMachine(name: String)
    /// An ELF file that contradicts itself or the ELF specification.
    case malformed(name: String, what: String)
    /// An ELF file without a PVH entry note and without Linux's notes.
    case noPVHNote(name: String)
    /// A part ends at `end`, beyond the guest's memory of `memory` bytes.
    case outsideMemory(part: String, end: UInt64, memory: UInt64)
    /// A part lies in the hole, where the board has no RAM of any size.
    case inTheHole(part: String, address: UInt64)
    /// Two parts need the same addresses.
    case overlap(String, String, address: UInt64)
    /// The initrd is larger than the memory left for it, `room` bytes.
    case initrdTooLarge(name: String, size: UInt64, room: UInt64)
    /// The command line has more bytes than the kernel reads.
    case commandLineTooLong(length: Int, limit: Int)

    /// One sentence, without the full stop.
    public var description: String {
        switch self {
        case .unreadable(let name, ENOENT): "there is no file \(name); check the path"
        case .unreadable(let name, EACCES): "\(name) may not be read; change its permissions, or name a copy"
        case .unreadable(let name, let number):
            "\(name) cannot be read (\(reason(number))); check the path and the disk it is on"
        case .directory(let name): "\(name) is a directory; name the file in it"
        case .notAFile(let name): "\(name) is not a regular file; copy its contents into one"
        case .empty(let name): "\(name) is empty; build or copy it again"
        case .truncated(let name): "\(name) is truncated; build or copy it again"
        case .notELF(let name):
            "\(name) is not an ELF file (7f 45 4c 46 at 0) and has no Linux boot header (HdrS at 0x202); give a kernel of "
                + "either kind, or load it as code without a header with --boot flat"
        case .notBzImage(let name):
            "\(name) has no Linux boot header (HdrS at 0x202); give a bzImage, as Debian's /boot/vmlinuz is, or another --boot"
        case .oldBzImage(let name):
            "\(name) has a Linux boot header older than version 2.12; give a kernel of Linux 3.8 or later"
        case .not64Bit(let name): "\(name) has no 64-bit entry; give a kernel for x86-64"
        case .wrongMachine(let name): "\(name) is not for x86; build it for x86-64"
        case .malformed(let name, let what): "\(name) is a malformed ELF file (\(what)); link it again"
        case .noPVHNote(let name):
            "\(name) has no PVH entry note (owner Xen, type 18) and no Linux notes; link a PVH note in (in Linux: CONFIG_PVH), "
                + "or boot it in 64-bit mode with --boot elf64"
        case .outsideMemory(let part, let end, let memory):
            "\(part) needs \(Self.mebibytes(end)) MiB of guest memory, the guest has \(memory >> 20) MiB; "
                + "try -m \(Self.mebibytes(end))M or more"
        case .inTheHole(let part, let address):
            "\(part) lies at 0x\(String(address, radix: 16)), where this board has no RAM; link it lower"
        case .overlap(let first, let second, let address):
            "\(first) and \(second) both need address 0x\(String(address, radix: 16)); link the kernel elsewhere, "
                + "1 MiB and up is free"
        case .initrdTooLarge(let name, let size, let room):
            "initrd \(name) needs \(Self.mebibytes(size)) MiB of memory, the kernel leaves \(room >> 20) MiB; "
                + "try -m with \(Self.mebibytes(size - min(room, size))) MiB more"
        case .commandLineTooLong(let length, let limit):
            "the kernel command line has \(length) bytes, of which the kernel reads \(limit); shorten it"
        }
    }

    /// Mebibytes, rounded up, so that `-m` with this number suffices.
    private static func mebibytes(_ bytes: UInt64) -> UInt64 { bytes >> 20 + (bytes & 0xf_ffff == 0 ? 0 : 1) }
}
