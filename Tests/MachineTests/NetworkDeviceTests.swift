// A network device on a qtest machine, whose client is the other end of the link.

import Testing
import Virtio
import VirtioABI

@testable import Machine

@Suite("Network device of a machine")
struct NetworkDeviceTests {
    private static let slot = 4

    /// A client whose machine's network device, in slot 4, has been brought up.
    private func client(
        _ option: String = "null,mac=52:54:00:12:34:56", suspend: SuspendDialect? = .ratified, trace: String? = nil
    ) throws -> QTestClient {
        let device = try Machine.Configuration.NetworkDevice(option: option)
        let client = try QTestClient(suspend: suspend) {
            $0.networks = [device]
            $0.trace = trace
        }
        client.bringUp(Self.slot, queues: 2)
        return client
    }

    private func text(_ bytes: [UInt8]) -> String { "0x" + bytes.map { hex(UInt64($0), digits: 2) }.joined() }
    private func frame(_ seed: UInt8, _ length: Int = 60) -> [UInt8] { (0..<length).map { UInt8($0 % 200) &+ seed } }

    /// Makes receive buffer `index` available.
    private func post(_ client: QTestClient, _ index: Int) {
        client.offer(Self.slot, 0, first: index, [(0x4_0000 + 0x1000 * UInt64(index), 1526, true)])
    }

    /// What receive buffer `index` has, `count` bytes behind the header.
    private func bytes(_ client: QTestClient, _ index: Int, _ count: Int = 60) -> String {
        client.say("read \(0x4_000c + 0x1000 * index) \(count)")
    }

