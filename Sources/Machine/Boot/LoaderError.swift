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
    /// A Linux boot header of a kernel that has to be entered in real mode.
    case needsBIOS(name: String)
    /// No Multiboot header of this version with a valid checksum.
    case noMultiboot(name: String, version: Int)
    /// A Multiboot header that cannot be obeyed, and why.
    case badMultiboot(name: String, what: String)
    /// An ELF file that is to be entered in 64-bit mode and is for 32 bits.
    case not64Bit(name: String)
    /// An ELF file for another machine.
    case wrongMachine(name: String)
    /// A kernel that contradicts itself or the specification of its format.
    case malformed(name: String, what: String)
    /// A file in another format, and what to do with it.
    case wrongFormat(name: String, format: String, advice: String)
    /// An ELF file without a PVH entry note, a Multiboot header and Linux's notes.
    case noPVHNote(name: String, is64Bit: Bool)
    /// A PVH note that gives no entry, and why.
    case badPVHNote(name: String, fault: String)
    /// A part for which the board needs `needed` bytes of memory; the guest has `memory`.
    case outsideMemory(part: String, needed: UInt64, memory: UInt64)
    /// A part that is not, or not whole, in RAM on a board with any amount of it.
    case notRAM(part: String, address: UInt64, size: UInt64)
    /// Two parts need the same addresses.
    case overlap(String, String, address: UInt64)
    /// The initrd is larger than the memory left for it, `room` bytes. With `needed` bytes of memory it fits; nil if with none.
    case initrdTooLarge(name: String, size: UInt64, room: UInt64, needed: UInt64?)
    /// The boot information has `size` bytes with the names of the modules, more than the board has room for.
    case tooManyModules(size: Int)
    /// More than one initial RAM disk for Linux.
    case manyInitrds
    /// The command line has more bytes than the kernel reads, or than the board has room for.
    case commandLineTooLong(length: Int, limit: Int, isKernels: Bool)

    /// One sentence, without the full stop.
    public var description: String {
        switch self {
        case .unreadable(let name, ENOENT): "there is no file \(name); check the path"
        case .unreadable(let name, EACCES): "\(name) may not be read; change its permissions, or name a copy"
        case .unreadable(let name, let number):
            "\(name) cannot be read (\(reason(number)))\(remedy(number, else: "check the path and the disk it is on"))"
        case .directory(let name): "\(name) is a directory; name the file in it"
        case .notAFile(let name): "\(name) is not a regular file; copy its contents into one"
        case .empty(let name): "\(name) is empty; build or copy it again"
        case .truncated(let name): "\(name) is truncated; build or copy it again"
        case .notELF(let name):
            "\(name) is not an ELF file (7f 45 4c 46 at 0) and has no Linux boot header (HdrS at 0x202); give a kernel of "
                + "either kind, or load it as code without a header with --boot flat"
        case .notBzImage(let name):
            "\(name) has no Linux boot header (HdrS at 0x202); give a bzImage, as Debian's /boot/vmlinuz is, or another --boot"
        case .needsBIOS(let name):
            "\(name) has a Linux boot header without a 32-bit entry: it needs real mode and a BIOS, which are not here; give a "
                + "bzImage of Linux 2.4 or later"
        case .noMultiboot(let name, let version):
            "\(name) has no Multiboot\(version == 2 ? "2" : "") header with a valid checksum in its first "
                + "\(version == 2 ? "32 KiB, at a multiple of 8" : "8 KiB, at a multiple of 4"); link it there, or use another --boot"
        case .badMultiboot(let name, let what):
            "the Multiboot header of \(name) \(what); change the header and link it again"
        case .not64Bit(let name): "\(name) has no 64-bit entry; give a kernel for x86-64"
        case .wrongMachine(let name): "\(name) is not for x86; build it for x86-64"
        case .malformed(let name, let what): "\(name) is malformed (\(what)); link it again"
        case .wrongFormat(let name, let format, let advice): "\(name) is \(format), not a kernel; \(advice)"
        case .noPVHNote(let name, let is64Bit):
            "\(name) has no PVH entry note (owner Xen, type 18), no Multiboot header and no Linux notes; link a PVH note in "
                + "(in Linux: CONFIG_PVH)"
                + (is64Bit ? ", or boot it in 64-bit mode with --boot elf64 --discovery cmdline" : "")
        case .badPVHNote(let name, let fault):
            "the PVH entry note (owner Xen, type 18) of \(name) \(fault); give it an address of 4 bytes and link it again"
        case .outsideMemory(let part, let needed, let memory):
            "\(part) needs \(Self.mebibytes(needed)) MiB of guest memory, the guest has \(memory >> 20) MiB; "
                + "try -m \(Self.mebibytes(needed))M or more"
        case .notRAM(let part, let address, let size):
            "\(part) \(Self.phrase(address, size)); link it \(address < MemoryMap.hole.lowerBound ? "smaller, or lower" : "lower")"
        case .overlap(let first, let second, let address):
            "\(first) and \(second) both need address 0x\(String(address, radix: 16)); link the kernel elsewhere, "
                + "1 MiB and up is free"
        case .initrdTooLarge(let name, let size, let room, let needed?):
            "initrd \(name) needs \(Self.mebibytes(size)) MiB of memory, the kernel leaves \(room >> 20) MiB; "
                + "try -m \(Self.mebibytes(needed))M or more"
        case .initrdTooLarge(let name, let size, let room, nil):
            "initrd \(name) needs \(Self.mebibytes(size)) MiB of memory, the kernel leaves \(room >> 20) MiB; "
                + "no -m leaves it enough: use a smaller one, or compress it"
        case .tooManyModules(let size):
            "the boot information has \(size) bytes with the names of the modules, of which vmm has room for "
                + "\(MemoryMap.startInfo.count); give fewer -i, or shorter paths"
        case .manyInitrds:
            "Linux takes one initial RAM disk, and there is more than one -i; concatenate them: cat A B > INITRD"
        case .commandLineTooLong(let length, let limit, true):
            "the kernel command line has \(length) bytes, of which the kernel reads \(limit); shorten it"
        case .commandLineTooLong(let length, let limit, false):
            "the kernel command line has \(length) bytes, of which vmm has room for \(limit); shorten it"
        }
    }

    /// Where `size` bytes from `address` on are, on a board that has not RAM for all of them.
    private static func phrase(_ address: UInt64, _ size: UInt64) -> String {
        let hole = MemoryMap.hole
        if hole.contains(address) {
            return "lies at \(hex(address)), in the hole for devices below 4 GiB, where no board has RAM"
        }
        if address.addingReportingOverflow(size).overflow {
            return "lies at \(hex(address)), and its \(hex(size)) bytes go beyond the last address"
        }
        if address < hole.lowerBound {
            return
                "lies at \(hex(address)), and its \(hex(size)) bytes reach into the hole for devices at \(hex(hole.lowerBound))"
        }
        return "lies at \(hex(address)), beyond the most RAM that a board can have; "
            + "a kernel with virtual addresses needs its physical ones in p_paddr"
    }

    /// The error for an image that is neither ELF nor has a Linux boot header.
    static func notAKernel(_ image: borrowing Image) -> LoaderError {
        guard let format = FileFormat.recognise(image) else { return .notELF(name: image.name) }
        return .wrongFormat(name: image.name, format: format.name, advice: format.advice(forKernel: image.name))
    }

    /// The error for an ELF file that no protocol boots.
    static func noEntry(_ elf: ELF, _ image: borrowing Image) -> LoaderError {
        if let fault = elf.notes.fault { return .badPVHNote(name: image.name, fault: fault) }
        return .noPVHNote(name: image.name, is64Bit: elf.is64Bit)
    }

    static func hex(_ value: UInt64) -> String { "0x" + String(value, radix: 16) }

    /// Mebibytes, rounded up, so that `-m` with this number suffices.
    private static func mebibytes(_ bytes: UInt64) -> UInt64 { bytes >> 20 + (bytes & 0xf_ffff == 0 ? 0 : 1) }
}
