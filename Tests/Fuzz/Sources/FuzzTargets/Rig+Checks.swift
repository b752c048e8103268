// The invariants after every call. Each is a statement of the specification or of this project's decisions on SUSPEND.

import Virtio
import VirtioABI

extension Rig where Device: ~Copyable {
    // MARK: Mirrors

    /// Whether a device in the state `before` accepts a write of a mirrored register (MM-11, D-5, 3.1.1).
    func accepts(_ register: Register, _ value: UInt32, _ before: TransportState) -> Bool {
        let isLocked = before.status.contains(.featuresOK)
        switch register {
        case _ where before.phase == .resetting: return false
        case .queueSel, .driverFeaturesSel: return true
        case .driverFeatures: return before.status.contains(.driver) && !isLocked && !before.isDead
        case .queueReset:
            return isLocked && transport.inspect().driverFeatures.contains(.ringReset) && value & 1 != 0
        default:
            let isReady = queueSel < 32 && before.ready.contains(QueueSet(queue: Int(queueSel)))
            return !before.isFrozen && !before.isDead && !isReady
        }
    }

    /// Mirrors a register write that the model accepts.
    func mirror(_ register: Register, _ value: UInt32) {
        switch register {
        case .queueSel: queueSel = value
        case .driverFeaturesSel: driverFeaturesSel = value
        case .driverFeatures: driverFeatures = driverFeatures.replacing(word: driverFeaturesSel, with: value)
        default: mirrorQueue(register, value)
        }
    }

    private func mirrorQueue(_ register: Register, _ value: UInt32) {
        guard queueSel < UInt32(queues.count) else { return }
        editQueue(Int(queueSel)) { queue in
            switch register {
            case .queueSize: queue.areas.size = value
            case .queueDescLow: queue.areas.descriptors = queue.areas.descriptors & ~0xffff_ffff | UInt64(value)
            case .queueDescHigh: queue.areas.descriptors = queue.areas.descriptors & 0xffff_ffff | UInt64(value) << 32
            case .queueDriverLow: queue.areas.driver = queue.areas.driver & ~0xffff_ffff | UInt64(value)
            case .queueDriverHigh: queue.areas.driver = queue.areas.driver & 0xffff_ffff | UInt64(value) << 32
            case .queueDeviceLow: queue.areas.device = queue.areas.device & ~0xffff_ffff | UInt64(value)
            case .queueDeviceHigh: queue.areas.device = queue.areas.device & 0xffff_ffff | UInt64(value) << 32
            case .queueReset where queue.live == nil: queue.areas = QueueMirror.Areas()
            case .queueReset: queue.resetting = true
            default: break
            }
        }
    }

    /// Updates the mirror after a call that changed the queues or reset the device.
    func track(_ before: TransportState, _ after: TransportState) {
        let wasReset = after.status.isEmpty && !before.status.isEmpty
        if wasReset {
            (driverFeatures, queueSel, driverFeaturesSel) = ([], 0, 0)
            for index in queues.indices { editQueue(index) { $0 = QueueMirror() } }
            ram.clearWritable()
        }
        let changed = before.ready.symmetricDifference(after.ready)
        changed.forEach { index in
            let packed = driverFeatures.contains(.ringPacked)
            editQueue(index) { queue in
                if after.ready.contains(QueueSet(queue: index)) {
                    (queue.live, queue.packed, queue.usedIndex) = (queue.areas, packed, 0)
                } else if !wasReset {
                    let wasResetting = queue.resetting
                    queue.live = nil
                    queue.resetting = false
                    if wasResetting { queue.areas = QueueMirror.Areas() }
                }
            }
        }
    }

    // MARK: Memory

    /// Marks the memory that the driver lets the device write: the buffers of all device-writable descriptors of queue
    /// `index` and of its indirect tables.
    func markWritableBuffers(_ index: Int) {
        guard let areas = queues[index].live else { return }
        let packed = queues[index].packed
        for slot in 0..<UInt64(areas.size) {
            let descriptor = areas.descriptors + 16 * slot
            let (address, count, flags) = descriptorFields(descriptor, packed)
            if flags & 2 != 0 { ram.markWritable(address, UInt64(count)) }
            guard flags & 4 != 0, driverFeatures.contains(.indirectDescriptors) else { continue }
            for entry in 0..<UInt64(min(count / 16, 4096)) {
                let (address, count, flags) = descriptorFields(address &+ 16 * entry, packed)
                if flags & 2 != 0 { ram.markWritable(address, UInt64(count)) }
            }
        }
    }

