// Devices driven over qtest: requests, interrupts, and every x- verb. No thread, no KVM and no waiting: the work a line
// causes is done before its answer.

import Glibc
import Testing
import VirtioABI

@testable import Machine

@Suite struct QTestDeviceTests {
    private let disk = QTestClient.disk
    private let console = QTestClient.console
    private let client: QTestClient

    init() throws {
        client = try QTestClient()
    }

    @Test("the board has the console and the built-in guest's disks and entropy device in slots 0 to 3")
    func board() {
        #expect([0, 1, 2, 3].map { client.get($0, .deviceID) } == [3, 2, 2, 4])
        #expect(client.number("readl 0xd0004000") == 0xffff_ffff)
        #expect(client.number("readq \(client.address(1, 0x100))") == 32768)
        #expect(client.number("readq \(client.address(2, 0x100))") == 2048)
        #expect(client.state("blk1", "device") == "\"blk1\"" && client.say("x-hold blk2").hasPrefix("FAIL"))
    }

    @Test("a notification's work is done before its OK: data, status, used ring, interrupt")
    func requests() {
        client.say("irq_intercept_in ioapic")
        client.bringUp(disk, queues: 1)
        client.say("memset 0x30000 512 0x5a")
        #expect(client.interrupts == [])
        client.request(BlockRequest.Kind.write, sector: 3, at: 0x3_0000)
        #expect(client.interrupts == ["IRQ raise 6"] && client.used(disk, 0) == 1)
        #expect(client.number("readb 0x30200") == 0)
        client.request(BlockRequest.Kind.read, sector: 3, at: 0x4_0000, first: 3)
        // The line is already raised.
        #expect(client.interrupts == ["IRQ raise 6"] && client.used(disk, 0) == 2)
        #expect(client.say("read 0x401fe 3") == "OK 0x5a5a00")
        #expect(client.get(disk, .interruptStatus) == 1 && client.state("blk0", "line") == "true")
        client.set(disk, .interruptACK, 1)
        #expect(client.interrupts == ["IRQ raise 6", "IRQ lower 6"] && client.state("blk0", "line") == "false")
    }

    @Test("an available buffer without a notification is not taken, whatever else the device does")
    func noNotification() {
        client.bringUp(disk, queues: 1)
        client.offer(disk, 0, first: 0, [(0x3_0000, 16, false), (0x3_0200, 513, true)])
        for line in ["x-release blk0", "x-capacity blk0 64", "clock_step 1000000000000", "endianness"] {
            client.say(line)
            #expect(client.used(disk, 0) == 0 && client.state("blk0", "inFlight") == "0", "\(line)")
        }
        client.notify(disk, 0)
        #expect(client.used(disk, 0) == 1)
    }

    @Test("interrupts are reported after irq_intercept_in, raised lines at once")
    func interception() {
        client.say("x-size console0 90 30")
        client.bringUp(disk, queues: 1)
        client.request(BlockRequest.Kind.flush, sector: 0, at: 0x3_0000)
        #expect(client.used(disk, 0) == 1 && client.interrupts == [])
        #expect(client.say("irq_intercept_in /machine/ioapic") == "OK" && client.interrupts == ["IRQ raise 6"])
        #expect(client.say("irq_intercept_in ioapic") == "OK" && client.interrupts == ["IRQ raise 6"])
        #expect(client.say("irq_intercept_out ioapic").hasPrefix("FAIL "))
        client.set(disk, .status, 0)
        #expect(client.interrupts == ["IRQ raise 6", "IRQ lower 6"])
    }

    @Test("the same lines have the same answers")
    func determinism() throws {
        func transcript() throws -> [String] {
            let client = try QTestClient()
            client.say("irq_intercept_in ioapic")
            client.bringUp(disk, queues: 1)
            client.bringUp(console, queues: 2)
            client.say("x-hold blk0")
            for index in 0..<2 {
                client.request(BlockRequest.Kind.read, sector: UInt64(index), at: 0x3_0000, first: 3 * index)
            }
            client.set(disk, .status, 0x1f)
            client.say("x-size console0 132 43")
            client.say("x-release blk0")
            for device in ["console0", "blk0", "blk1"] { client.say("x-state \(device)") }
            return client.transcript
        }
        #expect(try transcript() == transcript())
    }

    // MARK: Holding and failing

