// The network device: frames both ways in any layout, merged buffers, offloads, and what it offers.

import Testing
import Virtio
import VirtioABI

@Suite("Network") struct NetworkTests {
    func driver(
        mtu: UInt16? = nil, pairs: Int = 1, suspend: SuspendDialect? = nil, form: Form = Form(),
        withholding: Features = []
    ) -> NetworkDriver {
        let driver = NetworkDriver(mtu: mtu, pairs: pairs, suspend: suspend, form: form, withholding: withholding)
        driver.bringUp()
        return driver
    }

    @Test("It has device ID 1, its MAC address and link in the configuration space, two queues and a control queue")
    func identity() {
        let driver = driver()
        let mac = (0..<6).map { driver.configuration($0, width: 1) }
        #expect(driver.read(.deviceID) == 1 && mac == [0x52, 0x54, 0, 0x12, 0x34, 0x56], driver.state)
        #expect(driver.configuration(6, width: 2) == 1 && driver.exists(2) && !driver.exists(3), driver.state)
        #expect(driver.configuration(12, width: 4) == 0xffff_ffff && driver.configuration(16, width: 1) == 0xff)
        #expect(!driver.offered.contains(NetworkFeature.mtu) && !driver.offered.contains(NetworkFeature.multiqueue))
    }

    @Test("It offers MTU and MQ only if it has them, and no feature without the one that it requires")
    func offers() {
        #expect(driver(mtu: 9000).configuration(10, width: 2) == 9000)
        #expect(driver(pairs: 3).configuration(8, width: 2) == 3)
        let plain = driver(withholding: [NetworkFeature.checksum, NetworkFeature.guestChecksum]).offered
        #expect(plain.isDisjoint(with: Network.offloads))
        let mute = driver(pairs: 2, withholding: NetworkFeature.controlQueue).offered
        #expect(mute.isDisjoint(with: [NetworkFeature.multiqueue, NetworkFeature.controlReceive]))
        let ecn = driver(withholding: [NetworkFeature.hostTSO4, NetworkFeature.hostTSO6]).offered
        #expect(!ecn.contains(NetworkFeature.hostECN) && ecn.contains(NetworkFeature.guestECN))
    }

    @Test("Frames are transmitted in any layout and ring format, with used length 0", arguments: Form.legal)
    func transmit(form: Form) {
        let driver = driver(form: form)
        for (index, cuts) in [[], [12], [1, 5, 11, 13], [12, 26, 40]].enumerated() {
            let frame = NetworkDriver.frame(to: 0xffff_ffff_ffff, 60 + index, seed: UInt8(index))
            driver.send(frame, cuts: cuts)
            #expect(driver.link.frames.last == .init(pair: 0, header: FrameHeader(), bytes: frame), driver.state)
            #expect(driver.takeUsed(1).map(\.length) == [0], driver.state)
        }
    }

    @Test(
        "Frames are received in any layout and ring format, behind a header with num_buffers 1", arguments: Form.legal)
    func receive(form: Form) {
        let driver = driver(form: form)
        for (index, cuts) in [[], [12], [3, 11], [12, 26]].enumerated() {
            let frame = NetworkDriver.frame(60 + index, seed: UInt8(index))
            let chain = driver.post(cuts: cuts)
            #expect(driver.takeUsed(0).isEmpty, driver.state)
            #expect(driver.arrive(frame), driver.state)
            let used = driver.takeUsed(0)
            #expect(used.map(\.length) == [UInt32(12 + frame.count)], driver.state)
            let bytes = driver.answer(chain).prefix(12 + frame.count)
            #expect(Array(bytes) == NetworkDriver.header { $0.bufferCount = 1 } + frame, driver.state)
        }
    }

