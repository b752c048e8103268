// The MP table: checksums, pointers, and that it agrees with the ACPI tables.

import Testing

@testable import Machine

@Suite("The MP table")
struct MPTableTests {
    /// The entries of a table, by type.
    private func entries(_ bytes: [UInt8]) -> [UInt8: [[UInt8]]] {
        var found: [UInt8: [[UInt8]]] = [:]
        var start = 16 + 44
        while start < bytes.count {
            let size = bytes[start] == 0 ? 20 : 8
            found[bytes[start], default: []].append(Array(bytes[start..<start + size]))
            start += size
        }
        return found
    }

    @Test("Both structures have checksum 0, their lengths and the counted entries", arguments: [1, 2, 254])
    func structures(processors: Int) {
        let bytes = MPTable(processors: processors, slots: 3).bytes
        #expect(bytes[..<16].reduce(0, &+) == 0 && bytes[16...].reduce(0, &+) == 0)
        #expect(Array(bytes[..<4]) == Array("_MP_".utf8) && bytes[8] == 1 && bytes[9] == 4)
        #expect(bytes.integer(at: 4, bytes: 4) == MemoryMap.mpTable.lowerBound + 16)
        #expect(Array(bytes[16..<20]) == Array("PCMP".utf8))
        #expect(bytes.integer(at: 20, bytes: 2) == UInt64(bytes.count - 16))
        #expect(bytes.integer(at: 50, bytes: 2) == UInt64(entries(bytes).values.reduce(0) { $0 + $1.count }))
    }

    @Test("Processors, local APIC and IOAPIC are those of the MADT", arguments: [1, 2, 254])
    func agreesWithMADT(processors: Int) throws {
        let acpi = ACPITables(processors: processors, slots: 1, hasSerialPort: true).bytes
        let madt = try #require(acpi.indices.first { acpi[$0...].starts(with: Array("APIC".utf8)) })
        let bytes = MPTable(processors: processors, slots: 1).bytes
        let entries = entries(bytes)
        #expect(bytes.integer(at: 16 + 36, bytes: 4) == acpi.integer(at: madt + 36, bytes: 4))
        // A processor of the MADT is 0, 8, UID, APIC id, 1; of the MP table 0, APIC id, version, flags.
        let first = madt + 44
        let ids = (0..<processors).map { acpi[first + 8 * $0 + 3] }
        #expect(entries[0]?.map { $0[1] } == ids)
        #expect(entries[0]?.map { $0[3] } == ids.map { $0 == 0 ? 3 : 1 })
        // The IOAPIC of the MADT is 1, 12, id, 0, address; of the MP table 2, id, version, flags, address.
        let controller = first + 8 * processors
        #expect(entries[2]?.count == 1 && entries[2]?[0][1] == acpi[controller + 2] && entries[2]?[0][3] == 1)
        #expect(entries[2]?[0].integer(at: 4, bytes: 4) == acpi.integer(at: controller + 4, bytes: 4))
    }

    @Test("Timer and serial port are edge-triggered, the slots' lines level-triggered, each at the input of its number")
    func interrupts() {
        let lines = entries(MPTable(processors: 1, slots: MemoryMap.maximumSlots).bytes)[3] ?? []
        let slots = (0..<MemoryMap.maximumSlots).map { MemoryMap.gsi(slot: $0) }
        #expect(lines.map { UInt32($0[5]) } == [0, SerialPort.gsi] + slots)
        #expect(lines.map { $0[2] } == [5, 5] + slots.map { _ in 13 })
        for line in lines { #expect(line[1] == 0 && line[4] == 0 && line[5] == line[7] && line[6] == 0) }
    }
}
