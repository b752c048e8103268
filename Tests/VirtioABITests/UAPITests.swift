// Our numbers against those of the Linux UAPI headers. What the headers of Linux 6.1 do not define is pinned to the
// specification in NumbersTests.

import Testing
import UAPI
import VirtioABI

/// One number under two names.
struct Pin: CustomTestStringConvertible, Sendable {
    let testDescription: String
    let ours: UInt64
    let kernels: UInt64

    init(_ name: String, _ ours: some BinaryInteger, _ kernels: some BinaryInteger) {
        testDescription = name
        self.ours = UInt64(ours)
        self.kernels = UInt64(kernels)
    }

    /// A feature or a flag, which the headers number by its bit.
    init(_ name: String, _ ours: Features, bit: Int32) {
        self.init(name, ours.rawValue, UInt64(1) << UInt64(bit))
    }
}

@Suite("Linux UAPI")
struct UAPITests {
    static let registers: [(Register, Int32)] = [
        (.magicValue, VIRTIO_MMIO_MAGIC_VALUE), (.version, VIRTIO_MMIO_VERSION), (.deviceID, VIRTIO_MMIO_DEVICE_ID),
        (.vendorID, VIRTIO_MMIO_VENDOR_ID), (.deviceFeatures, VIRTIO_MMIO_DEVICE_FEATURES),
        (.deviceFeaturesSel, VIRTIO_MMIO_DEVICE_FEATURES_SEL), (.driverFeatures, VIRTIO_MMIO_DRIVER_FEATURES),
        (.driverFeaturesSel, VIRTIO_MMIO_DRIVER_FEATURES_SEL), (.queueSel, VIRTIO_MMIO_QUEUE_SEL),
        (.queueSizeMax, VIRTIO_MMIO_QUEUE_NUM_MAX), (.queueSize, VIRTIO_MMIO_QUEUE_NUM),
        (.queueReady, VIRTIO_MMIO_QUEUE_READY), (.queueNotify, VIRTIO_MMIO_QUEUE_NOTIFY),
        (.interruptStatus, VIRTIO_MMIO_INTERRUPT_STATUS), (.interruptACK, VIRTIO_MMIO_INTERRUPT_ACK),
        (.status, VIRTIO_MMIO_STATUS), (.queueDescLow, VIRTIO_MMIO_QUEUE_DESC_LOW),
        (.queueDescHigh, VIRTIO_MMIO_QUEUE_DESC_HIGH), (.queueDriverLow, VIRTIO_MMIO_QUEUE_AVAIL_LOW),
        (.queueDriverHigh, VIRTIO_MMIO_QUEUE_AVAIL_HIGH), (.queueDeviceLow, VIRTIO_MMIO_QUEUE_USED_LOW),
        (.queueDeviceHigh, VIRTIO_MMIO_QUEUE_USED_HIGH), (.shmSel, VIRTIO_MMIO_SHM_SEL),
        (.shmLenLow, VIRTIO_MMIO_SHM_LEN_LOW), (.shmLenHigh, VIRTIO_MMIO_SHM_LEN_HIGH),
        (.shmBaseLow, VIRTIO_MMIO_SHM_BASE_LOW), (.shmBaseHigh, VIRTIO_MMIO_SHM_BASE_HIGH),
        (.configGeneration, VIRTIO_MMIO_CONFIG_GENERATION),
    ]

    static let transportPins: [Pin] =
        registers.map { Pin("\($0)", $0.rawValue, $1) } + [
            Pin("configuration", Register.configuration, VIRTIO_MMIO_CONFIG),
            Pin("interrupt: used buffer", InterruptStatus.usedBuffer.rawValue, VIRTIO_MMIO_INT_VRING),
            Pin("interrupt: configuration", InterruptStatus.configurationChange.rawValue, VIRTIO_MMIO_INT_CONFIG),
            Pin("ACKNOWLEDGE", DeviceStatus.acknowledge.rawValue, VIRTIO_CONFIG_S_ACKNOWLEDGE),
            Pin("DRIVER", DeviceStatus.driver.rawValue, VIRTIO_CONFIG_S_DRIVER),
            Pin("DRIVER_OK", DeviceStatus.driverOK.rawValue, VIRTIO_CONFIG_S_DRIVER_OK),
            Pin("FEATURES_OK", DeviceStatus.featuresOK.rawValue, VIRTIO_CONFIG_S_FEATURES_OK),
            Pin("DEVICE_NEEDS_RESET", DeviceStatus.needsReset.rawValue, VIRTIO_CONFIG_S_NEEDS_RESET),
            Pin("FAILED", DeviceStatus.failed.rawValue, VIRTIO_CONFIG_S_FAILED),
            Pin("INDIRECT_DESC", Features.indirectDescriptors, bit: VIRTIO_RING_F_INDIRECT_DESC),
            Pin("EVENT_IDX", Features.eventIndex, bit: VIRTIO_RING_F_EVENT_IDX),
            Pin("VERSION_1", Features.version1, bit: VIRTIO_F_VERSION_1),
            Pin("ACCESS_PLATFORM", Features.accessPlatform, bit: VIRTIO_F_ACCESS_PLATFORM),
            Pin("RING_PACKED", Features.ringPacked, bit: VIRTIO_F_RING_PACKED),
            Pin("IN_ORDER", Features.inOrder, bit: VIRTIO_F_IN_ORDER),
            Pin("ORDER_PLATFORM", Features.orderPlatform, bit: VIRTIO_F_ORDER_PLATFORM),
            Pin("RING_RESET", Features.ringReset, bit: VIRTIO_F_RING_RESET),
            Pin("network", DeviceID.network, VIRTIO_ID_NET),
            Pin("block", DeviceID.block, VIRTIO_ID_BLOCK),
            Pin("console", DeviceID.console, VIRTIO_ID_CONSOLE),
        ]

