// Where things are in guest-physical memory. The board's own choices; nothing here is a specification's.
//
//   0            6000   7000    a0000     100000                c0000000   d0000000      fffbc000   4 GiB
//   | RAM        | start| command| firmware| RAM: kernel, initrd | hole:  ... slots ...  KVM's pages | rest of RAM
//   |            | info | line   |         |                     |

/// The board's memory map.
public enum MemoryMap {
    /// Guest-physical addresses below 4 GiB that are never RAM.
    public static let hole: Range<UInt64> = 0xc000_0000..<0x1_0000_0000
    /// The least RAM a board has, in bytes.
    public static let minimumRAM: UInt64 = 2 << 20

    /// The start of the first virtio-mmio slot's window.
    public static let slots: UInt64 = 0xd000_0000
    /// Bytes of a slot's window: one page.
    public static let slotSize: UInt64 = 0x1000
    /// The interrupt lines of the slots. A line is one slot's alone: the IOAPIC has 24, and the first five have PC uses.
    public static let slotGSIs: ClosedRange<UInt32> = 5...23
    /// How many slots a board can have.
    public static let maximumSlots = slotGSIs.count

    /// The window of the slot with this index, from 0.
    public static func window(slot: Int) -> Range<UInt64> {
        let start = slots + UInt64(slot) * slotSize
        return start..<start + slotSize
    }

    /// The interrupt line of the slot with this index, from 0.
    public static func gsi(slot: Int) -> UInt32 { slotGSIs.lowerBound + UInt32(slot) }

    /// Four pages that KVM may use for itself (see `VirtualMachine`).
    public static let hypervisorPages: UInt32 = 0xfffb_c000

    /// PVH start information with its tables: one page.
    public static let startInfo: Range<UInt64> = 0x6000..<0x7000
    /// The kernel's command line and the zero that ends it. 2048 bytes are what Linux reads on x86.
    public static let commandLine: Range<UInt64> = 0x7000..<0x7800
    /// RAM, but a PC has its display and its firmware here: told to the guest as reserved. The ACPI tables go here.
    public static let firmware: Range<UInt64> = 0xa_0000..<0x10_0000
}
