// I/O ports of the board that this project's guests use. The board defines the addresses, not the specification.

/// I/O ports of the board.
public enum Ports {
    /// ACPI sleep control: a byte with `sleepEnable` set powers the board off.
    public static let sleepControl: UInt16 = 0x600
    /// ACPI sleep status: reads 0.
    public static let sleepStatus: UInt16 = 0x601
    /// Any write resets the board.
    public static let reset: UInt16 = 0x602
    /// Command port of a PC's keyboard controller. The board implements one command: pulse the reset line.
    public static let keyboard: UInt16 = 0x64
    /// The command byte that pulses the reset line.
    public static let keyboardReset: UInt8 = 0xfe
    /// A write of v ends `vmm` with exit code (v << 1) | 1, as QEMU's isa-debug-exit does.
    public static let debugExit: UInt16 = 0xf4
    /// The value that the built-in guest writes there when it fails.
    public static let guestFailed: UInt32 = 0x2a
    /// pvpanic (QEMU's docs/specs/pvpanic): a read returns the events it knows, a write reports some.
    public static let panic: UInt16 = 0x505
    /// The guest panicked.
    public static let panicked: UInt8 = 1 << 0
    /// The guest panicked, and its crash kernel goes on.
    public static let crashLoaded: UInt8 = 1 << 1

    /// SLP_EN of the sleep control register (ACPI 6.5, 4.8.3.7).
    public static let sleepEnable: UInt8 = 1 << 5
    /// SLP_TYP of S5 on this board, in bits 2 to 4.
    public static let sleepTypeS5: UInt8 = 5 << 2
}
