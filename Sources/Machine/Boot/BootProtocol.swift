// The boot protocols, and how the protocol of a kernel is recognised by its header.

/// A boot protocol.
public enum BootProtocol: String, CaseIterable, Sendable {
    /// An ELF file with a PVH entry note, entered in 32-bit protected mode (Xen's docs/misc/pvh.pandoc).
    case pvh
    /// A 64-bit ELF file, entered at its entry point by Linux's 64-bit boot protocol, with boot parameters.
    case elf64
    /// Linux's bzImage, entered at its 64-bit entry (Linux's Documentation/arch/x86/boot.rst).
    case bzImage = "bzimage"
    /// Code without a header, loaded at 1 MiB and entered there in the state that PVH defines.
    case flat
}

/// A kernel's format, with its parsed header.
enum KernelFormat {
    case pvh(ELF, entry: UInt32)
    case elf64(ELF)
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
            return (.elf64(elf), chosen)
        case .pvh:
            let elf = try ELF(image)
            guard let entry = elf.notes.pvhEntry else { throw .noEntry(elf, image) }
            return (.pvh(elf, entry: entry), chosen)
        case nil: break
        }
        if BzImage.hasSignature(image) { return (.bzImage(try BzImage(image)), "because of its Linux boot header") }
        let elf = try ELF(image)
        if let entry = elf.notes.pvhEntry { return (.pvh(elf, entry: entry), "because of its PVH note") }
        guard elf.notes.isLinux, elf.is64Bit, elf.notes.fault == nil else { throw .noEntry(elf, image) }
        return (.elf64(elf), "because it has Linux's ELF notes and no PVH note")
    }

    var `protocol`: BootProtocol {
        switch self {
        case .pvh: .pvh
        case .elf64: .elf64
        case .bzImage: .bzImage
        case .flat: .flat
        }
    }

    /// Whether the kernel is Linux, which finds its devices by ACPI.
    var isLinux: Bool {
        switch self {
        case .pvh(let elf, _), .elf64(let elf): elf.notes.isLinux
        case .bzImage: true
        case .flat: false
        }
    }

    /// The bytes of a command line that the kernel reads; nil if that is not known.
    var commandLineLimit: Int? {
        switch self {
        case .bzImage(let image): image.commandLineSize
        // COMMAND_LINE_SIZE of x86, less the terminating zero.
        case .pvh(let elf, _), .elf64(let elf): elf.notes.isLinux ? 2047 : nil
        case .flat: nil
        }
    }
}
