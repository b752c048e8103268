// Loads a kernel, its initrd and its command line into guest memory. ELF.swift and LinuxBoot.swift read the kernel's format;
// PVH.swift and LinuxBoot.swift make the tables for it. A further protocol is a further such file and a case of `KernelFormat`.

import VirtioABI

/// Prepares guest memory for the first instruction.
public struct Loader: ~Copyable {
    private let kernel: Image
    private let format: KernelFormat
    /// Why the kernel is booted by `bootProtocol`: a phrase for a message.
    public let why: String

    /// The load address of a flat kernel.
    private static let flatAddress: UInt64 = 0x10_0000

    /// The code at the reset vector, which writes to the reset port. The board has no other firmware.
    private static let resetCode: [UInt8] = [
        0xba, UInt8(truncatingIfNeeded: Ports.reset), UInt8(Ports.reset >> 8),  // mov dx, the reset port
        0xee,  // out dx, al
        0xf4, 0xeb, 0xfd,  // hlt, in a loop
    ]

    /// Opens a kernel and checks its header: as `chosen`, or by its first bytes if that is nil.
    public init(kernel source: ImageSource, as chosen: BootProtocol? = nil) throws(LoaderError) {
        let kernel = try Image(source)
        (format, why) = try KernelFormat.read(kernel, as: chosen)
        self.kernel = kernel
    }

    /// Whether the kernel is Linux, which finds its devices by ACPI.
    public var isLinux: Bool { format.isLinux }

    /// How the kernel is booted.
    public var bootProtocol: BootProtocol { format.protocol }

    /// Loads everything into `ram`, which has to be all zero, and returns the state of the first vCPU. `acpi` are the tables for
    /// `MemoryMap.acpi`, the root first; `mpTable` is that for `MemoryMap.mpTable`.
    public func load(
        into ram: RAM, commandLine: String, initrd: ImageSource? = nil, acpi: [UInt8]? = nil,
        mpTable: [UInt8]? = nil
    ) throws(LoaderError) -> EntryState {
        var layout = BootLayout(ram)
        try layout.place("the start information", at: MemoryMap.startInfo)
        try layout.place("the command line", at: MemoryMap.commandLine)
        try layout.place("the firmware's area", at: MemoryMap.firmware)
        try loadKernel(&layout)
        let module = try initrd.map { (source) throws(LoaderError) in try loadInitrd(source, &layout) }

        let text = Array(commandLine.utf8) + [0]
        let limit = format.commandLineLimit ?? .max
        let room = MemoryMap.commandLine.count - 1
        guard text.count - 1 <= min(limit, room) else {
            throw .commandLineTooLong(length: text.count - 1, limit: min(limit, room), isKernels: limit <= room)
        }
        layout.write(text, at: MemoryMap.commandLine.lowerBound)
        layout.write(Self.resetCode, at: MemoryMap.resetVector.lowerBound)
        if let mpTable { layout.write(mpTable, at: MemoryMap.mpTable.lowerBound) }
        if let acpi { layout.write(acpi, at: MemoryMap.acpi.lowerBound) }
        return try writeBootTables(
            ram, &layout, module, text.count - 1, rsdp: acpi == nil ? 0 : MemoryMap.acpi.lowerBound)
    }

    /// Writes the tables of the kernel's boot protocol, and returns its entry state.
    private func writeBootTables(
        _ ram: RAM, _ layout: inout BootLayout, _ initrd: Range<UInt64>?, _ commandLineLength: Int, rsdp: UInt64
    ) throws(LoaderError) -> EntryState {
        let (start, information) = (MemoryMap.startInfo.lowerBound, PVH.startInfo(ram: ram, module: initrd, rsdp: rsdp))
        let linux: (entry: UInt64, header: [UInt8]?)
        switch format {
        case .pvh(_, let entry):
            layout.write(information, at: start)
            return .pvh(entry: entry, startInfo: UInt32(start))
        case .flat:
            layout.write(information, at: start)
            return .pvh(entry: UInt32(Self.flatAddress), startInfo: UInt32(start))
        case .elf64(let elf): linux = (elf.entry, nil)
        case .bzImage(let image): linux = (image.entry, image.header)
        }
        try layout.place("the segments", at: MemoryMap.segments)
        try layout.place("the page tables", at: MemoryMap.pageTables)
        layout.write(LinuxBoot.segments, at: MemoryMap.segments.lowerBound)
        layout.write(LinuxBoot.pageTables, at: MemoryMap.pageTables.lowerBound)
        let parameters = LinuxBoot.parameters(
            ram: ram, header: linux.header, commandLineLength: commandLineLength, initrd: initrd, rsdp: rsdp)
        layout.write(parameters, at: start)
        return .linux64(entry: linux.entry, parameters: start)
    }

    private func loadKernel(_ layout: inout BootLayout) throws(LoaderError) {
        switch format {
        case .pvh(let elf, let entry): try loadSegments(elf, &layout, entry: UInt64(entry), "its PVH entry")
        case .elf64(let elf): try loadSegments(elf, &layout, entry: elf.entry, "its entry")
        case .bzImage(let image):
            try layout.place(kernel.name, at: image.address, size: image.memorySize)
            try layout.fill(image.address, from: kernel, at: image.offset, count: kernel.size - image.offset)
        case .flat:
            try layout.place(kernel.name, at: Self.flatAddress, size: kernel.size)
            try layout.fill(Self.flatAddress, from: kernel, at: 0, count: kernel.size)
        }
    }

    private func loadSegments(
        _ elf: ELF, _ layout: inout BootLayout, entry: UInt64, _ what: String
    ) throws(LoaderError) {
        for (number, segment) in elf.segments.enumerated() {
            let part = "\(kernel.name), segment \(number)"
            let range = try layout.place(part, at: segment.address, size: segment.memorySize)
            try layout.fill(range.lowerBound, from: kernel, at: segment.offset, count: segment.fileSize)
        }
        guard entry >> 32 == 0 else {
            throw .malformed(name: kernel.name, what: "\(what) is above 4 GiB, where no boot protocol enters")
        }
        guard elf.segments.contains(where: { entry >= $0.address && entry - $0.address < $0.memorySize }) else {
            throw .malformed(name: kernel.name, what: "\(what) is in none of its segments")
        }
    }

    /// Loads the initrd as high as the kernel accepts it below the hole, because a kernel may use memory behind its end.
    private func loadInitrd(_ source: ImageSource, _ layout: inout BootLayout) throws(LoaderError) -> Range<UInt64> {
        let initrd = try Image(source)
        // With enough memory the room ends at the hole, or where the kernel says.
        var end = MemoryMap.hole.lowerBound
        if case .bzImage(let image) = format { end = min(end, image.lastInitrdAddress + 1) }
        let free = layout.freeRangeAtTop
        let room = free.lowerBound..<max(free.lowerBound, min(free.upperBound, end))
        guard initrd.size <= room.upperBound - room.lowerBound else {
            let needed = free.lowerBound + (initrd.size + 0xfff) & ~0xfff
            throw .initrdTooLarge(
                name: initrd.name, size: initrd.size, room: room.upperBound - room.lowerBound,
                needed: needed <= end ? needed : nil)
        }
        let start = (room.upperBound - initrd.size) & ~0xfff
        let range = try layout.place(initrd.name, at: start, size: initrd.size)
        try layout.fill(start, from: initrd, at: 0, count: initrd.size)
        return range
    }
}
