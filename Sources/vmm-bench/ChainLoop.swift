// The device model alone: requests through transport, ring and block device to a disk in memory, in one thread, without
// KVM. The driver does as little as possible, so that the device's side is what is timed.
//
// Memory: descriptors at 0, the driver area at 0x4000, the device area at 0x6000, indirect tables at 0x8000 (64 bytes
// each), headers at 0xa000 (16), status bytes at 0xc000, data at 0x10000 (512).

import Virtio
import VirtioABI

/// The form of the ring and of the requests.
struct ChainForm {
    var isPacked: Bool
    var isIndirect: Bool
    /// Requests made available at once.
    var inFlight: Int
    /// Whether the conformance checks are on.
    var isChecked = true

    var name: String {
        (isPacked ? "packed" : "split") + (isIndirect ? " indirect" : " direct") + (isChecked ? "" : ", conform off")
    }

    /// The name of its row in the table.
    var rowName: String { "chain-\(name.replacing(" ", with: "-"))" }

    static let all: [ChainForm] = [false, true].flatMap { packed in
        [false, true].map { ChainForm(isPacked: packed, isIndirect: $0, inFlight: 8) }
    }
}

/// A disk in memory and its driver.
@safe struct ChainLoop: ~Copyable {
    static let queueSize = 256
    static let maximumInFlight = 64

    private let form: ChainForm
    private let memory: UnsafeMutableRawPointer
    private var transport: MMIOTransport<Block>
    private var batch: Batch<Block.Request>
    /// A packed ring's descriptors, three for each request or a reference to its table, without their state.
    private var descriptors: [(low: UInt64, high: UInt64)] = []
    private let disk = [UInt8](repeating: 7, count: 64 << 10)
    /// Split: the available index. Packed: the ring position, and the flags that make its descriptor available, in bits 48
    /// to 63.
    private var available: UInt16 = 0
    private var position = 0
    private var state = UInt64(PackedRing.availableBit) << 48
    /// Requests completed.
    private(set) var completed = 0

    init(_ form: ChainForm) {
        precondition(1...Self.maximumInFlight ~= form.inFlight)
        self.form = form
        let size = 128 << 10
        unsafe memory = .allocate(byteCount: size, alignment: 4096)
        unsafe memory.initializeMemory(as: UInt8.self, repeating: 0, count: size)
        let guest = unsafe GuestMemory([.init(guestAddress: 0, base: memory, size: UInt64(size))])
        transport = MMIOTransport(
            device: Block(capacity: 128), memory: guest, adding: .ringPacked,
            conform: form.isChecked ? .report : .off)
        batch = Batch(longestChain: transport.longestChain)
        bringUp()
        for request in 0..<Self.maximumInFlight { prepare(request) }
    }

    deinit { unsafe memory.deallocate() }

    private func store<Word: BitwiseCopyable>(_ word: Word, _ address: Int) {
        unsafe memory.storeBytes(of: word, toByteOffset: address, as: Word.self)
    }
    private func load<Word: BitwiseCopyable>(_ address: Int) -> Word {
        unsafe memory.load(fromByteOffset: address, as: Word.self)
    }
    private mutating func write(_ register: Register, _ value: UInt32) -> Effects {
        transport.write(at: UInt64(register.rawValue), width: 4, value: UInt64(value))
    }

    private mutating func bringUp() {
        var features: Features = [.version1]
        if form.isPacked { features.insert(.ringPacked) }
        if form.isIndirect { features.insert(.indirectDescriptors) }
        for (register, value): (Register, UInt32) in [
            (.status, 3), (.driverFeaturesSel, 0), (.driverFeatures, features.word(0)), (.driverFeaturesSel, 1),
            (.driverFeatures, features.word(1)), (.status, 11), (.queueSize, UInt32(Self.queueSize)),
            (.queueDriverLow, 0x4000), (.queueDeviceLow, 0x6000), (.queueReady, 1), (.status, 15),
        ] { _ = write(register, value) }
    }

