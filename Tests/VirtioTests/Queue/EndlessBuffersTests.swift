// A driver that makes a buffer available whenever the device takes one, to a device whose frame does not become whole.

import Testing
import VirtioABI

@testable import Virtio

/// A device that merges buffers, with a driver that makes the next buffer of a split ring of 4 entries available while the
/// device takes one, `refills` times.
private struct MergingDevice: VirtioDevice, ~Copyable {
    struct Configuration: Equatable, Sendable {}
    typealias Request = Never

    /// Where the available ring has its index.
    static let index: UInt64 = 0x202
    static var deviceID: UInt32 { 1 }
    static var mergesBuffers: Bool { true }

    let memory: FakeMemory
    var refills: Int
    private(set) var taken = 0
    /// What the transport said when there was no further buffer: whether another may come.
    private(set) var ended: [Bool] = []

    init(memory: FakeMemory, refills: Int) {
        self.memory = memory
        self.refills = refills
    }

    func queueCount(_ features: Features) -> Int { 1 }
    func queueSizeMax(_ index: Int) -> UInt16 { 4 }
    var initialConfiguration: Configuration { Configuration() }
    func bytes(of configuration: Configuration) -> ConfigurationBytes { ConfigurationBytes(size: 0) }
    mutating func reset() {}
    func wantsBuffer(queue index: Int) -> Bool { true }

    mutating func take(
        _ chain: inout DescriptorChain, queue index: Int, _ configuration: Configuration
    ) -> TakeResult<Never> {
        taken += 1
        if refills > 0 {
            refills -= 1
            memory.store(memory.load(UInt16.self, at: Self.index) &+ 1, at: Self.index)
        }
        return .continued(UsedLength())
    }

    mutating func buffersEnded(queue index: Int, mayCome: Bool) { ended.append(mayCome) }
    mutating func finish(_ outcome: Outcome, reply: Reply?) -> UsedLength { UsedLength() }
}

@Suite("Buffers without end")
struct EndlessBuffersTests {
    /// A device that is ready, with one buffer available: descriptors at 0x100, all of them writable and of length 0, the
    /// available ring at 0x200, the used ring at 0x300.
    private func device(refills: Int) -> MMIOTransport<MergingDevice> {
        let memory = FakeMemory(low: 4096, high: 4096)
        for entry in UInt64(0)..<4 {
            memory.store(UInt64(0x400), at: 0x100 + 16 * entry)
            memory.store(UInt64(2) << 32, at: 0x108 + 16 * entry)
            memory.store(UInt16(entry), at: 0x204 + 2 * entry)
        }
        memory.store(UInt32(1) << 16, at: 0x200)
        var transport = MMIOTransport(
            device: MergingDevice(memory: memory, refills: refills), memory: memory.guest)
        let writes: [(Register, UInt32)] = [
            (.status, 1), (.status, 3), (.driverFeaturesSel, 1), (.driverFeatures, Features.version1.word(1)),
            (.status, 0x0b), (.queueSize, 4), (.queueDescLow, 0x100), (.queueDriverLow, 0x200),
            (.queueDeviceLow, 0x300), (.queueReady, 1), (.status, 0x0f),
        ]
        for (register, value) in writes {
            _ = transport.write(at: UInt64(register.rawValue), width: 4, value: UInt64(value))
        }
        return transport
    }

    @Test("The device looks at no more buffers than the ring has entries, and fails when it looks again")
    func endless() {
        var transport = device(refills: 100)
        var batch = Batch<Never>(longestChain: 128)
        let effects = transport.take(queue: 0, into: &batch)
        #expect(transport.device.taken == 4 && transport.device.ended == [false])
        #expect(effects.queues == QueueSet(queue: 0))
        // None of them was used, so there are more than the ring can have.
        _ = transport.take(queue: 0, into: &batch)
        #expect(transport.device.taken == 4 && transport.read(at: 0x70, width: 4) == 0x4f)
    }

    @Test("With fewer it waits for more")
    func few() {
        var transport = device(refills: 1)
        var batch = Batch<Never>(longestChain: 128)
        let effects = transport.take(queue: 0, into: &batch)
        #expect(transport.device.taken == 2 && effects.queues.isEmpty)
        #expect(transport.device.ended == [true])
    }
}
