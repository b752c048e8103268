// Translation of linear addresses in each paging mode.

import KVM
import Testing

@testable import Machine

/// A paging mode, its page tables, and addresses with what they translate to; nil where there is no page.
struct PagingMode: CustomTestStringConvertible, Sendable {
    let name: String
    let cr0: UInt64
    let cr4: UInt64
    var efer: UInt64 = 0
    /// Bytes of an entry.
    let width: Int
    /// The entries by their guest-physical addresses. The first table is at 0x4000.
    let entries: [(address: UInt64, value: UInt64)]
    let translations: [(linear: UInt64, physical: UInt64?)]

    var testDescription: String { name }

    private static let paged: UInt64 = 0x8000_0011

    /// A directory of a table at 0x6000 and a page of 2 MiB. In the table one page is present, and one is not.
    private static func lower(directory: UInt64) -> [(address: UInt64, value: UInt64)] {
        [(directory, 0x6001), (directory + 8, 0x80_0081), (0x6018, 0x8000_0000_0000_9001), (0x6020, 0xa000)]
    }

    private static let legacy: [(address: UInt64, value: UInt64)] = [
        (0x4000, 0x5001), (0x4004, 0x80_0081), (0x4008, 0xc0_6081), (0x400c, 0x8000_0001), (0x500c, 0x9001),
        (0x5010, 0xa000),
    ]

    static let all = [
        PagingMode(
            name: "none", cr0: 0x11, cr4: 0x20, width: 4, entries: [],
            translations: [(0x3456, 0x3456), (0xffff_ffff, 0xffff_ffff), (0x1_0000_0000, nil)]),
        PagingMode(
            name: "32-bit", cr0: paged, cr4: 0, width: 4, entries: legacy,
            // Without PSE an entry with PS is a table's, and this one is not in memory.
            translations: [(0x3456, 0x9456), (0x4456, nil), (0x41_2345, nil), (0xc0_0000, nil), (0xc000_0000, nil)]),
        PagingMode(
            name: "32-bit with PSE", cr0: paged, cr4: 0x10, width: 4, entries: legacy,
            translations: [
                (0x3456, 0x9456), (0x4456, nil), (0x41_2345, 0x81_2345), (0x7f_ffff, 0xbf_ffff),
                (0x81_2345, 0x3_00c1_2345), (0xc000_0000, nil), (0x1_0000_3456, nil),
            ]),
        PagingMode(
            name: "PAE", cr0: paged, cr4: 0x20, width: 8,
            // PS means nothing in the first table.
            entries: [(0x4018, 0x5081)] + lower(directory: 0x5000),
            translations: [(0xc000_3456, 0x9456), (0xc000_4456, nil), (0xc021_2345, 0x81_2345), (0x3456, nil)]),
        PagingMode(
            name: "4-level", cr0: paged, cr4: 0x20, efer: 0x500, width: 8,
            entries: [(0x4ff8, 0x7081), (0x7000, 0x5001), (0x7008, 0x4000_0081)] + lower(directory: 0x5000),
            translations: [
                (0xffff_ff80_0000_3456, 0x9456), (0xffff_ff80_0000_4456, nil), (0xffff_ff80_0021_2345, 0x81_2345),
                (0xffff_ff80_4012_3456, 0x4012_3456), (0xffff_ff80_8000_0000, nil), (0x3456, nil),
                (0x0000_ff80_0000_3456, nil),
            ]),
        PagingMode(
            name: "5-level", cr0: paged, cr4: 0x1020, efer: 0x500, width: 8,
            entries: [(0x4008, 0x8001), (0x8000, 0x7001), (0x7000, 0x5001)] + lower(directory: 0x5000),
            translations: [
                (0x0001_0000_0000_3456, 0x9456), (0x0001_0000_0021_2345, 0x81_2345), (0x0001_0000_4000_0000, nil),
                (0x3456, nil), (0x0201_0000_0000_3456, nil),
            ]),
    ]
}

@Suite struct PageTablesTests {
    @Test(arguments: PagingMode.all)
    func linearAddressesAreTranslated(mode: PagingMode) throws {
        let ram = try RAM(size: MemoryMap.minimumRAM)
        for (address, value) in mode.entries {
            let bytes = (0..<mode.width).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) }
            try #require(ram.write(bytes, at: address))
        }
        var special = kvm_sregs()
        (special.cr0, special.cr3, special.cr4, special.efer) = (mode.cr0, 0x4000, mode.cr4, mode.efer)
        for (linear, physical) in mode.translations {
            let got = PageTables(special).physicalAddress(of: linear, in: ram)
            #expect(got == physical, "0x\(String(linear, radix: 16))")
        }
        // Bits of CR3 that are not the table's address, and a table that is not in memory.
        special.cr3 = 0x4018
        let flagged = PageTables(special).physicalAddress(of: mode.translations[0].linear, in: ram)
        if mode.name != "PAE" { #expect(flagged == mode.translations[0].physical) }
        special.cr3 = 0xffff_f000
        let lost = PageTables(special).physicalAddress(of: mode.translations[0].linear, in: ram)
        #expect(lost == (mode.name == "none" ? mode.translations[0].physical : nil))
    }
}
