// A disk whose host fails and takes long, by the seed of the device's torture: what the disk does then, its driver has to see.

import Glibc
import Virtio

/// A disk in front of another, with faults.
final class FaultyBackend: BlockBackend, @unchecked Sendable {
    private let disk: any BlockBackend
    private let torture: Torture
    private let lock = Lock()
    /// Under the lock: random words used.
    private var used: UInt32 = 0

    /// Nil where `torture` leaves the host alone.
    init?(_ disk: any BlockBackend, _ torture: Torture) {
        guard [.eio, .enospc, .cut, .delay].contains(where: torture.contains) else { return nil }
        (self.disk, self.torture) = (disk, torture)
    }

    var capacity: UInt64 { disk.capacity }
    var sizeProblem: MachineError? { disk.sizeProblem }
    var canDeallocate: Bool { disk.canDeallocate }
    var blockSizes: BlockSizes { disk.blockSizes }
    var memory: MemoryArea? { disk.memory }
    func flush() -> Outcome { disk.flush() }
    func saved() throws(MachineError) -> SavedDisk? { try disk.saved() }
    func restore(from file: MappedFile) -> Int32 { disk.restore(from: file) }

    /// Each request may take long.
    func performNow(_ request: Block.Request, identity: [UInt8]) -> Outcome? { nil }

    private func wait(microseconds: UInt64) {
        let end = Instant.now.advanced(byNanoseconds: 1000 * microseconds)
        lock.locked { while lock.wait(until: end) {} }
    }

    func perform(_ request: Block.Request, identity: [UInt8]) -> Outcome {
        let index = lock.locked {
            used &+= 1
            return used
        }
        func chooses(_ choice: TortureChoice) -> Bool {
            torture.contains(choice) && torture.word(choice, index) % 32 == 0
        }
        if chooses(.delay) { wait(microseconds: (torture.word(.delay, index) >> 8) % 20_000) }
        if chooses(.eio) { return Outcome(errno: EIO) }
        if request.operation == .write, chooses(.enospc) { return Outcome(errno: ENOSPC) }
        guard chooses(.cut) else { return disk.perform(request, identity: identity) }
        let sectors = UInt64(request.data.byteCount / 512)
        let done = sectors == 0 ? 0 : (torture.word(.cut, index) >> 8) % (sectors + 1)
        if done > 0 { _ = disk.perform(request.shortened(to: Int(done) * 512), identity: identity) }
        return Outcome(errno: EIO)
    }
}
