// A driver for the block device (VIRTIO 1.4, 5.2). The memory of a request, one per tag, is contiguous, so that any two
// neighbouring parts can share a descriptor:
//
//   +0 type le32, reserved le32, sector le64      +16 data, n bytes, up to 1024      +16+n status byte

/// A disk with its queue ready.
struct BlockDriver {
    static let tagCount = VirtQueue.tagCount
    static let dataSize: UInt64 = 1024
    static let headerSize = UInt64(BlockRequest.headerSize)
    private static let requestSize: UInt64 = 1056

    let device: MMIODevice
    let features: Features
    var queue: VirtQueue
    private let memory: UInt64
    /// Bytes of data in the request of each tag.
    private var dataBytes = [8 of UInt16](repeating: 0)

    /// Resets and initialises the device; without DRIVER_OK if `live` is false.
    @inline(never)
    init(
        _ device: MMIODevice, _ form: RingForm, _ arena: inout Arena, live: Bool = true
    ) throws(Failure) {
        self.device = device
        features = try device.negotiate([.version1, BlockFeature.readOnly, BlockFeature.flush, form.features])
        queue = try VirtQueue(device, 0, features, size: form.queueSize, &arena)
        memory = arena.take(BlockDriver.requestSize &* UInt64(BlockDriver.tagCount))
        if live { try device.driverOK() }
    }

    func header(_ tag: Int) -> UInt64 { memory &+ BlockDriver.requestSize &* UInt64(truncatingIfNeeded: tag) }
    func data(_ tag: Int) -> UInt64 { header(tag) &+ BlockDriver.headerSize }
    func statusByte(_ tag: Int) -> UInt64 { data(tag) &+ UInt64(dataBytes[tag]) }

    /// Elements of a request by default: header, data and status byte; two if the queue has no room for three.
    var defaultElements: UInt16 { min(3, max(2, queue.longestBuffer)) }

    /// Requests of `defaultElements` that fit in the queue at once.
    var depth: Int { min(BlockDriver.tagCount, queue.depth(defaultElements)) }

    /// `depth`; skips the check if it is less than `least`.
    func needDepth(_ least: Int) throws(Failure) -> Int {
        if depth < least { throw .skipped("the queue has too few entries for the requests in flight") }
        return depth
    }

    /// Capacity in sectors, read as two consistent halves (4.2.2.2).
    func capacity() throws(Failure) -> UInt64 {
        let field = device.configuration(BlockConfiguration.capacity)
        return try device.consistently { UInt64(load32(field)) | UInt64(load32(field &+ 4)) << 32 }
    }

    /// Writes the header, and a status byte that no device writes.
    mutating func prepare(_ tag: Int, _ kind: UInt32, sector: UInt64 = 0, bytes: UInt64 = 0) {
        dataBytes[tag] = UInt16(truncatingIfNeeded: bytes)
        store32(header(tag), kind)
        store32(header(tag) &+ 4, 0)
        store64(header(tag) &+ UInt64(BlockRequest.sectorOffset), sector)
        store8(statusByte(tag), 0xff)
    }

    /// Makes a request available in `defaultElements` elements, without a notification.
    @inline(never)
    mutating func offer(_ tag: Int, _ kind: UInt32, sector: UInt64 = 0, bytes: UInt64 = 0) throws(Failure) {
        prepare(tag, kind, sector: sector, bytes: bytes)
        let isWrite = kind == BlockRequest.Kind.write
        // With two elements, the data share a descriptor with the neighbour of the same direction.
        let shares = defaultElements < 3
        let before = shares && isWrite ? bytes : 0
        let after = shares && !isWrite ? bytes : 0
        queue.append(header(tag), BlockDriver.headerSize &+ before)
        if !shares, bytes > 0 { queue.append(data(tag), bytes, isWrite ? [] : .write) }
        queue.append(statusByte(tag) &- after, after &+ 1, .write)
        try offer(tag)
    }

    /// Makes the appended elements available as the request of `tag`.
    mutating func offer(_ tag: Int) throws(Failure) { try queue.offer(tag) }

    /// Waits for a used request and checks its status byte.
    @inline(never)
    @discardableResult
    mutating func finish(_ status: BlockRequest.Status = .ok) throws(Failure) -> Used {
        let used = try queue.waitUsed("a used block request")
        try expect(load8(statusByte(used.tag)), status.rawValue, "status byte of the request")
        return used
    }

    /// Makes one request available, waits until it is used and returns the used length.
    @inline(never)
    @discardableResult
    mutating func run(
        _ kind: UInt32, sector: UInt64 = 0, bytes: UInt64 = 0, tag: Int = 0, _ status: BlockRequest.Status = .ok
    ) throws(Failure) -> UInt32 {
        try offer(tag, kind, sector: sector, bytes: bytes)
        queue.kick()
        return try finish(status).length
    }

    /// Difference between two consecutive words of the data pattern.
    private static let step: UInt64 = 0x9e37_79b9_7f4a_7c15

    /// Fills the data of `tag` with words derived from `seed`.
    @inline(never)
    func fill(_ tag: Int, seed: UInt64, bytes: UInt64) {
        var word = seed << 32 &* BlockDriver.step
        var address = data(tag)
        let end = address &+ bytes
        while address < end {
            store64(address, word)
            word &+= BlockDriver.step
            address &+= 8
        }
    }

    /// Fails unless the data of `tag` are the words derived from `seed`.
    @inline(never)
    func verify(_ tag: Int, seed: UInt64, bytes: UInt64) throws(Failure) {
        var word = seed << 32 &* BlockDriver.step
        var address = data(tag)
        let end = address &+ bytes
        while address < end {
            let actual = load64(address)
            if actual != word { throw .unexpected("word of the data read", expected: word, actual: actual) }
            word &+= BlockDriver.step
            address &+= 8
        }
    }
}
