// A snapshot of a device as bytes, for a file. Little-endian, without padding; an optional value is a byte, 0 or 1, and the value behind
// a 1. The host's format has a version and a digest: this one checks only what the model relies on.

import VirtioABI

extension MMIOTransport where Device: ~Copyable {
    /// The device's snapshot as bytes; nil while requests are in flight.
    public func snapshotBytes() -> [UInt8]? {
        guard let snapshot = snapshot() else { return nil }
        var bytes: [UInt8] = []
        snapshot.lifecycle.append(to: &bytes)
        bytes.append(littleEndian: snapshot.interruptStatus.rawValue)
        bytes.append(littleEndian: snapshot.driverFeatures.rawValue)
        snapshot.driverFeaturesHigh.append(to: &bytes)
        for word in [
            snapshot.deviceFeaturesSel, snapshot.driverFeaturesSel, snapshot.queueSel, snapshot.shmSel,
            snapshot.generation,
        ] { bytes.append(littleEndian: word) }
        bytes.append(littleEndian: Device.word(of: snapshot.configuration))
        bytes.append(optional: snapshot.staged.map { Device.word(of: $0) })
        bytes.append((snapshot.reportedDeferred ? 1 : 0) | (snapshot.changedBeforeLive ? 2 : 0))
        bytes.append(UInt8(snapshot.queues.count))
        for queue in snapshot.queues { queue.append(to: &bytes) }
        bytes.append(littleEndian: UInt32(snapshot.device.count))
        return bytes + snapshot.device
    }

    /// Continues the snapshot `bytes`, as `restore` does. Returns nil, and changes nothing, if they are no snapshot of a device with
    /// this one's queues, dialect and features.
    public mutating func restore(bytes: [UInt8]) throws(QueueFault) -> Effects? {
        guard let snapshot = decode(bytes) else { return nil }
        memory.recorder.recordInput(bytes.span, .restore)
        defer { closeCall() }
        return try restore(snapshot)
    }

    private func decode(_ bytes: [UInt8]) -> Snapshot<Device.Configuration>? {
        var reader = SnapshotReader(rest: bytes[...])
        guard let lifecycle = Lifecycle(dialect: lifecycle.dialect, pollsReset: lifecycle.pollsReset, &reader),
            let interrupts: UInt32 = reader.take(),
            let features: UInt64 = reader.take(), let high = HighFeatureWords(&reader),
            let deviceFeaturesSel: UInt32 = reader.take(), let driverFeaturesSel: UInt32 = reader.take(),
            let queueSel: UInt32 = reader.take(), let shmSel: UInt32 = reader.take(),
            let generation: UInt32 = reader.take(), let word: UInt64 = reader.take(),
            let staged: UInt64? = reader.takeOptional(), let notices: UInt8 = reader.take(), notices < 4,
            let count: UInt8 = reader.take(), Int(count) == queueCount
        else { return nil }
        let driverFeatures = Features(rawValue: features)
        guard !lifecycle.featuresLocked || driverFeatures.isSubset(of: offered) && high.isEmpty else { return nil }
        var saved: [QueueSnapshot] = []
        for index in 0..<queueCount {
            let sizeMax = queues[index].configuration.sizeMax
            guard let queue = QueueSnapshot(sizeMax: sizeMax, driverFeatures, &reader) else { return nil }
            saved.append(queue)
        }
        guard let length: UInt32 = reader.take(), reader.rest.count == Int(length) else { return nil }
        return Snapshot(
            lifecycle: lifecycle, interruptStatus: InterruptStatus(rawValue: interrupts & 3),
            driverFeatures: driverFeatures, driverFeaturesHigh: high, deviceFeaturesSel: deviceFeaturesSel,
            driverFeaturesSel: driverFeaturesSel, queueSel: queueSel, shmSel: shmSel, queues: saved,
            configuration: device.configuration(of: word), staged: staged.map { device.configuration(of: $0) },
            generation: generation, reportedDeferred: notices & 1 != 0, changedBeforeLive: notices & 2 != 0,
            device: Array(reader.rest))
    }
}

extension QueueSnapshot {
    fileprivate func append(to bytes: inout [UInt8]) {
        bytes.append(littleEndian: epoch)
        bytes.append(littleEndian: configuration.size)
        for address in [configuration.descriptors, configuration.driver, configuration.device] {
            bytes.append(littleEndian: address)
        }
        bytes.append(ending.rawValue)
        bytes.append(optional: drainLeft)
        bytes.append(positions == nil ? 0 : 1)
        guard let positions else { return }
        for position in [positions.available, positions.used, positions.notified] {
            bytes.append(littleEndian: position.count)
            bytes.append(littleEndian: position.slot)
            bytes.append(position.wrap ? 1 : 0)
        }
        bytes.append(littleEndian: UInt16(finished.count))
        for chain in finished {
            bytes.append(littleEndian: chain.id)
            bytes.append(littleEndian: chain.slots)
            bytes.append(optional: chain.reply?.address)
            if let reply = chain.reply { bytes.append(littleEndian: UInt64(reply.room)) }
            switch chain.answer {
            case .outcome(let outcome):
                bytes.append(outcome.result.rawValue)
                bytes.append(littleEndian: UInt64(outcome.written))
            case .written(let length):
                bytes.append(Self.written)
                bytes.append(littleEndian: length.word)
            }
        }
    }

    /// Stands for an answer that the device gave, where a result of the backend would stand.
    private static var written: UInt8 { 0xff }

