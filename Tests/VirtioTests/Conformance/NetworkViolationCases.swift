// Violations of the clauses on the network device, and their legal neighbours.

import Testing
import Virtio
import VirtioABI

extension ViolationCase {
    private static func network(mtu: UInt16? = nil, pairs: Int = 1, withholding: Features = []) -> NetworkDriver {
        let driver = NetworkDriver(mtu: mtu, pairs: pairs, withholding: withholding)
        driver.bringUp()
        return driver
    }

    /// A transmitted frame whose header `edit` changes if the driver is bad.
    private static func transmitted(
        _ check: Check, _ name: String = "", length: Int = 60, withholding: Features = [],
        legal: @escaping @Sendable (inout FrameHeader) -> Void = { _ in },
        _ edit: @escaping @Sendable (inout FrameHeader) -> Void
    ) -> ViolationCase {
        ViolationCase(check, .chain(0, queue: 1), name) { bad in
            let driver = network(withholding: withholding)
            driver.send(NetworkDriver.frame(length), header: NetworkDriver.header(bad ? edit : legal))
            return driver
        }
    }

    /// A control command, and its legal form.
    private static func command(
        _ check: Check, _ name: String = "", pairs: Int = 1, withholding: Features = [], bad: [UInt8], legal: [UInt8]
    ) -> ViolationCase {
        ViolationCase(check, .chain(0, queue: pairs * 2), name) { isBad in
            let driver = network(pairs: pairs, withholding: isBad ? withholding : [])
            let bytes = isBad ? bad : legal
            driver.command(bytes[0], bytes[1], Array(bytes[2...]))
            return driver
        }
    }

    /// A TCP segment of IPv4.
    private static func segmented(_ header: inout FrameHeader) {
        (header.flags, header.segmentation, header.segmentSize) = (1, 1, 1448)
        (header.checksumStart, header.checksumOffset) = (34, 16)
    }

    static let network: [ViolationCase] = [
        ViolationCase(.frameWithinMTU, .chain(0, queue: 1)) { bad in
            let driver = network(mtu: 1280)
            driver.send(NetworkDriver.frame(bad ? 1299 : 1298))
            return driver
        },
        ViolationCase(.frameDirection, .chain(0, queue: 1), "to transmit") { bad in
            let driver = network()
            driver.send(room: bad ? 1 : 0)
            return driver
        },
        ViolationCase(.frameDirection, .chain(0), "to receive") { bad in
            let driver = network()
            driver.arrive(NetworkDriver.frame())
            driver.add(driver.parts(bad ? [0] : [], room: 1526), to: 0)
            return driver
        },
        ViolationCase(.frameWhole, .chain(0, queue: 1), "a header of 10 bytes") { bad in
            let driver = network()
            driver.send(
                [UInt8](repeating: 1, count: bad ? 12 : 14), header: Array(NetworkDriver.header().dropLast(bad ? 2 : 0))
            )
            return driver
        },
        ViolationCase(.frameWhole, .chain(0, queue: 1), "an Ethernet header cut short") { bad in
            let driver = network()
            driver.send([UInt8](repeating: 1, count: bad ? 13 : 14))
            return driver
        },
        transmitted(.bufferCountZero) { $0.bufferCount = 1 },
        transmitted(.frameFlagsZero, withholding: NetworkFeature.checksum) { $0.flags = 1 },
        transmitted(.receiveFlagsUnused) { $0.flags = 2 },
        transmitted(.receiveFlagsUnused, "RSC_INFO", legal: { ($0.flags, $0.checksumStart) = (1, 34) }) {
            ($0.flags, $0.checksumStart) = (5, 34)
        },
        transmitted(.segmentationNegotiated, legal: segmented) {
            segmented(&$0)
            $0.segmentation = 2
        },
        ViolationCase(.segmentationNegotiated, .chain(0, queue: 1), "a kind not negotiated") { bad in
            let driver = network(withholding: bad ? NetworkFeature.hostTSO4 : NetworkFeature.hostTSO6)
            driver.send(header: NetworkDriver.header(segmented))
            return driver
        },
        transmitted(.segmentationNeedsChecksum, legal: segmented) {
            segmented(&$0)
            $0.flags = 0
        },
        transmitted(.segmentSizeGiven, legal: segmented) {
            segmented(&$0)
            $0.segmentSize = 0
        },
        transmitted(
            .checksumInFrame, length: 60, legal: { ($0.flags, $0.checksumStart, $0.checksumOffset) = (1, 42, 16) }
        ) {
            ($0.flags, $0.checksumStart, $0.checksumOffset) = (1, 43, 16)
        },
        ViolationCase(.receiveBufferHoldsFrame, .chain(0)) { bad in
            let driver = network(withholding: [NetworkFeature.mergeableBuffers, NetworkFeature.guestChecksum])
            driver.arrive(NetworkDriver.frame())
            driver.post(bad ? 1525 : 1526)
            return driver
        },
        ViolationCase(.receiveBufferHoldsFrame, .chain(0), "with segmentation") { bad in
            let driver = network(withholding: NetworkFeature.mergeableBuffers)
            driver.arrive(NetworkDriver.frame())
            driver.post(bad ? 65600 : 65601)
            return driver
        },
        ViolationCase(.mergeableBufferHoldsHeader, .chain(0)) { bad in
            let driver = network()
            driver.arrive(NetworkDriver.frame())
            driver.post(bad ? 11 : 12)
            return driver
        },
        command(.commandFramed, "too long", bad: [0, 0, 1, 0], legal: [0, 0, 1]),
        command(.commandFramed, "cut short", bad: [2, 0, 5], legal: [2, 0, 5, 0]),
        ViolationCase(.commandFramed, .chain(0, queue: 2), "no room for the answer") { bad in
            let driver = network()
            driver.add(driver.parts([0, 0, 1], room: bad ? 0 : 1), to: 2)
            return driver
        },
        command(.receiveModeNegotiated, withholding: NetworkFeature.controlReceive, bad: [0, 1, 1], legal: [0, 1, 1]),
        command(
            .extraModeNegotiated, withholding: NetworkFeature.controlReceiveExtra, bad: [0, 2, 1], legal: [0, 2, 1]),
        command(
            .macCommandNegotiated, withholding: NetworkFeature.controlReceive, bad: [1, 1, 2, 0, 0, 0, 0, 1],
            legal: [1, 1, 2, 0, 0, 0, 0, 1]),
        command(
            .macTableWhole, "one table", bad: [1, 0, 0, 0, 0, 0], legal: [1, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        command(
            .macTableWhole, "a multicast address in the first table",
            bad: [1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0],
            legal: [1, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 1, 0, 0, 0, 0]),
        command(.queuePairsExist, "none", pairs: 2, bad: [4, 0, 0, 0], legal: [4, 0, 1, 0]),
        command(.queuePairsExist, "too many", pairs: 2, bad: [4, 0, 3, 0], legal: [4, 0, 2, 0]),
        ViolationCase(.transmitPairEnabled, .chain(0, queue: 3)) { bad in
            let driver = network(pairs: 2)
            if !bad { driver.command(4, 0, [2, 0]) }
            driver.send(pair: 1)
            return driver
        },
    ]
}
