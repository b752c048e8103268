// A device in a snapshot, and the disk images that it depends on.

import Virtio

/// The state of a device: its model's, and that of its host side.
struct SavedDevice {
    /// What it takes to make a device like it. The configuration is that of the model's bytes.
    let description: TracedDevice
    /// `MMIOTransport.snapshotBytes`.
    let model: [UInt8]
    /// `Slot.savedBackend`.
    let backend: [UInt8]
    /// The image of a disk that is not in memory.
    let disk: SavedDisk?
}

/// A disk that is in files of the host. They are not copied.
struct SavedDisk {
    let image: ImageIdentity
    /// The file that has what was written, if not the image.
    let overlay: ImageIdentity?
    /// The answer to GET_ID.
    var identity: [UInt8] = []
}

extension TracedDevice {
    /// The description as JSON, without what may differ in a machine that continues a snapshot.
    var snapshotText: String {
        var line = TraceLine(self)
        (line.configuration, line.conform) = (nil, nil)
        return line.json.text
    }
}

extension MachineError {
    /// The device `name` is not like the snapshot's.
    static func otherDevice(_ name: String) -> MachineError {
        .control(
            "\(name) is not like the snapshot's: this host offers other features for it, or machine.json is damaged; restore the snapshot "
                + "where it was taken")
    }
}
