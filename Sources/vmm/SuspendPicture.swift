// The picture of `vmm explain suspend`: both protocols of SUSPEND as accesses to Status, with the bytes that VirtioABI has.

import VirtioABI

/// SUSPEND's protocols as text.
enum SuspendPicture {
    private static let running = DeviceStatus.running
    private static let both = running.union(.suspend)
    private static let suspended = both.subtracting(.driverOK)

    /// Both dialects, and of the draft how a driver gives up a suspend.
    static var text: String {
        """
        SUSPEND over virtio-mmio: accesses to Status (offset 0x\(String(Register.status.rawValue, radix: 16)))

          draft, feature bit \(bit(.suspendDraft))
              driver                        device
                |-- write \(hex(both)) -------->|  suspend
                |<- read  \(hex(running)) ---------|  drains: uses the buffers that it has taken, and notifies
                |<- read  \(hex(both)) ---------|  suspended: no access to a queue, no notification
                |        ...            |
                |-- write \(hex(running)) -------->|  resume
                |<- read  \(hex(both)) ---------|  the backend is not ready
                |<- read  \(hex(running)) ---------|  running: what was deferred is delivered

          VIRTIO 1.4, feature bit \(bit(.suspend))
              driver                        device
                |-- write \(hex(both)) -------->|  suspend
                |<- read  \(hex(running)) ---------|  drains; takes no more buffers
                |<- read  \(hex(suspended)) ---------|  suspended: the device has cleared DRIVER_OK
                |        ...            |
                |-- write \(hex(both)) -------->|  resume: the same byte; it depends on the state
                |<- read  \(hex(suspended)) ---------|  the backend is not ready
                |<- read  \(hex(running)) ---------|  running: the device has cleared SUSPEND

          A write of 0 resets the device in every state. Neither the write nor the read blocks: read until the byte changes.

        """
    }

    private static func hex(_ status: DeviceStatus) -> String {
        let text = String(status.rawValue, radix: 16)
        return "0x" + (text.count < 2 ? "0" : "") + text
    }

    private static func bit(_ feature: Features) -> Int { feature.rawValue.trailingZeroBitCount }
}
