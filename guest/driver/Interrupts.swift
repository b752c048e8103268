// Interrupts: masks the 8259, routes an IOAPIC input per device, level-triggered and active-high. The handler
// acknowledges the bits of InterruptStatus (VIRTIO 1.4, 4.2.3.4) and counts. Its state is in `sharedWords()`:
//
//   +0     base of the emergency console                 +64 + 32n   input n:  +0 base of its device
//   +8     1 while a fault is being reported                                   +8 interrupts with a bit set
//                                                                              +16 bits since takePendingStatus

/// The interrupt controllers, and the handler's counts.
enum Interrupts {
    private static let ioapic: UInt64 = 0xfec0_0000
    private static let localAPIC: UInt64 = 0xfee0_0000
    /// The vectors of the IOAPIC's inputs follow the exceptions; the last vector is the spurious interrupt's.
    private static let firstVector: UInt64 = 32
    private static let spuriousVector: UInt64 = 63

    /// Masks the 8259 and enables the local APIC. Only inputs given to `route` interrupt.
    static func start() {
        out8(0x21, 0xff)
        out8(0xa1, 0xff)
        store32(localAPIC &+ 0x80, 0)
        store32(localAPIC &+ 0xf0, 0x100 | UInt32(spuriousVector))
    }

    /// Routes the device's input to this processor.
    static func route(_ device: MMIODevice) {
        store64(record(device.input), device.base)
        let level: UInt32 = 1 << 15
        let register = 0x10 &+ 2 &* UInt32(device.input)
        store32(ioapic, register &+ 1)
        store32(ioapic &+ 0x10, load32(localAPIC &+ 0x20) & 0xff00_0000)
        store32(ioapic, register)
        store32(ioapic &+ 0x10, level | UInt32(firstVector) &+ UInt32(device.input))
    }

    /// Interrupts of the device with a bit set in InterruptStatus, since the start.
    static func count(_ device: MMIODevice) -> UInt64 { load64(record(device.input) &+ 8) }

    /// Returns and clears the InterruptStatus bits that the handler has acknowledged since the last call.
    static func takePendingStatus(_ device: MMIODevice) -> InterruptStatus {
        disableInterrupts()
        defer { enableInterrupts() }
        let status = load64(record(device.input) &+ 16)
        store64(record(device.input) &+ 16, 0)
        return InterruptStatus(rawValue: UInt32(truncatingIfNeeded: status))
    }

    static func taken(vector: UInt64) {
        guard vector != spuriousVector else { return }
        let record = record(UInt8(truncatingIfNeeded: vector &- firstVector))
        let device = load64(record)
        if device != 0 {
            let status = load32(device &+ UInt64(Register.interruptStatus.rawValue))
            if status != 0 {
                store32(device &+ UInt64(Register.interruptACK.rawValue), status)
                store64(record &+ 8, load64(record &+ 8) &+ 1)
                store64(record &+ 16, load64(record &+ 16) | UInt64(status))
            }
        }
        store32(localAPIC &+ 0xb0, 0)
    }

    private static func record(_ input: UInt8) -> UInt64 { sharedWords() &+ 64 &+ 32 &* UInt64(input) }
}

/// Called by the entry code with interrupts off.
@c(interruptTaken)
func interruptTaken(vector: UInt64) { Interrupts.taken(vector: vector) }