    private func descriptorFields(_ at: UInt64, _ packed: Bool) -> (address: UInt64, count: UInt32, flags: UInt16) {
        (ram.load(at: at), ram.load(at: at &+ 8), ram.load(at: at &+ (packed ? 14 : 12)))
    }

    /// Checks that every byte that changed is one that the device may write in this phase, and that a used buffer
    /// notification was sent if the driver wants it.
    func checkMemory(_ before: TransportState, _ after: TransportState) {
        let changes = ram.changes()
        if changes.isEmpty { return }
        require(before.phase != .notLive, "memory written before DRIVER_OK")
        require(!before.isDead, "memory written by a device that needs a reset")
        require(!before.isFrozen || after.phase == .running, "memory written by a suspended device")
        let indices = queues.indices.map { ram.load(UInt16.self, at: (queues[$0].live?.device ?? 0) &+ 2) }
        for address in changes where !ram.isWritable(address) {
            let allowed = queues.indices.contains { isRing($0, address, indices[$0]) }
            require(allowed, "memory written at \(String(address, radix: 16))")
        }
        let packedUsed = queues.indices.filter { index in changes.contains { isPackedFlag(index, $0) } }
        let wanted = queues.indices.map {
            queues[$0].packed
                ? packedWantsInterrupt($0, packedUsed.contains($0)) : splitWantsInterrupt($0, indices[$0])
        }
        let gained = after.interrupts.subtracting(before.interrupts).contains(.usedBuffer)
        require(
            !wanted.contains(true) || after.interrupts.contains(.usedBuffer), "a used buffer without a notification")
        let mayBeSpurious = options.torture != nil
        require(
            mayBeSpurious || !gained || !wanted.allSatisfy { $0 == false }, "a notification that the driver suppressed")
        for index in queues.indices { editQueue(index) { $0.usedIndex = indices[index] } }
    }

    /// Whether the driver wants a notification of what was used in split queue `index`; nil if its words may have
    /// changed meanwhile.
    private func splitWantsInterrupt(_ index: Int, _ usedIndex: UInt16) -> Bool? {
        guard let areas = queues[index].live, usedIndex != queues[index].usedIndex else { return false }
        let event = areas.driver &+ 4 &+ 2 * UInt64(areas.size)
        for address in [areas.driver, event, areas.device &+ 2]
        where ram.isWritable(address) || ram.isWritable(address &+ 1) {
            return nil
        }
        if !driverFeatures.contains(.eventIndex) { return ram.load(UInt16.self, at: areas.driver) & 1 == 0 }
        let old = queues[index].usedIndex
        return ram.load(UInt16.self, at: event) &- old < usedIndex &- old
    }

    /// The same for a packed queue; nil also if the driver asks for a certain descriptor.
    private func packedWantsInterrupt(_ index: Int, _ changed: Bool) -> Bool? {
        guard let areas = queues[index].live else { return false }
        let flags = areas.driver &+ 2
        if ram.isWritable(flags) || ram.isWritable(flags &+ 1) { return nil }
        return switch ram.load(UInt16.self, at: flags) & 3 {
        case 0: changed ? true : nil
        case 1: false
        default: nil
        }
    }

    /// Whether `address` holds descriptor flags of packed queue `index`, and is in no device-writable buffer.
    private func isPackedFlag(_ index: Int, _ address: UInt64) -> Bool {
        guard queues[index].packed, let areas = queues[index].live, !ram.isWritable(address) else { return false }
        let offset = address &- areas.descriptors
        return offset < 16 * UInt64(areas.size) && offset % 16 >= 14
    }

