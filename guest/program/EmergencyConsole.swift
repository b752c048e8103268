// Output without queues: the emergency write field if the console offers it (VIRTIO 1.4, 5.3.4), else the first serial
// port. Used before the console is initialised, and to report an exception.

/// Output that needs no queue and no interrupt.
enum EmergencyConsole {
    /// Selects the console for output. Checks its feature now: the exception handler must not change selectors.
    static func use(_ console: MMIODevice) {
        if console.offered.contains(ConsoleFeature.emergencyWrite) { store64(sharedWords(), console.base) }
    }

    static func put(_ text: Text) {
        for index in 0..<text.count { put(text[index]) }
    }

    @inline(never)
    static func put(_ byte: UInt8) {
        let console = load64(sharedWords())
        if console == 0 {
            out8(0x3f8, byte)
        } else {
            let offset = UInt64(Register.configuration) &+ UInt64(ConsoleConfiguration.emergencyWrite)
            store32(console &+ offset, UInt32(byte))
        }
    }

    static func put(hexadecimal value: UInt64) {
        Text.hexadecimal(value) { byte in put(byte) }
    }

    /// Resets the console: a suspended console ignores the emergency write field.
    static func resetConsole() {
        let console = load64(sharedWords())
        if console != 0 { store32(console &+ UInt64(Register.status.rawValue), 0) }
    }
}

/// Ends the program.
enum ProgramExit {
    /// Powers off by the ACPI sleep control port; under QEMU, which has none, exits by the debug-exit port.
    static func success() -> Never {
        out8(Ports.sleepControl, Ports.sleepTypeS5 | Ports.sleepEnable)
        out32(Ports.debugExit, 0x55)
        halt()
    }

    static func failure() -> Never {
        out32(Ports.debugExit, Ports.guestFailed)
        halt()
    }
}

/// Called by the entry code for vectors 0 to 31; a Swift trap is vector 6.
@c(exceptionTaken)
func exceptionTaken(vector: UInt64, errorCode: UInt64, rip: UInt64) {
    // A fault while reporting a fault: exits at once.
    guard load64(sharedWords() &+ 8) == 0 else { ProgramExit.failure() }
    store64(sharedWords() &+ 8, 1)
    EmergencyConsole.resetConsole()
    EmergencyConsole.put(Text("\nBail out! guest exception vector "))
    EmergencyConsole.put(hexadecimal: vector)
    EmergencyConsole.put(Text(" rip "))
    EmergencyConsole.put(hexadecimal: rip)
    EmergencyConsole.put(Text(" error code "))
    EmergencyConsole.put(hexadecimal: errorCode)
    EmergencyConsole.put(UInt8(ascii: "\n"))
    ProgramExit.failure()
}
