// Hardware-reduced ACPI: describes the board's processors, devices, power-off and reset to an operating system.
// ACPI 6.5, chapter 5. The tables are consecutive, from `MemoryMap.acpi` on:
//
//   RSDP -> XSDT -> FADT -> DSDT: a device for each slot, the clock, pvpanic, the serial port, the sleep state S5 (power off)
//               \-> MADT: the processors' local APICs, the IOAPIC

import VirtioABI

/// The ACPI tables of a board.
struct ACPITables {
    /// All tables; the root (RSDP) comes first.
    let bytes: [UInt8]

    /// Makes the tables for `processors` processors and `slots` virtio-mmio slots.
    init(processors: Int, slots: Int, hasSerialPort: Bool) {
        var area = Area()
        let dsdt = area.add("DSDT", revision: 2, Self.differentiated(slots, hasSerialPort))
        let fadt = area.add("FACP", revision: 6, Self.fixed(dsdt: dsdt))
        let madt = area.add("APIC", revision: 5, Self.interruptControllers(processors))
        var entries: [UInt8] = []
        for table in [fadt, madt] { entries.append(table) }
        let xsdt = area.add("XSDT", revision: 1, entries)
        bytes = area.bytes(root: xsdt)
    }

    /// The memory of the tables.
    private struct Area {
        private static let rootSize = 36
        private static let identity = Array("VMM   ".utf8)
        private var content: [UInt8] = []

        /// Adds a table and returns its guest-physical address.
        mutating func add(_ signature: StaticString, revision: UInt8, _ body: [UInt8]) -> UInt64 {
            content.append(contentsOf: repeatElement(0, count: -(Self.rootSize + content.count) & 15))
            let address = MemoryMap.acpi.lowerBound + UInt64(Self.rootSize + content.count)
            var table = Array(signature.description.utf8)
            table.append(UInt32(36 + body.count))
            table += [revision, 0] + Self.identity + Array("VMMBOARD".utf8)
            table.append(UInt32(1))
            table += Array("VMM ".utf8)
            table.append(UInt32(1))
            table += body
            table[9] = table.checksum
            content += table
            return address
        }

        /// The root system description pointer (5.2.5.3), followed by the tables.
        func bytes(root: UInt64) -> [UInt8] {
            var pointer = Array("RSD PTR ".utf8) + [0] + Self.identity + [2]
            pointer.append(UInt32(0))
            pointer.append(UInt32(Self.rootSize))
            pointer.append(root)
            pointer.append(UInt32(0))
            pointer[8] = pointer[..<20].checksum
            pointer[32] = pointer.checksum
            precondition(pointer.count + content.count <= MemoryMap.acpi.count)
            return pointer + content
        }
    }

    /// The fixed description (FADT, 5.2.9), without its header.
    private static func fixed(dsdt: UInt64) -> [UInt8] {
        var table = [UInt8](repeating: 0, count: 276)
        func put(port: UInt16, at offset: Int) {
            // A generic address (5.2.3.2): I/O space, 8 bits wide, byte access.
            for (index, byte) in ([1, 8, 0, 1] as [UInt8]).enumerated() { table[offset + index] = byte }
            table.put(UInt64(port), at: offset + 4)
        }
        table[108] = RealTimeClock.century
        table.put(UInt16(1 << 2), at: 109)  // no VGA
        // WBINVD works, no fixed power and sleep buttons, reset register supported, hardware-reduced.
        table.put(UInt32(1 << 0 | 1 << 4 | 1 << 5 | 1 << 10 | 1 << 20), at: 112)
        put(port: Ports.reset, at: 116)
        table[128] = 1
        table[131] = 5  // minor version: ACPI 6.5
        table.put(dsdt, at: 140)
        put(port: Ports.sleepControl, at: 244)
        put(port: Ports.sleepStatus, at: 256)
        return Array(table[36...])
    }

    /// The interrupt controllers (MADT, 5.2.12), without its header.
    private static func interruptControllers(_ processors: Int) -> [UInt8] {
        var table: [UInt8] = []
        table.append(MemoryMap.localAPIC)
        table.append(UInt32(0))
        for id in 0..<UInt8(processors) { table += [0, 8, id, id, 1, 0, 0, 0] }
        table += [1, 12, 0, 0]
        table.append(MemoryMap.ioAPIC)
        table.append(UInt32(0))  // its first input is GSI 0
        return table
    }

    /// The differentiated description (DSDT, 5.2.11.1), without its header.
    private static func differentiated(_ slots: Int, _ hasSerialPort: Bool) -> [UInt8] {
        var aml = AML()
        let typeS5 = AML.integer(UInt32(Ports.sleepTypeS5 >> 2))
        aml.define("_S5", .package([typeS5, .integer(0), .integer(0), .integer(0)]))
        aml.systemBus { bus in
            for slot in 0..<slots {
                bus.device("VR" + hex(UInt64(slot), digits: 2).uppercased()) { device in
                    device.define("_HID", .string("LNRO0005"))
                    device.define("_UID", .integer(UInt32(slot)))
                    device.define("_CCA", .integer(1))
                    device.define(
                        "_CRS",
                        .resources([
                            .memory(MemoryMap.window(slot: slot)),
                            .interrupt(MemoryMap.gsi(slot: slot), isLevel: true),
                        ]))
                }
            }
            bus.device("RTC0") { device in
                device.define("_HID", .string("PNP0B00"))
                device.define("_CRS", .resources([.ports(Range(RealTimeClock.ports))]))
            }
            bus.device("PEVT") { device in
                device.define("_HID", .string("QEMU0001"))
                device.define("_CRS", .resources([.ports(Ports.panic..<Ports.panic + 1)]))
            }
            guard hasSerialPort else { return }
            bus.device("COM1") { device in
                device.define("_HID", .string("PNP0501"))
                device.define("_UID", .integer(0))
                device.define(
                    "_CRS",
                    .resources([.ports(SerialPort.ports), .interrupt(SerialPort.gsi, isLevel: false)]))
            }
        }
        return aml.bytes
    }
}
