// File formats that are taken for a kernel or for a raw disk image by mistake, known by their first bytes, and how to convert them.

import Glibc

/// A format of disk images, of compressed files or of programs.
struct FileFormat {
    /// With its article, for messages.
    let name: String
    private let magic: [UInt8]
    private let offset: Int
    /// The command that writes the content to standard output, of a compressed file.
    private let decompress: String?
    private let isDisk: Bool

    private init(_ name: String, _ magic: [UInt8], at offset: Int = 0, decompress: String? = nil, isDisk: Bool = false)
    {
        (self.name, self.magic, self.offset, self.decompress, self.isDisk) = (name, magic, offset, decompress, isDisk)
    }

    private static let all = [
        FileFormat("a gzip file", [0x1f, 0x8b], decompress: "gzip -dc"),
        FileFormat("an xz file", [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0], decompress: "xz -dc"),
        FileFormat("a zstd file", [0x28, 0xb5, 0x2f, 0xfd], decompress: "zstd -dc"),
        FileFormat("an lz4 file", [0x04, 0x22, 0x4d, 0x18], decompress: "lz4 -dc"),
        FileFormat("an lz4 file", [0x02, 0x21, 0x4c, 0x18], decompress: "lz4 -dc"),
        FileFormat("a qcow2 image", [0x51, 0x46, 0x49, 0xfb], isDisk: true),
        FileFormat("a VMDK image", Array("KDMV".utf8), isDisk: true),
        FileFormat("a VMDK image", Array("# Disk DescriptorFile".utf8), isDisk: true),
        FileFormat("a VHDX image", Array("vhdxfile".utf8), isDisk: true),
        FileFormat("a VHD image", Array("conectix".utf8), isDisk: true),
        FileFormat("a VDI image", [0x7f, 0x10, 0xda, 0xbe], at: 0x40, isDisk: true),
        FileFormat("an Android sparse image", [0x3a, 0xff, 0x26, 0xed], isDisk: true),
        FileFormat("a PE file", Array("MZ".utf8)),
    ]
    /// The footer of a VHD image of fixed size, which is its last sector; otherwise the image is raw.
    private static let footer = FileFormat("a VHD image", Array("conectix".utf8), isDisk: true)

    /// The format of a kernel; nil if it is none of these.
    static func recognise(_ image: borrowing Image) -> FileFormat? {
        guard let start = try? image.bytes(at: 0, count: Int(min(image.size, 512))) else { return nil }
        return recognise(start)
    }

    /// The format of a disk image of `size` bytes, at least one sector; nil if it may be a raw one.
    static func ofDisk(_ descriptor: Int32, size: UInt64) -> FileFormat? {
        var sector = [UInt8](repeating: 0, count: 512)
        guard unsafe pread(descriptor, &sector, 512, 0) == 512 else { return nil }
        if let format = recognise(sector), format.isDisk || format.decompress != nil { return format }
        return unsafe pread(descriptor, &sector, 512, off_t(size - 512)) == 512 && footer.matches(sector) ? footer : nil
    }

    private static func recognise(_ start: [UInt8]) -> FileFormat? { all.first { $0.matches(start) } }

    private func matches(_ bytes: [UInt8]) -> Bool { bytes.dropFirst(offset).starts(with: magic) }

    /// How a kernel in the file `path` is made bootable.
    func advice(forKernel path: String) -> String {
        if let decompress { return "decompress it: \(decompress) \(path) > KERNEL" }
        if isDisk { return "give it as a disk with -d, and the kernel by its own file" }
        return "there is no EFI here; give Linux's bzImage, or an ELF file with a PVH entry note or a Multiboot header"
    }

    /// How the disk image `path` is converted to a raw one.
    func advice(forDisk path: String) -> String {
        if let decompress { return "\(decompress) \(path) > disk.img" }
        if name.contains("Android") { return "simg2img \(path) disk.img" }
        return "qemu-img convert -O raw \(path) disk.img"
    }
}
