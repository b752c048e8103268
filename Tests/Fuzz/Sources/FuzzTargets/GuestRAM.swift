// Guest memory with a shadow copy: every byte that the device changes is found, and has to be one that it may write.
// The memory is two small regions with gaps between and after them, each a separate allocation, so that
// AddressSanitizer reports an access beyond them.

import Glibc
import Virtio

/// A small guest's memory, and a copy of it from the last comparison.
@safe final class GuestRAM {
    static let lowSize = 0x8000
    static let highSize = 0x1000
    static let highAddress: UInt64 = 1 << 32

    private let low: UnsafeMutableRawPointer
    private let high: UnsafeMutableRawPointer
    private let lowShadow: UnsafeMutableRawPointer
    private let highShadow: UnsafeMutableRawPointer
    /// For each byte, whether a device-writable descriptor ever contained it.
    private let writable: UnsafeMutableRawPointer

    init() {
        unsafe low = .allocate(byteCount: Self.lowSize, alignment: 4096)
        unsafe high = .allocate(byteCount: Self.highSize, alignment: 4096)
        unsafe lowShadow = .allocate(byteCount: Self.lowSize, alignment: 16)
        unsafe highShadow = .allocate(byteCount: Self.highSize, alignment: 16)
        unsafe writable = .allocate(byteCount: Self.lowSize + Self.highSize, alignment: 16)
        // Not 0, so that zeros written by the device are found.
        unsafe memset(low, 0xa5, Self.lowSize)
        unsafe memset(high, 0xa5, Self.highSize)
        unsafe memset(lowShadow, 0xa5, Self.lowSize)
        unsafe memset(highShadow, 0xa5, Self.highSize)
        unsafe memset(writable, 0, Self.lowSize + Self.highSize)
    }

    deinit {
        unsafe low.deallocate()
        unsafe high.deallocate()
        unsafe lowShadow.deallocate()
        unsafe highShadow.deallocate()
        unsafe writable.deallocate()
    }

    var guest: GuestMemory {
        unsafe GuestMemory([
            .init(guestAddress: 0, base: low, size: UInt64(Self.lowSize)),
            .init(guestAddress: Self.highAddress, base: high, size: UInt64(Self.highSize)),
        ])
    }

    /// How many of the `count` bytes from `address` on are in memory.
    private func extent(_ address: UInt64, _ count: UInt64) -> Int {
        if address < UInt64(Self.lowSize) { return Int(min(count, UInt64(Self.lowSize) - address)) }
        guard address >= Self.highAddress, address - Self.highAddress < UInt64(Self.highSize) else { return 0 }
        return Int(min(count, UInt64(Self.highSize) - (address - Self.highAddress)))
    }

    private func host(_ address: UInt64) -> (memory: UnsafeMutableRawPointer, shadow: UnsafeMutableRawPointer) {
        if address < UInt64(Self.lowSize) { return unsafe (low + Int(address), lowShadow + Int(address)) }
        let offset = Int(address - Self.highAddress)
        return unsafe (high + offset, highShadow + offset)
    }

    private func flat(_ address: UInt64) -> Int {
        address < UInt64(Self.lowSize) ? Int(address) : Self.lowSize + Int(address - Self.highAddress)
    }

    // MARK: The driver's side

    /// Writes the bytes that fit into the region.
    func store(_ bytes: [UInt8], at address: UInt64) {
        let count = extent(address, UInt64(bytes.count))
        guard count > 0 else { return }
        let (memory, shadow) = unsafe host(address)
        unsafe bytes.withUnsafeBytes {
            unsafe memory.copyMemory(from: $0.baseAddress.unsafelyUnwrapped, byteCount: count)
            unsafe shadow.copyMemory(from: $0.baseAddress.unsafelyUnwrapped, byteCount: count)
        }
    }

    func store<Value: FixedWidthInteger>(_ value: Value, at address: UInt64) {
        guard extent(address, UInt64(Value.bitWidth / 8)) == Value.bitWidth / 8 else { return }
        let (memory, shadow) = unsafe host(address)
        unsafe memory.storeBytes(of: value, as: Value.self)
        unsafe shadow.storeBytes(of: value, as: Value.self)
    }

    func fill(_ byte: UInt8, at address: UInt64, count: Int) {
        store([UInt8](repeating: byte, count: count), at: address)
    }

    /// The value at `address`; 0 outside memory.
    func load<Value: FixedWidthInteger>(_ type: Value.Type = Value.self, at address: UInt64) -> Value {
        guard extent(address, UInt64(Value.bitWidth / 8)) == Value.bitWidth / 8 else { return 0 }
        return unsafe host(address).memory.loadUnaligned(as: Value.self)
    }

    func bytes(at address: UInt64, count: Int) -> [UInt8] {
        let count = extent(address, UInt64(count))
        guard count > 0 else { return [] }
        return unsafe Array(UnsafeRawBufferPointer(start: host(address).memory, count: count))
    }

    // MARK: The backend's side

    /// The guest-physical address of a buffer from the model. All of the buffer has to be in memory.
    func address(of buffer: GuestBuffer) -> UInt64 {
        let lowOffset = unsafe Int(bitPattern: buffer.base) - Int(bitPattern: low)
        if lowOffset >= 0, lowOffset < Self.lowSize {
            require(buffer.count <= Self.lowSize - lowOffset, "a buffer ends beyond the low region")
            return UInt64(lowOffset)
        }
        let highOffset = unsafe Int(bitPattern: buffer.base) - Int(bitPattern: high)
        require(highOffset >= 0 && highOffset < Self.highSize, "a buffer outside guest memory")
        require(buffer.count <= Self.highSize - highOffset, "a buffer ends beyond the high region")
        return Self.highAddress + UInt64(highOffset)
    }

    // MARK: What the device may write

    /// Marks bytes that a device-writable descriptor contains.
    func markWritable(_ address: UInt64, _ count: UInt64) {
        let count = extent(address, count)
        if count > 0 { unsafe memset(writable + flat(address), 1, count) }
    }

    func clearWritable() { unsafe memset(writable, 0, Self.lowSize + Self.highSize) }

    func isWritable(_ address: UInt64) -> Bool {
        guard extent(address, 1) == 1 else { return false }
        return unsafe (writable + flat(address)).load(as: UInt8.self) != 0
    }

    /// The addresses of the bytes that changed since the last call.
    func changes() -> [UInt64] {
        unsafe changes(low, lowShadow, Self.lowSize, from: 0)
            + changes(high, highShadow, Self.highSize, from: Self.highAddress)
    }

    private func changes(
        _ memory: UnsafeMutableRawPointer, _ shadow: UnsafeMutableRawPointer, _ size: Int, from start: UInt64
    ) -> [UInt64] {
        if unsafe memcmp(memory, shadow, size) == 0 { return [] }
        var addresses: [UInt64] = []
        for block in stride(from: 0, to: size, by: 256) where unsafe memcmp(memory + block, shadow + block, 256) != 0 {
            for offset in block..<block + 256 {
                let now = unsafe memory.load(fromByteOffset: offset, as: UInt8.self)
                if unsafe now == shadow.load(fromByteOffset: offset, as: UInt8.self) { continue }
                unsafe shadow.storeBytes(of: now, toByteOffset: offset, as: UInt8.self)
                addresses.append(start + UInt64(offset))
            }
        }
        return addresses
    }
}
