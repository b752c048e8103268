// A disk with several queues and up to as many requests in flight as they hold. Memory of a request, one per tag:
//
//   +0 header     +16 status byte     +24 the StressRequest     +64 or more: data; aligned to 512 for every other tag
//
// The data of a write or read are one element, or two that are split at a multiple of 16 bytes.

/// The check's record of a request.
struct StressRequest {
    enum Kind: UInt32 {
        case none, read, write, flush, discard, writeZeroes

        var number: UInt32 {
            switch self {
            case .none, .read: BlockRequest.Kind.read
            case .write: BlockRequest.Kind.write
            case .flush: BlockRequest.Kind.flush
            case .discard: BlockRequest.Kind.discard
            case .writeZeroes: BlockRequest.Kind.writeZeroes
            }
        }

        var changes: Bool { self == .write || self == .discard || self == .writeZeroes }
    }

    var kind: Kind
    /// Number of the request, from 1 on.
    var number: UInt32 = 0
    /// Sectors of the map.
    var first: UInt64 = 0
    var count: UInt64 = 0
}

/// A disk with its queues ready.
struct StressDisk {
    static let maximumQueues = 4
    private static let headSize: UInt64 = 64
    /// Bytes of the arena reserved for the check's other data.
    private static let reserve: UInt64 = 64 * 1024

    let device: MMIODevice
    let features: Features
    let capacity: UInt64
    let queueCount: Int
    /// Maximum number of requests in flight per queue.
    let depth: Int
    /// Maximum number of sectors per request.
    let maximumSectors: UInt64
    var queues: [4 of VirtQueue]
    private var free: [4 of NumberQueue]
    private let memory: UInt64
    private let requestSize: UInt64

    /// Initialises the writable disk, with SUSPEND if the check suspends and the device offers it.
    @inline(never)
    init(_ board: inout Board) throws(Failure) {
        device = try board.needDisk()
        let load = board.load
        var wanted = board.form.features.union([
            .version1, BlockFeature.flush, BlockFeature.discard, BlockFeature.writeZeroes,
        ])
        if load.suspendEvery > 0 { wanted.formUnion(Suspend.features) }
        if load.queues > 1 { wanted.formUnion(BlockFeature.multiqueue) }
        features = try device.negotiate(wanted)
        let field = device.configuration(BlockConfiguration.capacity)
        let (low, high) = (load32(field), load32(field &+ 4))
        capacity = UInt64(low) | UInt64(high) << 32
        if capacity < DiskMap.chunkSectors { throw .skipped("the disk has too few sectors") }
        let offered =
            features.contains(BlockFeature.multiqueue)
            ? UInt64(load16(device.configuration(BlockConfiguration.queues))) : 1
        let queueCount = Int(max(1, min(load.queues, offered)))
        self.queueCount = queueCount

        let size = board.form.queueSize
        let tagCount = Int(min(load.depth, UInt64(size ?? VirtQueue.defaultSize)))
        let first = try VirtQueue(device, 0, features, size: size, tagCount: tagCount, &board.arena)
        queues = [4 of VirtQueue](repeating: first)
        for index in 1..<StressDisk.maximumQueues where index < queueCount {
            queues[index] = try VirtQueue(device, index, features, size: size, tagCount: tagCount, &board.arena)
        }
        if first.longestBuffer < 3 { throw .skipped("the queue has too few entries for a request") }
        depth = min(tagCount, first.depth(3))
        var free = [4 of NumberQueue](
            repeating: NumberQueue(size: UInt16(truncatingIfNeeded: depth), isFull: true, &board.arena))
        for index in 1..<queueCount {
            free[index] = NumberQueue(size: UInt16(truncatingIfNeeded: depth), isFull: true, &board.arena)
        }
        self.free = free

        let number = UInt64(depth &* queueCount)
        let room = (board.arena.room &- StressDisk.reserve) / number
        if room < 1536 { throw .skipped("no memory for so many requests: say depth=N") }
        maximumSectors = min(DiskMap.chunkSectors, room / 512 &- 2)
        requestSize = (maximumSectors &+ 2) &* 512
        memory = board.arena.take(requestSize &* number, alignment: 512)
        try device.driverOK()
    }

    // MARK: Tags

    /// Allocates a tag of `queue`; nil if none is free or the ring has no room for a request. Tags are numbered across
    /// the queues: `depth` tags for each queue.
    mutating func takeTag(_ queue: Int) -> Int? {
        guard free[queue].count > 0, queues[queue].hasRoom(for: 3) else { return nil }
        return queue &* depth &+ Int(free[queue].removeFirst())
    }

    mutating func release(_ tag: Int) { free[tag / depth].append(UInt16(truncatingIfNeeded: tag % depth)) }

    private func header(_ tag: Int) -> UInt64 { memory &+ requestSize &* UInt64(truncatingIfNeeded: tag) }
    func statusByte(_ tag: Int) -> UInt64 { header(tag) &+ 16 }
    func data(_ tag: Int) -> UInt64 {
        header(tag) &+ (tag & 1 == 0 ? 512 : StressDisk.headSize &+ 16 &* UInt64(truncatingIfNeeded: tag & 14))
    }

    /// The request in flight with `tag`.
    func request(_ tag: Int) -> StressRequest {
        let record = header(tag) &+ 24
        return StressRequest(
            kind: StressRequest.Kind(rawValue: load32(record)) ?? .none, number: load32(record &+ 4),
            first: load64(record &+ 8), count: load64(record &+ 16))
    }

    func setRequest(_ tag: Int, _ request: StressRequest) {
        let record = header(tag) &+ 24
        store32(record, request.kind.rawValue)
        store32(record &+ 4, request.number)
        store64(record &+ 8, request.first)
        store64(record &+ 16, request.count)
    }

    // MARK: Requests

    /// Makes the request of `tag` available, at `sector` of the disk, without a notification. `cut` is the offset at
    /// which its data are split, 0 for no split.
    @inline(never)
    mutating func offer(_ tag: Int, _ request: StressRequest, sector: UInt64, cut: UInt64) throws(Failure) {
        setRequest(tag, request)
        let (header, queue) = (header(tag), tag / depth)
        store32(header, request.kind.number)
        store32(header &+ 4, 0)
        store64(header &+ UInt64(BlockRequest.sectorOffset), sector)
        store8(statusByte(tag), 0xff)
        queues[queue].append(header, UInt64(BlockRequest.headerSize))
        switch request.kind {
        case .none, .flush: break
        case .discard, .writeZeroes: appendRange(queue, data(tag), sector, request.count)
        case .read: appendData(queue, data(tag), 512 &* request.count, cut, .write)
        case .write: appendData(queue, data(tag), 512 &* request.count, cut, [])
        }
        queues[queue].append(statusByte(tag), 1, .write)
        // The queue's own tag.
        try queues[queue].offer(tag % depth)
    }

    private mutating func appendData(
        _ queue: Int, _ data: UInt64, _ bytes: UInt64, _ cut: UInt64, _ flags: Descriptor.Flags
    ) {
        guard cut > 0, cut < bytes, queues[queue].hasRoom(for: 4) else {
            return queues[queue].append(data, bytes, flags)
        }
        queues[queue].append(data, cut, flags)
        queues[queue].append(data &+ cut, bytes &- cut, flags)
    }

    private mutating func appendRange(_ queue: Int, _ data: UInt64, _ sector: UInt64, _ count: UInt64) {
        store64(data, sector)
        store64(data &+ UInt64(BlockRequest.Range.countOffset), count)
        queues[queue].append(data, UInt64(BlockRequest.Range.size))
    }
}