    @Test("Frames wait for buffers, in order, and come when the driver adds them", arguments: Form.legal)
    func waits(form: Form) {
        let driver = driver(form: form)
        let frames = (0..<5).map { NetworkDriver.frame(60 + $0, seed: UInt8($0)) }
        for frame in frames { #expect(driver.arrive(frame)) }
        #expect(driver.backend.transport.waitingFrames == 5, driver.state)
        var lengths: [UInt32] = []
        for _ in frames {
            driver.post()
            lengths += driver.takeUsed(0).map(\.length)
        }
        #expect(lengths == frames.map { UInt32(12 + $0.count) }, driver.state)
    }

    @Test("What waits is bounded: the host keeps the frame that has no room")
    func bounded() {
        let driver = driver()
        let frame = NetworkDriver.frame(1514)
        var taken = 0
        while driver.arrive(frame) { taken += 1 }
        #expect(taken == FrameQueue.capacity / (1514 + 12 + 4), driver.state)
        driver.post()
        #expect(driver.takeUsed(0).count == 1 && driver.arrive(frame) && !driver.arrive(frame), driver.state)
    }

    // MARK: Merged buffers

    @Test(
        "A large frame is spread over buffers, all full but the last, which the driver sees used at once",
        arguments: Form.legal)
    func merged(form: Form) {
        let driver = driver(form: form)
        let frame = NetworkDriver.frame(1000)
        let chains = (0..<4).map { driver.post(300, cuts: [5 + $0], kick: false) }
        driver.arrive(frame)
        let used = driver.takeUsed(0)
        #expect(used.map(\.length) == [300, 300, 300, 112], driver.state)
        let bytes = zip(chains, used).flatMap { driver.answer($0).prefix(Int($1.length)) }
        #expect(bytes == NetworkDriver.header { $0.bufferCount = 4 } + frame, driver.state)
    }

    @Test(
        "A frame that needs more buffers than there are leaves them available until the rest comes",
        arguments: Form.legal)
    func mergedLater(form: Form) {
        let driver = driver(form: form)
        let frame = NetworkDriver.frame(1000)
        var chains = (0..<2).map { _ in driver.post(300) }
        driver.arrive(frame)
        #expect(driver.takeUsed(0).isEmpty && driver.backend.transport.requestsInFlight == 0, driver.state)
        chains.append(driver.post(300))
        #expect(driver.takeUsed(0).isEmpty, driver.state)
        chains.append(driver.post(300))
        let used = driver.takeUsed(0)
        #expect(used.map(\.length) == [300, 300, 300, 112], driver.state)
        let bytes = zip(chains, used).flatMap { driver.answer($0).prefix(Int($1.length)) }
        #expect(bytes == NetworkDriver.header { $0.bufferCount = 4 } + frame, driver.state)
    }

    @Test("A frame for which the whole ring has no room is dropped, and the next one comes")
    func neverFits() {
        let driver = NetworkDriver(form: Form())
        driver.bringUp(queueSize: 4)
        for _ in 0..<4 { driver.post(100) }
        driver.arrive(NetworkDriver.frame(1000))
        driver.arrive(NetworkDriver.frame(60))
        #expect(driver.takeUsed(0).map(\.length) == [72], driver.state)
        #expect(driver.backend.transport.frameCounts.droppedReceiving == 1, driver.state)
    }

    @Test("Without merging a frame uses one buffer; one that is too small stays available, and the frame is dropped")
    func notMerged() {
        let driver = driver(withholding: NetworkFeature.mergeableBuffers)
        driver.post(400)
        driver.arrive(NetworkDriver.frame(1000))
        #expect(driver.takeUsed(0).isEmpty && driver.backend.transport.waitingFrames == 0, driver.state)
        driver.arrive(NetworkDriver.frame(388))
        #expect(driver.takeUsed(0).map(\.length) == [400], driver.state)
        #expect(driver.count(.receiveBufferHoldsFrame) == 2, driver.state)
    }

    @Test("A receive buffer without room for the header is used with length 0, and loses no frame")
    func tiny() {
        let driver = driver()
        driver.arrive(NetworkDriver.frame())
        driver.post(11)
        driver.add(driver.parts([1, 2, 3], room: 0), to: 0)
        driver.post()
        #expect(driver.takeUsed(0).map(\.length) == [0, 0, 72], driver.state)
    }

    // MARK: Offloads

    // (5.1.9.4.1-17), (5.1.9.4.1-18), (5.1.9.4.1-19), (5.1.9.4.1-20), (5.1.9.4.1-28), (5.1.9.4.1-31): what the host gave is passed on.
    @Test("Checksum and segmentation pass if they were negotiated, both ways")
    func offloads() {
        let driver = driver()
        let large = NetworkDriver.frame(20_000)
        let tso = NetworkDriver.header {
            ($0.flags, $0.segmentation, $0.segmentSize, $0.headerLength) = (1, 1, 1448, 54)
            ($0.checksumStart, $0.checksumOffset) = (34, 16)
        }
        driver.send(large, header: tso)
        #expect(driver.link.frames.last.map { NetworkDriver.bytes($0.header) } == tso, driver.state)
        let chain = driver.post(65601)
        driver.arrive(large, header: tso)
        #expect(driver.takeUsed(0).map(\.length) == [20_012], driver.state)
        #expect(Array(driver.answer(chain).prefix(10)) == Array(tso.prefix(10)), driver.state)
    }

    // (5.1.9.2.2-7): the host's kernel refuses a frame that is shorter than hdr_len.
    @Test("A hdr_len beyond the frame's end is not passed on", arguments: [54, 20_000, 20_001, 0xffff])
    func headerLengthIsAHint(headerLength: UInt16) {
        let driver = driver()
        let tso = NetworkDriver.header {
            ($0.flags, $0.segmentation, $0.segmentSize, $0.headerLength) = (1, 1, 1448, headerLength)
            ($0.checksumStart, $0.checksumOffset) = (34, 16)
        }
        driver.send(NetworkDriver.frame(20_000), header: tso)
        #expect(driver.link.frames.map(\.header.headerLength) == [min(headerLength, 20_000)], driver.state)
    }

    // (5.1.9.4.1-6), (5.1.9.4.1-32)
    @Test(
        "Without its feature a segmented frame is dropped, a partial checksum not passed to the driver, and flags are 0"
    )
    func withoutOffloads() {
        let driver = driver(withholding: Network.offloads)
        let tso = NetworkDriver.header { ($0.flags, $0.segmentation, $0.segmentSize) = (1, 1, 1448) }
        driver.send(header: tso)
        #expect(driver.link.frames.isEmpty && driver.takeUsed(1).map(\.length) == [0], driver.state)
        driver.send(header: NetworkDriver.header { ($0.flags, $0.checksumStart) = (0xff, 14) })
        #expect(driver.link.frames.map(\.header) == [FrameHeader()], driver.state)
        let chain = driver.post()
        driver.arrive(NetworkDriver.frame(), header: tso)
        driver.arrive(NetworkDriver.frame(), header: NetworkDriver.header { $0.flags = 1 })
        #expect(driver.backend.transport.waitingFrames == 0 && driver.takeUsed(0).isEmpty, driver.state)
        driver.arrive(NetworkDriver.frame(), header: NetworkDriver.header { $0.flags = 2 })
        #expect(driver.takeUsed(0).count == 1 && driver.answer(chain)[0] == 0, driver.state)
    }

    // (5.1.9.4.1-7), (5.1.9.4.1-8), (5.1.9.4.1-9), (5.1.9.4.1-10)
    @Test("Each kind of segmentation needs its own feature to be received")
    func kinds() {
        let kinds: [(UInt8, Features)] = [
            (1, NetworkFeature.guestTSO4), (4, NetworkFeature.guestTSO6), (3, NetworkFeature.guestUFO),
            (5, [NetworkFeature.guestUSO4, NetworkFeature.guestUSO6]),
        ]
        for (kind, feature) in kinds {
            for isOffered in [true, false] {
                let driver = driver(withholding: isOffered ? [] : feature)
                driver.arrive(
                    NetworkDriver.frame(4000),
                    header: NetworkDriver.header { ($0.flags, $0.segmentation, $0.segmentSize) = (1, kind, 1400) })
                #expect(driver.backend.transport.waitingFrames == (isOffered ? 1 : 0), "\(kind)")
            }
        }
    }

    // (5.1.9.4.1-13), (5.1.9.4.1-14)
    @Test("A segmented frame with the ECN bit is received if VIRTIO_NET_F_GUEST_ECN was negotiated, and dropped if not")
    func congestion() {
        let marked = NetworkDriver.header { ($0.flags, $0.segmentation, $0.segmentSize) = (1, 0x81, 1400) }
        for isOffered in [true, false] {
            let driver = driver(withholding: isOffered ? [] : NetworkFeature.guestECN)
            let chain = driver.post(65601)
            driver.arrive(NetworkDriver.frame(4000), header: marked)
            #expect(driver.takeUsed(0).count == (isOffered ? 1 : 0), driver.state)
            if isOffered { #expect(driver.answer(chain)[1] == 0x81, driver.state) }
        }
    }

    // (5.1.9.4.1-27), (5.1.9.4.1-30), (5.1.9.4.1-33)
    @Test("Segmentation without NEEDS_CSUM is dropped, RSC_INFO never set, and DATA_VALID only where the host set it")
    func flags() {
        for (flags, segmentation, expected): (UInt8, UInt8, UInt8?) in [
            (0, 1, nil), (2, 1, nil), (0, 0, 0), (2, 0, 2), (4, 0, 0), (0xfc, 0, 0), (7, 1, 1),
        ] {
            let driver = driver()
            let chain = driver.post(65601)
            let header = NetworkDriver.header {
                ($0.flags, $0.segmentation, $0.segmentSize) = (flags, segmentation, 1400)
            }
            driver.arrive(NetworkDriver.frame(1000), header: header)
            let found = driver.takeUsed(0).isEmpty ? nil : driver.answer(chain)[0]
            #expect(found == expected, "flags \(flags), gso_type \(segmentation)")
        }
    }

    @Test("A feature that requires another which the driver did not accept is not in use")
    func requirements() {
        let driver = NetworkDriver()
        driver.bringUp(accepting: [.version1, NetworkFeature.hostTSO4, NetworkFeature.controlReceive])
        #expect(driver.backend.transport.acceptedFeatures == .version1 && !driver.exists(2), driver.state)
    }

    @Test("Frames without meaning are dropped: shorter than a header and an Ethernet header, or longer than any")
    func malformed() {
        let driver = driver()
        for length in [1, 11, 12, 25] {
            driver.add(driver.parts([UInt8](repeating: 0, count: length), room: 0), to: 1)
        }
        driver.send([UInt8](repeating: 0, count: Network.maximumFrame + 1))
        #expect(driver.takeUsed(1).count == 5 && driver.link.frames.isEmpty, driver.state)
        driver.send([UInt8](repeating: 0, count: 14))
        driver.send([UInt8](repeating: 0, count: Network.maximumFrame))
        #expect(driver.link.frames.map(\.bytes.count) == [14, Network.maximumFrame], driver.state)
        for length in [0, 11, 25, 12 + Network.maximumFrame + 1] {
            var accepted = false
            driver.backend.call { $0.receive([UInt8](repeating: 0, count: length).span, accepted: &accepted) }
            #expect(accepted && driver.backend.transport.waitingFrames == 0, driver.state)
        }
    }

    @Test("With an MTU longer frames are not passed to the driver; a VLAN tag does not count")
    func mtu() {
        let driver = driver(mtu: 1280)
        driver.command(NetworkControl.Class.vlan, 0, [5, 0])
        driver.arrive(NetworkDriver.frame(1295))
        driver.arrive(NetworkDriver.frame(1299, vlan: 5))
        #expect(driver.backend.transport.waitingFrames == 0, driver.state)
        driver.arrive(NetworkDriver.frame(1294))
        driver.arrive(NetworkDriver.frame(1298, vlan: 5))
        #expect(driver.backend.transport.waitingFrames == 2, driver.state)
    }

    // MARK: Link and reset

    @Test("A link that is down passes no frame; when it is up again the driver is asked to announce itself")
    func link() {
        let driver = driver()
        let generation = driver.read(.configGeneration)
        driver.backend.change { $0.isLinkUp = false }
        #expect(driver.configuration(6, width: 2) == 0 && driver.acknowledge() == .configurationChange, driver.state)
        driver.send()
        driver.arrive(NetworkDriver.frame())
        #expect(driver.link.frames.isEmpty && driver.takeUsed(1).count == 1, driver.state)
        #expect(driver.backend.transport.waitingFrames == 0, driver.state)
        driver.backend.change { $0.isLinkUp = true }
        #expect(driver.configuration(6, width: 2) == 3, driver.state)
        #expect(driver.command(NetworkControl.Class.announce, 0) == 0, driver.state)
        #expect(driver.configuration(6, width: 2) == 1 && driver.read(.configGeneration) != generation, driver.state)
    }

    @Test("Before DRIVER_OK frames are dropped, and a reset forgets those that wait, and the driver's settings")
    func reset() {
        let driver = NetworkDriver(pairs: 2)
        driver.bringUp(to: .queues)
        driver.arrive(NetworkDriver.frame())
        driver.write(.status, 0x0f)
        #expect(driver.backend.transport.waitingFrames == 0, driver.state)
        driver.arrive(NetworkDriver.frame())
        driver.command(NetworkControl.Class.mac, 1, [2, 0, 0, 0, 0, 9])
        #expect(driver.configuration(5, width: 1) == 9 && driver.backend.transport.waitingFrames == 1, driver.state)
        let generation = driver.read(.configGeneration)
        driver.bringUp()
        #expect(driver.read(.configGeneration) != generation, driver.state)
        #expect(driver.configuration(5, width: 1) == 0x56 && driver.backend.transport.waitingFrames == 0, driver.state)
    }
}

extension NetworkDriver {
    static func bytes(_ header: FrameHeader) -> [UInt8] {
        let bytes = header.bytes
        return bytes.indices.map { bytes[$0] }
    }
}
