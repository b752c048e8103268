// The ACPI tables: checksums, pointers, content, and Intel's disassembler as a second check.

import Glibc
import Testing

@testable import Machine

@Suite("ACPI tables")
struct ACPITests {
    private let tables = ACPITables(processors: 4, slots: MemoryMap.maximumSlots, hasSerialPort: true).bytes

    private func offset(_ address: UInt64) -> Int { Int(address - MemoryMap.acpi.lowerBound) }

    /// The table at a guest-physical address, with the length in its header.
    private func table(_ address: UInt64) -> [UInt8] {
        let start = offset(address)
        return Array(tables[start..<start + Int(tables.integer(at: start + 4, bytes: 4))])
    }

    /// The tables reachable from the RSDP, by signature.
    private var all: [String: [UInt8]] {
        let root = table(tables.integer(at: 24, bytes: 8))
        var found = stride(from: 36, to: root.count, by: 8).map { table(root.integer(at: $0, bytes: 8)) } + [root]
        for fixed in found where fixed.starts(with: Array("FACP".utf8)) {
            found.append(table(fixed.integer(at: 140, bytes: 8)))
        }
        return Dictionary(uniqueKeysWithValues: found.map { (String(decoding: $0[..<4], as: UTF8.self), $0) })
    }

    @Test("The RSDP and every table have checksum 0, and every table is reachable")
    func sums() {
        #expect(tables.starts(with: Array("RSD PTR ".utf8)))
        #expect(tables[..<20].reduce(0, &+) == 0 && tables[..<36].reduce(0, &+) == 0)
        #expect(Set(all.keys) == ["XSDT", "FACP", "APIC", "DSDT"])
        for (name, table) in all { #expect(table.reduce(0, &+) == 0, "\(name)") }
    }

    @Test("The reset and sleep registers have the board's ports (4.8.3.7, 5.2.9)")
    func resetAndSleepRegisters() throws {
        let fixed = try #require(all["FACP"])
        #expect(fixed.count == 276)
        #expect(fixed.integer(at: 112, bytes: 4) & (1 << 20 | 1 << 10) == 1 << 20 | 1 << 10)
        for (offset, port) in [(116, 0x602), (244, 0x600), (256, 0x601)] as [(Int, UInt64)] {
            #expect(fixed[offset] == 1 && fixed.integer(at: offset + 4, bytes: 8) == port)
        }
    }

    @Test("The MADT has every processor and the IOAPIC (5.2.12)", arguments: [1, 2, 254])
    func processors(count: Int) {
        let bytes = ACPITables(processors: count, slots: 1, hasSerialPort: false).bytes
        let start = bytes.indices.first { bytes[$0...].starts(with: Array("APIC".utf8)) } ?? 0
        let length = Int(bytes.integer(at: start + 4, bytes: 4))
        #expect(length == 36 + 8 + 8 * count + 12)
        for id in 0..<count {
            let entry = start + 44 + 8 * id
            #expect(Array(bytes[entry..<entry + 5]) == [0, 8, UInt8(id), UInt8(id), 1])
        }
    }

    @Test("Each slot's window and interrupt are in the DSDT, and the serial port only if there is one")
    func devices() throws {
        let dsdt = try #require(all["DSDT"])
        for slot in [0, 9, MemoryMap.maximumSlots - 1] {
            let window = Executable.number(MemoryMap.window(slot: slot).lowerBound, 4)
            let resources = [0x86, 9, 0, 1] + window + [0, 0x10, 0, 0, 0x89, 6, 0, 1, 1]
            let wanted = resources + Executable.number(UInt64(MemoryMap.gsi(slot: slot)), 4)
            #expect(dsdt.indices.contains { dsdt[$0...].starts(with: wanted) }, "slot \(slot)")
        }
        func hasPort(_ bytes: [UInt8]) -> Bool {
            bytes.indices.contains { bytes[$0...].starts(with: Array("PNP0501".utf8)) }
        }
        #expect(hasPort(dsdt) && !hasPort(ACPITables(processors: 1, slots: 1, hasSerialPort: false).bytes))
    }

    /// The path of Intel's disassembler, if it is installed.
    private static let disassembler: String? = (["/usr/bin/iasl", "/usr/local/bin/iasl"] as [String])
        .first { path in unsafe access(path, X_OK) == 0 }

    @Test(
        "iasl disassembles each table, and compiles the DSDT again, without a warning",
        .enabled(if: disassembler != nil, "no iasl here: install acpica-tools"))
    func disassembled() throws {
        let program = try #require(Self.disassembler)
        let path = "/tmp/vmm-acpi-\(getpid())"
        #expect(unsafe mkdir(path, 0o700) == 0)
        for (name, bytes) in all {
            let file = unsafe fopen("\(path)/\(name).dat", "w")
            guard let file = unsafe file else {
                Issue.record("\(path) cannot be written")
                return
            }
            unsafe fwrite(bytes, 1, bytes.count, file)
            unsafe fclose(file)
        }
        let command = """
            cd \(path) && for table in *.dat; do \(program) -d $table || exit 1; done > log 2>&1 && \(program) -we DSDT.dsl >> log 2>&1 \
            && [ -s XSDT.dsl ] && ! grep -iE 'warning|error|invalid|truncated' log *.dsl | grep -vE '0 Errors, 0 Warnings' \
            && rm -r \(path)
            """
        #expect(unsafe system(command) == 0, "see \(path)/log")
    }
}
