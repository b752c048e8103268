// Guest memory for tests: two regions with a hole between them, the guest's loads and stores, and a comparison with a
// snapshot. It does not replace `GuestMemory`: the model accesses these bytes through it.

import Glibc
import Virtio

/// The memory behind a `GuestMemory`.
@safe final class FakeMemory {
    /// Initial value of every byte, so that a write of zeros is detected.
    static let pattern: UInt8 = 0xa5
    /// Guest-physical address of the region above the hole.
    static let highAddress: UInt64 = 0x1_0000_0000

    /// Sizes of the region at 0 and of the one at `highAddress`.
    let lowSize: Int
    let highSize: Int
    private let low: UnsafeMutableRawPointer
    private let high: UnsafeMutableRawPointer

    init(low lowSize: Int = 1 << 20, high highSize: Int = 1 << 16) {
        self.lowSize = lowSize
        self.highSize = highSize
        unsafe low = .allocate(byteCount: lowSize, alignment: 4096)
        unsafe high = .allocate(byteCount: highSize, alignment: 4096)
        unsafe memset(low, Int32(Self.pattern), lowSize)
        unsafe memset(high, Int32(Self.pattern), highSize)
    }

    deinit {
        unsafe low.deallocate()
        unsafe high.deallocate()
    }

    /// The memory as given to the model. Valid for as long as `self`.
    var guest: GuestMemory {
        unsafe GuestMemory([
            .init(guestAddress: 0, base: low, size: UInt64(lowSize)),
            .init(guestAddress: Self.highAddress, base: high, size: UInt64(highSize)),
        ])
    }

    // MARK: The guest's side

    func load<Value: FixedWidthInteger>(_ type: Value.Type = Value.self, at address: UInt64) -> Value {
        Value(littleEndian: unsafe host(address, Value.bitWidth / 8).loadUnaligned(as: Value.self))
    }

    func store<Value: FixedWidthInteger>(_ value: Value, at address: UInt64) {
        unsafe host(address, Value.bitWidth / 8).storeBytes(of: value.littleEndian, as: Value.self)
    }

    func bytes(at address: UInt64, count: Int) -> [UInt8] {
        unsafe Array(UnsafeRawBufferPointer(start: host(address, count), count: count))
    }

    func store(_ bytes: [UInt8], at address: UInt64) {
        let target = unsafe UnsafeMutableRawBufferPointer(start: host(address, bytes.count), count: bytes.count)
        unsafe target.copyBytes(from: bytes)
    }

    func fill(_ value: UInt8, at address: UInt64, count: Int) {
        unsafe memset(host(address, count), Int32(value), count)
    }

    /// The host address of `count` bytes. An address outside of memory is an error in the test and traps.
    private func host(_ address: UInt64, _ count: Int) -> UnsafeMutableRawPointer {
        if address < FakeMemory.highAddress {
            precondition(address + UInt64(count) <= UInt64(lowSize), "the test left the low region")
            return unsafe low + Int(address)
        }
        precondition(address - Self.highAddress + UInt64(count) <= UInt64(highSize), "the test left the high region")
        return unsafe high + Int(address - Self.highAddress)
    }

    // MARK: What changed

    /// A copy of all memory.
    struct Snapshot {
        fileprivate let low: [UInt8]
        fileprivate let high: [UInt8]
    }

    func snapshot() -> Snapshot {
        Snapshot(low: bytes(at: 0, count: lowSize), high: bytes(at: Self.highAddress, count: highSize))
    }

    /// Guest-physical address ranges whose bytes differ from `snapshot`.
    func changes(since snapshot: Snapshot) -> [Range<UInt64>] {
        changes(in: snapshot.low, from: 0) + changes(in: snapshot.high, from: Self.highAddress)
    }

    private func changes(in old: [UInt8], from address: UInt64) -> [Range<UInt64>] {
        var runs: [Range<UInt64>] = []
        for page in stride(from: 0, to: old.count, by: 4096) {
            let count = min(4096, old.count - page)
            let same = unsafe old.withUnsafeBytes {
                unsafe memcmp(host(address + UInt64(page), count), $0.baseAddress.unsafelyUnwrapped + page, count) == 0
            }
            if same { continue }
            for offset in page..<(page + count) {
                let here = address + UInt64(offset)
                if load(UInt8.self, at: here) == old[offset] { continue }
                if let last = runs.last, last.upperBound == here {
                    runs[runs.count - 1] = last.lowerBound..<(here + 1)
                } else {
                    runs.append(here..<(here + 1))
                }
            }
        }
        return runs
    }
}