    /// Whether the device may write `address` as part of queue `index`: in a split queue the used elements between the
    /// old and the new used index, and the index; in a packed queue length, id and flags of any descriptor. Event words
    /// only with VIRTIO_F_EVENT_IDX.
    private func isRing(_ index: Int, _ address: UInt64, _ usedIndex: UInt16) -> Bool {
        guard let areas = queues[index].live else { return false }
        let events = driverFeatures.contains(.eventIndex)
        let flags = address &- areas.device &- (queues[index].packed ? 2 : 0)
        if options.torture != nil, flags < 2 { return true }
        if queues[index].packed {
            let offset = address &- areas.descriptors
            if offset < 16 * UInt64(areas.size) && offset % 16 >= 8 { return true }
            return events && address &- areas.device < PackedRing.eventSize
        }
        let offset = address &- areas.device
        switch offset {
        case 2, 3: return true
        case 4..<(4 + 8 * UInt64(areas.size)):
            let slot = UInt16(truncatingIfNeeded: (offset - 4) / 8)
            let size = UInt16(truncatingIfNeeded: areas.size)
            let first = queues[index].usedIndex
            return (slot &- first) & (size &- 1) < usedIndex &- first
        case 4 + 8 * UInt64(areas.size), 5 + 8 * UInt64(areas.size): return events
        default: return false
        }
    }

    // MARK: Status and interrupts

    /// Checks the values of Status and InterruptStatus, and their change by one call.
    func checkStatusAndInterrupts(_ before: TransportState, _ after: TransportState) {
        let gained = after.interrupts.subtracting(before.interrupts)
        require(after.interrupts.rawValue & ~3 == 0, "an undefined bit of InterruptStatus")
        if !gained.isEmpty {
            require(before.phase != .notLive, "a notification before DRIVER_OK")
            require(!before.isDead, "a notification from a device that needs a reset")
            let failedResume = options.dialect == .draft && gained == .configurationChange && after.isDead
            require(
                !before.isFrozen || after.phase == .running || failedResume, "a notification from a suspended device")
        }
        let status = after.status
        require(status.rawValue & 0x20 == 0, "a reserved bit of Status")
        require(!status.contains(.driverOK) || status.contains(.featuresOK), "DRIVER_OK without FEATURES_OK")
        guard status.contains(.suspend) else { return }
        require(status.contains(.featuresOK), "SUSPEND without FEATURES_OK")
        switch options.dialect {
        case .draft: require(status.contains(.driverOK), "the draft's SUSPEND without DRIVER_OK")
        case .ratified: require(!status.contains(.driverOK), "1.4's SUSPEND with DRIVER_OK")
        case nil: require(false, "SUSPEND though it was not offered")
        }
        require(
            !status.contains(.needsReset) || options.dialect == .ratified,
            "SUSPEND with DEVICE_NEEDS_RESET in the draft")
        require(driverFeatures.contains(options.dialect?.feature ?? []), "SUSPEND though it was not negotiated")
    }

    /// Checks that a driver cannot clear a bit, except the draft's SUSPEND and by a reset.
    func checkStatusWrite(_ value: UInt32, _ old: DeviceStatus) {
        let new = transport.lifecycle.status
        if new.isEmpty || options.version == .two, value == 0 {
            require(
                new.isEmpty && transport.interruptStatus.isEmpty, "a reset leaves a bit in Status or InterruptStatus")
            require(transport.readyQueues.isEmpty && transport.requestsInFlight == 0, "a reset leaves a queue")
            return
        }
        let sticky: DeviceStatus = [.acknowledge, .driver, .featuresOK, .failed]
        require(old.intersection(sticky).isSubset(of: new), "a write of Status cleared a bit")
        let written = DeviceStatus(rawValue: UInt8(truncatingIfNeeded: value))
        require(new.intersection(sticky).isSubset(of: old.union(written)), "a write of Status set another bit")
    }

    /// Checks that the requests that the model counts as in flight are those that the backend has.
    func checkCount() {
        let wanted = pending.count { transport.isCurrent($0.token) }
        require(
            wanted == transport.requestsInFlight, "\(transport.requestsInFlight) in flight, the backend has \(wanted)")
    }
}
