// The network device's control queue, filters and queue pairs, and SUSPEND.

import Testing
import Virtio
import VirtioABI

@Suite("Network control") struct NetworkControlTests {
    func driver(pairs: Int = 1, form: Form = Form(), withholding: Features = []) -> NetworkDriver {
        let driver = NetworkDriver(pairs: pairs, form: form, withholding: withholding)
        driver.bringUp()
        return driver
    }

    /// Whether the driver wants a frame to `target`.
    func wants(_ driver: NetworkDriver, _ target: UInt64, vlan: UInt16? = nil) -> Bool {
        let before = driver.backend.transport.waitingFrames
        driver.arrive(NetworkDriver.frame(to: target, vlan: vlan))
        return driver.backend.transport.waitingFrames > before
    }

    static let (other, group, broadcast): (UInt64, UInt64, UInt64) = (
        0x02_00_00_00_00_07, 0x33_33_00_00_00_01, 0xffff_ffff_ffff
    )

    @Test("The device's own address and broadcasts pass; others pass by mode", arguments: Form.legal)
    func modes(form: Form) {
        typealias Mode = NetworkControl.Receive
        let driver = driver(form: form)
        func targets() -> [Bool] {
            [NetworkDriver.mac, Self.other, Self.group, Self.broadcast].map { wants(driver, $0) }
        }
        func set(_ mode: UInt8, _ value: UInt8) {
            #expect(driver.command(0, mode, [value], cuts: [1, 2]) == 0, driver.state)
        }
        #expect(targets() == [true, false, false, true], driver.state)
        set(Mode.promiscuous, 1)
        #expect(targets() == [true, true, true, true], driver.state)
        set(Mode.promiscuous, 0)
        set(Mode.allMulticast, 1)
        #expect(targets() == [true, false, true, true], driver.state)
        set(Mode.allUnicast, 1)
        #expect(targets() == [true, true, true, true], driver.state)
        set(Mode.noMulticast, 1)
        set(Mode.noUnicast, 1)
        #expect(targets() == [false, false, false, true], driver.state)
        set(Mode.noBroadcast, 1)
        #expect(targets() == [false, false, false, false], driver.state)
    }

    @Test("Without VIRTIO_NET_F_CTRL_RX everything passes")
    func unfiltered() {
        let driver = driver(withholding: NetworkFeature.controlReceive)
        #expect(wants(driver, Self.other) && wants(driver, Self.group) && wants(driver, Self.broadcast), driver.state)
    }

