// The built-in guest as bytes. `guest/build.sh` builds the image; the plugin `BuildGuest` runs it.

/// The bare-metal program that `vmm` boots if no kernel is given.
public enum TestGuest {
    /// The program's ELF file.
    public static func elf() -> [UInt8] {
        guestImage.withUTF8Buffer { text in
            (0..<text.count / 2).map { unsafe digit(text[2 * $0]) << 4 | digit(text[2 * $0 + 1]) }
        }
    }

    /// Value of a hexadecimal digit. The image contains only 0 to 9 and a to f.
    private static func digit(_ character: UInt8) -> UInt8 {
        character < UInt8(ascii: "a") ? character - UInt8(ascii: "0") : character - UInt8(ascii: "a") + 10
    }
}
