// The devices' numbers.

import UAPI
import VirtioABI

extension UAPITests {
    static let blockPins: [Pin] = [
        Pin("BlockFeature.segmentMax", BlockFeature.segmentMax, .bit("VIRTIO_BLK_F_SEG_MAX")),
        Pin("BlockFeature.readOnly", BlockFeature.readOnly, .bit("VIRTIO_BLK_F_RO")),
        Pin("BlockFeature.blockSize", BlockFeature.blockSize, .bit("VIRTIO_BLK_F_BLK_SIZE")),
        Pin("BlockFeature.flush", BlockFeature.flush, .bit("VIRTIO_BLK_F_FLUSH")),
        Pin("BlockRequest.Kind.read", BlockRequest.Kind.read, .macro("VIRTIO_BLK_T_IN")),
        Pin("BlockRequest.Kind.write", BlockRequest.Kind.write, .macro("VIRTIO_BLK_T_OUT")),
        Pin("BlockRequest.Kind.flush", BlockRequest.Kind.flush, .macro("VIRTIO_BLK_T_FLUSH")),
        Pin("BlockRequest.Kind.getID", BlockRequest.Kind.getID, .macro("VIRTIO_BLK_T_GET_ID")),
        Pin("BlockRequest.Status.ok", BlockRequest.Status.ok, .macro("VIRTIO_BLK_S_OK")),
        Pin("BlockRequest.Status.ioError", BlockRequest.Status.ioError, .macro("VIRTIO_BLK_S_IOERR")),
        Pin("BlockRequest.Status.unsupported", BlockRequest.Status.unsupported, .macro("VIRTIO_BLK_S_UNSUPP")),
        Pin("BlockRequest.headerSize", BlockRequest.headerSize, layout: UAPI_BLK_HEADER_SIZE),
        Pin("BlockRequest.typeOffset", BlockRequest.typeOffset, layout: UAPI_BLK_HEADER_TYPE),
        Pin("BlockRequest.sectorOffset", BlockRequest.sectorOffset, layout: UAPI_BLK_HEADER_SECTOR),
        Pin("BlockRequest.idSize", BlockRequest.idSize, .macro("VIRTIO_BLK_ID_BYTES")),
        // 5.2.4.
        Pin("BlockRequest.sectorSize", BlockRequest.sectorSize, .specification(512)),
    ]

    static let blockConfigurationPins: [Pin] = [
        Pin("BlockConfiguration.capacity", BlockConfiguration.capacity, layout: UAPI_BLK_CAPACITY),
        Pin("BlockConfiguration.sizeMax", BlockConfiguration.sizeMax, layout: UAPI_BLK_SIZE_MAX),
        Pin("BlockConfiguration.segmentMax", BlockConfiguration.segmentMax, layout: UAPI_BLK_SEG_MAX),
        Pin("BlockConfiguration.blockSize", BlockConfiguration.blockSize, layout: UAPI_BLK_BLK_SIZE),
        // 5.2.4: the zoned characteristics end here.
        Pin("BlockConfiguration.size", BlockConfiguration.size, .specification(96)),
    ]

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
    ]
}