    static let ringPins: [Pin] = [
        Pin("F_NEXT", Descriptor.Flags.next.rawValue, VRING_DESC_F_NEXT),
        Pin("F_WRITE", Descriptor.Flags.write.rawValue, VRING_DESC_F_WRITE),
        Pin("F_INDIRECT", Descriptor.Flags.indirect.rawValue, VRING_DESC_F_INDIRECT),
        Pin("NO_INTERRUPT", SplitRing.noInterrupt, VRING_AVAIL_F_NO_INTERRUPT),
        Pin("NO_NOTIFY", SplitRing.noNotify, VRING_USED_F_NO_NOTIFY),
        Pin("descriptor alignment", SplitRing.descriptorAlignment, VRING_DESC_ALIGN_SIZE),
        Pin("available alignment", SplitRing.availableAlignment, VRING_AVAIL_ALIGN_SIZE),
        Pin("used alignment", SplitRing.usedAlignment, VRING_USED_ALIGN_SIZE),
        Pin("descriptor size", SplitRing.descriptorSize, UAPI_DESC_SIZE),
        Pin("available flags", SplitRing.flags, UAPI_AVAIL_FLAGS),
        Pin("available index", SplitRing.index, UAPI_AVAIL_IDX),
        Pin("available ring", SplitRing.ring, UAPI_AVAIL_RING),
        Pin("available entry", SplitRing.availableEntrySize, UAPI_AVAIL_ENTRY_SIZE),
        Pin("used flags", SplitRing.flags, UAPI_USED_FLAGS),
        Pin("used index", SplitRing.index, UAPI_USED_IDX),
        Pin("used ring", SplitRing.ring, UAPI_USED_RING),
        Pin("used entry", SplitRing.usedEntrySize, UAPI_USED_ENTRY_SIZE),
    ]

    static let devicesPins: [Pin] = [
        Pin("BLK_F_SEG_MAX", BlockFeature.segmentMax, bit: VIRTIO_BLK_F_SEG_MAX),
        Pin("BLK_F_RO", BlockFeature.readOnly, bit: VIRTIO_BLK_F_RO),
        Pin("BLK_F_BLK_SIZE", BlockFeature.blockSize, bit: VIRTIO_BLK_F_BLK_SIZE),
        Pin("BLK_F_FLUSH", BlockFeature.flush, bit: VIRTIO_BLK_F_FLUSH),
        Pin("BLK_T_IN", BlockRequest.Kind.read, VIRTIO_BLK_T_IN),
        Pin("BLK_T_OUT", BlockRequest.Kind.write, VIRTIO_BLK_T_OUT),
        Pin("BLK_T_FLUSH", BlockRequest.Kind.flush, VIRTIO_BLK_T_FLUSH),
        Pin("BLK_T_GET_ID", BlockRequest.Kind.getID, VIRTIO_BLK_T_GET_ID),
        Pin("BLK_S_OK", BlockRequest.Status.ok.rawValue, VIRTIO_BLK_S_OK),
        Pin("BLK_S_IOERR", BlockRequest.Status.ioError.rawValue, VIRTIO_BLK_S_IOERR),
        Pin("BLK_S_UNSUPP", BlockRequest.Status.unsupported.rawValue, VIRTIO_BLK_S_UNSUPP),
        Pin("BLK_ID_BYTES", BlockRequest.idSize, VIRTIO_BLK_ID_BYTES),
        Pin("block header", BlockRequest.headerSize, UAPI_BLK_HEADER_SIZE),
        Pin("block header type", BlockRequest.typeOffset, UAPI_BLK_HEADER_TYPE),
        Pin("block header sector", BlockRequest.sectorOffset, UAPI_BLK_HEADER_SECTOR),
        Pin("capacity", BlockConfiguration.capacity, UAPI_BLK_CAPACITY),
        Pin("size_max", BlockConfiguration.sizeMax, UAPI_BLK_SIZE_MAX),
        Pin("seg_max", BlockConfiguration.segmentMax, UAPI_BLK_SEG_MAX),
        Pin("blk_size", BlockConfiguration.blockSize, UAPI_BLK_BLK_SIZE),
        Pin("CONSOLE_F_SIZE", ConsoleFeature.size, bit: VIRTIO_CONSOLE_F_SIZE),
        Pin("CONSOLE_F_MULTIPORT", ConsoleFeature.multiport, bit: VIRTIO_CONSOLE_F_MULTIPORT),
        Pin("CONSOLE_F_EMERG_WRITE", ConsoleFeature.emergencyWrite, bit: VIRTIO_CONSOLE_F_EMERG_WRITE),
        Pin("cols", ConsoleConfiguration.columns, UAPI_CONSOLE_COLS),
        Pin("rows", ConsoleConfiguration.rows, UAPI_CONSOLE_ROWS),
        Pin("max_nr_ports", ConsoleConfiguration.maximumPorts, UAPI_CONSOLE_MAX_NR_PORTS),
        Pin("emerg_wr", ConsoleConfiguration.emergencyWrite, UAPI_CONSOLE_EMERG_WR),
        Pin("console configuration", ConsoleConfiguration.size, UAPI_CONSOLE_CONFIG_SIZE),
    ]