    @Test("held requests are released one by one or all together")
    func hold() {
        client.bringUp(disk, queues: 1)
        client.say("x-hold blk0")
        for index in 0..<2 {
            client.request(
                BlockRequest.Kind.read, sector: 0, at: 0x3_0000 + UInt64(index) * 0x1000, first: 3 * index)
        }
        #expect(client.used(disk, 0) == 0 && client.state("blk0", "inFlight") == "2")
        #expect(client.state("blk0", "waiting") == "2" && client.state("blk0", "holding") == "true")
        #expect(client.say("x-release blk0 0") == "OK" && client.used(disk, 0) == 0)
        #expect(client.say("x-release blk0 1") == "OK" && client.used(disk, 0) == 1)
        #expect(client.number("readb 0x30200") == 0 && client.number("readb 0x31200") == 0xff)
        client.request(BlockRequest.Kind.read, sector: 0, at: 0x3_0000)
        #expect(client.used(disk, 0) == 1 && client.state("blk0", "waiting") == "2")
        #expect(client.say("x-release blk0") == "OK" && client.used(disk, 0) == 3)
        client.request(BlockRequest.Kind.read, sector: 0, at: 0x3_0000)
        #expect(client.used(disk, 0) == 4 && client.state("blk0", "holding") == "false")
    }

    @Test("after a reset, releasing held requests does not change guest memory")
    func resetHeld() {
        client.bringUp(disk, queues: 1)
        client.say("x-hold blk0")
        client.request(BlockRequest.Kind.read, sector: 0, at: 0x3_0000)
        client.set(disk, .status, 0)
        client.say("x-release blk0")
        #expect(client.status(disk) == 0 && client.used(disk, 0) == 0 && client.number("readb 0x30200") == 0xff)
        #expect(client.state("blk0", "waiting") == "0")
    }

    @Test(
        "an injected failure has the status of its errno",
        arguments: [("5", 1), ("ENOSPC", 1), ("EIO", 1), ("EOPNOTSUPP", 2), ("38", 2), ("95", 2), ("0x26", 2)])
    func fail(errno: String, status: UInt64) {
        client.bringUp(disk, queues: 1)
        #expect(client.say("x-fail blk0 \(errno) 2") == "OK" && client.state("blk0", "failing") == "2")
        for expected in [status, status, 0] {
            client.request(BlockRequest.Kind.read, sector: 0, at: 0x3_0000)
            #expect(client.number("readb 0x30200") == expected)
        }
        client.say("x-fail blk0 \(errno)")
        #expect(client.state("blk0", "failing") == "1")
    }

    @Test("a fatal error sets DEVICE_NEEDS_RESET and interrupts the driver")
    func fatal() {
        client.say("irq_intercept_in ioapic")
        client.bringUp(disk, queues: 1)
        #expect(client.say("x-fatal blk0") == "OK" && client.interrupts == ["IRQ raise 6"])
        #expect(client.status(disk) == 0x4f && client.get(disk, .interruptStatus) == 2)
        #expect(client.state("blk0", "phase") == "\"dead\"")
    }

    @Test("x-state reports the fault of a broken ring and the clause violated")
    func fault() {
        client.bringUp(disk, queues: 1)
        client.offer(disk, 0, first: 0, [(0xc000_0000, 16, false)])
        client.notify(disk, 0)
        #expect(client.status(disk) == 0x4f && client.state("blk0", "lastFault") == "\"bufferOutsideMemory\"")
        #expect(client.state("blk0", "clause") == "\"6.1-5\"" && client.state("blk0", "count") == "1")
        client.say("readb \(client.address(disk, 0))")
        #expect(client.state("blk0", "clause") == "\"4.2.2.2-4\"")
    }

    /// A disk of pairs of sectors. Each pair holds an available ring that is 128 entries further, and the header of a
    /// read of the next pair; the last pair leads to the first.
    private func selfReadingDisk(laps: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        for lap in 0..<laps {
            let index = UInt16(truncatingIfNeeded: (lap + 2) * 128)
            let next = (lap + 1) % laps * 2
            bytes += [0, 0, UInt8(truncatingIfNeeded: index), UInt8(index >> 8)]
            // Of 128 chains one is a read, with descriptors 0 to 2; the others, with 3 and 4, are completed at once.
            for entry in 0..<256 { bytes += [entry % 128 == 0 ? 0 : 3, 0] }
            bytes += [UInt8](repeating: 0, count: 20) + [UInt8(next & 0xff), UInt8(next >> 8)]
            bytes += [UInt8](repeating: 0, count: 1024 * (lap + 1) - bytes.count)
        }
        return bytes
    }

