// The entropy device (VIRTIO 1.4, 5.4): buffers are filled, whatever their form, and used with the length that was written.

import Testing
import Virtio
import VirtioABI

/// The driver of an entropy device, whose backend fills each buffer with the next bytes of 1, 2, 3, ...
final class EntropyDriver: FakeDriver<Entropy> {
    init(
        suspend: SuspendDialect? = nil, form: Form = Form(), memory: FakeMemory = FakeMemory()
    ) {
        var next: UInt8 = 0
        super.init(Entropy(queueSize: 16), suspend: suspend, form: form, memory: memory) { request in
            request.data.forEach { buffer in
                for index in 0..<buffer.count {
                    next &+= 1
                    unsafe buffer.base.storeBytes(of: next, toByteOffset: index, as: UInt8.self)
                }
            }
            return .ok(written: UInt32(request.data.byteCount))
        }
    }

    /// Makes a buffer of `room` bytes, cut at `cuts`, available.
    @discardableResult
    func post(_ room: Int, cuts: [Int] = [], kick: Bool = true) -> Chain {
        add(parts([], room: room, cuts: cuts), to: 0, kick: kick)
    }
}

@Suite("Entropy")
struct EntropyTests {
    func driver(_ dialect: SuspendDialect? = nil, form: Form = Form()) -> EntropyDriver {
        let driver = EntropyDriver(suspend: dialect, form: form)
        driver.bringUp()
        driver.backend.completesAtOnce = true
        return driver
    }

    @Test("It has device ID 4, one queue, no features of its own and no configuration space")
    func identity() {
        let driver = driver()
        #expect(driver.read(.deviceID) == 4 && !driver.exists(1), driver.state)
        #expect(driver.offered.intersection(Features(rawValue: 0xff_ffff)) == [], driver.state)
        #expect((0..<8).allSatisfy { driver.configuration($0, width: 1) == 0 }, driver.state)
    }

    @Test("A buffer is filled and used with its length, in any virtqueue format", arguments: Form.legal)
    func filled(form: Form) {
        let driver = driver(form: form)
        for (room, cuts) in [(1, []), (8, [3]), (100, [1, 50, 51])] as [(Int, [Int])] {
            let before = driver.backend.transport.requestsInFlight
            let chain = driver.post(room, cuts: cuts)
            #expect(before == 0 && driver.takeUsed(0).map(\.length) == [UInt32(room)], driver.state)
            let bytes = driver.answer(chain)
            #expect(bytes.count == room && zip(bytes, bytes.dropFirst()).allSatisfy { $0 &+ 1 == $1 }, driver.state)
        }
    }

    @Test("The used length is what the backend wrote; a backend that failed wrote nothing")
    func lengths() {
        let driver = driver()
        driver.backend.completesAtOnce = false
        for _ in 0..<2 { driver.post(64) }
        driver.backend.complete(at: 0, with: .ok(written: 5))
        driver.backend.fail()
        #expect(driver.takeUsed(0).map(\.length) == [5, 0], driver.state)
    }

    @Test("A device-readable buffer breaks 5.4.6.1-1 and is used with length 0, unless a writable part follows")
    func readable() {
        let driver = driver()
        driver.add(driver.parts([1, 2, 3], room: 0), to: 0)
        driver.add(driver.parts([1, 2, 3], room: 7), to: 0)
        #expect(driver.takeUsed(0).map(\.length) == [0, 7], driver.state)
        #expect(driver.count(.entropyBufferWritable) == 2 && !driver.status.contains(.needsReset), driver.state)
    }

    @Test("A suspended device fills no buffer; those posted before are filled by the draft first, by 1.4 on resume")
    func suspended() {
        for dialect in SuspendDialect.allCases {
            let driver = driver(dialect)
            for _ in 0..<3 { driver.post(16, kick: false) }
            driver.write(.status, 0x1f)
            #expect(driver.status.rawValue == (dialect == .draft ? 0x1f : 0x1b), driver.state)
            #expect(driver.takeUsed(0).count == (dialect == .draft ? 3 : 0), driver.state)
            driver.post(16)
            #expect(driver.takeUsed(0).isEmpty && driver.backend.requests.isEmpty, driver.state)
            driver.write(.status, dialect == .draft ? 0x0f : 0x1f)
            #expect(driver.takeUsed(0).count == (dialect == .draft ? 1 : 4), driver.state)
        }
    }

    @Test("A drain waits for buffers in flight; past the deadline the draft retains them and 1.4 needs a reset")
    func drain() {
        for dialect in SuspendDialect.allCases {
            let driver = driver(dialect)
            driver.backend.completesAtOnce = false
            driver.post(16)
            driver.write(.status, 0x1f)
            #expect(driver.status == .running, driver.state)
            driver.backend.deadline()
            #expect(driver.status.contains(.needsReset) == (dialect == .ratified), driver.state)
            driver.backend.complete()
            #expect(driver.takeUsed(0).isEmpty, driver.state)
            guard dialect == .draft else { continue }
            driver.write(.status, 0x0f)
            #expect(driver.takeUsed(0).map(\.length) == [16], driver.state)
        }
    }
}
