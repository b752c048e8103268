// The disk of the concurrency check. Its requests are the same all the time: chain n writes sector n / 2 if n is even, and
// reads it otherwise. Each byte of sector s is 0x80 + s, or 0 before the first write.

/// The disk, its ring and its requests, the same for all processors.
struct SharedDisk {
    private static let chainSize: UInt64 = 1056

    let device: MMIODevice
    let load: LoadOptions
    let hasTestDevice: Bool
    let version: UInt32
    let sizeMax: UInt32
    let capacity: UInt32
    let offered: Features
    let accepted: Features
    let dialect: SuspendDialect?
    let ring: SharedRing
    private let memory: UInt64
    /// A word for each processor: 1 when it is ready, that of the first when all may begin, 2 at its end.
    private let states: UInt64

    init(_ board: inout Board) throws(Failure) {
        device = try board.needDisk()
        load = board.load
        hasTestDevice = board.hasTestDevice
        version = device.read(.version)
        device.write(.queueSel, 0)
        sizeMax = device.read(.queueSizeMax)
        if sizeMax < 4 { throw .skipped("the queue has too few entries") }
        let size = UInt16(truncatingIfNeeded: min(64, 1 << UInt32(31 &- sizeMax.leadingZeroBitCount)))
        capacity = load32(device.configuration(BlockConfiguration.capacity))
        offered = device.offered
        let form: Features = board.choosesFeatures ? board.form.features : .ringReset
        accepted = offered.intersection([
            .version1, BlockFeature.flush, form.subtracting(.notificationData), Suspend.features,
        ])
        dialect = accepted.isDisjoint(with: Suspend.features) ? nil : try Suspend(device, accepted).dialect
        ring = SharedRing(size: size, accepted, &board.arena)
        memory = board.arena.take(SharedDisk.chainSize &* UInt64(ring.chains))
        states = board.arena.take(8 &* load.processors)
        for chain in 0..<ring.chains { build(chain) }
    }

    func state(_ processor: UInt64) -> UInt64 { states &+ 8 &* processor }
    func header(_ chain: UInt16) -> UInt64 { memory &+ SharedDisk.chainSize &* UInt64(chain) }
    func data(_ chain: UInt16) -> UInt64 { header(chain) &+ 16 }
    func statusByte(_ chain: UInt16) -> UInt64 { data(chain) &+ 512 }
    func byte(_ chain: UInt16) -> UInt8 { 0x80 | UInt8(truncatingIfNeeded: chain / 2) }

    private func build(_ chain: UInt16) {
        let isWrite = chain % 2 == 0
        store32(header(chain), isWrite ? BlockRequest.Kind.write : BlockRequest.Kind.read)
        store64(header(chain) &+ UInt64(BlockRequest.sectorOffset), UInt64(chain / 2))
        let word = UInt64(byte(chain)) &* 0x0101_0101_0101_0101
        for n: UInt64 in 0..<64 where isWrite { store64(data(chain) &+ 8 &* n, word) }
        store8(statusByte(chain), 0xff)
        let first: UInt32 = isWrite ? 528 : 16
        ring.set(
            chain, Descriptor(address: header(chain), length: first),
            Descriptor(address: header(chain) &+ UInt64(first), length: 529 &- first, flags: .write))
    }
}
