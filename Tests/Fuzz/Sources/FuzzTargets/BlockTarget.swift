// Block requests that are legal in their framing and anything in their contents, in either ring form, cut anywhere, several at a
// time and finished in any order, against a disk in memory. What becomes of each is foretold from 5.2.6 by a second reading of
// it, which shares nothing with the device's.

import Virtio
import VirtioABI

/// The first bytes choose the device, the features and the rings; the rest are requests and what the backend does.
func fuzzBlock(_ input: inout Input) {
    let options = Options(input.byte())
    let packed = input.flag()
    let rig = Rig<Block>(options)
    var driver = BlockFuzzer(rig: rig, rings: [], readOnly: options.device & 1 != 0)
    driver.restart(&input, packed)
    while !input.isEmpty { driver.step(&input, packed) }
    driver.finishAll()
    rig.checkHealth(packed: packed, choice: 0)
}

/// A request, and what its driver has to find when it comes back.
private struct Asked {
    /// What the device does with it.
    enum Fate: Equatable {
        case answered(BlockRequest.Status)
        case handed(Block.Request.Operation, offset: UInt64, count: UInt64)
    }

    let queue: Int
    let name: UInt16
    let fate: Fate
    let durable: Bool
    /// Writable bytes before the status byte, and where those and the status byte are.
    let room: [Part]
    let data: [Part]
    let status: UInt64
    var answer: (status: UInt8, length: UInt32)?
}

private struct BlockFuzzer {
    let rig: Rig<Block>
    var rings: [Ring]
    let readOnly: Bool
    var ram: GuestRAM { rig.ram }
    /// Sectors of 512 bytes that are told apart by their contents.
    var disk = (0..<Int(Block.sectors) * 512).map { UInt8(truncatingIfNeeded: $0 >> 9 &* 7 &+ $0) }
    /// What the driver waits for, by queue, oldest first.
    var asked: [[Asked]] = []
    /// For each request of `rig.pending`, the queue and the name of what was asked.
    var handed: [(queue: Int, name: UInt16)] = []
    var writeback = false
    var nextBuffer: UInt64 = 0x4000

    mutating func restart(_ input: inout Input, _ packed: Bool) {
        let (choice, size) = (input.number(UInt16.self), input.byte())
        let features = rig.features(choice, packed: packed)
        rings = rig.bringUp(features, size: packed ? 1 + UInt16(size % 32) : 1 << UInt16(size % 6))
        asked = rings.map { _ in [] }
        writeback = features.contains(BlockFeature.flush)
    }

    mutating func step(_ input: inout Input, _ packed: Bool) {
        let choice = input.byte()
        switch choice % 8 {
        case 0...4: ask(&input, choice)
        case 5: serve(limit: 1 + input.below(3))
        case 6: finish(input.byte())
        default: if choice & 8 == 0 { turnCache(choice & 16 != 0) } else { collect() }
        }
    }

    /// The driver turns the writeback cache on or off, for requests taken from now on.
    private mutating func turnCache(_ on: Bool) {
        serve(limit: 256)
        rig.write(at: 0x100 + UInt64(BlockConfiguration.writeback), width: 1, on ? 1 : 0)
        if rig.driverFeatures.contains(BlockFeature.configWCE) { writeback = on }
    }

    // MARK: The driver

    private mutating func allocate(_ count: Int) -> UInt64 {
        if nextBuffer + UInt64(count) > UInt64(GuestRAM.lowSize) {
            // Memory is used again only when nobody waits for it.
            finishAll()
            nextBuffer = 0x4000
        }
        defer { nextBuffer += UInt64(count) }
        return nextBuffer
    }

    private mutating func ask(_ input: inout Input, _ choice: UInt8) {
        let queue = input.below(rings.count)
        let kinds: [UInt32] = [0, 0, 1, 1, 4, 8, 11, 13, 13, 10, 14, 2, .max]
        let kind = kinds[input.below(kinds.count)]
        let sector = choice & 0x80 != 0 ? input.number(UInt64.self) : UInt64(input.below(70))
        let lengths = [0, 512, 512, 512, 1024, 1536, 1, 511, 20, 19, 16, 16, 32]
        let length = lengths[input.below(lengths.count)]
        let isRange = kind == 11 || kind == 13 || kind == 14
        let reads = kind != 1 && !isRange
        var sent = [UInt8](repeating: 0, count: 16)
        sent.put(kind, at: 0)
        sent.put(sector, at: 8)
        if isRange {
            sent += range(&input).prefix(length)
        } else if !reads {
            let seed = input.byte()
            sent += (0..<length).map { UInt8(truncatingIfNeeded: $0) &+ seed }
        }
        let room = reads ? length : 0
        let start = allocate(sent.count + room + 1)
        ram.store(sent, at: start)
        ram.fill(0xee, at: start + UInt64(sent.count), count: room + 1)
        submit(&input, queue, sent, start, room, kind, sector)
    }

