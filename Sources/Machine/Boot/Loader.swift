// Loads a kernel, its initrd and its command line into guest memory. ELF.swift, LinuxBoot.swift and Multiboot*.swift read the kernel's
// format; PVH.swift, LinuxBoot.swift and Multiboot*.swift make the tables for it. A further protocol is a further such file and a case of
// `KernelFormat`.

import VirtioABI

/// Prepares guest memory for the first instruction.
public struct Loader: ~Copyable {
    private let kernel: Image
    private let format: KernelFormat
    /// Why the kernel is booted by `bootProtocol`: a phrase for a message.
    public let why: String

    /// The load address of a flat kernel.
    private static let flatAddress: UInt64 = 0x10_0000

    /// For `MemoryMap.baseMemory`, where Xen's hypervisor looks for it.
    private static let baseMemory: [UInt8] = {
        let size = MemoryMap.firmware.lowerBound >> 10
        return [UInt8(size & 0xff), UInt8(size >> 8)]
    }()

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
        into ram: RAM, commandLine: String, modules: [ImageSource] = [], acpi: [UInt8]? = nil,
        mpTable: [UInt8]? = nil
    ) throws(LoaderError) -> EntryState {
        var layout = BootLayout(ram)
        try layout.place("the start information", at: MemoryMap.startInfo)
        try layout.place("the command line", at: MemoryMap.commandLine)
        try layout.place("the firmware's area", at: MemoryMap.firmware)
        try loadKernel(&layout)
        let modules = try loadModules(modules, &layout)

        let text = Array(commandLine.utf8) + [0]
        let limit = format.commandLineLimit ?? .max
        let room = MemoryMap.commandLine.count - 1
        guard text.count - 1 <= min(limit, room) else {
            throw .commandLineTooLong(length: text.count - 1, limit: min(limit, room), isKernels: limit <= room)
        }
        layout.write(text, at: MemoryMap.commandLine.lowerBound)
        layout.write(Self.resetCode, at: MemoryMap.resetVector.lowerBound)
        if let mpTable { layout.write(mpTable, at: MemoryMap.mpTable.lowerBound) }
        if format.isMultiboot { layout.write(Self.baseMemory, at: MemoryMap.baseMemory.lowerBound) }
        if let acpi { layout.write(acpi, at: MemoryMap.acpi.lowerBound) }
        return try writeBootTables(
            BootInformation(ram: ram, commandLine: text, modules: modules, acpi: acpi), &layout)
    }

    /// Writes the tables of the kernel's boot protocol, and returns its entry state.
    private func writeBootTables(
        _ boot: BootInformation, _ layout: inout BootLayout
    ) throws(LoaderError) -> EntryState {
        let start = UInt32(MemoryMap.startInfo.lowerBound)
        let table: [UInt8]
        let state: EntryState
        switch format {
        case .pvh(_, let entry): (table, state) = (PVH.startInfo(boot), .pvh(entry: entry, startInfo: start))
        case .flat: (table, state) = (PVH.startInfo(boot), .pvh(entry: UInt32(Self.flatAddress), startInfo: start))
        case .multiboot(let kernel):
            table = Multiboot1.information(boot)
            state = .multiboot(entry: UInt32(kernel.entry), magic: Multiboot1.entryMagic, information: start)
        case .multiboot2(let kernel):
            table = Multiboot2.information(boot, loadBase: kernel.loadBase)
            state = .multiboot(entry: UInt32(kernel.entry), magic: Multiboot2.entryMagic, information: start)
        case .elf64(let elf, _):
            table = LinuxBoot.parameters(boot, header: nil)
            state = .linux64(entry: elf.entry, parameters: UInt64(start))
        case .bzImage(let image):
            table = LinuxBoot.parameters(boot, header: image.header)
            state =
                image.is64Bit
                ? .linux64(entry: image.entry, parameters: UInt64(start))
                : .linux32(entry: UInt32(image.entry), parameters: start)
        }
        guard table.count <= MemoryMap.startInfo.count else { throw .tooManyModules(size: table.count) }
        layout.write(table, at: MemoryMap.startInfo.lowerBound)
        try placeSegments(for: state, &layout)
        return state
    }

    /// Writes the segments of Linux's protocols, and the page tables of a kernel that is entered in 64-bit mode.
    private func placeSegments(for state: EntryState, _ layout: inout BootLayout) throws(LoaderError) {
        let is64Bit: Bool
        switch state {
        case .pvh, .multiboot: return
        case .linux32: is64Bit = false
        case .linux64: is64Bit = true
        }
        try layout.place("the segments", at: MemoryMap.segments)
        layout.write(LinuxBoot.segments(is64Bit: is64Bit), at: MemoryMap.segments.lowerBound)
        if is64Bit {
            try layout.place("the page tables", at: MemoryMap.pageTables)
            layout.write(LinuxBoot.pageTables, at: MemoryMap.pageTables.lowerBound)
        }
    }

    private func loadKernel(_ layout: inout BootLayout) throws(LoaderError) {
        switch format {
        case .pvh(let elf, let entry): try loadSegments(elf.segments, &layout, entry: UInt64(entry), "its PVH entry")
        case .multiboot(let kernel), .multiboot2(let kernel):
            try loadSegments(kernel.segments, &layout, entry: kernel.entry, "its entry")
        case .elf64(let elf, _): try loadSegments(elf.segments, &layout, entry: elf.entry, "its entry")
        case .bzImage(let image):
            try layout.place(kernel.name, at: image.address, size: image.memorySize)
            try layout.fill(image.address, from: kernel, at: image.offset, count: kernel.size - image.offset)
        case .flat:
            try layout.place(kernel.name, at: Self.flatAddress, size: kernel.size)
            try layout.fill(Self.flatAddress, from: kernel, at: 0, count: kernel.size)
        }
    }

    private func loadSegments(
        _ segments: [ELF.Segment], _ layout: inout BootLayout, entry: UInt64, _ what: String
    ) throws(LoaderError) {
        for (number, segment) in segments.enumerated() {
            let part = "\(kernel.name), segment \(number)"
            let range = try layout.place(part, at: segment.address, size: segment.memorySize)
            try layout.fill(range.lowerBound, from: kernel, at: segment.offset, count: segment.fileSize)
        }
        guard entry >> 32 == 0 else {
            throw .malformed(name: kernel.name, what: "\(what) is above 4 GiB, where no boot protocol enters")
        }
        guard segments.contains(where: { entry >= $0.address && entry - $0.address < $0.memorySize }) else {
            throw .malformed(name: kernel.name, what: "\(what) is in none of its segments")
        }
    }

    /// Loads the modules: behind a Multiboot kernel, whose first mapping may end soon after it, and else as high as the kernel
    /// accepts them below the hole, because it may use memory behind its end.
    private func loadModules(
        _ sources: [ImageSource], _ layout: inout BootLayout
    ) throws(LoaderError) -> [BootInformation.Module] {
        guard sources.count <= 1 || !format.takesOneInitrd else { throw .manyInitrds }
        // With enough memory the room ends at the hole, or where the kernel says.
        var end = MemoryMap.hole.lowerBound
        if case .bzImage(let image) = format { end = min(end, image.lastInitrdAddress + 1) }
        let free = layout.freeRangeAtTop
        var room = free.lowerBound..<max(free.lowerBound, min(free.upperBound, end))
        var needed = free.lowerBound
        var modules: [BootInformation.Module] = []
        for source in sources {
            let image = try Image(source)
            needed += (image.size + 0xfff) & ~0xfff
            let left = room.upperBound - room.lowerBound
            guard image.size <= left else {
                throw .initrdTooLarge(
                    name: image.name, size: image.size, room: left, needed: needed <= end ? needed : nil)
            }
            let start = format.isMultiboot ? room.lowerBound : (room.upperBound - image.size) & ~0xfff
            let range = try layout.place(image.name, at: start, size: image.size)
            try layout.fill(start, from: image, at: 0, count: image.size)
            let next = min((range.upperBound + 0xfff) & ~0xfff, room.upperBound)
            room = format.isMultiboot ? next..<room.upperBound : room.lowerBound..<start
            modules.append(BootInformation.Module(range: range, name: image.name))
        }
        return modules
    }
}
