// Block requests with legal framing and any content, in either ring format, split at any offsets, several in flight and
// completed in any order, against a disk in memory. The expected result of each comes from a second implementation of
// 5.2.6 that shares no code with the device.

import Virtio
import VirtioABI

/// The first bytes select the device, the features and the rings; the rest are requests and the backend's actions.
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

/// A request that the driver made, and the result that it expects.
private struct ExpectedRequest {
    /// Whether the device completes the request itself or passes it to the backend.
    enum Handling: Equatable {
        case completed(BlockRequest.Status)
        case backend(Block.Request.Operation, offset: UInt64, count: UInt64)
    }

    let queue: Int
    let id: UInt16
    let handling: Handling
    let durable: Bool
    /// The device-writable bytes before the status byte, the data, and the address of the status byte.
    let room: [Part]
    let data: [Part]
    let status: UInt64
    var result: (status: UInt8, length: UInt32)?
}

private struct BlockFuzzer {
    typealias Handling = ExpectedRequest.Handling

    let rig: Rig<Block>
    var rings: [Ring]
    let readOnly: Bool
    var ram: GuestRAM { rig.ram }
    /// Sectors of 512 bytes with different contents.
    var disk = (0..<Int(Block.sectors) * 512).map { UInt8(truncatingIfNeeded: $0 >> 9 &* 7 &+ $0) }
    /// The requests that the driver waits for, by queue, oldest first.
    var outstanding: [[ExpectedRequest]] = []
    /// For each request of `rig.pending`, its queue and buffer id.
    var inFlight: [(queue: Int, id: UInt16)] = []
    var writeback = false
    var nextBuffer: UInt64 = 0x4000

    mutating func restart(_ input: inout Input, _ packed: Bool) {
        let (choice, size) = (input.number(UInt16.self), input.byte())
        let features = rig.features(choice, packed: packed)
        rings = rig.bringUp(features, size: packed ? 1 + UInt16(size % 32) : 1 << UInt16(size % 6))
        outstanding = rings.map { _ in [] }
        writeback = features.contains(BlockFeature.flush)
    }

    mutating func step(_ input: inout Input, _ packed: Bool) {
        let choice = input.byte()
        switch choice % 8 {
        case 0...4: makeRequest(&input, choice)
        case 5: serve(limit: 1 + input.below(3))
        case 6: finish(input.byte())
        default: if choice & 8 == 0 { setWriteback(choice & 16 != 0) } else { collect() }
        }
    }

    /// Turns the writeback cache on or off, for requests taken from now on.
    private mutating func setWriteback(_ on: Bool) {
        serve(limit: 256)
        rig.write(at: 0x100 + UInt64(BlockConfiguration.writeback), width: 1, on ? 1 : 0)
        if rig.driverFeatures.contains(BlockFeature.configWCE) { writeback = on }
    }

    // MARK: The driver

    private mutating func allocate(_ count: Int) -> UInt64 {
        if nextBuffer + UInt64(count) > UInt64(GuestRAM.lowSize) {
            // Memory is reused only when no request is outstanding.
            finishAll()
            nextBuffer = 0x4000
        }
        defer { nextBuffer += UInt64(count) }
        return nextBuffer
    }

    private mutating func makeRequest(_ input: inout Input, _ choice: UInt8) {
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

    /// Splits the readable and the writable bytes at any offsets, and makes the chain available.
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
        guard let id = rings[queue].add(parts, indirect: indirect) else { return }
        let writable = Part(address: start + UInt64(sent.count), count: UInt32(room), writable: true)
        let data = kind == 1 ? Part(address: start + 16, count: UInt32(sent.count - 16), writable: false) : writable
        outstanding[queue].append(
            ExpectedRequest(
                queue: queue, id: id, handling: expectedHandling(sent, room, kind, sector), durable: false,
                room: [writable], data: [data], status: start + UInt64(whole - 1)))
        rig.notify(queue, next: rings[queue].nextAvailable)
    }

    /// The handling that 5.2.6 requires.
    private func expectedHandling(_ sent: [UInt8], _ room: Int, _ kind: UInt32, _ sector: UInt64) -> Handling {
        let features = rig.driverFeatures
        let capacity = Block.sectors
        switch kind {
        case 0, 1:
            let count = kind == 0 ? room : sent.count - 16
            if kind == 1 && readOnly || count % 512 != 0 { return .completed(.ioError) }
            if sector > capacity || UInt64(count / 512) > capacity - sector { return .completed(.ioError) }
            return .backend(kind == 0 ? .read : .write, offset: sector * 512, count: UInt64(count))
        case 4 where features.contains(BlockFeature.flush): return .backend(.flush, offset: 0, count: 0)
        case 8: return .backend(.identify, offset: 0, count: 0)
        case 11 where features.contains(BlockFeature.discard),
            13 where features.contains(BlockFeature.writeZeroes):
            if sent.count > 32 { return .completed(.unsupported) }
            if sent.count < 32 { return .completed(.ioError) }
            let flags: UInt32 = sent.get(at: 28)
            if flags > 1 || kind == 11 && flags != 0 { return .completed(.unsupported) }
            let (first, count): (UInt64, UInt32) = (sent.get(at: 16), sent.get(at: 24))
            if first > capacity || UInt64(count) > capacity - first { return .completed(.ioError) }
            let operation: Block.Request.Operation = kind == 11 ? .discard : .writeZeroes(mayUnmap: flags == 1)
            return .backend(operation, offset: first * 512, count: UInt64(count) * 512)
        default: return .completed(.unsupported)
        }
    }

