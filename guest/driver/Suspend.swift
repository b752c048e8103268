// The driver's side of VIRTIO_F_SUSPEND, in the draft of February 2024 and in VIRTIO 1.4 (2.1, "Device Suspend"):
//
//   draft     write SUSPEND, poll until it reads 1: 0x0f ... 0x1f    clear it, poll until it reads 0: 0x1f ... 0x0f
//   1.4       write SUSPEND once, then only poll:   0x0f ... 0x1b    set DRIVER_OK, poll:            0x1b ... 0x0f
//
// In 1.4 both requests are the byte 0x1f, so a repeated suspend request could resume the device: requests are not
// repeated. A wait fails on any third value, NEEDS_RESET included.

/// The suspend handshake of one device.
struct Suspend {
    static let running = UInt32(DeviceStatus.running.rawValue)
    static let features: Features = [.suspendDraft, .suspend]

    let device: MMIODevice
    let dialect: SuspendDialect

    /// Status of the suspended device.
    var suspended: UInt32 { UInt32(dialect.suspendedStatus.rawValue) }

    /// For a device with the negotiated `features`.
    init(_ device: MMIODevice, _ features: Features) throws(Failure) {
        self.device = device
        switch features.intersection(Suspend.features) {
        case .suspendDraft: dialect = .draft
        case .suspend: dialect = .ratified
        case []: throw .skipped("device offers no SUSPEND")
        default: throw .unexpected("both SUSPEND bits offered", expected: 0, actual: 1)
        }
    }

    /// The handshake of another device with the same dialect.
    func with(_ device: MMIODevice) -> Suspend { Suspend(device, dialect) }

    private init(_ device: MMIODevice, _ dialect: SuspendDialect) {
        self.device = device
        self.dialect = dialect
    }

    func requestSuspend() { device.setStatus([.running, .suspend]) }

    /// In 1.4 a driver must not clear a bit, so it writes the suspended Status with DRIVER_OK added.
    func requestResume() { device.setStatus(dialect == .draft ? .running : [.running, .suspend]) }

    @inline(never)
    func awaitSuspended() throws(Failure) {
        try awaitStatus(suspended, from: Suspend.running, "Status while suspending")
    }

    @inline(never)
    func awaitRunning() throws(Failure) {
        try awaitStatus(Suspend.running, from: suspended, "Status while resuming")
    }

    /// Polls until Status reads `new`. Fails if it reads anything but `old` before.
    @inline(never)
    func awaitStatus(
        _ new: UInt32, from old: UInt32, _ what: StaticString, within deadline: Deadline = Deadline()
    ) throws(Failure) {
        while true {
            let status = device.status
            if status == new { return }
            try expect(status, old, what)
            if deadline.passed { throw .timeout(what) }
        }
    }

    @inline(never)
    func suspend() throws(Failure) {
        requestSuspend()
        try awaitSuspended()
    }

    @inline(never)
    func resume() throws(Failure) {
        requestResume()
        try awaitRunning()
    }
}