    @Test("Frames go out by x-output and come in by x-input, one for each")
    func frames() throws {
        let client = try client()
        for seed: UInt8 in [1, 2] {
            client.say("write 0x50000 72 \(text([UInt8](repeating: 0, count: 12) + frame(seed)))")
            client.offer(Self.slot, 1, first: 0, [(0x5_0000, 72, false)])
            client.notify(Self.slot, 1)
        }
        #expect(client.used(Self.slot, 1) == 2 && client.state("net0", "output") == "2")
        for seed: UInt8 in [1, 2] { #expect(client.say("x-output net0") == "OK \(text(frame(seed)))") }
        #expect(client.say("x-output net0") == "OK 0x")
        post(client, 0)
        client.notify(Self.slot, 0)
        #expect(client.say("x-input net0 \(text(frame(3)))") == "OK" && client.used(Self.slot, 0) == 1)
        #expect(bytes(client, 0) == "OK \(text(frame(3)))")
        #expect(client.say("x-input net0 0x00 1").hasPrefix("FAIL"))
    }

    @Test("Frames are counted, those that are dropped too")
    func counts() throws {
        let client = try client()
        client.say("x-input net0 \(text(frame(1, 13)))")
        client.say("x-input net0 \(text(frame(2)))")
        post(client, 0)
        client.notify(Self.slot, 0)
        for length in [20, 72] {
            client.offer(Self.slot, 1, first: 0, [(0x5_0000, length, false)])
            client.notify(Self.slot, 1)
        }
        let frames = try #require(client.devices.first { $0.name == "net0" }?.statistics.frames)
        #expect(frames.received == 1 && frames.droppedReceiving == 1)
        #expect(frames.transmitted == 1 && frames.droppedTransmitting == 1)
        #expect(frames.lacking(1).transmitted == 0 && frames.lacking(1).droppedTransmitting == 2)
    }

    @Test("Frames without buffers wait, and the stall report says so")
    func stall() throws {
        let client = try client()
        for seed in 0..<3 { client.say("x-input net0 \(text(frame(UInt8(seed))))") }
        #expect(client.state("net0", "frames") == "3")
        let reason = "the driver has no receive buffers posted in queue 0: 3 frames wait"
        #expect(client.say("x-state net0").contains(reason))
        for index in 0..<3 { post(client, index) }
        client.notify(Self.slot, 0)
        #expect(client.used(Self.slot, 0) == 3 && bytes(client, 2) == "OK \(text(frame(2)))")
    }

    @Test("A held frame delays the suspend and posted receive buffers do not; frames that come wait for the resume")
    func suspended() throws {
        let client = try client()
        for index in 0..<4 { post(client, index) }
        client.notify(Self.slot, 0)
        client.say("x-hold net0")
        client.offer(Self.slot, 1, first: 0, [(0x5_0000, 72, false)])
        client.notify(Self.slot, 1)
        client.set(Self.slot, .status, 0x1f)
        #expect(client.status(Self.slot) == 0x0f && client.state("net0", "waiting") == "1")
        client.say("x-release net0")
        #expect(client.status(Self.slot) == 0x1b && client.used(Self.slot, 1) == 1)
        for seed in 0..<3 { #expect(client.say("x-input net0 \(text(frame(UInt8(seed))))") == "OK") }
        client.say("x-link net0 0")
        #expect(client.used(Self.slot, 0) == 0 && client.state("net0", "deferred") == "true")
        client.set(Self.slot, .status, 0x1f)
        #expect(client.status(Self.slot) == 0x0f && client.used(Self.slot, 0) == 3)
        for index in 0..<3 { #expect(bytes(client, index) == "OK \(text(frame(UInt8(index))))") }
        #expect(client.get(Self.slot, .interruptStatus) == 3)
    }

    @Test("A TAP interface is asked for UDP segmentation of both versions of IP or of none")
    func offloads() {
        let tcp: Features = [NetworkFeature.guestChecksum, NetworkFeature.guestTSO4]
        #expect(TAPLink.flags(tcp) == 0x03)
        #expect(TAPLink.flags(tcp.union(NetworkFeature.guestUSO4)) == 0x03)
        #expect(TAPLink.flags(tcp.union(NetworkFeature.guestUSO6)) == 0x03)
        #expect(TAPLink.flags(tcp.union([NetworkFeature.guestUSO4, NetworkFeature.guestUSO6])) == 0x63)
    }

    @Test("In the draft's machine it offers no SUSPEND, unless suspend=1.4 is asked of it")
    func dialects() throws {
        #expect(try client(suspend: .draft).state("net0", "dialect") == "null")
        #expect(try client("null,suspend=1.4", suspend: .draft).state("net0", "dialect") == "\"1.4\"")
        #expect(try client("null,suspend=off").state("net0", "dialect") == "null")
    }

    @Test("A reset takes a held frame along, and the link comes down and up")
    func reset() throws {
        let client = try client()
        client.say("x-hold net0")
        client.offer(Self.slot, 1, first: 0, [(0x5_0000, 72, false)])
        client.notify(Self.slot, 1)
        client.set(Self.slot, .status, 0)
        client.say("x-release net0")
        client.bringUp(Self.slot, queues: 2)
        #expect(client.used(Self.slot, 1) == 0 && client.say("x-output net0") == "OK 0x")
        let status = client.address(Self.slot, 0x106)
        client.say("x-link net0 0")
        #expect(client.number("readw \(status)") == 0)
        client.say("x-link net0 1")
        #expect(client.number("readw \(status)") == 1)
    }

    @Test("A trace of frames both ways and of a suspend is replayed without a difference")
    func trace() throws {
        let file = try TraceFile()
        let client = try client("null,mac=52:54:00:12:34:56,mtu=1400,queues=2,wake=magic", trace: file.path)
        client.say("x-input net0 \(text(frame(1)))")
        for index in 0..<3 { post(client, index) }
        client.offer(Self.slot, 1, first: 0, [(0x5_0000, 72, false)])
        for queue in 0..<2 { client.notify(Self.slot, queue) }
        client.set(Self.slot, .status, 0x1f)
        client.say("x-input net0 \(text(frame(2)))")
        client.set(Self.slot, .status, 0x1f)
        client.closeTrace()
        #expect(client.used(Self.slot, 0) == 2)
        #expect(try file.check().unknown == [])
    }

    @Test(
        "What is wrong with the option is said",
        arguments: [
            ("tap=", "tap needs a value"), ("tap=a/b", "15 bytes at most"), ("null,mac=1", "six bytes"),
            ("null,mac=01:00:00:00:00:00", "one interface"), ("null,mtu=67", "68 to 65535"),
            ("null,queues=9", "1 to 8"), ("unix=/x,queues=2", "needs tap="), ("null,suspend=draft", "GUEST_RSC6"),
            ("unix=/x,features=+csum", "needs tap="), ("unix-dgram=/x,queues=2", "needs tap="),
            ("unix=/x,local=/y", "unix-dgram="), ("null,wake=all", "wake="),
        ])
    func options(option: String, problem: String) {
        do throws(OptionError) {
            _ = try Machine.Configuration.NetworkDevice(option: option)
            Issue.record("\(option) is accepted")
        } catch { #expect(error.description.contains(problem), "\(error.description)") }
    }
}
