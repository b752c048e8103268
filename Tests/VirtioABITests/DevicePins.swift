// The pins of the devices' numbers.

import UAPI
import VirtioABI

extension UAPITests {
    static let blockPins: [Pin] = [
        Pin("BlockFeature.sizeMax", BlockFeature.sizeMax, .bit("VIRTIO_BLK_F_SIZE_MAX")),
        Pin("BlockFeature.segmentMax", BlockFeature.segmentMax, .bit("VIRTIO_BLK_F_SEG_MAX")),
        Pin("BlockFeature.geometry", BlockFeature.geometry, .bit("VIRTIO_BLK_F_GEOMETRY")),
        Pin("BlockFeature.readOnly", BlockFeature.readOnly, .bit("VIRTIO_BLK_F_RO")),
        Pin("BlockFeature.blockSize", BlockFeature.blockSize, .bit("VIRTIO_BLK_F_BLK_SIZE")),
        Pin("BlockFeature.flush", BlockFeature.flush, .bit("VIRTIO_BLK_F_FLUSH")),
        Pin("BlockFeature.topology", BlockFeature.topology, .bit("VIRTIO_BLK_F_TOPOLOGY")),
        Pin("BlockFeature.configWCE", BlockFeature.configWCE, .bit("VIRTIO_BLK_F_CONFIG_WCE")),
        Pin("BlockFeature.multiqueue", BlockFeature.multiqueue, .bit("VIRTIO_BLK_F_MQ")),
        Pin("BlockFeature.discard", BlockFeature.discard, .bit("VIRTIO_BLK_F_DISCARD")),
        Pin("BlockFeature.writeZeroes", BlockFeature.writeZeroes, .bit("VIRTIO_BLK_F_WRITE_ZEROES")),
        // 5.2.3; Linux defines neither the feature nor the request.
        Pin("BlockFeature.lifetime", BlockFeature.lifetime, .specification(1 << 15)),
        Pin("BlockFeature.secureErase", BlockFeature.secureErase, .bit("VIRTIO_BLK_F_SECURE_ERASE")),
        Pin("BlockFeature.zoned", BlockFeature.zoned, .newBit("VIRTIO_BLK_F_ZONED", 17)),
        Pin("BlockRequest.Kind.read", BlockRequest.Kind.read, .macro("VIRTIO_BLK_T_IN")),
        Pin("BlockRequest.Kind.write", BlockRequest.Kind.write, .macro("VIRTIO_BLK_T_OUT")),
        Pin("BlockRequest.Kind.flush", BlockRequest.Kind.flush, .macro("VIRTIO_BLK_T_FLUSH")),
        Pin("BlockRequest.Kind.getID", BlockRequest.Kind.getID, .macro("VIRTIO_BLK_T_GET_ID")),
        Pin("BlockRequest.Kind.getLifetime", BlockRequest.Kind.getLifetime, .specification(10)),
        Pin("BlockRequest.Kind.discard", BlockRequest.Kind.discard, .macro("VIRTIO_BLK_T_DISCARD")),
        Pin("BlockRequest.Kind.writeZeroes", BlockRequest.Kind.writeZeroes, .macro("VIRTIO_BLK_T_WRITE_ZEROES")),
        Pin("BlockRequest.Kind.secureErase", BlockRequest.Kind.secureErase, .macro("VIRTIO_BLK_T_SECURE_ERASE")),
        Pin("BlockRequest.Status.ok", BlockRequest.Status.ok, .macro("VIRTIO_BLK_S_OK")),
        Pin("BlockRequest.Status.ioError", BlockRequest.Status.ioError, .macro("VIRTIO_BLK_S_IOERR")),
        Pin("BlockRequest.Status.unsupported", BlockRequest.Status.unsupported, .macro("VIRTIO_BLK_S_UNSUPP")),
        Pin("BlockRequest.headerSize", BlockRequest.headerSize, layout: UAPI_BLK_HEADER_SIZE),
        Pin("BlockRequest.typeOffset", BlockRequest.typeOffset, layout: UAPI_BLK_HEADER_TYPE),
        Pin("BlockRequest.reservedOffset", BlockRequest.reservedOffset, .specification(4)),
        Pin("BlockRequest.sectorOffset", BlockRequest.sectorOffset, layout: UAPI_BLK_HEADER_SECTOR),
        Pin("BlockRequest.idSize", BlockRequest.idSize, .macro("VIRTIO_BLK_ID_BYTES")),
        // 5.2.4.
        Pin("BlockRequest.sectorSize", BlockRequest.sectorSize, .specification(512)),
        Pin("BlockRequest.Range.size", BlockRequest.Range.size, layout: UAPI_BLK_RANGE_SIZE),
        Pin("BlockRequest.Range.sectorOffset", BlockRequest.Range.sectorOffset, layout: UAPI_BLK_RANGE_SECTOR),
        Pin("BlockRequest.Range.countOffset", BlockRequest.Range.countOffset, layout: UAPI_BLK_RANGE_NUM_SECTORS),
        Pin("BlockRequest.Range.flagsOffset", BlockRequest.Range.flagsOffset, layout: UAPI_BLK_RANGE_FLAGS),
        Pin("BlockRequest.Range.unmap", BlockRequest.Range.unmap, .macro("VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP")),
    ]

