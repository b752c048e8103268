// A driver for the block device (VIRTIO 1.4, 5.2). A request has a place of its own, whose parts are neighbours, so
// that any two of them can share a descriptor:
//
//   +0 type le32, reserved le32, sector le64      +16 data, up to 1024 bytes      +1040 status byte

/// The disk with its queue live.
struct BlockDriver {
    static let places = 8
    static let dataSize: UInt64 = 1024
    static let headerSize = UInt64(BlockRequest.headerSize)
    private static let placeSize: UInt64 = 1056

    let device: MMIODevice
    let features: Features
    var queue: VirtQueue
    private let memory: UInt64
    /// The chain of each place, for those in flight.
    private var heads = [8 of UInt16?](repeating: nil)

    /// Initialises the device from the beginning; up to, not including, DRIVER_OK if `live` is false.
    @inline(never)
    init(
        _ device: MMIODevice, _ arena: inout Arena, extra: Features = [], live: Bool = true
    ) throws(Failure) {
        self.device = device
        features = try device.negotiate([.version1, BlockFeature.readOnly, BlockFeature.flush, extra])
        queue = try VirtQueue(device, 0, &arena)
        memory = arena.take(BlockDriver.placeSize &* UInt64(BlockDriver.places))
        if live { try device.driverOK() }
    }

    func header(_ place: Int) -> UInt64 { memory &+ BlockDriver.placeSize &* UInt64(truncatingIfNeeded: place) }
    func data(_ place: Int) -> UInt64 { header(place) &+ BlockDriver.headerSize }
    func statusByte(_ place: Int) -> UInt64 { data(place) &+ BlockDriver.dataSize }

    /// Sectors, read as two halves of which no change tore one (4.2.2.2).
    func capacity() throws(Failure) -> UInt64 {
        let field = device.configuration(BlockConfiguration.capacity)
        return try device.consistently { UInt64(load32(field)) | UInt64(load32(field &+ 4)) << 32 }
    }

    /// Writes the header, and a status byte no device answers with.
    func prepare(_ place: Int, _ kind: UInt32, sector: UInt64) {
        store32(header(place), kind)
        store32(header(place) &+ 4, 0)
        store64(header(place) &+ UInt64(BlockRequest.sectorOffset), sector)
        store8(statusByte(place), 0xff)
    }

    /// Makes a request available in the usual three descriptors, or two without data; no kick.
    @inline(never)
    mutating func offer(_ place: Int, _ kind: UInt32, sector: UInt64 = 0, bytes: UInt64 = 0) {
        prepare(place, kind, sector: sector)
        queue.append(header(place), BlockDriver.headerSize)
        if bytes > 0 { queue.append(data(place), bytes, kind == BlockRequest.Kind.write ? [] : .write) }
        queue.append(statusByte(place), 1, .write)
        offer(place)
    }

    /// Makes the chain being built available as the request of `place`.
    mutating func offer(_ place: Int) { heads[place] = queue.offer() }

    /// Waits for a request and checks its status byte. A used entry for no request in flight fails.
    @inline(never)
    @discardableResult
    mutating func finish(_ status: BlockRequest.Status = .ok) throws(Failure) -> Used {
        let used = try queue.waitUsed("a used block request")
        for place in 0..<BlockDriver.places where heads[place].map(UInt32.init) == used.id {
            heads[place] = nil
            try expect(load8(statusByte(place)), status.rawValue, "status byte of the request")
            return used
        }
        throw .unexpected("id of a used entry, of a request in flight", expected: 0, actual: UInt64(used.id))
    }

    /// One request from offer to answer; returns the used length.
    @inline(never)
    @discardableResult
    mutating func run(
        _ kind: UInt32, sector: UInt64 = 0, bytes: UInt64 = 0, place: Int = 0, _ status: BlockRequest.Status = .ok
    ) throws(Failure) -> UInt32 {
        offer(place, kind, sector: sector, bytes: bytes)
        queue.kick()
        return try finish(status).length
    }

    /// The distance from a word of the pattern to the next.
    private static let step: UInt64 = 0x9e37_79b9_7f4a_7c15

    /// Fills a place's data with words only `seed` gives.
    @inline(never)
    func fill(_ place: Int, seed: UInt64, bytes: UInt64) {
        var word = seed << 32 &* BlockDriver.step
        var address = data(place)
        let end = address &+ bytes
        while address < end {
            store64(address, word)
            word &+= BlockDriver.step
            address &+= 8
        }
    }

    /// Fails unless a place's data are the words `seed` gives.
    @inline(never)
    func verify(_ place: Int, seed: UInt64, bytes: UInt64) throws(Failure) {
        var word = seed << 32 &* BlockDriver.step
        var address = data(place)
        let end = address &+ bytes
        while address < end {
            let actual = load64(address)
            if actual != word { throw .unexpected("word of the data read", expected: word, actual: actual) }
            word &+= BlockDriver.step
            address &+= 8
        }
    }
}
