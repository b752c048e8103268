// Brings a kernel, its initrd and its command line into guest memory. How the kernel's own format is read is in ELF.swift;
// how a boot protocol hands over is in that protocol's file (PVH.swift). Another protocol is another such file and a case
// in `load`.

/// What happens to a guest's memory before its first instruction.
public struct Loader: ~Copyable {
    private let kernel: Image
    private let elf: ELF
    private let entry: UInt32

    /// Opens a kernel and reads what is needed to know that it can be booted.
    public init(kernel source: ImageSource) throws(LoaderError) {
        let kernel = try Image(source)
        let elf = try ELF(kernel)
        guard let entry = elf.pvhEntry else { throw .noPVHNote(name: kernel.name) }
        self.kernel = kernel
        self.elf = elf
        self.entry = entry
    }

    /// Whether the kernel is Linux, which finds its devices by ACPI.
    public var isLinux: Bool { elf.isLinux }

    /// Loads everything into `ram`, which nothing has been written to yet, and says how the first vCPU starts.
    ///
    /// `rsdp` is where the ACPI tables' root is, in `MemoryMap.firmware`; 0 without ACPI.
    public func load(
        into ram: RAM, commandLine: String, initrd: ImageSource? = nil, rsdp: UInt64 = 0
    ) throws(LoaderError) -> EntryState {
        var layout = BootLayout(ram)
        try layout.place("the start information", at: MemoryMap.startInfo)
        try layout.place("the command line", at: MemoryMap.commandLine)
        try layout.place("the firmware's area", at: MemoryMap.firmware)
        try loadKernel(&layout)
        let module = try initrd.map { (source) throws(LoaderError) in try Self.loadInitrd(source, &layout) }

        let text = Array(commandLine.utf8) + [0]
        guard text.count <= MemoryMap.commandLine.count else {
            throw .commandLineTooLong(length: text.count - 1, limit: MemoryMap.commandLine.count - 1)
        }
        layout.write(text, at: MemoryMap.commandLine.lowerBound)
        let startInfo = PVH.startInfo(ram: ram, module: module, rsdp: rsdp)
        layout.write(startInfo, at: MemoryMap.startInfo.lowerBound)
        return .pvh(entry: entry, startInfo: UInt32(MemoryMap.startInfo.lowerBound))
    }

    private func loadKernel(_ layout: inout BootLayout) throws(LoaderError) {
        for (number, segment) in elf.segments.enumerated() {
            let part = "\(kernel.name), segment \(number)"
            let range = try layout.place(part, at: segment.address, size: segment.memorySize)
            try layout.fill(range.lowerBound, from: kernel, at: segment.offset, count: segment.fileSize)
        }
        let address = UInt64(entry)
        guard elf.segments.contains(where: { address >= $0.address && address - $0.address < $0.memorySize }) else {
            throw .malformed(name: kernel.name, what: "its PVH entry is in none of its segments")
        }
    }

    /// As high as the memory below the hole allows: away from a kernel that grows.
    private static func loadInitrd(
        _ source: ImageSource, _ layout: inout BootLayout
    ) throws(LoaderError) -> Range<UInt64> {
        let initrd = try Image(source)
        let room = layout.roomAtTheTop
        guard initrd.size <= room.upperBound - room.lowerBound else {
            throw .initrdTooLarge(
                name: initrd.name, size: initrd.size, room: room.upperBound - room.lowerBound)
        }
        let start = (room.upperBound - initrd.size) & ~0xfff
        let range = try layout.place(initrd.name, at: start, size: initrd.size)
        try layout.fill(start, from: initrd, at: 0, count: initrd.size)
        return range
    }
}

/// Which parts of guest memory are taken, and by what.
struct BootLayout {
    private let ram: RAM
    private var placed: [(part: String, range: Range<UInt64>)] = []

    init(_ ram: RAM) { self.ram = ram }

    /// Takes `size` bytes for `part`. They must be in RAM below the hole, and nobody else's.
    @discardableResult
    mutating func place(_ part: String, at address: UInt64, size: UInt64) throws(LoaderError) -> Range<UInt64> {
        let (end, overflow) = address.addingReportingOverflow(size)
        guard !overflow, end <= MemoryMap.hole.lowerBound else { throw .inTheHole(part: part, address: address) }
        guard end <= ram.lowEnd else { throw .outsideMemory(part: part, end: end, memory: ram.size) }
        let range = address..<end
        for other in placed where other.range.overlaps(range) {
            throw .overlap(other.part, part, address: max(other.range.lowerBound, address))
        }
        placed.append((part, range))
        return range
    }

    /// Takes a range that the memory map fixes.
    mutating func place(_ part: String, at range: Range<UInt64>) throws(LoaderError) {
        try place(part, at: range.lowerBound, size: range.upperBound - range.lowerBound)
    }

    /// What is free above everything placed so far, in whole pages.
    var roomAtTheTop: Range<UInt64> {
        let top = placed.map(\.range.upperBound).max() ?? 0
        let page = (top + 0xfff) & ~0xfff
        return min(page, ram.lowEnd)..<ram.lowEnd
    }

    /// Copies from an image straight into a range that was placed.
    func fill(
        _ address: UInt64, from image: borrowing Image, at offset: UInt64, count: UInt64
    ) throws(LoaderError) {
        guard let host = unsafe ram.host(at: address, count: count) else { preconditionFailure("not placed") }
        unsafe try image.read(into: UnsafeMutableRawBufferPointer(start: host, count: Int(count)), at: offset)
    }

    /// Writes bytes of ours into a range that was placed.
    func write(_ bytes: [UInt8], at address: UInt64) {
        precondition(ram.write(bytes, at: address), "not placed")
    }
}
