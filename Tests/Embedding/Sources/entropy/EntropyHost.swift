// The smallest host of the device model: an entropy device whose driver is in the same program. One thread makes all calls, so there is no
// lock; there is no interrupt line either, since the driver reads InterruptStatus.

import Glibc
import Virtio
import VirtioABI

/// A device with its backend, the system's random bytes.
struct EntropyHost: ~Copyable {
    var transport: MMIOTransport<Entropy>
    var batch: Batch<Entropy.Request>
    var owed: QueueSet = []

    init(_ memory: GuestMemory) {
        transport = MMIOTransport(device: Entropy(), memory: memory, suspend: .draft)
        batch = Batch(longestChain: transport.longestChain)
    }

    /// After each call of the model.
    mutating func apply(_ effects: Effects) {
        owed.formUnion(effects.queues)
        if effects.events.contains(.resumeRequested) { apply(transport.backendReady()) }
    }

    mutating func write(_ register: Register, _ value: UInt32) {
        apply(transport.write(at: UInt64(register.rawValue), width: 4, value: UInt64(value)))
    }
    mutating func read(_ register: Register) -> UInt64 { transport.read(at: UInt64(register.rawValue), width: 4) }

    /// Serves the queue.
    mutating func serve() {
        let queues = owed
        owed = []
        queues.forEach { apply(transport.take(queue: $0, into: &batch)) }
        for index in 0..<batch.count {
            let work = batch[index]
            let count = min(work.request.data.byteCount, Entropy.maximumLength)
            let bytes = (0..<count).map { _ in UInt8.random(in: 0...255) }
            let written = work.request.data.copy(from: bytes.span, at: 0)
            apply(transport.finish(work.token, .ok(written: UInt32(written))))
        }
        batch.removeAll()
    }
}

@main enum Driver {
    static func main() {
        let ram = UnsafeMutableRawPointer.allocate(byteCount: 0x2000, alignment: 4096)
        unsafe ram.initializeMemory(as: UInt8.self, repeating: 0, count: 0x2000)
        var host = unsafe EntropyHost(GuestMemory([.init(guestAddress: 0, base: ram, size: 0x2000)]))
        func store<Word>(_ word: Word, _ at: Int) { unsafe ram.storeBytes(of: word, toByteOffset: at, as: Word.self) }
        func load<Word>(_ at: Int) -> Word { unsafe ram.loadUnaligned(fromByteOffset: at, as: Word.self) }
        for (register, value): (Register, UInt32) in [
            (.status, 3), (.driverFeaturesSel, 1), (.driverFeatures, Features([.version1, .suspendDraft]).word(1)),
            (.status, 11), (.queueSize, 8), (.queueDriverLow, 0x400), (.queueDeviceLow, 0x800), (.queueReady, 1),
            (.status, 15),
        ] { host.write(register, value) }
        // A buffer of 64 bytes at 0x1000, made available twice: the second time while the device is asked to be suspended.
        let buffer = Descriptor(address: 0x1000, length: 64, flags: .write)
        store((buffer.address, buffer.high), 0)
        store(UInt16(1), 0x402)
        host.write(.queueNotify, 0)
        host.serve()
        let interrupts = host.read(.interruptStatus)
        host.write(.interruptACK, 1)
        let isRandom = (0..<64).contains { (load(0x1000 + $0) as UInt8) != 0 }
        store(UInt16(2), 0x402)
        host.write(.status, 0x1f)
        host.serve()
        let suspended = host.read(.status)
        let (used, length): (UInt16, UInt32) = (load(0x802), load(0x808))
        print(
            "\(used) buffers, the first of \(length) bytes; Status while suspended: 0x\(String(suspended, radix: 16))")
        exit(isRandom && interrupts == 1 && used == 2 && length == 64 && suspended == 0x1f ? 0 : 1)
    }
}
