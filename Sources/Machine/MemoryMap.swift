// The board's guest-physical memory map. All addresses are the board's own choice, not a specification's.
//
//   0     5000   6000   7000     8000    a0000     100000                c0000000   d0000000      fffbc000   4 GiB
//   | RAM | GDT  | start| command| page  | firmware| RAM: kernel, initrd | hole:  ... slots ...  KVM's pages | rest of RAM
//   |     |      | info | line   | tables| (tables)|                     |

/// The board's memory map.
public enum MemoryMap {
    /// Guest-physical addresses below 4 GiB that are never RAM.
    public static let hole: Range<UInt64> = 0xc000_0000..<0x1_0000_0000
    /// The least RAM a board has, in bytes.
    public static let minimumRAM: UInt64 = 2 << 20
    /// The most RAM a board has, in bytes.
    public static let maximumRAM: UInt64 = 1 << 46

    /// The bytes of RAM of the smallest board that has RAM at all of `size` bytes from `address` on; nil if no board has.
    static func memory(for address: UInt64, _ size: UInt64) -> UInt64? {
        let (end, overflow) = address.addingReportingOverflow(size)
        if overflow { return nil }
        if end <= hole.lowerBound { return end }
        let memory = end - (hole.upperBound - hole.lowerBound)
        return address >= hole.upperBound && memory <= maximumRAM ? memory : nil
    }

    /// The start of the first virtio-mmio slot's window.
    public static let slots: UInt64 = 0xd000_0000
    /// Bytes of a slot's window: one page.
    public static let slotSize: UInt64 = 0x1000
    /// The interrupt lines of the slots, one for each, not shared. The IOAPIC has 24 inputs, of which a PC uses the first five, and 8
    /// for its clock: a driver of that takes the line though ours has no interrupt.
    public static let slotGSIs: [UInt32] = [5, 6, 7] + Array(9...23)
    /// The number of slots of a board.
    public static let maximumSlots = slotGSIs.count

    /// The window of the slot with this index, from 0.
    public static func window(slot: Int) -> Range<UInt64> {
        let start = slots + UInt64(slot) * slotSize
        return start..<start + slotSize
    }

    /// The interrupt line of the slot with this index, from 0.
    public static func gsi(slot: Int) -> UInt32 { slotGSIs[slot] }

    /// KVM's IOAPIC.
    public static let ioAPIC: UInt32 = 0xfec0_0000
    /// The local APIC of each processor, at the same address.
    public static let localAPIC: UInt32 = 0xfee0_0000
    /// Four pages reserved for KVM (see `VirtualMachine`).
    public static let hypervisorPages: UInt32 = 0xfffb_c000

    /// In a PC's BIOS data area, the KiB of memory below `firmware`: for a kernel that is entered by Multiboot.
    public static let baseMemory: Range<UInt64> = 0x413..<0x415
    /// The segment descriptors of a kernel that is entered in 64-bit mode.
    public static let segments: Range<UInt64> = 0x5000..<0x5020
    /// PVH's start information with its tables, or Linux's boot parameters: one page.
    public static let startInfo: Range<UInt64> = 0x6000..<0x7000
    /// The kernel's command line and its terminating zero. Linux on x86 reads 2048 bytes.
    public static let commandLine: Range<UInt64> = 0x7000..<0x7800
    /// Page tables of a kernel that is entered in 64-bit mode: a root, a second level, and four of the third for 4 GiB.
    public static let pageTables: Range<UInt64> = 0x8000..<0xe000
    /// RAM where a PC has its display and firmware: reserved in the guest's memory map.
    public static let firmware: Range<UInt64> = 0xa_0000..<0x10_0000
    /// The ACPI tables, in the part of `firmware` where an operating system searches for the RSDP (ACPI 6.5, 5.2.5.1).
    public static let acpi: Range<UInt64> = 0xe_0000..<0xf_0000
    /// The MP table, in the part of `firmware` where an operating system searches for it (MultiProcessor Specification 1.4, chapter 4).
    public static let mpTable: Range<UInt64> = 0xf_0000..<0xf_fff0
    /// A PC's real-mode reset entry. Linux with hardware-reduced ACPI and without EFI jumps here to reboot.
    public static let resetVector: Range<UInt64> = 0xf_fff0..<0x10_0000
}

/// The type of a range of guest-physical memory, with E820's numbers.
enum MemoryType: UInt32 {
    case ram = 1
    case reserved = 2
}

extension RAM {
    /// The memory map for the kernel, by ascending address.
    var map: [(range: Range<UInt64>, type: MemoryType)] {
        let firmware = MemoryMap.firmware
        return [(0..<firmware.lowerBound, .ram), (firmware, .reserved), (firmware.upperBound..<lowEnd, .ram)]
            + regions.dropFirst().map { ($0.guestAddress..<$0.end, .ram) }
    }
}