    fileprivate init?(sizeMax: UInt16, _ features: Features, _ reader: inout SnapshotReader) {
        var configuration = QueueConfiguration(sizeMax: sizeMax)
        guard let epoch: UInt32 = reader.take(), let size: UInt32 = reader.take(),
            let descriptors: UInt64 = reader.take(), let driver: UInt64 = reader.take(),
            let device: UInt64 = reader.take(), let code: UInt8 = reader.take(),
            let ending = QueueEnding(rawValue: code), let drainLeft: UInt16? = reader.takeOptional(),
            let isLive = reader.takeFlag()
        else { return nil }
        (configuration.size, configuration.descriptors) = (size, descriptors)
        (configuration.driver, configuration.device) = (driver, device)
        var positions: RingPositions?
        var chains: [Finished] = []
        if isLive {
            guard size <= UInt32(sizeMax), let available = Self.position(size, &reader),
                let used = Self.position(size, &reader), let notified = Self.position(size, &reader),
                let count: UInt16 = reader.take(), UInt32(count) <= size
            else { return nil }
            positions = RingPositions(available: available, used: used, notified: notified)
            for _ in 0..<count {
                guard let chain = Self.finished(size, &reader) else { return nil }
                chains.append(chain)
            }
            let slots = chains.reduce(0) { $0 + UInt32($1.slots) }
            guard slots <= size else { return nil }
        }
        self.init(
            epoch: epoch, configuration: configuration, positions: positions, finished: chains, ending: ending,
            drainLeft: drainLeft)
    }

    private static func position(_ size: UInt32, _ reader: inout SnapshotReader) -> RingPosition? {
        guard let count: UInt16 = reader.take(), let slot: UInt16 = reader.take(), let wrap = reader.takeFlag(),
            UInt32(slot) < size
        else { return nil }
        return RingPosition(count: count, slot: slot, wrap: wrap)
    }

    private static func finished(_ size: UInt32, _ reader: inout SnapshotReader) -> Finished? {
        guard let id: UInt16 = reader.take(), let slots: UInt16 = reader.take(), 1...size ~= UInt32(slots),
            let address: UInt64? = reader.takeOptional()
        else { return nil }
        var reply: (address: UInt64, room: Int)?
        if let address {
            guard let room: UInt64 = reader.take(), room <= 1 << 32 else { return nil }
            reply = (address, Int(room))
        }
        guard let code: UInt8 = reader.take(), let value: UInt64 = reader.take() else { return nil }
        if code == written {
            return Finished(
                id: id, slots: slots, reply: reply, answer: .written(UsedLength(word: value & 0x1_ffff_ffff)))
        }
        guard let result = Outcome.Result(rawValue: code), value <= UInt64(UInt32.max) else { return nil }
        return Finished(
            id: id, slots: slots, reply: reply, answer: .outcome(Outcome(result, written: UInt32(value))))
    }
}

extension Lifecycle {
    fileprivate func append(to bytes: inout [UInt8]) {
        let code: UInt8 =
            switch phase {
            case .notLive: 0
            case .running: 1
            case .suspending: 2
            case .suspended: 3
            case .resuming: 4
            case .dead(let suspended): suspended ? 6 : 5
            case .resetting: preconditionFailure("a reset in progress has no snapshot")
            }
        bytes += [code, bits.rawValue, suspendNegotiated ? 1 : 0, latchedError ? 1 : 0]
    }

    fileprivate init?(dialect: SuspendDialect?, pollsReset: Bool, _ reader: inout SnapshotReader) {
        let phases: [Phase] = [
            .notLive, .running, .suspending, .suspended, .resuming, .dead(suspended: false), .dead(suspended: true),
        ]
        guard let code: UInt8 = reader.take(), Int(code) < phases.count, let bits: UInt8 = reader.take(),
            let negotiated = reader.takeFlag(), let latched = reader.takeFlag(), !negotiated || dialect != nil,
            negotiated || !(2...4 ~= code || code == 6)
        else { return nil }
        let visible: DeviceStatus = [.acknowledge, .driver, .featuresOK, .driverOK, .failed]
        self.init(
            dialect: dialect, pollsReset: pollsReset, negotiated: negotiated, phase: phases[Int(code)],
            latchedError: latched,
            bits: DeviceStatus(rawValue: bits).intersection(visible))
    }
}

extension HighFeatureWords {
    fileprivate func append(to bytes: inout [UInt8]) {
        for selector in nonZero { bytes.append(littleEndian: selector) }
    }

    fileprivate init?(_ reader: inout SnapshotReader) {
        var selectors = InlineArray<5, UInt32>(repeating: 0)
        for index in selectors.indices {
            guard let selector: UInt32 = reader.take() else { return nil }
            selectors[index] = selector
        }
        self.init(nonZero: selectors)
    }
}

extension [UInt8] {
    fileprivate mutating func append<Value: FixedWidthInteger>(optional value: Value?) {
        append(value == nil ? 0 : 1)
        if let value { append(littleEndian: value) }
    }
}

/// Reads a snapshot's bytes; nil where they end, or are none of a snapshot.
private struct SnapshotReader {
    var rest: ArraySlice<UInt8>

    mutating func take<Value: FixedWidthInteger>() -> Value? {
        rest.count >= Value.bitWidth / 8 ? rest.removeLittleEndian() : nil
    }

    mutating func takeFlag() -> Bool? {
        guard let byte: UInt8 = take(), byte < 2 else { return nil }
        return byte == 1
    }

    mutating func takeOptional<Value: FixedWidthInteger>() -> Value?? {
        guard let isThere = takeFlag() else { return .none }
        guard isThere else { return .some(nil) }
        guard let value: Value = take() else { return .none }
        return .some(value)
    }
}
