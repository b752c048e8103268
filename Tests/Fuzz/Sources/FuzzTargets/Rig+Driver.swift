// A driver that follows the specification: it initialises the device, and checks after each input that the device still
// works.

import Virtio
import VirtioABI

extension Rig where Device: ~Copyable {
    /// The features that the driver accepts: those offered features that `choice` selects, with the dialect's SUSPEND
    /// unless bit 15 is set.
    func features(_ choice: UInt16, packed: Bool) -> Features {
        var features: Features = [.version1]
        let optional: [Features] = [
            .ringReset, .indirectDescriptors, .eventIndex, .inOrder, .notificationData, BlockFeature.flush,
            BlockFeature.multiqueue, ConsoleFeature.multiport, BlockFeature.configWCE, BlockFeature.discard,
            BlockFeature.writeZeroes, ConsoleFeature.size, ConsoleFeature.emergencyWrite,
        ]
        for (bit, feature) in optional.enumerated() where choice & 1 << UInt16(bit) != 0 { features.formUnion(feature) }
        if Device.deviceID == DeviceID.network {
            // Bit 13: no control queue and no queue pairs. Bit 14: no merged buffers and no offloads.
            var own = Device.features
            if choice & 1 << 13 != 0 { own.subtract([NetworkFeature.controlQueue, NetworkFeature.multiqueue]) }
            if choice & 1 << 14 != 0 { own.subtract(Network.offloads.union(NetworkFeature.mergeableBuffers)) }
            features.formUnion(own)
        }
        if packed { features.insert(.ringPacked) }
        if choice & 0x8000 == 0, let dialect = options.dialect { features.insert(dialect.feature) }
        return features.intersection(transport.offered)
    }

    /// Resets the device. In version 3 of virtio-mmio the reset is over when the backend has ended its requests, under torture later.
    func reset() {
        write(.status, 0)
        while transport.lifecycle.phase == .resetting, !pending.isEmpty { finish(0) }
        passDelays()
        require(read(.status) == 0, "a reset does not end")
    }

    /// Reports that time passed, until nothing is put off any more.
    func passDelays() {
        var left = 100
        while transport.isDelayed, left > 0 {
            call { $0.delayPassed() }
            left -= 1
        }
        require(left > 0, "what is put off does not go on")
    }

    /// Resets and initialises the device, with queues of `size` entries. Returns the rings of the queues that exist
    /// with these features.
    func bringUp(_ features: Features, size: UInt16) -> [Ring] {
        reset()
        for status: UInt32 in [1, 3] { write(.status, status) }
        for word: UInt32 in 0..<2 {
            write(.driverFeaturesSel, word)
            write(.driverFeatures, features.word(word))
        }
        write(.status, 0x0b)
        require(read(.status) == 0x0b, "FEATURES_OK refused")
        var rings: [Ring] = []
        for index in queues.indices {
            write(.queueSel, UInt32(index))
            if read(.queueSizeMax) == 0 { break }
            rings.append(setUp(index, size: size, packed: features.contains(.ringPacked)))
        }
        write(.status, 0x0f)
        require(read(.status) == 0x0f, "DRIVER_OK refused")
        require(transport.readyQueues.rawValue == 1 << UInt32(rings.count) - 1, "not every queue is ready")
        return rings
    }

    /// Makes queue `index` ready, in fresh memory, with `size` entries or as many as it may have.
    func setUp(_ index: Int, size: UInt16, packed: Bool) -> Ring {
        write(.queueSel, UInt32(index))
        let most = UInt16(read(.queueSizeMax))
        let size = min(size, packed ? most : 1 << (15 - UInt16(most.leadingZeroBitCount)))
        let ring = Ring(index, packed: packed, size: size, ram: ram)
        write(.queueSize, UInt32(size))
        let areas: [(Register, Register, UInt64)] = [
            (.queueDescLow, .queueDescHigh, ring.descriptors), (.queueDriverLow, .queueDriverHigh, ring.driver),
            (.queueDeviceLow, .queueDeviceHigh, ring.device),
        ]
        for (low, high, address) in areas {
            write(low, UInt32(truncatingIfNeeded: address))
            write(high, UInt32(truncatingIfNeeded: address >> 32))
        }
        write(.queueReady, 1)
        return ring
    }

    /// Sends an available buffer notification for queue `index`; with VIRTIO_F_NOTIFICATION_DATA it contains `next`.
    func notify(_ index: Int, next: UInt16 = 0) {
        let data = driverFeatures.contains(.notificationData) ? UInt32(next) << 16 : 0
        write(.queueNotify, UInt32(index) | data)
    }

    /// Serves queues and completes requests until none are left.
    func complete() {
        for _ in 0..<64 {
            serve()
            while !pending.isEmpty { finish(0) }
            passDelays()
            if pending.isEmpty, pendingQueues.isEmpty { return }
        }
        require(false, "new requests after 64 rounds without a notification")
    }

    /// Checks that the device works after a reset, whatever the driver did before: each queue returns a chain of a
    /// readable and a writable descriptor, which every device type accepts.
    func checkHealth(packed: Bool, choice: UInt16) {
        reset()
        while !pending.isEmpty { finish(0) }
        // A queue of one entry takes two buffers in an indirect table.
        let indirect: UInt16 = options.torture == nil ? 0 : 1 << 1
        var rings = bringUp(features(choice | indirect, packed: packed), size: 4)
        let buffer: UInt64 = 0x4000
        let parts = [
            Part(address: buffer + 16, count: 16, writable: false), Part(address: buffer, count: 16, writable: true),
        ]
        ram.fill(0, at: buffer + 16, count: 16)
        for index in rings.indices {
            let added = rings[index].add(parts, indirect: rings[index].size < 2)
            guard added != nil else { return require(false, "a fresh ring is full") }
            notify(index, next: rings[index].nextAvailable)
        }
        complete()
        require(read(.status) == 0x0f, "after legal requests Status reads \(read(.status))")
        require(transport.interruptStatus.contains(.usedBuffer), "no used buffer notification after a reset")
        for index in rings.indices where Device.returnsEveryBuffer(queue: index) {
            require(rings[index].takeUsed().count == 1, "a legal request is not completed after a reset")
        }
        write(.interruptACK, 3)
        require(!transport.interruptAsserted, "an acknowledged interrupt stays")
    }
}
