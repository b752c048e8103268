// The MP table: describes the board's processors and interrupts to a kernel without ACPI, as the MADT does to one with it.
// Intel MultiProcessor Specification 1.4, chapter 4.

/// The MP floating pointer structure, and behind it the configuration table.
struct MPTable {
    /// Both, for `MemoryMap.mpTable`.
    let bytes: [UInt8]

    private static let pointerSize = 16
    private static let headerSize = 44
    /// Flags of an interrupt: active high, and edge- or level-triggered (table 4-10).
    private enum Trigger { static let edge: UInt16 = 0b0101, level: UInt16 = 0b1101 }

    /// Makes the table for `processors` processors and `slots` virtio-mmio slots.
    init(processors: Int, slots: Int) {
        var entries: [[UInt8]] = (0..<UInt8(processors)).map { id in
            // A local APIC of version 0x14; enabled, the first one starts the machine; family 6, with FPU and APIC.
            [0, id, 0x14, id == 0 ? 3 : 1, 0, 6, 0, 0, 1, 2, 0, 0] + [UInt8](repeating: 0, count: 8)
        }
        entries.append([1, 0] + Array("ISA   ".utf8))
        var controller: [UInt8] = [2, 0, 0x11, 1]
        controller.append(MemoryMap.ioAPIC)
        entries.append(controller)
        // Each interrupt has the number of its IOAPIC input: the timer's, the serial port's, the slots'.
        let lines =
            [(UInt32(0), Trigger.edge), (SerialPort.gsi, Trigger.edge)]
            + (0..<slots).map { (MemoryMap.gsi(slot: $0), Trigger.level) }
        for (gsi, trigger) in lines {
            entries.append([3, 0, UInt8(trigger), 0, 0, UInt8(gsi), 0, UInt8(gsi)])
        }
        // Of every local APIC: the 8259s at LINT0, NMI at LINT1.
        entries.append([4, 3, 0, 0, 0, 0, 0xff, 0])
        entries.append([4, 1, 0, 0, 0, 0, 0xff, 1])

        var table = Array("PCMP".utf8)
        let length = Self.headerSize + entries.reduce(0) { $0 + $1.count }
        table.append(UInt16(length))
        table += [4, 0] + Array("VMM     VMMBOARD    ".utf8)
        table.append(UInt32(0))
        table.append(UInt16(0))
        table.append(UInt16(entries.count))
        table.append(MemoryMap.localAPIC)
        table.append(UInt32(0))
        for entry in entries { table += entry }
        table[7] = table.checksum

        var pointer = Array("_MP_".utf8)
        pointer.append(UInt32(MemoryMap.mpTable.lowerBound) + UInt32(Self.pointerSize))
        pointer += [1, 4, 0, 0, 0, 0, 0, 0]
        pointer[10] = pointer.checksum
        bytes = pointer + table
        precondition(bytes.count <= MemoryMap.mpTable.count)
    }
}
