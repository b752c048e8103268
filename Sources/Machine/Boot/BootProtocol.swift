// How a kernel is handed over to, and how that is found out from its first bytes.

/// A boot protocol.
public enum BootProtocol: String, CaseIterable, Sendable {
    /// An ELF file with a PVH entry note, entered in 32-bit protected mode (Xen's docs/misc/pvh.pandoc).
    case pvh
    /// A 64-bit ELF file, entered at its entry point as Linux wants it: in 64-bit mode, with boot parameters.
    case elf64
    /// Linux's own image, entered by its 64-bit entry (Linux's Documentation/arch/x86/boot.rst).
    case bzImage = "bzimage"
    /// Code without a header, loaded at 1 MiB and entered there, as PVH enters.
    case flat
}

/// A kernel whose header was read.
enum KernelFormat {
    case pvh(ELF, entry: UInt32)
    case elf64(ELF)
    case bzImage(BzImage)
    case flat

    /// Reads the header of `image`, for `wanted` if the user chose; and says why it is what it is.
    static func read(
        _ image: borrowing Image, as wanted: BootProtocol?
    ) throws(LoaderError) -> (format: KernelFormat, why: String) {
        let chosen = "as --boot says"
        switch wanted {
        case .flat: return (.flat, chosen)
        case .bzImage: return (.bzImage(try BzImage(image)), chosen)
        case .elf64:
            let elf = try ELF(image)
            guard elf.is64Bit else { throw .not64Bit(name: image.name) }
            return (.elf64(elf), chosen)
        case .pvh:
            let elf = try ELF(image)
            guard let entry = elf.pvhEntry else { throw .noPVHNote(name: image.name) }
            return (.pvh(elf, entry: entry), chosen)
        case nil: break
        }
        if BzImage.isOne(image) { return (.bzImage(try BzImage(image)), "for the signature of Linux's boot header") }
        let elf = try ELF(image)
        if let entry = elf.pvhEntry { return (.pvh(elf, entry: entry), "for the PVH note of an ELF file") }
        guard elf.isLinux, elf.is64Bit else { throw .noPVHNote(name: image.name) }
        return (.elf64(elf), "for Linux's notes in an ELF file that has no PVH note")
    }

    var `protocol`: BootProtocol {
        switch self {
        case .pvh: .pvh
        case .elf64: .elf64
        case .bzImage: .bzImage
        case .flat: .flat
        }
    }

    /// The kernel is Linux, which finds its devices by ACPI.
    var isLinux: Bool {
        switch self {
        case .pvh(let elf, _), .elf64(let elf): elf.isLinux
        case .bzImage: true
        case .flat: false
        }
    }
}
