// The page tables of a processor: the guest-physical address of a linear one, in every paging mode. KVM_TRANSLATE is not used: a KVM that
// emulates privileged code knows no mode but long mode there. Intel SDM volume 3, 5.1 "Paging Modes and Control Bits" to 5.5.

import KVM

/// The page tables of a processor in its current paging mode.
struct PageTables {
    /// The guest-physical address of the first table.
    private let root: UInt64
    /// The tables on the way to a page of 4 KiB: 2 in 32-bit paging, 3 with PAE, 4 or 5 in long mode; 0 without paging.
    private let levels: Int
    /// Bytes of an entry.
    private let width: Int
    /// CR4.PSE, of 32-bit paging.
    private let hasLargePages: Bool

    /// Those that the control registers name.
    init(_ special: kvm_sregs) {
        let (isPaging, isPAE) = (special.cr0 & 1 << 31 != 0, special.cr4 & 1 << 5 != 0)
        let (isLong, hasFiveLevels) = (special.efer & 1 << 10 != 0, special.cr4 & 1 << 12 != 0)
        levels = !isPaging ? 0 : !isPAE ? 2 : !isLong ? 3 : hasFiveLevels ? 5 : 4
        width = isPAE ? 8 : 4
        hasLargePages = special.cr4 & 1 << 4 != 0
        // The tables that CR3 names begin at 4 KiB, with PAE at 32 bytes.
        root = special.cr3 & (levels == 3 ? 0xffff_ffe0 : Self.address)
    }

    /// The bits of an address in an entry.
    private static let address: UInt64 = 0x000f_ffff_ffff_f000

    /// The guest-physical address of a linear one; nil if no page is present there, or a table is not in `memory`.
    func physicalAddress(of linear: UInt64, in memory: borrowing RAM) -> UInt64? {
        guard isCanonical(linear) else { return nil }
        guard levels > 0 else { return linear }
        let bits = width == 8 ? 9 : 10
        var table = root
        for level in stride(from: levels, through: 1, by: -1) {
            let shift = UInt64(12 + bits * (level - 1))
            // With PAE the first table has four entries: bits above them are 0.
            let index = linear >> shift & (1 << UInt64(bits) - 1)
            guard let bytes = memory.read(at: table &+ index * UInt64(width), count: width) else { return nil }
            let entry = bytes.integer(at: 0, bytes: width)
            guard entry & 1 != 0 else { return nil }
            if level == 1 || entry & 0x80 != 0 && mayBePage(level) {
                let offset: UInt64 = 1 << shift - 1
                // PSE-36: bits 13 to 20 of an entry of 4 bytes for 4 MiB are bits 32 to 39 of the address.
                let high = width == 4 && level == 2 ? (entry >> 13 & 0xff) << 32 : 0
                return high | entry & Self.address & ~offset | linear & offset
            }
            table = entry & Self.address
        }
        return nil
    }

    /// Whether PS in an entry of a table of the level makes it a page.
    private func mayBePage(_ level: Int) -> Bool {
        levels == 2 ? hasLargePages : level == 2 || level == 3 && levels > 3
    }

    /// Whether the mode has the address.
    private func isCanonical(_ linear: UInt64) -> Bool {
        guard levels > 3 else { return linear <= UInt64(UInt32.max) }
        let unused = Int64(64 - 12 - 9 * levels)
        return UInt64(bitPattern: (Int64(bitPattern: linear) << unused) >> unused) == linear
    }
}
