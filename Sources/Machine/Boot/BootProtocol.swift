// The boot protocols, and how the protocol of a kernel is recognised by its header.

/// A boot protocol.
public enum BootProtocol: String, CaseIterable, Sendable {
    /// An ELF file with a PVH entry note, entered in 32-bit protected mode (Xen's docs/misc/pvh.pandoc).
    case pvh
    /// Multiboot, version 1: an ELF file, or one with addresses in its Multiboot header, entered in 32-bit protected mode.
    case multiboot
    /// Multiboot2, likewise.
    case multiboot2
    /// A 64-bit ELF file, entered at its entry point by Linux's 64-bit boot protocol, with boot parameters.
    case elf64
    /// Linux's bzImage, entered at its 64-bit entry if it has one, and else at its 32-bit entry (Linux's Documentation/arch/x86/boot.rst).
    case bzImage = "bzimage"
    /// Code without a header, loaded at 1 MiB and entered there in the state that PVH defines.
    case flat
}

/// A kernel's format, with its parsed header.
enum KernelFormat {
    case pvh(ELF, entry: UInt32)
    case multiboot(Multiboot)
    case multiboot2(Multiboot)
    case elf64(ELF, isLinux: Bool)
    case bzImage(BzImage)
    case flat

    /// Reads the header of `image`: as `wanted`, or as its first bytes say if the user chose no protocol. `why` is the reason,
    /// a phrase for a message.
    static func read(
        _ image: borrowing Image, as wanted: BootProtocol?
    ) throws(LoaderError) -> (format: KernelFormat, why: String) {
        let chosen = "because --boot says so"
        switch wanted {
        case .flat: return (.flat, chosen)
        case .bzImage: return (.bzImage(try BzImage(image)), chosen)
        case .elf64:
            let elf = try ELF(image)
            guard elf.is64Bit else { throw .not64Bit(name: image.name) }
            return (.elf64(elf, isLinux: try elf.isLinux(image)), chosen)
        case .pvh:
            let elf = try ELF(image)
            guard let entry = elf.notes.pvhEntry else { throw .noEntry(elf, image) }
            return (.pvh(elf, entry: entry), chosen)
        case .multiboot:
            guard let header = Multiboot1.header(of: image) else { throw .noMultiboot(name: image.name, version: 1) }
            return (.multiboot(try Multiboot1.read(image, header: header)), chosen)
        case .multiboot2:
            guard let header = Multiboot2.header(of: image) else { throw .noMultiboot(name: image.name, version: 2) }
            return (.multiboot2(try Multiboot2.read(image, header: header)), chosen)
        case nil: return try recognise(image)
        }
    }

    private static func recognise(_ image: borrowing Image) throws(LoaderError) -> (format: KernelFormat, why: String) {
        if BzImage.hasSignature(image) { return (.bzImage(try BzImage(image)), "because of its Linux boot header") }
        let elf = ELF.hasMagic(image) ? try ELF(image) : nil
        if let elf, let entry = elf.notes.pvhEntry { return (.pvh(elf, entry: entry), "because of its PVH note") }
        if let header = Multiboot2.header(of: image) {
            return (.multiboot2(try Multiboot2.read(image, header: header)), "because of its Multiboot2 header")
        }
        if let header = Multiboot1.header(of: image) {
            return (.multiboot(try Multiboot1.read(image, header: header)), "because of its Multiboot header")
        }
        guard let elf else { throw .notAKernel(image) }
        guard elf.is64Bit, elf.notes.fault == nil, try elf.isLinux(image) else { throw .noEntry(elf, image) }
        let has = elf.notes.isLinux ? "Linux's ELF notes" : "Linux's version in it"
        return (.elf64(elf, isLinux: true), "because it has \(has) and no PVH note")
    }

    var `protocol`: BootProtocol {
        switch self {
        case .pvh: .pvh
        case .multiboot: .multiboot
        case .multiboot2: .multiboot2
        case .elf64: .elf64
        case .bzImage: .bzImage
        case .flat: .flat
        }
    }

    /// Whether the kernel is Linux, which finds its devices by ACPI.
    var isLinux: Bool {
        switch self {
        case .pvh(let elf, _): elf.notes.isLinux
        case .elf64(_, let isLinux): isLinux
        case .bzImage: true
        case .multiboot, .multiboot2, .flat: false
        }
    }

    /// Whether the kernel is entered by a Multiboot protocol.
    var isMultiboot: Bool { self.protocol == .multiboot || self.protocol == .multiboot2 }

    /// Whether a second initial RAM disk would be lost.
    var takesOneInitrd: Bool { isLinux || self.protocol == .elf64 }

    /// The bytes of a command line that the kernel reads; nil if that is not known.
    var commandLineLimit: Int? {
        switch self {
        case .bzImage(let image): image.commandLineSize
        // COMMAND_LINE_SIZE of x86, less the terminating zero.
        case .pvh, .elf64: isLinux ? 2047 : nil
        case .multiboot, .multiboot2, .flat: nil
        }
    }
}
