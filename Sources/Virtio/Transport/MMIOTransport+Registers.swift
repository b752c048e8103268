// The register file (VIRTIO 1.4, 4.2.2). Control registers take aligned accesses of 32 bits; the configuration space
// takes 1, 2 and 4 bytes by field, and 8 as two halves (4.2.2.2). Any other access is a driver error: reads return 0,
// writes do nothing, nothing traps. The conformance checks record the violation.

import VirtioABI

extension MMIOTransport where Device: ~Copyable {
    /// The driver reads `width` bytes (1, 2, 4 or 8) at `offset` of the device's window.
    #if !hasFeature(Embedded)
        @_specialize(exported:true,where Device == Block)
        @_specialize(exported:true,where Device == Console)
        @_specialize(exported:true,where Device == Entropy)
        @_specialize(exported:true,where Device == Network)
    #endif
    public mutating func read(at offset: UInt64, width: Int) -> UInt64 {
        let mark = memory.recorder.mark
        let value = readWindow(at: offset, width: width)
        memory.recorder.record(
            .read(offset: UInt16(truncatingIfNeeded: offset), width: UInt8(truncatingIfNeeded: width), value: value),
            at: mark)
        closeCall()
        return value
    }

    private mutating func readWindow(at offset: UInt64, width: Int) -> UInt64 {
        if offset >= UInt64(Register.configuration) {
            guard let field = configurationField(at: offset, width: width) else { return 0 }
            checkConfigurationAccess(at: field, width: width, written: nil)
            let value = device.bytes(of: passing ?? configuration).load(at: field, width: width)
            if isTortured { changeAfterRead() }
            return value
        }
        guard let register = register(at: offset, width: width) else { return unused(width) }
        check(.registerReadable, register.direction != .write, at: offset)
        return register.direction == .write ? unused(width) : UInt64(read(register))
    }

    /// What `width` bytes read that are no register a driver may read: 0, or under torture anything.
    private mutating func unused(_ width: Int) -> UInt64 {
        torture?.word(.unused).map { $0 & ~(.max << (8 * width)) } ?? 0
    }

    private mutating func read(_ register: Register) -> UInt32 {
        checkRegisterRead(register)
        switch register {
        case .magicValue: return Register.magic
        case .version: return version.rawValue
        case .deviceID: return Device.deviceID
        case .vendorID: return Self.vendorID
        case .deviceFeatures: return offered.word(deviceFeaturesSel)
        case .queueSizeMax: return selectedQueue.map { UInt32(queueSizeMax($0)) } ?? 0
        case .queueReady: return selectedQueue.map { queues[$0].isReady ? 1 : 0 } ?? 0
        case .interruptStatus: return interruptStatus.rawValue
        case .status: return UInt32(lifecycle.status.rawValue)
        // No shared memory region: length and base read all ones (4.2.2, SHMLen).
        case .shmLenLow, .shmLenHigh, .shmBaseLow, .shmBaseHigh: return .max
        case .queueReset: return selectedQueue.map { queues[$0].isResetting ? 1 : 0 } ?? 0
        case .configGeneration:
            if isTortured { endChangeBeforeGeneration() }
            return generation &+ device.configurationEdits
        case .deviceFeaturesSel, .driverFeatures, .driverFeaturesSel, .queueSel, .queueSize, .queueNotify,
            .interruptACK, .queueDescLow, .queueDescHigh, .queueDriverLow, .queueDriverHigh, .queueDeviceLow,
            .queueDeviceHigh, .shmSel:
            return 0
        }
    }

    /// QueueSizeMax of queue `index`: a size that is not a power of 2 is for a packed ring (2.7, 2.8).
    private func queueSizeMax(_ index: Int) -> UInt16 {
        let most = queues[index].configuration.sizeMax
        guard most > 0, !driverFeatures.contains(.ringPacked) else { return most }
        return 1 << UInt16(15 - most.leadingZeroBitCount)
    }