    static let blockConfigurationPins: [Pin] = [
        offset("capacity", BlockConfiguration.capacity, UAPI_BLK_CAPACITY),
        offset("sizeMax", BlockConfiguration.sizeMax, UAPI_BLK_SIZE_MAX),
        offset("segmentMax", BlockConfiguration.segmentMax, UAPI_BLK_SEG_MAX),
        offset("geometry", BlockConfiguration.geometry, UAPI_BLK_CYLINDERS),
        offset("blockSize", BlockConfiguration.blockSize, UAPI_BLK_BLK_SIZE),
        offset("physicalBlockExponent", BlockConfiguration.physicalBlockExponent, UAPI_BLK_PHYSICAL_BLOCK_EXP),
        offset("alignmentOffset", BlockConfiguration.alignmentOffset, UAPI_BLK_ALIGNMENT_OFFSET),
        offset("minimumIOSize", BlockConfiguration.minimumIOSize, UAPI_BLK_MIN_IO_SIZE),
        offset("optimalIOSize", BlockConfiguration.optimalIOSize, UAPI_BLK_OPT_IO_SIZE),
        offset("writeback", BlockConfiguration.writeback, UAPI_BLK_WCE),
        offset("queues", BlockConfiguration.queues, UAPI_BLK_NUM_QUEUES),
        offset("maximumDiscardSectors", BlockConfiguration.maximumDiscardSectors, UAPI_BLK_MAX_DISCARD_SECTORS),
        offset("maximumDiscardSegments", BlockConfiguration.maximumDiscardSegments, UAPI_BLK_MAX_DISCARD_SEG),
        offset("discardSectorAlignment", BlockConfiguration.discardSectorAlignment, UAPI_BLK_DISCARD_SECTOR_ALIGNMENT),
        offset(
            "maximumWriteZeroesSectors", BlockConfiguration.maximumWriteZeroesSectors, UAPI_BLK_MAX_WRITE_ZEROES_SECTORS
        ),
        offset(
            "maximumWriteZeroesSegments", BlockConfiguration.maximumWriteZeroesSegments, UAPI_BLK_MAX_WRITE_ZEROES_SEG),
        offset("writeZeroesMayUnmap", BlockConfiguration.writeZeroesMayUnmap, UAPI_BLK_WRITE_ZEROES_MAY_UNMAP),
        offset(
            "maximumSecureEraseSectors", BlockConfiguration.maximumSecureEraseSectors, UAPI_BLK_MAX_SECURE_ERASE_SECTORS
        ),
        offset(
            "maximumSecureEraseSegments", BlockConfiguration.maximumSecureEraseSegments, UAPI_BLK_MAX_SECURE_ERASE_SEG),
        offset(
            "secureEraseSectorAlignment", BlockConfiguration.secureEraseSectorAlignment,
            UAPI_BLK_SECURE_ERASE_SECTOR_ALIGNMENT),
        // 5.2.4: the characteristics of zoned disks, which Linux 6.1 lacks, and the end of the structure.
        Pin("BlockConfiguration.zoned", BlockConfiguration.zoned, .specification(72)),
        Pin("BlockConfiguration.size", BlockConfiguration.size, .specification(96)),
    ]