    // MARK: The backend

    /// Serves the notified queues, and checks that the device passes the expected requests to the backend, in order.
    mutating func serve(limit: Int) {
        for _ in 0..<limit where !rig.pendingQueues.isEmpty {
            let queue = rig.pendingQueues.rawValue.trailingZeroBitCount
            let before = rig.pending.count
            rig.take(queue: queue, capacity: 3)
            for index in before..<rig.pending.count { match(rig.pending[index], queue) }
        }
        require(rig.transport.lastFault == nil, "a legal ring is a fault")
    }

    private mutating func match(_ pending: Rig<Block>.Pending, _ queue: Int) {
        let waiting = outstanding[queue].filter { request in !inFlight.contains { $0 == (queue, request.id) } }
        let next = waiting.first { if case .backend = $0.handling, $0.result == nil { true } else { false } }
        guard let next else { return require(false, "a request that the driver did not make") }
        let request = pending.request
        let handling = Handling.backend(request.operation, offset: request.offset, count: request.count)
        require(handling == next.handling, "the driver requested \(next.handling), the backend got \(handling)")
        require(request.durable == !writeback, "durable is \(request.durable)")
        if request.operation == .read || request.operation == .write {
            require(request.data.byteCount == Int(request.count), "buffers of another size")
        }
        inFlight.append((queue, next.id))
    }

    private mutating func finish(_ choice: UInt8) {
        guard !rig.pending.isEmpty else { return }
        let index = Int(choice >> 2) % rig.pending.count
        let (queue, id) = inFlight.remove(at: index)
        guard let position = outstanding[queue].firstIndex(where: { $0.id == id }) else { return }
        let pending = rig.removePending(index)
        let result: Outcome.Result = choice & 3 == 0 ? .ioError : .ok
        let written = result == .ok ? withExtendedLifetime(pending) { execute(pending.request) } : 0
        let room = outstanding[queue][position].room[0].count
        let status: BlockRequest.Status = result == .ok ? .ok : .ioError
        outstanding[queue][position].result = (status.rawValue, written == room ? written + 1 : written)
        rig.finish(pending, Outcome(result, written: written))
    }

    /// Performs a request's I/O. Returns the number of bytes written to guest memory.
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

    // MARK: Used buffers

    /// Takes the used buffers and checks each result.
    mutating func collect() {
        for queue in rings.indices {
            for used in rings[queue].takeUsed() {
                guard let position = outstanding[queue].firstIndex(where: { $0.id == used.id }) else {
                    return require(false, "a used buffer that the driver did not make available")
                }
                let inOrder = rig.driverFeatures.contains(.inOrder)
                require(!inOrder || position == 0, "a buffer used before one that was available earlier")
                let request = outstanding[queue].remove(at: position)
                check(request, used.length)
            }
        }
        rig.write(.interruptACK, 3)
    }

    private func check(_ request: ExpectedRequest, _ length: UInt32) {
        let (expected, expectedLength): (UInt8, UInt32)
        switch request.handling {
        // Nothing was written before the status byte, which counts only if it is the first writable byte (2.7.8.2).
        case .completed(let status): (expected, expectedLength) = (status.rawValue, request.room[0].count == 0 ? 1 : 0)
        case .backend:
            guard let result = request.result else { return require(false, "used before the backend completed it") }
            (expected, expectedLength) = (result.status, result.length)
        }
        let status: UInt8 = ram.load(at: request.status)
        require(status == expected, "\(request.handling): status \(status), not \(expected)")
        require(length == expectedLength, "\(request.handling): used length \(length), not \(expectedLength)")
    }

    /// Completes all requests, and checks that every one is used.
    mutating func finishAll() {
        for _ in 0..<64 {
            serve(limit: 64)
            if rig.pendingQueues.isEmpty && rig.pending.isEmpty { break }
            while !rig.pending.isEmpty { finish(1) }
        }
        collect()
        require(outstanding.allSatisfy(\.isEmpty), "requests that were never used")
    }
}

extension [UInt8] {
    /// Writes `value` at `offset`, little-endian.
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