    /// The driver writes `width` bytes (1, 2, 4 or 8) at `offset` of the device's window.
    #if !hasFeature(Embedded)
        @_specialize(exported:true,where Device == Block)
        @_specialize(exported:true,where Device == Console)
        @_specialize(exported:true,where Device == Entropy)
        @_specialize(exported:true,where Device == Network)
    #endif
    public mutating func write(at offset: UInt64, width: Int, value: UInt64) -> Effects {
        memory.recorder.record(
            .write(offset: UInt16(truncatingIfNeeded: offset), width: UInt8(truncatingIfNeeded: width), value: value))
        defer { closeCall() }
        if offset >= UInt64(Register.configuration) {
            return writeConfiguration(at: offset, width: width, value: value)
        }
        guard let register = register(at: offset, width: width) else { return Effects() }
        let value = UInt32(truncatingIfNeeded: value)
        check(.registerWritable, register.direction != .read, at: offset, value: UInt64(value))
        checkRegisterWrite(register, value)
        switch register {
        case .status: return writeStatus(value)
        // Never gated on DRIVER_OK, which a suspended 1.4 device does not show (D-6, H-3).
        case .interruptACK: acknowledge(InterruptStatus(rawValue: value))
        case .queueNotify: return notify(value)
        default:
            if register.direction != .read, !lifecycle.isResetting,
                !lifecycle.isFrozen || passes(register, value)
            {
                return set(register, to: value)
            }
        }
        return Effects()
    }

    private mutating func acknowledge(_ events: InterruptStatus) {
        interruptStatus.subtract(events)
        acknowledged = events
        acknowledgements += 1
    }

    /// Whether a suspended device accepts the write: selectors, and the stop or reset of a queue (D-5, D-16). Without
    /// the selectors a write to QueueReset would reset another queue than the driver selected (4.2.2, QueueSel).
    private func passes(_ register: Register, _ value: UInt32) -> Bool {
        switch register {
        case .deviceFeaturesSel, .driverFeaturesSel, .queueSel, .shmSel, .queueReset: true
        case .queueReady: value & 1 == 0
        default: false
        }
    }

    /// Writes a register other than Status, InterruptACK and QueueNotify.
    private mutating func set(_ register: Register, to value: UInt32) -> Effects {
        switch register {
        case .deviceFeaturesSel: deviceFeaturesSel = value
        case .driverFeaturesSel: driverFeaturesSel = value
        case .queueSel: queueSel = value
        case .shmSel: shmSel = value
        case .driverFeatures: setDriverFeatures(value)
        case .queueReady: return setQueueReady(value)
        case .queueReset: return setQueueReset(value)
        case .queueSize: configureQueue { $0.size = value }
        case .queueDescLow: configureQueue { $0.descriptors.setLow(value) }
        case .queueDescHigh: configureQueue { $0.descriptors.setHigh(value) }
        case .queueDriverLow: configureQueue { $0.driver.setLow(value) }
        case .queueDriverHigh: configureQueue { $0.driver.setHigh(value) }
        case .queueDeviceLow: configureQueue { $0.device.setLow(value) }
        case .queueDeviceHigh: configureQueue { $0.device.setHigh(value) }
        default: break
        }
        return Effects()
    }

    /// DriverFeatures: accepted only between DRIVER and FEATURES_OK (3.1.1).
    private mutating func setDriverFeatures(_ value: UInt32) {
        guard lifecycle.hasDriver, !lifecycle.featuresLocked, !isDead else { return }
        driverFeatures = driverFeatures.replacing(word: driverFeaturesSel, with: value)
        driverFeaturesHigh.set(driverFeaturesSel, to: value)
    }

    /// A queue's registers change only while it is not ready (MM-11) and the device is healthy.
    private mutating func configureQueue(_ edit: (inout QueueConfiguration) -> Void) {
        guard let index = selectedQueue, !queues[index].isReady, !isDead else { return }
        edit(&queues[index].configuration)
    }