    @Test("The table of addresses is replaced as a whole; one that is too long lets everything of its kind pass")
    func table() {
        let driver = driver()
        func set(_ unicast: [UInt64], _ multicast: [UInt64]) -> UInt8? {
            let data = [unicast, multicast].flatMap { table in
                UInt32(table.count).bytes
                    + table.flatMap { address in (0..<6).map { UInt8(address >> UInt64(40 - 8 * $0) & 0xff) } }
            }
            return driver.command(1, 0, data, cuts: [3, 7])
        }
        #expect(
            set([Self.other], [Self.group]) == 0 && wants(driver, Self.other) && wants(driver, Self.group), driver.state
        )
        #expect(set([], [Self.other]) == 1 && wants(driver, Self.other), driver.state)
        #expect(set([], []) == 0 && !wants(driver, Self.other) && !wants(driver, Self.group), driver.state)
        #expect(set((0..<65).map { 0x0600_0000_0000 + $0 }, []) == 0, driver.state)
        #expect(wants(driver, Self.other) && !wants(driver, Self.group), driver.state)
        #expect(driver.command(1, 0, UInt32.max.bytes + [0, 0]) == 1 && wants(driver, Self.other), driver.state)
    }

    @Test("The MAC address can be set; frames for the old one no longer pass")
    func address() {
        let driver = driver()
        let generation = driver.read(.configGeneration)
        #expect(driver.command(1, 1, [2, 0, 0, 0, 0, 7]) == 0, driver.state)
        #expect(driver.configuration(0, width: 1) == 2 && driver.read(.configGeneration) != generation, driver.state)
        #expect(wants(driver, Self.other) && !wants(driver, NetworkDriver.mac), driver.state)
        for wrong in [[3, 0, 0, 0, 0, 7], [0, 0, 0, 0, 0, 0], [2, 0, 0, 0, 0], [2, 0, 0, 0, 0, 7, 0]] as [[UInt8]] {
            #expect(driver.command(1, 1, wrong) == 1 && driver.configuration(5, width: 1) == 7, driver.state)
        }
    }

    @Test("Tagged frames pass if their VLAN was added; with VIRTIO_NET_F_CTRL_VLAN withheld, all")
    func vlans() {
        let driver = driver()
        #expect(!wants(driver, NetworkDriver.mac, vlan: 5), driver.state)
        #expect(driver.command(2, 0, [5, 0]) == 0 && driver.command(2, 0, [0xff, 0x0f]) == 0, driver.state)
        #expect(
            wants(driver, NetworkDriver.mac, vlan: 0x6005) && wants(driver, NetworkDriver.mac, vlan: 4095), driver.state
        )
        #expect(driver.command(2, 1, [5, 0]) == 0 && !wants(driver, NetworkDriver.mac, vlan: 5), driver.state)
        #expect(driver.command(2, 0, [0, 0x10]) == 1 && driver.command(2, 2, [5, 0]) == 1, driver.state)
        #expect(wants(self.driver(withholding: NetworkFeature.controlVLAN), NetworkDriver.mac, vlan: 5))
    }

    @Test("Commands cut, too long, unknown or not negotiated are answered VIRTIO_NET_ERR")
    func errors() {
        let driver = driver(pairs: 2)
        let wrong: [[UInt8]] = [
            [0, 0], [0, 0, 2], [0, 0, 1, 0], [0, 6, 1], [1, 2], [3, 1], [3, 0, 0], [4, 0, 0, 0], [4, 0, 3, 0],
            [4, 0, 1],
            [4, 1, 1, 0], [5, 0], [255, 255],
        ]
        for bytes in wrong { #expect(driver.command(bytes[0], bytes[1], Array(bytes[2...])) == 1, "\(bytes)") }
        let plain = self.driver(withholding: [
            NetworkFeature.controlReceiveExtra, NetworkFeature.guestAnnounce, NetworkFeature.controlMAC,
        ])
        for bytes in [[0, 2, 1], [3, 0], [1, 1, 2, 0, 0, 0, 0, 1], [4, 0, 1, 0]] as [[UInt8]] {
            #expect(plain.command(bytes[0], bytes[1], Array(bytes[2...])) == 1, "\(bytes)")
        }
        // One byte has no command; without a byte for the answer nothing is done.
        for (bytes, room) in [([0], 1), ([], 1), ([0, 0, 1], 0)] as [([UInt8], Int)] {
            driver.add(driver.parts(bytes, room: room), to: driver.control)
        }
        #expect(driver.takeUsed(driver.control).map(\.length) == [1, 1, 0] && !wants(driver, Self.other), driver.state)
    }

    @Test("Frames go to the pair of the link once the driver has enabled it, before that to the first")
    func pairs() {
        let driver = driver(pairs: 2)
        for pair in 0..<2 { for _ in 0..<4 { driver.post(pair: pair) } }
        driver.arrive(NetworkDriver.frame(), pair: 1)
        #expect(driver.takeUsed(0).count == 1 && driver.takeUsed(2).isEmpty, driver.state)
        driver.send(pair: 1)
        #expect(driver.link.frames.isEmpty && driver.takeUsed(3).count == 1, driver.state)
        #expect(driver.command(4, 0, [2, 0]) == 0, driver.state)
        driver.arrive(NetworkDriver.frame(), pair: 1)
        driver.send(pair: 1)
        #expect(driver.takeUsed(2).count == 1 && driver.link.frames.map(\.pair) == [1], driver.state)
    }

    // (5.1.9.5.6.2-3), (5.1.9.5.6.2-4)
    @Test("A frame for a receive queue that is being reset goes to another one in use, and is dropped if all are")
    func receiveQueueReset() {
        let driver = driver(pairs: 2)
        for pair in 0..<2 { driver.post(pair: pair) }
        #expect(driver.command(4, 0, [2, 0]) == 0, driver.state)
        driver.write(.queueSel, 0)
        driver.write(.queueReset, 1)
        driver.arrive(NetworkDriver.frame())
        #expect(driver.takeUsed(2).count == 1, driver.state)
        driver.write(.queueSel, 2)
        driver.write(.queueReset, 1)
        for pair in 0..<2 { #expect(driver.arrive(NetworkDriver.frame(), pair: pair), driver.state) }
        #expect(driver.backend.transport.waitingFrames == 0, driver.state)
    }

    @Test("Without VIRTIO_NET_F_MQ the control queue is queue 2, also of a device with more pairs")
    func withoutMultiqueue() {
        let driver = NetworkDriver(pairs: 3)
        driver.bringUp(accepting: driver.offered.subtracting(NetworkFeature.multiqueue))
        #expect(driver.control == 2 && !driver.exists(3) && driver.command(0, 0, [1]) == 0, driver.state)
    }
}

@Suite("Network and SUSPEND") struct NetworkSuspendTests {
    func driver(_ wake: Network.Wake = .any, form: Form = Form()) -> NetworkDriver {
        let driver = NetworkDriver(wake: wake, suspend: .ratified, form: form)
        driver.bringUp()
        driver.backend.events = []
        return driver
    }

    @Test(
        "Posted receive buffers do not delay the drain; frames come on resume, first and in order",
        arguments: Form.legal)
    func retained(form: Form) {
        let driver = driver(form: form)
        let chains = (0..<8).map { _ in driver.post() }
        driver.write(.status, 0x1f)
        #expect(driver.status.rawValue == 0x1b, driver.state)
        let before = driver.memory.snapshot()
        for index in 0..<3 { #expect(driver.arrive(NetworkDriver.frame(seed: UInt8(index)))) }
        #expect(driver.memory.changes(since: before).isEmpty && driver.interruptStatus.isEmpty, driver.state)
        #expect(driver.backend.events.filter { $0.contains(.deferred) }.count == 3, driver.state)
        driver.backend.resumesAtOnce = false
        driver.write(.status, 0x1f)
        driver.arrive(NetworkDriver.frame(seed: 3))
        #expect(driver.takeUsed(0).isEmpty, driver.state)
        driver.backend.ready()
        driver.arrive(NetworkDriver.frame(seed: 4))
        let used = driver.takeUsed(0)
        let bytes = zip(chains, used).map { Array(driver.answer($0).prefix(Int($1.length)).dropFirst(12)) }
        #expect(bytes == (0..<5).map { NetworkDriver.frame(seed: UInt8($0)) }, driver.state)
    }

    @Test(
        "Transmission in progress finishes before the device is suspended, and nothing is transmitted until the resume")
    func transmission() {
        let driver = driver()
        driver.backend.completesAtOnce = false
        driver.send()
        driver.write(.status, 0x1f)
        #expect(driver.status.rawValue == 0x0f, driver.state)
        driver.backend.complete()
        #expect(driver.status.rawValue == 0x1b && driver.takeUsed(1).count == 1, driver.state)
        driver.send()
        #expect(driver.backend.requests.isEmpty, driver.state)
        driver.write(.status, 0x1f)
        #expect(driver.backend.requests.count == 1, driver.state)
    }

    @Test("While suspended frames are bounded, and the wake mode says which is a deferred event")
    func wake() {
        let magic =
            NetworkDriver.frame(to: NetworkControlTests.broadcast, 20)
            + [UInt8](repeating: 0xff, count: 6)
            + (0..<16).flatMap { _ in [0x52, 0x54, 0, 0x12, 0x34, 0x56] as [UInt8] }
        for (mode, plain, pattern) in [(.any, true, true), (.magic, false, true), (.none, false, false)]
            as [(Network.Wake, Bool, Bool)]
        {
            for (frame, wakes) in [
                (NetworkDriver.frame(1514), plain), (magic, pattern), (Array(magic.dropLast()), plain),
            ] {
                let driver = driver(mode)
                driver.write(.status, 0x1f)
                driver.arrive(frame)
                #expect(driver.backend.events.contains { $0.contains(.deferred) } == wakes, "\(mode) \(frame.count)")
                #expect(driver.backend.transport.waitingFrames == 1, driver.state)
            }
        }
        let driver = driver()
        driver.write(.status, 0x1f)
        var taken = 0
        while driver.arrive(NetworkDriver.frame(1514)) { taken += 1 }
        #expect(taken == FrameQueue.capacity / 1530, driver.state)
    }

    @Test("A link change is staged: no byte changes until the resume, which notifies once")
    func link() {
        let driver = driver()
        driver.write(.status, 0x1f)
        driver.backend.change { $0.isLinkUp = false }
        driver.backend.change { $0.isLinkUp = true }
        #expect(driver.configuration(6, width: 2) == 1 && driver.interruptStatus.isEmpty, driver.state)
        driver.backend.change { $0.isLinkUp = false }
        driver.write(.status, 0x1f)
        #expect(driver.configuration(6, width: 2) == 0 && driver.acknowledge() == .configurationChange, driver.state)
    }

    @Test("A suspended device continues elsewhere from a snapshot, with its settings and the frames that wait")
    func snapshot() {
        let driver = driver()
        driver.command(1, 1, [2, 0, 0, 0, 0, 7])
        driver.command(2, 0, [5, 0])
        for _ in 0..<2 { driver.post() }
        driver.write(.status, 0x1f)
        driver.arrive(NetworkDriver.frame(to: NetworkControlTests.other, vlan: 5))
        driver.arrive(NetworkDriver.frame(to: NetworkControlTests.other, 100))
        let moved = NetworkDriver(suspend: .ratified)
        #expect(moved.replace(driver))
        #expect(moved.configuration(5, width: 1) == 7 && moved.backend.transport.waitingFrames == 2, moved.state)
        moved.write(.status, 0x1f)
        #expect(moved.takeUsed(0).map(\.length) == [72, 112], moved.state)
        #expect(moved.read(.configGeneration) == driver.read(.configGeneration), moved.state)
    }
}