    private func range(_ input: inout Input) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 32)
        bytes.put(input.flag() ? UInt64(input.below(70)) : input.number(UInt64.self), at: 0)
        bytes.put(input.flag() ? UInt32(input.below(70)) : input.number(UInt32.self), at: 8)
        bytes.put(UInt32(input.below(4)), at: 12)
        return bytes
    }

    /// Cuts what is sent and the room behind it anywhere, and makes the chain available.
    private mutating func submit(
        _ input: inout Input, _ queue: Int, _ sent: [UInt8], _ start: UInt64, _ room: Int, _ kind: UInt32,
        _ sector: UInt64
    ) {
        let whole = sent.count + room + 1
        var edges: Set<Int> = [0, sent.count, whole]
        for _ in 0..<input.below(6) { edges.insert(Int(input.number(UInt16.self)) % whole) }
        let sorted = edges.sorted()
        let parts = zip(sorted, sorted.dropFirst()).map { from, to in
            Part(address: start + UInt64(from), count: UInt32(to - from), writable: from >= sent.count)
        }
        let indirect = input.flag() && rig.driverFeatures.contains(.indirectDescriptors)
        guard let name = rings[queue].add(parts, indirect: indirect) else { return }
        let behind = Part(address: start + UInt64(sent.count), count: UInt32(room), writable: true)
        let data = kind == 1 ? Part(address: start + 16, count: UInt32(sent.count - 16), writable: false) : behind
        asked[queue].append(
            Asked(
                queue: queue, name: name, fate: foretell(sent, room, kind, sector), durable: false, room: [behind],
                data: [data], status: start + UInt64(whole - 1)))
        rig.kick(queue, next: rings[queue].nextAvailable)
    }

    /// 5.2.6, read once more.
    private func foretell(_ sent: [UInt8], _ room: Int, _ kind: UInt32, _ sector: UInt64) -> Asked.Fate {
        let features = rig.driverFeatures
        let capacity = Block.sectors
        switch kind {
        case 0, 1:
            let count = kind == 0 ? room : sent.count - 16
            if kind == 1 && readOnly || count % 512 != 0 { return .answered(.ioError) }
            if sector > capacity || UInt64(count / 512) > capacity - sector { return .answered(.ioError) }
            return .handed(kind == 0 ? .read : .write, offset: sector * 512, count: UInt64(count))
        case 4 where features.contains(BlockFeature.flush): return .handed(.flush, offset: 0, count: 0)
        case 8: return .handed(.identify, offset: 0, count: 0)
        case 11 where features.contains(BlockFeature.discard),
            13 where features.contains(BlockFeature.writeZeroes):
            if sent.count > 32 { return .answered(.unsupported) }
            if sent.count < 32 { return .answered(.ioError) }
            let flags: UInt32 = sent.get(at: 28)
            if flags > 1 || kind == 11 && flags != 0 { return .answered(.unsupported) }
            let (first, count): (UInt64, UInt32) = (sent.get(at: 16), sent.get(at: 24))
            if first > capacity || UInt64(count) > capacity - first { return .answered(.ioError) }
            let operation: Block.Request.Operation = kind == 11 ? .discard : .writeZeroes(mayUnmap: flags == 1)
            return .handed(operation, offset: first * 512, count: UInt64(count) * 512)
        default: return .answered(.unsupported)
        }
    }

    // MARK: The backend

    /// The device takes what it was told of, and hands out what was foretold, in that order.
    mutating func serve(limit: Int) {
        for _ in 0..<limit where !rig.owed.isEmpty {
            let queue = rig.owed.rawValue.trailingZeroBitCount
            let before = rig.pending.count
            rig.take(queue: queue, capacity: 3)
            for index in before..<rig.pending.count { match(rig.pending[index], queue) }
        }
        require(rig.transport.lastFault == nil, "a legal ring is a fault")
    }

    private mutating func match(_ pending: Rig<Block>.Pending, _ queue: Int) {
        let waiting = asked[queue].filter { request in !handed.contains { $0 == (queue, request.name) } }
        let next = waiting.first { if case .handed = $0.fate, $0.answer == nil { true } else { false } }
        guard let next else { return require(false, "a request that nobody made") }
        let request = pending.request
        let fate = Asked.Fate.handed(request.operation, offset: request.offset, count: request.count)
        require(fate == next.fate, "the driver asked for \(next.fate), the backend gets \(fate)")
        require(request.durable == !writeback, "durable is \(request.durable)")
        if request.operation == .read || request.operation == .write {
            require(request.data.byteCount == Int(request.count), "buffers of another size")
        }
        handed.append((queue, next.name))
    }

    private mutating func finish(_ choice: UInt8) {
        guard !rig.pending.isEmpty else { return }
        let index = Int(choice >> 2) % rig.pending.count
        let (queue, name) = handed.remove(at: index)
        guard let place = asked[queue].firstIndex(where: { $0.name == name }) else { return }
        let pending = rig.withdraw(index)
        let result: Outcome.Result = choice & 3 == 0 ? .ioError : .ok
        let written = result == .ok ? withExtendedLifetime(pending) { execute(pending.request) } : 0
        let room = asked[queue][place].room[0].count
        let status: BlockRequest.Status = result == .ok ? .ok : .ioError
        asked[queue][place].answer = (status.rawValue, written == room ? written + 1 : written)
        rig.finish(pending, Outcome(result, written: written))
    }

    /// Does a request's I/O and returns how much of guest memory it wrote.
    private mutating func execute(_ request: Block.Request) -> UInt32 {
        let offset = Int(request.offset)
        switch request.operation {
        case .read: return fill(request.data, Array(disk[offset..<offset + Int(request.count)]))
        case .write:
            var position = offset
            request.data.forEach { buffer in
                for byte in ram.bytes(at: ram.address(of: buffer), count: buffer.count) {
                    disk[position] = byte
                    position += 1
                }
            }
        case .identify: return fill(request.data, [UInt8](repeating: 0x49, count: 20))
        case .writeZeroes, .discard:
            for index in offset..<offset + Int(request.count) { disk[index] = 0 }
        case .flush: break
        }
        return 0
    }

    private func fill(_ data: Segments, _ bytes: [UInt8]) -> UInt32 {
        var rest = bytes[...]
        data.forEach { buffer in
            let piece = Array(rest.prefix(buffer.count))
            rest = rest.dropFirst(piece.count)
            ram.store(piece, at: ram.address(of: buffer))
        }
        return UInt32(bytes.count - rest.count)
    }

    // MARK: Answers

    /// The driver looks at what came back.
    mutating func collect() {
        for queue in rings.indices {
            for used in rings[queue].takeUsed() {
                guard let place = asked[queue].firstIndex(where: { $0.name == used.id }) else {
                    return require(false, "a used buffer that the driver did not give")
                }
                let inOrder = rig.driverFeatures.contains(.inOrder)
                require(!inOrder || place == 0, "a buffer used before one that was available earlier")
                let request = asked[queue].remove(at: place)
                check(request, used.length)
            }
        }
        rig.write(.interruptACK, 3)
    }

    private func check(_ request: Asked, _ length: UInt32) {
        let (expected, expectedLength): (UInt8, UInt32)
        switch request.fate {
        // Nothing was written before the status byte, which counts only if it is the first byte (2.7.8.2).
        case .answered(let status): (expected, expectedLength) = (status.rawValue, request.room[0].count == 0 ? 1 : 0)
        case .handed:
            guard let answer = request.answer else { return require(false, "used before the backend was done") }
            (expected, expectedLength) = (answer.status, answer.length)
        }
        let status: UInt8 = ram.load(at: request.status)
        require(status == expected, "\(request.fate) is answered by \(status) and not by \(expected)")
        require(length == expectedLength, "\(request.fate) used length \(length), not \(expectedLength)")
    }

    /// Everything comes back.
    mutating func finishAll() {
        for _ in 0..<64 {
            serve(limit: 64)
            if rig.owed.isEmpty && rig.pending.isEmpty { break }
            while !rig.pending.isEmpty { finish(1) }
        }
        collect()
        require(asked.allSatisfy(\.isEmpty), "requests without an answer")
    }
}

extension [UInt8] {
    /// Puts `value` at `offset`, little-endian.
    mutating func put<Value: FixedWidthInteger & UnsignedInteger>(_ value: Value, at offset: Int) {
        for index in 0..<(Value.bitWidth / 8) {
            self[offset + index] = UInt8(truncatingIfNeeded: value >> Value(8 * index))
        }
    }

    /// The little-endian value at `offset`.
    func get<Value: FixedWidthInteger & UnsignedInteger>(at offset: Int) -> Value {
        (0..<Value.bitWidth / 8).reversed().reduce(0) { $0 << 8 | Value(self[offset + $1]) }
    }
}