    /// QueueReady (4.2.3.2): 1 checks the queue and makes it live; 0 stops it, and the register reads 0 when no request
    /// of the queue is in flight. A driver may stop a queue of a dead device, and waits for it.
    private mutating func setQueueReady(_ value: UInt32) -> Effects {
        guard let index = selectedQueue, lifecycle.featuresLocked else { return Effects() }
        if value & 1 == 0 { return queues[index].isReady ? endQueue(index, as: .disabled) : Effects() }
        guard !queues[index].isReady, !isDead else { return Effects() }
        do throws(QueueFault) {
            let queue = try LiveQueue(
                queues[index].configuration, driverFeatures, in: memory, checksDriver: conformance.isOn)
            queues[index].begin(queue)
            checkNewQueue(index)
            switch lifecycle.phase {
            case .running: break
            // A drain in progress did not count this queue when it began.
            case .suspending: if lifecycle.dialect == .draft { limitDrain(index) }
            default: return Effects()
            }
            return serveFromNowOn(QueueSet(queue: index))
        } catch {
            return fault(error, queue: index)
        }
    }

    /// QueueReset (4.2.2; 2.6.1): 1 returns the queue to its initial state. No effect without VIRTIO_F_RING_RESET.
    private mutating func setQueueReset(_ value: UInt32) -> Effects {
        guard let index = selectedQueue, lifecycle.featuresLocked, driverFeatures.contains(.ringReset),
            value & 1 != 0
        else { return Effects() }
        return endQueue(index, as: .reset)
    }

    private mutating func writeConfiguration(at offset: UInt64, width: Int, value: UInt64) -> Effects {
        guard let offset = configurationField(at: offset, width: width) else { return Effects() }
        checkConfigurationAccess(at: offset, width: width, written: value)
        var effects = writeField(UInt32(truncatingIfNeeded: value), at: offset, width: min(width, 4))
        if width == 8 {
            effects.merge(writeField(UInt32(truncatingIfNeeded: value >> 32), at: offset + 4, width: 4))
        }
        return effects
    }

    /// Writes a configuration field, if the lifecycle and the device type permit it. Emergency output works before
    /// initialisation and in a dead device (5.3.4), and while suspended only in 1.4 (D-15).
    private mutating func writeField(_ value: UInt32, at offset: Int, width: Int) -> Effects {
        var effects = Effects()
        if !(lifecycle.isFrozen && lifecycle.dialect == .draft), let byte = device.emergencyByte(value, at: offset) {
            effects.emergency = byte
        } else if !lifecycle.isFrozen, lifecycle.featuresLocked, !isDead, !lifecycle.isResetting {
            let isWritable = device.writeConfiguration(value, at: offset, width: width)
            check(
                .fieldWritable, isWritable, at: UInt64(offset) + UInt64(Register.configuration), value: UInt64(value)
            )
        }
        return effects
    }

    /// The offset in the configuration space that an access refers to, or nil for an invalid access.
    private mutating func configurationField(at offset: UInt64, width: Int) -> Int? {
        guard offset < Register.window, width.nonzeroBitCount == 1, width <= 8, offset % UInt64(min(width, 4)) == 0
        else {
            check(.fieldWidth, false, at: offset, value: UInt64(width))
            return nil
        }
        return Int(offset) - Int(Register.configuration)
    }

    /// The register that an access refers to, or nil for an invalid access.
    private mutating func register(at offset: UInt64, width: Int) -> Register? {
        let isWord = width == 4 && offset % 4 == 0
        check(.registerWidth, isWord, at: offset, value: UInt64(width))
        guard isWord else { return nil }
        let register = Register(rawValue: UInt32(offset))
        check(.registerDefined, register != nil, at: offset)
        return register
    }

    /// The queue that QueueSel selects, or nil if it does not exist.
    var selectedQueue: Int? { exists(queueSel) ? Int(queueSel) : nil }

    /// Whether queue `index` exists for the driver: some queues depend on a feature that it must accept.
    func exists(_ index: UInt32) -> Bool {
        index < UInt32(lifecycle.featuresLocked ? device.queueCount(driverFeatures) : queueCount)
    }
}
