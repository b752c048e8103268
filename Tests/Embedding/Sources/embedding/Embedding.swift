// A host of the device model other than vmm: a disk in memory behind a virtio-mmio transport, and a driver in the same
// program. The documentation page "Embedding" has the rules for hosts.

import Glibc
import Synchronization
import Virtio
import VirtioABI

/// The state that the device's lock protects.
struct Slot: ~Copyable {
    var transport: MMIOTransport<Block>
    var line = false
    var owed: QueueSet = []

    mutating func apply(_ effects: Effects) {
        owed.formUnion(effects.queues)
        if effects.events.contains(.resumeRequested) { apply(transport.backendReady()) }
        line = transport.interruptAsserted
    }
}

struct Device: ~Copyable {
    let slot: Mutex<Slot>

    func write(_ register: Register, _ value: UInt32) {
        slot.withLock { $0.apply($0.transport.write(at: UInt64(register.rawValue), width: 4, value: UInt64(value))) }
    }
    func read(_ at: Register) -> UInt64 { slot.withLock { $0.transport.read(at: UInt64(at.rawValue), width: 4) } }
}

/// Serves the device's queues; a host with threads runs it in one.
struct Worker: ~Copyable {
    var batch: Batch<Block.Request>
    var disk = [UInt8](repeating: 0, count: 64 * 512)

    mutating func serve(_ device: borrowing Device, meanwhile: () -> Void = {}) {
        device.slot.withLock { slot in
            let queues = slot.owed
            slot.owed = []
            queues.forEach { slot.apply(slot.transport.take(queue: $0, into: &batch)) }
        }
        meanwhile()  // The lock is free.
        for index in 0..<batch.count {
            let work = batch[index]
            let isWanted = device.slot.withLock { $0.transport.isWanted(work.token) }
            let outcome = isWanted ? perform(work.request) : .ioError
            device.slot.withLock { $0.apply($0.transport.finish(work.token, outcome)) }
        }
        batch.removeAll()
    }
    mutating func perform(_ request: Block.Request) -> Outcome {
        let start = Int(request.offset)
        if request.operation == .read { return .ok(written: UInt32(request.data.copy(from: disk.span, at: start))) }
        guard request.operation == .write else { return Outcome(.unsupported) }
        var sectors = disk.mutableSpan
        request.data.copy(to: &sectors, at: start)
        return .ok()
    }
}

@main enum Driver {
    static func main() {
        let ram = UnsafeMutableRawPointer.allocate(byteCount: 0x4000, alignment: 4096)
        unsafe ram.initializeMemory(as: UInt8.self, repeating: 0, count: 0x4000)
        let memory = unsafe GuestMemory([.init(guestAddress: 0, base: ram, size: 0x4000)])
        let transport = MMIOTransport(device: Block(capacity: 64), memory: memory, suspend: .ratified)
        var worker = Worker(batch: Batch(longestChain: transport.longestChain))
        let device = Device(slot: Mutex(Slot(transport: transport)))
        func store<Word>(_ word: Word, _ at: Int) { unsafe ram.storeBytes(of: word, toByteOffset: at, as: Word.self) }
        /// Requests sector 3: header at 0x1000, status byte at 0x3000, descriptors at 0, rings at 0x400 and 0x800.
        func submit(_ kind: UInt32, _ buffer: UInt64, _ flags: Descriptor.Flags, number: UInt16) {
            store((kind, UInt32(0), UInt64(3)), 0x1000)
            let header = Descriptor(address: 0x1000, length: 16, flags: .next, next: 1)
            let data = Descriptor(address: buffer, length: 512, flags: [.next, flags], next: 2)
            let status = Descriptor(address: 0x3000, length: 1, flags: .write)
            for (index, part) in [header, data, status].enumerated() { store((part.address, part.high), 16 * index) }
            store(number, 0x402)
            device.write(.queueNotify, 0)
        }
        for (register, value): (Register, UInt32) in [
            (.status, 3), (.driverFeaturesSel, 1), (.driverFeatures, Features([.version1, .suspend]).word(1)),
            (.status, 11), (.queueSize, 8), (.queueDriverLow, 0x400), (.queueDeviceLow, 0x800), (.queueReady, 1),
            (.status, 15),
        ] { device.write(register, value) }
        for index in 0..<512 { store(UInt8(truncatingIfNeeded: 7 * index), 0x2000 + index) }
        submit(BlockRequest.Kind.write, 0x2000, [], number: 1)
        worker.serve(device)
        submit(BlockRequest.Kind.read, 0x2200, .write, number: 2)
        worker.serve(device) { device.write(.status, 0x1f) }
        let suspended = device.read(.status)
        device.write(.status, 0x1f)
        submit(BlockRequest.Kind.read, 0x2400, .write, number: 3)
        worker.serve(device) { device.write(.status, 0) }
        let used = unsafe ram.load(fromByteOffset: 0x802, as: UInt16.self)
        let same = unsafe memcmp(ram + 0x2000, ram + 0x2200, 512) == 0
        print("read what was written: \(same); Status while suspended: 0x\(String(suspended, radix: 16))")
        exit(same && used == 2 && suspended == 0x1b ? 0 : 1)
    }
}