    @Test("a disk whose reads make further requests available without end does not block the qtest session")
    func endlessRequests() throws {
        let path = "/tmp/vmm-feed-\(getpid())-\(UInt64.random(in: 0 ... .max))"
        let image = unsafe open(path, O_RDWR | O_CREAT | O_EXCL, 0o600)
        defer {
            close(image)
            unsafe unlink(path)
        }
        let bytes = selfReadingDisk(laps: 512)
        try #require(unsafe write(image, bytes, bytes.count) == bytes.count)
        let client = try QTestClient { $0.disks = [Machine.Configuration.Disk(path: path)] }
        client.bringUp(disk, queues: 0)
        client.set(disk, .queueSize, 256)
        client.set(disk, .queueDescLow, 0x2_0000)
        client.set(disk, .queueDriverLow, 0x3_0000)
        client.set(disk, .queueDeviceLow, 0x4_0000)
        client.set(disk, .queueReady, 1)
        client.say("b64write 0x30000 1024 \(Array(bytes.suffix(1024)).base64)")
        for (index, (address, length, flags, next)) in [
            (0x3_0210, 16, 1, 1), (0x3_0000, 1024, 3, 2), (0x5_0000, 1, 2, 0), (0x5_0010, 16, 1, 4),
            (0x5_0000, 1, 2, 0),
        ].enumerated() {
            client.say("writeq \(0x2_0000 + 16 * index) \(address)")
            client.say("writel \(0x2_0008 + 16 * index) \(length)")
            client.say("writew \(0x2_000c + 16 * index) \(flags)")
            client.say("writew \(0x2_000e + 16 * index) \(next)")
        }
        client.say("writel 0x50010 99")
        client.notify(disk, 0)
        let before = client.number("readw 0x40002")
        #expect(client.number("readw 0x40002") != before, "\(client.say("x-state blk0"))")
        client.set(disk, .status, 0)
        #expect(client.status(disk) == 0)
    }

    // MARK: Sizes, input, output

    @Test("x-capacity sets a disk's capacity, and reads beyond it fail")
    func capacity() {
        client.bringUp(disk, queues: 1)
        let generation = client.get(disk, .configGeneration)
        #expect(client.say("x-capacity blk0 0x100000") == "OK" && client.get(disk, .interruptStatus) == 2)
        #expect(client.number("readq \(client.address(disk, 0x100))") == 0x10_0000)
        #expect(client.get(disk, .configGeneration) == generation + 1)
        client.request(BlockRequest.Kind.read, sector: 40000, at: 0x3_0000)
        #expect(client.number("readb 0x30200") == 1)
        #expect(client.say("x-capacity blk0 1") == "OK")
        client.request(BlockRequest.Kind.read, sector: 1, at: 0x3_0000)
        #expect(client.number("readb 0x30200") == 1)
    }

    @Test("the console's size")
    func size() {
        client.bringUp(console, queues: 2)
        #expect(client.say("x-size console0 132 43") == "OK")
        #expect(client.number("readl \(client.address(console, 0x100))") == 132 | 43 << 16)
        #expect(client.get(console, .interruptStatus) == 2)
    }