    private static func offset(_ name: String, _ ours: Int, _ kernels: Int) -> Pin {
        Pin("BlockConfiguration." + name, ours, layout: kernels)
    }

    static let consolePins: [Pin] = [
        Pin("ConsoleFeature.size", ConsoleFeature.size, .bit("VIRTIO_CONSOLE_F_SIZE")),
        Pin("ConsoleFeature.multiport", ConsoleFeature.multiport, .bit("VIRTIO_CONSOLE_F_MULTIPORT")),
        Pin("ConsoleFeature.emergencyWrite", ConsoleFeature.emergencyWrite, .bit("VIRTIO_CONSOLE_F_EMERG_WRITE")),
        Pin("ConsoleConfiguration.columns", ConsoleConfiguration.columns, layout: UAPI_CONSOLE_COLS),
        Pin("ConsoleConfiguration.rows", ConsoleConfiguration.rows, layout: UAPI_CONSOLE_ROWS),
        Pin("ConsoleConfiguration.maximumPorts", ConsoleConfiguration.maximumPorts, layout: UAPI_CONSOLE_MAX_NR_PORTS),
        Pin("ConsoleConfiguration.emergencyWrite", ConsoleConfiguration.emergencyWrite, layout: UAPI_CONSOLE_EMERG_WR),
        Pin("ConsoleConfiguration.size", ConsoleConfiguration.size, layout: UAPI_CONSOLE_CONFIG_SIZE),
        // 5.3.2.
        Pin("ConsoleQueue.receive", ConsoleQueue.receive, .specification(0)),
        Pin("ConsoleQueue.transmit", ConsoleQueue.transmit, .specification(1)),
        Pin("ConsoleQueue.controlReceive", ConsoleQueue.controlReceive, .specification(2)),
        Pin("ConsoleQueue.controlTransmit", ConsoleQueue.controlTransmit, .specification(3)),
        Pin("ConsoleControl.size", ConsoleControl.size, layout: UAPI_CONSOLE_CONTROL_SIZE),
        Pin("ConsoleControl.eventOffset", ConsoleControl.eventOffset, layout: UAPI_CONSOLE_CONTROL_EVENT),
        Pin("ConsoleControl.valueOffset", ConsoleControl.valueOffset, layout: UAPI_CONSOLE_CONTROL_VALUE),
    ]

    static let consoleEventPins: [Pin] = [
        event("deviceReady", .deviceReady, "DEVICE_READY"),
        // The specification calls ports devices here.
        event("deviceAdd", .deviceAdd, "PORT_ADD"),
        event("deviceRemove", .deviceRemove, "PORT_REMOVE"),
        event("portReady", .portReady, "PORT_READY"),
        event("consolePort", .consolePort, "CONSOLE_PORT"),
        event("resize", .resize, "RESIZE"),
        event("portOpen", .portOpen, "PORT_OPEN"),
        event("portName", .portName, "PORT_NAME"),
    ]

    private static func event(_ name: String, _ ours: ConsoleControl.Event, _ macro: String) -> Pin {
        Pin("ConsoleControl.Event." + name, ours, .macro("VIRTIO_CONSOLE_" + macro))
    }
}
