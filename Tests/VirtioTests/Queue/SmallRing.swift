// A configuration small enough for an exhaustive test: a ring of 2 or 4 entries in two pages of guest memory, and a
// device that completes every chain at once by filling its writable buffers. For each content of the ring, the test
// initialises the device, lets it process the ring, and checks the result.
//
//   page 0   0x100 descriptors (split)   0x200 driver area   0x300 table      read-only for the device
//   page 1   0x100 device area           0x200 data, 64 bytes                 0x300 descriptors (packed)

import Glibc
import Testing
import VirtioABI

@testable import Virtio

/// A device with one queue that fills all writable buffers and completes at once.
struct FillingDevice: VirtioDevice, ~Copyable {
    struct Configuration: Equatable, Sendable {}
    typealias Request = Never

    static let byte: UInt8 = 0x11
    static var deviceID: UInt32 { 4 }
    func queueCount(_ features: Features) -> Int { 1 }
    func queueSizeMax(_ index: Int) -> UInt16 { 4 }
    var initialConfiguration: Configuration { Configuration() }
    func bytes(of configuration: Configuration) -> ConfigurationBytes { ConfigurationBytes(size: 0) }
    mutating func reset() {}
    func wantsBuffer(queue index: Int) -> Bool { true }

    mutating func take(
        _ chain: inout DescriptorChain, queue index: Int, _ configuration: Configuration
    ) -> TakeResult<Never> {
        var written: UInt32 = 0
        while chain.writable.write(Self.byte) { written += 1 }
        return .done(UsedLength(written))
    }

    mutating func finish(_ outcome: Outcome, reply: Reply?) -> UsedLength { UsedLength() }
}

/// A descriptor's two words, and a mask of the bytes of the data area that it makes writable.
struct DescriptorWords: Sendable {
    let low: UInt64
    let high: UInt64
    var writable: UInt64 = 0

    /// A buffer at `address`. `upper` is flags and `next` in a split ring, id and flags in a packed ring.
    init(_ address: UInt64, _ length: UInt32, upper: UInt32, writes: Bool) {
        low = address
        high = UInt64(length) | UInt64(upper) << 32
        guard writes, address >= SmallRing.data, length <= 64, address + UInt64(length) <= SmallRing.data + 64 else {
            return
        }
        let mask: UInt64 = length == 64 ? .max : (1 << UInt64(length)) - 1
        writable = mask << (address - SmallRing.data)
    }

    static func split(_ address: UInt64, _ length: UInt32, _ flags: UInt16, _ next: UInt16 = 0) -> DescriptorWords {
        DescriptorWords(address, length, upper: UInt32(flags) | UInt32(next) << 16, writes: flags & 2 != 0)
    }

    static func packed(_ address: UInt64, _ length: UInt32, _ flags: UInt16, _ id: UInt16 = 0) -> DescriptorWords {
        DescriptorWords(address, length, upper: UInt32(id) | UInt32(flags) << 16, writes: flags & 2 != 0)
    }
}

/// The device, its memory and the checks of a test.
@safe final class SmallRing {
    static let data: UInt64 = 4096 + 0x200
    static let table: UInt64 = 0x300
    /// Address of buffers that extend beyond the two pages.
    static let outsideMemory: UInt64 = 2 * 4096 - 8

    let size: UInt16
    let packed: Bool
    private let memory = FakeMemory(low: 2 * 4096, high: 4096)
    private var transport: MMIOTransport<FillingDevice>
    private var batch = Batch<Never>(longestChain: 128)
    /// Copies of the two pages as initialised and as before the device runs, and the pages themselves.
    private let initialPages: UnsafeMutableRawPointer
    private let before: UnsafeMutableRawPointer
    private let pages: UnsafeMutableRawPointer
    private var writable: UInt64 = 0
    private var tableIsWritable = false
    /// Bytes of the device area.
    private let deviceBytes: Int
    private var ringAddress: UInt64 { packed ? 4096 + 0x300 : 0x100 }

    private(set) var contents = 0
    private(set) var served = 0
    private var failures = 0
    private(set) var faults: Set<QueueFault> = []

    init(size: UInt16, packed: Bool) {
        self.size = size
        self.packed = packed
        deviceBytes = packed ? 4 : Int(SplitRing.usedBytes(size: size))
        transport = MMIOTransport(device: FillingDevice(), memory: memory.guest, adding: packed ? .ringPacked : [])
        guard let low = memory.guest.resolve(0, 2 * 4096) else { preconditionFailure("there is no memory at 0") }
        unsafe pages = low.base
        unsafe initialPages = .allocate(byteCount: 2 * 4096, alignment: 4096)
        unsafe memcpy(initialPages, pages, 2 * 4096)
        unsafe before = .allocate(byteCount: 2 * 4096, alignment: 4096)
    }

    deinit {
        unsafe initialPages.deallocate()
        unsafe before.deallocate()
    }

    // MARK: Ring contents

    private func store(_ word: UInt64, at address: UInt64) {
        unsafe pages.storeBytes(of: word, toByteOffset: Int(address), as: UInt64.self)
    }

