// The console with one port (VIRTIO 1.4, 5.3): output, input across buffers, the bounded input buffer, emergency write,
// size.

import Testing
import Virtio
import VirtioABI

@Suite("Console device")
struct ConsoleTests {
    static let text = Array("The quick brown fox jumps over the lazy dog.\n".utf8)

    func driver() -> ConsoleDriver {
        let driver = ConsoleDriver()
        driver.backend.completesAtOnce = true
        driver.bringUp()
        return driver
    }

    /// `count` bytes without a short period.
    static func bytes(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 / 256) } }

    @Test("Two queues, the device's own features and no others")
    func identity() {
        let driver = driver()
        #expect(driver.read(.deviceID) == 3 && driver.backend.transport.queueCount == 2)
        let own = driver.offered.intersection(Features(rawValue: 0xff_ffff))
        #expect(own == [ConsoleFeature.size, ConsoleFeature.emergencyWrite])
    }

    // MARK: Output

    @Test("Output arrives in order, however it is split, and its used length is 0")
    func output() {
        let driver = driver()
        var chains = (1..<Self.text.count).map { cut in
            let chain = driver.print(Self.text, cuts: [cut])
            #expect(driver.takeUsed(1) == [UsedElement(id: UInt32(chain.head), length: 0)], driver.state)
            return chain
        }
        chains.append(driver.print(Self.text, cuts: Array(stride(from: 3, to: 42, by: 3))))
        #expect(driver.terminal.output == Array(repeating: Self.text, count: chains.count).flatMap { $0 })
        #expect(driver.acknowledge() == .usedBuffer)
    }

    @Test("Output to a slow host is used when the host has written it")
    func slowOutput() {
        let driver = driver()
        driver.backend.completesAtOnce = false
        driver.print([1])
        driver.print([2])
        #expect(driver.takeUsed(1) == [] && driver.backend.requests.count == 2, driver.state)
        driver.backend.complete(1)
        #expect(driver.takeUsed(1).count == 1 && driver.terminal.output == [1], driver.state)
    }

    @Test("Output without bytes, and a writable buffer on the transmit queue, are used unchanged")
    func oddOutput() {
        let driver = driver()
        driver.add([Part(address: 0, length: 0, writable: false)], to: 1)
        let chain = driver.add([driver.readable([65]), driver.writable(4)], to: 1)
        #expect(driver.takeUsed(1).map(\.length) == [0, 0], driver.state)
        #expect(driver.terminal.output == [65])
        #expect(driver.answer(chain).allSatisfy { $0 == FakeMemory.pattern })
    }

    // MARK: Input

    @Test("Input fills buffers in order, and the used length is the number of bytes", arguments: [1, 7, 16, 45])
    func input(room: Int) {
        let driver = driver()
        let count = (Self.text.count + room - 1) / room
        var left = Self.text[...]
        for _ in 0..<count {
            let chain = driver.post(room)
            if left.count == Self.text.count { driver.type(Self.text) }
            let expected = Array(left.prefix(room))
            #expect(
                driver.takeUsed(0) == [UsedElement(id: UInt32(chain.head), length: UInt32(expected.count))],
                driver.state)
            #expect(driver.answer(chain).prefix(expected.count) == expected[...])
            #expect(driver.answer(chain).dropFirst(expected.count).allSatisfy { $0 == FakeMemory.pattern })
            left = left.dropFirst(room)
        }
        #expect(left.isEmpty)
    }

    @Test("Input crosses buffers and descriptors; the other buffers stay available (D-12)")
    func inputAcrossBuffers() {
        let driver = driver()
        let chains = [3, 5, 40, 8].map { driver.post($0, cuts: [1, 2, 4]) }
        #expect(driver.takeUsed(0) == [] && driver.interruptStatus == [], "a buffer was used without input")
        driver.type(Self.text)
        #expect(driver.takeUsed(0).map(\.length) == [3, 5, 37], driver.state)
        #expect(Array(chains.flatMap { driver.answer($0) }.prefix(45)) == Self.text)
        driver.type([1, 2])
        #expect(driver.takeUsed(0) == [UsedElement(id: UInt32(chains[3].head), length: 2)], driver.state)
    }

    @Test("Input is held until there is a buffer and DRIVER_OK, also across a reset")
    func inputPending() {
        let driver = ConsoleDriver()
        #expect(driver.type([1, 2]) == 2)
        driver.bringUp(to: .queues)
        driver.post(4)
        #expect(driver.takeUsed(0) == [], driver.state)
        driver.bringUp()
        #expect(driver.type([3]) == 1)
        let chain = driver.post(4)
        #expect(driver.takeUsed(0).map(\.length) == [3], driver.state)
        #expect(driver.answer(chain).prefix(3) == [1, 2, 3])
    }

    @Test("The input buffer is bounded, and reports how many bytes it accepted")
    func bounded() {
        let driver = driver()
        let bytes = Self.bytes(10_000)
        #expect(driver.backend.transport.inputRoom() == 4096)
        #expect(driver.type(Array(bytes.prefix(4000))) == 4000)
        #expect(driver.backend.transport.inputRoom() == 96)
        #expect(driver.type(Array(bytes.dropFirst(4000))) == 96)
        #expect(driver.type([1]) == 0 && driver.backend.transport.inputRoom() == 0)
        var received: [UInt8] = []
        var next = 4096
        while received.count < bytes.count {
            let chain = driver.post(1000)
            let used = driver.takeUsed(0)
            #expect(used.count == 1, driver.state)
            guard let length = used.first?.length else { return }
            received += driver.answer(chain).prefix(Int(length))
            next += driver.type(Array(bytes[next...]))
        }
        #expect(received == bytes)
    }

    @Test("A receive buffer of length 0 is used empty, and loses no input")
    func noRoom() {
        let driver = driver()
        driver.add([driver.readable([9])], to: 0)
        driver.type([1, 2])
        #expect(driver.takeUsed(0).map(\.length) == [0], driver.state)
        let chain = driver.post(2)
        #expect(driver.answer(chain) == [1, 2], driver.state)
    }

    // MARK: Emergency write

    @Test(
        "emerg_wr outputs its low byte in every step of the initialization (5.3.4)",
        arguments: ConsoleDriver.Stage.allCases)
    func emergency(stage: ConsoleDriver.Stage) {
        let driver = ConsoleDriver()
        driver.bringUp(to: stage)
        #expect(driver.write(at: 0x108, width: 4, 0xffff_ff41).emergency == 0x41)
        #expect(driver.write(at: 0x108, width: 2, 0x0142).emergency == 0x42)
        #expect(driver.write(at: 0x108, width: 1, 0x43).emergency == 0x43)
        #expect(driver.backend.emergency == [0x41, 0x42, 0x43])
        #expect(driver.configuration(8) == 0, "emerg_wr reads 0")
    }

    @Test("emerg_wr works in a device that needs a reset, and whether or not it was negotiated")
    func emergencyAfterDeath() {
        let driver = ConsoleDriver()
        driver.bringUp(accepting: .version1)
        driver.write(at: 0x108, width: 4, 0x41)
        driver.backend.fatal()
        driver.write(at: 0x108, width: 4, 0x42)
        #expect(driver.backend.emergency == [0x41, 0x42])
    }

    @Test("No other byte of the configuration space can be written", arguments: [1, 2, 4])
    func configurationWrites(width: Int) {
        let driver = driver()
        let before = driver.dump()
        for offset in stride(from: 0, to: 0xf00, by: width) where offset != 8 {
            driver.write(at: UInt64(0x100 + offset), width: width, .max)
        }
        #expect(driver.backend.emergency == [] && driver.dump() == before, driver.state)
    }

    @Test("An access of 8 bytes over emerg_wr writes one byte", arguments: [0x104, 0x108] as [UInt64])
    func wideEmergency(offset: UInt64) {
        let driver = driver()
        driver.write(at: offset, width: 8, offset == 0x104 ? 0x41_0000_0000 : 0x41)
        #expect(driver.backend.emergency == [0x41])
    }

    // MARK: Size

    @Test("The size is readable, and a resize is announced once")
    func resize() {
        let driver = driver()
        #expect(driver.configuration(0, width: 2) == 80 && driver.configuration(2, width: 2) == 25)
        let generation = driver.read(.configGeneration)
        driver.backend.change { $0.columns = 132 }
        driver.backend.change { $0.rows = 50 }
        #expect(driver.configuration(0) == 132 | 50 << 16)
        #expect(driver.read(.configGeneration) != generation)
        #expect(driver.acknowledge() == .configurationChange && driver.backend.line.risingEdges == 1, driver.state)
    }
}
