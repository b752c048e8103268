// Brings a kernel, its initrd and its command line into guest memory. How the kernel's own format is read is in ELF.swift and
// LinuxBoot.swift; what it is handed is in its protocol's file (PVH.swift, LinuxBoot.swift). Another protocol is another such file
// and a case of `KernelFormat`.

import VirtioABI

/// What happens to a guest's memory before its first instruction.
public struct Loader: ~Copyable {
    private let kernel: Image
    private let format: KernelFormat
    /// Why the kernel is booted by `bootProtocol`: the end of a sentence.
    public let why: String

    /// Where a flat kernel goes.
    private static let flatAddress: UInt64 = 0x10_0000

    /// What is at the reset vector: all the firmware there is.
    private static let resetCode: [UInt8] = [
        0xba, UInt8(truncatingIfNeeded: Ports.reset), UInt8(Ports.reset >> 8),  // mov dx, the reset port
        0xee,  // out dx, al
        0xf4, 0xeb, 0xfd,  // hlt, again and again
    ]

    /// Opens a kernel and reads what is needed to know that it can be booted: by `chosen`, or by what its bytes say.
    public init(kernel source: ImageSource, as chosen: BootProtocol? = nil) throws(LoaderError) {
        let kernel = try Image(source)
        (format, why) = try KernelFormat.read(kernel, as: chosen)
        self.kernel = kernel
    }

    /// Whether the kernel is Linux, which finds its devices by ACPI.
    public var isLinux: Bool { format.isLinux }

    /// How the kernel is booted.
    public var bootProtocol: BootProtocol { format.protocol }

    /// Loads everything into `ram`, which nothing has been written to yet, and says how the first vCPU starts. `acpi` are tables for
    /// `MemoryMap.acpi`, whose root is their first.
    public func load(
        into ram: RAM, commandLine: String, initrd: ImageSource? = nil, acpi: [UInt8]? = nil
    ) throws(LoaderError) -> EntryState {
        var layout = BootLayout(ram)
        try layout.place("the start information", at: MemoryMap.startInfo)
        try layout.place("the command line", at: MemoryMap.commandLine)
        try layout.place("the firmware's area", at: MemoryMap.firmware)
        try loadKernel(&layout)
        let module = try initrd.map { (source) throws(LoaderError) in try loadInitrd(source, &layout) }

        let text = Array(commandLine.utf8) + [0]
        guard text.count <= MemoryMap.commandLine.count else {
            throw .commandLineTooLong(length: text.count - 1, limit: MemoryMap.commandLine.count - 1)
        }
        layout.write(text, at: MemoryMap.commandLine.lowerBound)
        layout.write(Self.resetCode, at: MemoryMap.resetVector.lowerBound)
        if let acpi { layout.write(acpi, at: MemoryMap.acpi.lowerBound) }
        return try handOver(ram, &layout, module, text.count - 1, rsdp: acpi == nil ? 0 : MemoryMap.acpi.lowerBound)
    }

    /// Writes what the kernel is handed.
    private func handOver(
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
        guard elf.segments.contains(where: { entry >= $0.address && entry - $0.address < $0.memorySize }) else {
            throw .malformed(name: kernel.name, what: "\(what) is in none of its segments")
        }
    }

    /// As high as the kernel can see it in the memory below the hole: away from a kernel that grows.
    private func loadInitrd(_ source: ImageSource, _ layout: inout BootLayout) throws(LoaderError) -> Range<UInt64> {
        let initrd = try Image(source)
        var room = layout.roomAtTheTop
        if case .bzImage(let image) = format {
            let end = max(room.lowerBound, min(room.upperBound, image.lastInitrdAddress + 1))
            room = room.lowerBound..<end
        }
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
