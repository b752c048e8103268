// The picture of `vmm explain suspend`: both protocols of SUSPEND as accesses to Status, with the bytes that VirtioABI has.

import VirtioABI

/// SUSPEND's protocols as text.
enum SuspendPicture {
    private static let running = DeviceStatus.running.rawValue
    private static let both = running | DeviceStatus.suspend.rawValue
    private static let suspended = both & ~DeviceStatus.driverOK.rawValue

    /// Both dialects, and of the draft how a driver gives up a suspend.
    static var text: String {
        """
        SUSPEND over virtio-mmio: accesses to Status (offset \(hex(Register.status.rawValue, 2)))

          draft, feature bit \(bit(.suspendDraft))
              driver                        device
                |-- write \(hex(both, 2)) -------->|  suspend
                |<- read  \(hex(running, 2)) ---------|  drains: uses the buffers that it has taken, and notifies
                |<- read  \(hex(both, 2)) ---------|  suspended: no access to a queue, no notification
                |        ...            |
                |-- write \(hex(running, 2)) -------->|  resume
                |<- read  \(hex(both, 2)) ---------|  the backend is not ready
                |<- read  \(hex(running, 2)) ---------|  running: what was deferred is delivered

          VIRTIO 1.4, feature bit \(bit(.suspend))
              driver                        device
                |-- write \(hex(both, 2)) -------->|  suspend
                |<- read  \(hex(running, 2)) ---------|  drains; takes no more buffers
                |<- read  \(hex(suspended, 2)) ---------|  suspended: the device has cleared DRIVER_OK
                |        ...            |
                |-- write \(hex(both, 2)) -------->|  resume: the same byte; it depends on the state
                |<- read  \(hex(suspended, 2)) ---------|  the backend is not ready
                |<- read  \(hex(running, 2)) ---------|  running: the device has cleared SUSPEND

          A write of 0 resets the device in every state. Neither the write nor the read blocks: read until the byte changes.

        """
    }

    private static func bit(_ feature: Features) -> Int { feature.rawValue.trailingZeroBitCount }
}
