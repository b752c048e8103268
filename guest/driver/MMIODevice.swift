// The register window of a virtio-mmio device (VIRTIO 1.4, 4.2.2), and the steps of device initialisation (3.1.1) as
// separate functions.

/// A device window.
struct MMIODevice {
    let base: UInt64
    /// The device's IOAPIC input.
    let input: UInt8
    /// Index of the window, in address order.
    var slot: UInt8

    func read(_ register: Register) -> UInt32 { load32(base &+ UInt64(register.rawValue)) }
    func write(_ register: Register, _ value: UInt32) { store32(base &+ UInt64(register.rawValue), value) }

    /// The address of a byte of the configuration space.
    func configuration(_ offset: Int) -> UInt64 {
        base &+ UInt64(Register.configuration) &+ UInt64(truncatingIfNeeded: offset)
    }

    /// Whether a driver may use the device (4.2.2.2).
    var isPresent: Bool {
        read(.magicValue) == Register.magic && hasKnownVersion && read(.deviceID) != 0
    }

    /// Version 2, or 3, in which a reset ends when Status reads 0: `reset` waits for that in both.
    var hasKnownVersion: Bool { Register.mmioVersion...3 ~= read(.version) }

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

    /// Step 4: writes the features to accept.
    func accept(_ features: Features) {
        for word: UInt32 in 0..<2 {
            write(.driverFeaturesSel, word)
            write(.driverFeatures, features.word(word))
        }
    }

    /// Step 1: resets the device and waits until Status reads 0 (2.4.2).
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

    /// Steps 1 to 6, accepting those of `features` that the device offers; returns them.
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

    /// Reads a value repeatedly until ConfigGeneration is equal before and after the read (2.5.3).
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