    /// Writes the header, and the descriptors that never change: indirect tables, and a split ring's chains.
    private mutating func prepare(_ request: Int) {
        store((BlockRequest.Kind.read, UInt32(0), UInt64(request)), 0xa000 + 16 * request)
        for part in 0..<3 {
            let table = 0x8000 + 64 * request
            if form.isIndirect {
                store(element(request, part, id: UInt16(part + 1), isPacked: form.isPacked), table + 16 * part)
            } else if !form.isPacked {
                let index = 3 * request + part
                store(element(request, part, id: UInt16(index + 1), isPacked: false), 16 * index)
            }
        }
        if form.isIndirect, !form.isPacked { store(reference(request), 16 * request) }
        if form.isPacked {
            descriptors +=
                form.isIndirect
                ? [reference(request)] : (0..<3).map { element(request, $0, id: UInt16(request), isPacked: true) }
        }
    }

    /// The descriptor of header, data or status byte. In a split ring `id` is the index of the next descriptor.
    private func element(_ request: Int, _ part: Int, id: UInt16, isPacked: Bool) -> (low: UInt64, high: UInt64) {
        let addresses: [3 of Int] = [0xa000 + 16 * request, 0x10000 + 512 * request, 0xc000 + request]
        let lengths: [3 of UInt64] = [16, 512, 1]
        var flags: Descriptor.Flags = part == 0 ? [] : .write
        if part < 2, !(isPacked && form.isIndirect) { flags.insert(.next) }
        return (UInt64(addresses[part]), high(lengths[part], id: id, flags, isPacked))
    }

    /// The descriptor that refers to a request's table.
    private func reference(_ request: Int) -> (low: UInt64, high: UInt64) {
        (UInt64(0x8000 + 64 * request), high(48, id: UInt16(request), .indirect, form.isPacked))
    }

    /// Bytes 8 to 15 of a descriptor. A packed ring has the flags last.
    private func high(_ length: UInt64, id: UInt16, _ flags: Descriptor.Flags, _ isPacked: Bool) -> UInt64 {
        let (id, flags) = (UInt64(id), UInt64(flags.rawValue))
        return length | (isPacked ? id << 32 | flags << 48 : flags << 32 | id << 48)
    }

    // MARK: A round

    /// Makes the requests available, notifies, serves them, and acknowledges the interrupt, as a host does, but without
    /// a lock.
    mutating func round() {
        for request in 0..<form.inFlight { form.isPacked ? offerPacked(request) : offerSplit(request) }
        if !form.isPacked { store(available, 0x4002) }
        var queues = write(.queueNotify, 0).queues
        while !queues.isEmpty {
            queues = transport.take(queue: 0, into: &batch).queues
            for index in 0..<batch.count {
                let work = batch[index]
                let place = Int(truncatingIfNeeded: work.request.offset)
                let written = UInt32(truncatingIfNeeded: work.request.data.copy(from: disk.span, at: place))
                queues.formUnion(transport.finish(work.token, .ok(written: written)).queues)
            }
            completed += batch.count
            batch.removeAll()
        }
        _ = write(.interruptACK, UInt32(transport.interruptStatus.rawValue))
    }

    private mutating func offerSplit(_ request: Int) {
        let head = UInt16(truncatingIfNeeded: form.isIndirect ? request : 3 &* request)
        store(head, 0x4004 &+ 2 &* (Int(available) % Self.queueSize))
        available &+= 1
    }

    private mutating func offerPacked(_ request: Int) {
        let parts = form.isIndirect ? 1 : 3
        for index in parts &* request..<parts &* (request &+ 1) {
            let descriptor = descriptors[index]
            store(descriptor.low, 16 &* position)
            store(descriptor.high | state, 16 &* position &+ 8)
            position &+= 1
            if position == Self.queueSize { (position, state) = (0, state ^ UInt64(PackedRing.ownerBits) << 48) }
        }
    }

    /// Whether the last requests completed correctly: status bytes 0, data present, no fault.
    var isSound: Bool {
        for request in 0..<form.inFlight {
            let status: UInt8 = load(0xc000 + request)
            let byte: UInt8 = load(0x10000 + 512 * request + 511)
            if status != 0 || byte != 7 { return false }
        }
        return transport.lastFault == nil
    }

    /// Runs `requests` requests, rounded up to whole rounds, and returns their number; nil unless all completed.
    static func run(_ form: ChainForm, requests: Int) -> Int? {
        var loop = ChainLoop(form)
        let rounds = (requests + form.inFlight - 1) / form.inFlight
        for _ in 0..<rounds { loop.round() }
        return loop.completed == rounds * form.inFlight && loop.isSound ? loop.completed : nil
    }
}
