// The board's I/O ports that a guest of ours uses. Addresses of the board, not of the specification.

/// I/O ports of the board.
public enum Ports {
    /// ACPI sleep control: a byte with `sleepEnable` set powers the board off.
    public static let sleepControl: UInt16 = 0x600
    public static let sleepStatus: UInt16 = 0x601
    /// Any write resets the board.
    public static let reset: UInt16 = 0x602
    /// The command port of a PC's keyboard controller, of which this board has one command: pulse the reset line.
    public static let keyboard: UInt16 = 0x64
    public static let keyboardReset: UInt8 = 0xfe
    /// A write of v ends `vmm` with exit code (v << 1) | 1, as QEMU's isa-debug-exit does.
    public static let debugExit: UInt16 = 0xf4

    /// SLP_EN of the sleep control register (ACPI 6.5, 4.8.3.7).
    public static let sleepEnable: UInt8 = 1 << 5
    /// SLP_TYP this board uses for S5, at bits 2 to 4.
    public static let sleepTypeS5: UInt8 = 5 << 2
}
