// The built-in guest as bytes. The image comes from `guest/build.sh` by way of the plugin `BuildGuest`.

/// The bare-metal program that `vmm` boots when it is given no kernel.
public enum TestGuest {
    /// Its ELF file.
    public static func elf() -> [UInt8] {
        guestImage.withUTF8Buffer { text in
            (0..<text.count / 2).map { unsafe digit(text[2 * $0]) << 4 | digit(text[2 * $0 + 1]) }
        }
    }

    /// 0 to 9 and a to f are the only characters of the image.
    private static func digit(_ character: UInt8) -> UInt8 {
        character < UInt8(ascii: "a") ? character - UInt8(ascii: "0") : character - UInt8(ascii: "a") + 10
    }
}