    @Test("input fills the driver's buffers, waits while there are none, and is refused when the host's buffer is full")
    func input() {
        client.say("x-input console0 0x0102")
        client.bringUp(console, queues: 2)
        client.offer(console, 0, first: 0, [(0x3_0000, 8, true)])
        client.notify(console, 0)
        #expect(client.used(console, 0) == 1 && client.say("read 0x30000 3") == "OK 0x010200")
        client.offer(console, 0, first: 1, [(0x3_0000, 4, true)])
        client.notify(console, 0)
        #expect(client.used(console, 0) == 1)
        #expect(client.say("x-input console0 0xaabbccddee") == "OK" && client.used(console, 0) == 2)
        #expect(client.say("read 0x30000 4") == "OK 0xaabbccdd")

        // One byte waits in the model; it has room for 4095 more, its host for 65536.
        let input = "0x" + String(repeating: "55", count: 65536)
        #expect(client.say("x-input console0 \(input)") == "OK" && client.state("console0", "input") == "61441")
        #expect(
            client.say("x-input console0 \(input)")
                == "FAIL console0 has no room for so much input; let the driver take some first")
        #expect(client.state("console0", "input") == "61441")
        client.say("writew 0x10000c 2")
        for index in 0..<3 {
            client.offer(console, 0, first: 2, [(0x10_0000, 4096, true)])
            client.notify(console, 0)
            #expect(client.used(console, 0) == UInt64(3 + index))
        }
        #expect(client.say("b64read 0x100000 3") == "OK VVVV")
        #expect(client.state("console0", "input") == "\(61441 - 3 * 4096)")
    }

    @Test("x-output returns the output since the last x-output; while its buffer is full, requests wait")
    func output() {
        client.bringUp(console, queues: 2)
        #expect(client.say("x-output console0") == "OK 0x")
        client.say("write 0x30000 4 0x68656c6c")
        client.offer(console, 1, first: 0, [(0x3_0000, 4, false)])
        client.notify(console, 1)
        client.say("writel \(client.address(console, 0x108)) 0x6f")
        #expect(client.used(console, 1) == 1 && client.state("console0", "output") == "5")
        #expect(client.say("x-output console0") == "OK 0x68656c6c6f" && client.say("x-output console0") == "OK 0x")

        client.say("memset 0x100000 0x18000 0x2e")
        client.offer(console, 1, first: 0, [(0x10_0000, 0x1_8000, false)])
        client.notify(console, 1)
        #expect(client.used(console, 1) == 1 && client.state("console0", "output") == "65536")
        // Input does not wait for output.
        client.say("x-input console0 0x61")
        client.offer(console, 0, first: 0, [(0x3_0000, 4, true)])
        client.notify(console, 0)
        #expect(client.used(console, 0) == 1)
        #expect(client.say("x-output console0") == "OK 0x" + String(repeating: "2e", count: 65536))
        #expect(client.used(console, 1) == 2)
        #expect(client.say("x-output console0") == "OK 0x" + String(repeating: "2e", count: 0x8000))
    }

    @Test("the console's output can be held too")
    func heldOutput() {
        client.bringUp(console, queues: 2)
        client.say("x-hold console0")
        for index in 0..<3 {
            client.say("writeb \(0x3_0000 + index) \(0x61 + index)")
            client.offer(console, 1, first: index, [(UInt64(0x3_0000 + index), 1, false)])
            client.notify(console, 1)
        }
        #expect(client.say("x-output console0") == "OK 0x" && client.used(console, 1) == 0)
        #expect(client.say("x-release console0 1") == "OK" && client.used(console, 1) == 1)
        #expect(client.say("x-output console0") == "OK 0x61")
        #expect(client.say("x-release console0") == "OK" && client.used(console, 1) == 3)
        #expect(client.say("x-output console0") == "OK 0x6263")
    }

    @Test("each port of the console has its own input and output, and is opened and closed")
    func ports() throws {
        let client = try QTestClient { $0.ports = [Machine.Configuration.Port(.null, name: "agent")] }
        client.bringUp(console, queues: 6, features: ConsoleFeature.multiport.rawValue)
        func control(_ port: UInt64, _ event: ConsoleControl.Event) {
            client.say("writeq 0x40000 \(port | UInt64(event.rawValue) << 32 | 1 << 48)")
            client.offer(console, ConsoleQueue.controlTransmit, first: 0, [(0x4_0000, 8, false)])
            client.notify(console, ConsoleQueue.controlTransmit)
        }
        /// Takes the next control message: event, port and value.
        func message() -> [UInt64] {
            client.say("memset 0x41000 80 0xff")
            client.offer(console, ConsoleQueue.controlReceive, first: 0, [(0x4_1000, 80, true)])
            client.notify(console, ConsoleQueue.controlReceive)
            return [client.number("readw 0x41004"), client.number("readl 0x41000"), client.number("readw 0x41006")]
        }
        control(0, .deviceReady)
        #expect(message() == [1, 0, 0] && message() == [1, 1, 0])
        control(1, .portReady)
        #expect(message() == [7, 1, 0] && client.say("read 0x41008 5") == "OK 0x6167656e74")
        #expect(client.say("x-open console0 1 1") == "OK" && message() == [6, 1, 1])
        #expect(client.say("x-open console0 1 0") == "OK" && message() == [6, 1, 0])
        #expect(
            client.say("x-open console0 2 1")
                == "FAIL console0 has no such port, or it is always open; --port adds one")

        client.say("write 0x30000 2 0x6869")
        client.offer(console, ConsoleQueue.transmit(port: 1), first: 0, [(0x3_0000, 2, false)])
        client.notify(console, ConsoleQueue.transmit(port: 1))
        #expect(client.say("x-output console0") == "OK 0x" && client.say("x-output console0 1") == "OK 0x6869")
        control(1, .portOpen)
        client.offer(console, ConsoleQueue.receive(port: 1), first: 0, [(0x3_0000, 2, true)])
        #expect(client.say("x-input console0 0x7a 1") == "OK")
        #expect(client.used(console, ConsoleQueue.receive(port: 1)) == 1 && client.say("read 0x30000 2") == "OK 0x7a69")
    }

    @Test("the test device's port has the same effects as the verbs")
    func testDevice() {
        client.bringUp(disk, queues: 1)
        func perform(_ verb: TestDevice.Verb, _ argument: UInt16 = 0) {
            let word = TestDevice.command(verb, slot: UInt8(disk), argument: argument)
            #expect(client.say("outl 0x608 \(word)") == "OK")
        }
        perform(.hold)
        client.request(BlockRequest.Kind.read, sector: 0, at: 0x3_0000)
        #expect(client.used(disk, 0) == 0)
        perform(.release)
        #expect(client.used(disk, 0) == 1)
        perform(.fail, 1)
        client.request(BlockRequest.Kind.read, sector: 0, at: 0x3_0000)
        #expect(client.number("readb 0x30200") == 1)
        perform(.capacity, 77)
        #expect(client.number("readq \(client.address(disk, 0x100))") == 77)
    }
}
