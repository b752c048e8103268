// A virtio-mmio device as its driver sees it (VIRTIO 1.4, 4.2.2), and the steps of its initialisation (3.1.1), each
// one checkable. Not a queue, not a device type.

/// A device window.
struct MMIODevice {
    let base: UInt64
    /// Its input at the IOAPIC.
    let input: UInt8
    /// Its rank among the windows, by address.
    var slot: UInt8

    func read(_ register: Register) -> UInt32 { load32(base &+ UInt64(register.rawValue)) }
    func write(_ register: Register, _ value: UInt32) { store32(base &+ UInt64(register.rawValue), value) }

    /// The address of a byte of the configuration space.
    func configuration(_ offset: Int) -> UInt64 {
        base &+ UInt64(Register.configuration) &+ UInt64(truncatingIfNeeded: offset)
    }

    /// Whether this is a device a driver may touch (4.2.2.2).
    var isPresent: Bool {
        read(.magicValue) == Register.magic && read(.version) == Register.mmioVersion && read(.deviceID) != 0
    }

    var status: UInt32 { read(.status) }
    func setStatus(_ status: DeviceStatus) { write(.status, UInt32(status.rawValue)) }

    var offered: Features {
        var features = Features()
        for word: UInt32 in 0..<2 {
            write(.deviceFeaturesSel, word)
            features = features.replacing(word: word, with: read(.deviceFeatures))
        }
        return features
    }

    /// Step 4 without its end: what the driver understands.
    func accept(_ features: Features) {
        for word: UInt32 in 0..<2 {
            write(.driverFeaturesSel, word)
            write(.driverFeatures, features.word(word))
        }
    }

    /// Step 1, complete when Status reads 0 (2.4.2).
    func reset() throws(Failure) {
        write(.status, 0)
        try wait("Status 0 after a reset") { status == 0 }
    }

    /// Steps 1 to 3.
    func begin() throws(Failure) {
        try reset()
        setStatus(.acknowledge)
        setStatus([.acknowledge, .driver])
    }

    /// Steps 1 to 6 with those of `features` that the device offers.
    func negotiate(_ features: Features) throws(Failure) -> Features {
        try begin()
        let accepted = offered.intersection(features)
        accept(accepted)
        setStatus([.acknowledge, .driver, .featuresOK])
        try expect(status, 0x0b, "Status after FEATURES_OK")
        return accepted
    }

    /// Step 8.
    func driverOK() throws(Failure) {
        setStatus(.running)
        try expect(status, 0x0f, "Status after DRIVER_OK")
    }

    /// A value that no change of the configuration tore (2.5.3).
    func consistently<Value>(_ value: () -> Value) throws(Failure) -> Value {
        let deadline = Deadline()
        while !deadline.passed {
            let generation = read(.configGeneration)
            let read = value()
            if generation == self.read(.configGeneration) { return read }
        }
        throw .timeout("two equal ConfigGeneration reads")
    }
}