    @Test("Registers, status and feature bits, device types", arguments: transportPins)
    func transport(pin: Pin) { #expect(pin.ours == pin.kernels) }

    @Test("Split virtqueue", arguments: ringPins)
    func ring(pin: Pin) { #expect(pin.ours == pin.kernels) }

    @Test("Block and console", arguments: devicesPins)
    func devices(pin: Pin) { #expect(pin.ours == pin.kernels) }

    @Test("Every register but QueueReset, which the headers lack, is pinned")
    func allRegisters() {
        #expect(Set(Self.registers.map(\.0)) == Set(Register.allCases).subtracting([.queueReset]))
    }

    @Test("The areas are as long as the kernel's, event words included", arguments: (0...15).map { UInt16(1) << $0 })
    func areas(size: UInt16) {
        let available = (SplitRing.descriptorBytes(size: size) + SplitRing.availableBytes(size: size) + 3) / 4 * 4
        #expect(available + SplitRing.usedBytes(size: size) == UInt64(vring_size(UInt32(size), 4)))
    }

    @Test("The block device's configuration space is at least as long as the kernel's")
    func blockConfiguration() { #expect(BlockConfiguration.size >= UAPI_BLK_CONFIG_SIZE) }

    @Test("A descriptor's second word holds length, flags and next where the kernel has them")
    func descriptor() {
        let descriptor = Descriptor(
            address: 0x0123_4567_89ab_cdef, length: 0x0bad_cafe, flags: [.next, .write], next: 0x5aa5)
        let at = { (offset: Int) in UInt64(8 * (offset - 8)) }
        #expect(UAPI_DESC_ADDR == 0)
        #expect(UInt32(truncatingIfNeeded: descriptor.high >> at(UAPI_DESC_LEN)) == 0x0bad_cafe)
        #expect(UInt16(truncatingIfNeeded: descriptor.high >> at(UAPI_DESC_FLAGS)) == 3)
        #expect(UInt16(truncatingIfNeeded: descriptor.high >> at(UAPI_DESC_NEXT)) == 0x5aa5)
        #expect(Descriptor(low: descriptor.address, high: descriptor.high) == descriptor)
    }

    static let packedRing: [Pin] = [
        Pin("AVAIL", PackedRing.availableBit, 1 << VRING_PACKED_DESC_F_AVAIL),
        Pin("USED", PackedRing.usedBit, 1 << VRING_PACKED_DESC_F_USED),
        Pin("event flag: disable", PackedRing.eventDisable, VRING_PACKED_EVENT_FLAG_DISABLE),
        Pin("descriptor", PackedRing.descriptorSize, MemoryLayout<vring_packed_desc>.size),
        Pin("length", PackedRing.length, MemoryLayout<vring_packed_desc>.offset(of: \.len) ?? -1),
        Pin("id", PackedRing.id, MemoryLayout<vring_packed_desc>.offset(of: \.id) ?? -1),
        Pin("flags", PackedRing.flags, MemoryLayout<vring_packed_desc>.offset(of: \.flags) ?? -1),
        Pin("event", PackedRing.eventSize, MemoryLayout<vring_packed_desc_event>.size),
        Pin("event flags", PackedRing.eventFlags, MemoryLayout<vring_packed_desc_event>.offset(of: \.flags) ?? -1),
    ]

    @Test("Packed virtqueue", arguments: packedRing)
    func packed(_ pin: Pin) { #expect(pin.ours == pin.kernels) }
}
