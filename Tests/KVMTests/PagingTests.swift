// Translation of linear addresses in each paging mode, which a debugger's accesses to memory go through. Intel SDM volume 3, chapter 4.

import CKVM
import KVM
import Testing

/// A paging mode, its page tables, and addresses with what they translate to; nil where there is no page.
struct PagingMode: CustomTestStringConvertible, Sendable {
    let name: String
    let cr0: UInt64
    let cr4: UInt64
    var efer: UInt64 = 0
    /// Bytes of an entry.
    let width: Int
    /// The entries by their guest-physical addresses. The first table is at 0x4000.
    let entries: [(address: Int, value: UInt64)]
    let translations: [(linear: UInt64, physical: UInt64?)]

    var testDescription: String { name }

    static let all = [
        PagingMode(
            name: "none", cr0: 0x11, cr4: 0, width: 4, entries: [], translations: [(0x3456, 0x3456), (0xfffff, 0xfffff)]),
        PagingMode(
            name: "32-bit", cr0: paged, cr4: 0, width: 4,
            entries: [(0x4000, 0x5000 | 1), (0x4004, 0x80_0000 | 0x81), (0x500c, 0x9000 | 1), (0x5010, 0xa000)],
            // Without PSE the entry is a table's, although it has PS: at 0x800000, where there is no memory.
            translations: [(0x3456, 0x9456), (0x4456, nil), (0x41_2345, nil), (0xc000_0000, nil)]),
        PagingMode(
            name: "32-bit with PSE", cr0: paged, cr4: 0x10, width: 4,
            entries: [(0x4000, 0x5000 | 1), (0x4004, 0x80_0000 | 0x81), (0x500c, 0x9000 | 1)],
            translations: [(0x3456, 0x9456), (0x4456, nil), (0x41_2345, 0x81_2345), (0x7f_ffff, 0xbf_ffff), (0x80_0000, nil)]),
        PagingMode(
            name: "PAE", cr0: paged, cr4: 0x20, width: 8,
            entries: [(0x4018, 0x5000 | 1)] + lower(directory: 0x5000),
            translations: [(0xc000_3456, 0x9456), (0xc000_4456, nil), (0xc021_2345, 0x81_2345), (0x3456, nil)]),
        PagingMode(
            name: "4-level", cr0: paged, cr4: 0x20, efer: 0x500, width: 8,
            entries: [(0x4ff8, 0x7000 | 1), (0x7000, 0x5000 | 1), (0x7008, 0x4000_0000 | 0x81)] + lower(directory: 0x5000),
            translations: [
                (0xffff_ff80_0000_3456, 0x9456), (0xffff_ff80_0000_4456, nil), (0xffff_ff80_0021_2345, 0x81_2345),
                (0xffff_ff80_4012_3456, 0x4012_3456), (0xffff_ff80_8000_0000, nil), (0x3456, nil),
            ]),
        PagingMode(
            name: "5-level", cr0: paged, cr4: 0x1020, efer: 0x500, width: 8,
            entries: [(0x4008, 0x8000 | 1), (0x8000, 0x7000 | 1), (0x7000, 0x5000 | 1)] + lower(directory: 0x5000),
            translations: [
                (0x0001_0000_0000_3456, 0x9456), (0x0001_0000_0021_2345, 0x81_2345), (0x0001_0000_4000_0000, nil),
                (0x3456, nil),
            ]),
    ]

    private static let paged: UInt64 = 0x8000_0011

    /// A directory of a table at 0x6000 and a page of 2 MiB.
    private static func lower(directory: Int) -> [(address: Int, value: UInt64)] {
        [(directory, 0x6000 | 1), (directory + 8, 0x80_0000 | 0x81), (0x6018, 0x9000 | 1), (0x6020, 0xa000)]
    }
}

@Suite(.needsKVM)
struct PagingTests {
    @Test(arguments: PagingMode.all)
    func linearAddressesAreTranslated(mode: PagingMode) throws {
        let guest = try Guest([])
        for (address, value) in mode.entries {
            guest.pages.write((0..<mode.width).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) }, at: address)
        }
        var special = try guest.vcpu.specialRegisters()
        (special.cr0, special.cr3, special.cr4, special.efer) = (mode.cr0, 0x4000, mode.cr4, mode.efer)
        if mode.efer != 0 { (special.cs.l, special.cs.db) = (1, 0) }
        do throws(KVMError) { try guest.vcpu.setSpecialRegisters(special) } catch {
            // A processor without LA57 does not take that bit.
            try #require(mode.name == "5-level", "\(error)")
            print("5-level paging: skipped, because KVM gives its guests no CR4.LA57 here")
            return
        }
        for (linear, physical) in mode.translations {
            let got = try guest.vcpu.physicalAddress(of: linear)
            #expect(got == physical, "\(mode.name), 0x\(String(linear, radix: 16))")
        }
    }
}