    /// Descriptor `index` of the ring.
    func setRing(_ index: Int, _ descriptor: DescriptorWords) { set(ringAddress + 16 * UInt64(index), descriptor) }
    /// Descriptor `index` of the table.
    func setTable(_ index: Int, _ descriptor: DescriptorWords) {
        set(Self.table + 16 * UInt64(index), descriptor)
        // In a packed ring's table the indirect flag is ignored: the element is a writable buffer at the table.
        if packed && descriptor.low == Self.table && descriptor.high >> 49 & 1 == 1 { tableIsWritable = true }
    }

    private func set(_ address: UInt64, _ descriptor: DescriptorWords) {
        store(descriptor.low, at: address)
        store(descriptor.high, at: address + 8)
        writable |= descriptor.writable
    }

    /// Writes the available ring: flags 0, `index`, and up to four entries.
    func setAvailable(index: UInt16, _ entries: UInt64) {
        store(UInt64(index) << 16 | entries << 32, at: 0x200)
        store(entries >> 32, at: 0x208)
    }

    /// Restores the initial contents of both pages. Called before each content is written.
    func begin() {
        unsafe memcpy(pages, initialPages, 2 * 4096)
        unsafe memset(pages + 0x200, 0, 16)
        unsafe memset(pages + 4096 + 0x100, 0, 64)
        writable = 0
        tableIsWritable = false
    }

    // MARK: The device

    private func write(_ register: Register, _ value: UInt32) {
        _ = transport.write(at: UInt64(register.rawValue), width: 4, value: UInt64(value))
    }

    private func bringUp(at position: RingPosition) {
        for value: UInt32 in [0, 1, 3] { write(.status, value) }
        let features: Features = [.version1, .indirectDescriptors, .eventIndex, packed ? .ringPacked : []]
        for word in UInt32(0)..<2 {
            write(.driverFeaturesSel, word)
            write(.driverFeatures, features.word(word))
        }
        write(.status, 0x0b)
        write(.queueSize, UInt32(size))
        write(.queueDescLow, UInt32(ringAddress))
        write(.queueDriverLow, 0x200)
        write(.queueDeviceLow, 4096 + 0x100)
        write(.queueReady, 1)
        transport.queues[0].live?.value.positions = RingPositions(
            available: position, used: position, notified: position)
        write(.status, 0x0f)
    }

    private var status: UInt64 { transport.read(at: UInt64(Register.status.rawValue), width: 4) }

    /// Initialises the device at `position`, lets it process the ring, and checks the result.
    func run(from position: RingPosition = RingPosition()) {
        contents += 1
        bringUp(at: position)
        guard status == 0x0f else { return fail("status \(status) after a reset and initialisation") }
        // The device may write to the device area, the data and a packed ring only.
        unsafe memcpy(before, pages, 2 * 4096)
        batch.removeAll()
        for _ in 0..<4 where !transport.take(queue: 0, into: &batch).queues.isEmpty { fail("take does not end") }
        // Chains, or descriptors of a packed ring.
        let used = (transport.queues[0].live?.value.positions.used.count ?? position.count) &- position.count
        if used > (packed ? 2 * size : size) { fail("\(used) used in a ring of \(size)") }
        switch status {
        case 0x0f: served += 1
        case 0x4f:
            if let fault = transport.lastFault { faults.insert(fault) }
            if !transport.interruptStatus.contains(.configurationChange) {
                fail("no configuration change notification")
            }
        default: fail("status \(status)")
        }
        if !isUntouched { fail("the device wrote to memory that it must not write") }
    }

    private var isUntouched: Bool {
        var start = 0
        for (from, count) in [
            (Int(Self.table), tableIsWritable ? 48 : 0), (4096 + 0x100, deviceBytes), (4096 + 0x200, 64),
            (4096 + 0x300, packed ? 16 * Int(size) : 0), (2 * 4096, 0),
        ] {
            if unsafe memcmp(before + start, pages + start, from - start) != 0 { return false }
            start = from + count
        }
        for index in 0..<64 where writable >> UInt64(index) & 1 == 0 {
            let offset = 4096 + 0x200 + index
            let now = unsafe pages.load(fromByteOffset: offset, as: UInt8.self)
            if unsafe now != before.load(fromByteOffset: offset, as: UInt8.self) { return false }
        }
        return true
    }

    private func fail(_ what: String) {
        failures += 1
        if failures > 5 { return }
        var words: [String] = []
        for address in stride(from: ringAddress, to: ringAddress + 16 * UInt64(size), by: 8) {
            words.append(String(memory.load(UInt64.self, at: address), radix: 16))
        }
        Issue.record("\(what); content \(contents), fault \(String(describing: transport.lastFault)), ring \(words)")
    }

    /// Prints a summary of the contents tested.
    func report(_ name: String) {
        let names = faults.map { "\($0)" }.sorted().joined(separator: ", ")
        print("\(name): \(contents) contents, \(served) served whole; faults: \(names)")
    }
}
