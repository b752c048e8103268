// An entropy device on a qtest machine, whose bytes are a fixed sequence, and on the host's random bytes.

import Glibc
import Testing
import Virtio
import VirtioABI

@testable import Machine

@Suite("Entropy device of a machine")
struct EntropyDeviceTests {
    private static let slot = 3

    /// A client whose machine's entropy device, in slot 3, has been brought up.
    private func client(
        seed: UInt64? = nil, suspend: SuspendDialect? = .draft, drainDeadline: Duration = .seconds(10)
    ) throws -> QTestClient {
        let client = try QTestClient(suspend: suspend, drainDeadline: drainDeadline) { configuration in
            guard let seed else { return }
            var device = Machine.Configuration.EntropyDevice()
            device.seed = seed
            configuration.entropy = [device]
        }
        #expect(client.get(Self.slot, .deviceID) == 4)
        client.bringUp(Self.slot, queues: 1)
        return client
    }

    /// Posts a zeroed buffer of `count` bytes, notifies, and returns the used length and the buffer.
    private func fill(_ client: QTestClient, _ count: Int) -> (length: UInt64, bytes: String) {
        client.say("memset 0x40000 \(count) 0")
        let index = client.used(Self.slot, 0)
        client.offer(Self.slot, 0, first: 0, [(0x4_0000, count, true)])
        client.notify(Self.slot, 0)
        #expect(client.used(Self.slot, 0) == index + 1)
        let element = 0x1_0000 + UInt64(Self.slot) * 0x8000 + 0x804 + 8 * (index % 8)
        return (client.number("readl \(element + 4)"), client.say("read 0x40000 \(count)"))
    }

    @Test("A seed gives the same bytes in every run, another seed others, and no buffer the bytes of the one before")
    func seeds() throws {
        let first = try fill(client(seed: 7), 40)
        let (again, other) = try (client(seed: 7), fill(client(seed: 8), 40))
        #expect(first.length == 40 && fill(again, 40) == first && other.bytes != first.bytes)
        #expect(fill(again, 40).bytes != first.bytes)
        // SplitMix64 from 0: the reference sequence of its author.
        #expect(try fill(client(), 8).bytes == "OK 0xafcd1d7b39a820e2")
    }

    @Test("A buffer of a megabyte receives 64 KiB, and the rest of it stays as it was")
    func bounded() throws {
        let (length, bytes) = try fill(client(), 1 << 20)
        #expect(length == 64 << 10 && bytes.utf8.suffix(2 * ((1 << 20) - (64 << 10))).allSatisfy { $0 == 0x30 })
    }

    @Test("Held buffers wait, and a suspend waits for them, in both dialects", arguments: SuspendDialect.allCases)
    func held(dialect: SuspendDialect) throws {
        let client = try client(suspend: dialect)
        #expect(client.say("x-hold rng0") == "OK")
        for index in 0..<3 {
            client.offer(Self.slot, 0, first: index, [(0x4_0000 + 64 * UInt64(index), 64, true)])
        }
        client.notify(Self.slot, 0)
        #expect(client.used(Self.slot, 0) == 0 && client.state("rng0", "waiting") == "3")
        client.set(Self.slot, .status, 0x1f)
        #expect(client.status(Self.slot) == 0x0f)
        #expect(client.say("x-release rng0 1") == "OK" && client.used(Self.slot, 0) == 1)
        #expect(client.say("x-release rng0") == "OK" && client.used(Self.slot, 0) == 3)
        #expect(client.status(Self.slot) == (dialect == .draft ? 0x1f : 0x1b))
    }

    @Test("A reset takes held buffers along, and the device serves the next driver")
    func reset() throws {
        let client = try client()
        client.say("x-hold rng0")
        client.offer(Self.slot, 0, first: 0, [(0x4_0000, 64, true)])
        client.notify(Self.slot, 0)
        client.set(Self.slot, .status, 0)
        client.say("x-release rng0")
        client.bringUp(Self.slot, queues: 1)
        #expect(client.used(Self.slot, 0) == 0 && fill(client, 64).length == 64)
    }

    @Test("A request that is made to fail is used with length 0, and the next succeeds")
    func failed() throws {
        let client = try client()
        #expect(client.say("x-fail rng0 EIO 1") == "OK")
        #expect(fill(client, 64) == (0, "OK 0x" + String(repeating: "00", count: 64)) && fill(client, 64).length == 64)
    }

    @Test("The host's bytes are there, and differ")
    func host() {
        var source = EntropySource.host
        var buffers: [[UInt8]] = []
        for _ in 0..<2 {
            let memory = UnsafeMutableRawPointer.allocate(byteCount: 1000, alignment: 8)
            defer { unsafe memory.deallocate() }
            unsafe memset(memory, 0, 1000)
            #expect(unsafe source.fill(UnsafeMutableRawBufferPointer(start: memory, count: 1000)))
            buffers.append(unsafe Array(UnsafeRawBufferPointer(start: memory, count: 1000)))
        }
        // Of 1000 random bytes more than 200 differ from 0; fewer have a chance below 1e-300.
        #expect(buffers.allSatisfy { $0.count { $0 != 0 } > 200 } && buffers[0] != buffers[1])
    }

    @Test("--rng: host, a seed, what every device has, and a sentence for anything else")
    func option() throws {
        typealias Device = Machine.Configuration.EntropyDevice
        #expect(try Device(option: "host") == Device())
        let device = try Device(option: "seed=5,suspend=1.4,features=+packed,-event_idx")
        #expect(device.seed == 5 && device.offer.suspend == .own(.ratified))
        #expect(device.offer.features.adding == .ringPacked && device.offer.features.withholding == .eventIndex)
        for (text, sentence) in [
            (
                "kernel.elf",
                "'kernel.elf' is not known; allowed: host, seed=N; a KERNEL behind --rng is written --rng=host KERNEL"
            ),
            ("seed=x", "seed= takes a number from 0 to 18446744073709551615, not 'x'"),
            (
                "host,ro",
                "'ro' is not known; allowed: suspend=draft|1.4|off, freeze=wide|narrow, torture=SEED[:CHOICE...], features=+NAME,-NAME; a comma in a path is written ,,"
            ),
        ] {
            let error = #expect(throws: OptionError.self) { try Device(option: text) }
            #expect(error?.description == sentence)
        }
    }
}
