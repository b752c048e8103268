// The subset of the ACPI machine language for a board without methods: names, packages, devices and their resources.
// ACPI 6.5, chapter 20 (language) and 6.4 (resources).

/// Encoded AML.
struct AML {
    private(set) var bytes: [UInt8] = []

    /// A named object: `Name (name, value)`.
    mutating func define(_ name: StaticString, _ value: AML) {
        bytes.append(0x08)
        bytes += Self.segment(name.description)
        bytes += value.bytes
    }

    /// `Scope (\_SB) { ... }`.
    mutating func systemBus(_ body: (inout AML) -> Void) {
        block([0x10], Array("\\_SB_".utf8), body)
    }

    /// `Device (name) { ... }`.
    mutating func device(_ name: String, _ body: (inout AML) -> Void) {
        block([0x5b, 0x82], Self.segment(name), body)
    }

    private mutating func block(_ operation: [UInt8], _ name: [UInt8], _ body: (inout AML) -> Void) {
        var content = AML()
        body(&content)
        bytes += operation + Self.withLength(name + content.bytes)
    }

    // MARK: Values

    static func integer(_ value: UInt32) -> AML {
        switch value {
        case 0, 1: AML(bytes: [UInt8(value)])
        case ...0xff: AML(bytes: [0x0a, UInt8(value)])
        default: AML(bytes: [0x0c] + number(value))
        }
    }

    static func string(_ text: StaticString) -> AML { AML(bytes: [0x0d] + Array(text.description.utf8) + [0]) }

    static func package(_ elements: [AML]) -> AML {
        AML(bytes: [0x12] + withLength([UInt8(elements.count)] + elements.flatMap(\.bytes)))
    }

    /// A resource template.
    static func resources(_ descriptors: [Resource]) -> AML {
        let template = descriptors.flatMap(\.bytes) + [0x79, 0]  // end tag, without a checksum
        return AML(bytes: [0x11] + withLength(integer(UInt32(template.count)).bytes + template))
    }

    /// A resource of a device.
    enum Resource {
        /// Readable and writable memory below 4 GiB.
        case memory(Range<UInt64>)
        /// I/O ports.
        case ports(Range<UInt16>)
        /// A global system interrupt, active high, not shared.
        case interrupt(UInt32, isLevel: Bool)

        fileprivate var bytes: [UInt8] {
            switch self {
            case .memory(let range):
                [0x86, 9, 0, 1] + number(UInt32(range.lowerBound)) + number(UInt32(range.count))
            case .ports(let range):
                [0x47, 1] + number(range.lowerBound) + number(range.lowerBound) + [1, UInt8(range.count)]
            case .interrupt(let gsi, let isLevel): [0x89, 6, 0, isLevel ? 1 : 3, 1] + number(gsi)
            }
        }
    }

    // MARK: Encoding

    /// A name segment: four characters, padded with underscores.
    private static func segment(_ name: String) -> [UInt8] {
        precondition(name.utf8.count <= 4)
        return Array(name.utf8) + repeatElement(UInt8(ascii: "_"), count: 4 - name.utf8.count)
    }

    /// `content` after its PkgLength, which counts its own one to three bytes (20.2.4).
    private static func withLength(_ content: [UInt8]) -> [UInt8] {
        let size = content.count
        if size + 1 < 1 << 6 { return [UInt8(size + 1)] + content }
        let more = size + 2 < 1 << 12 ? 1 : 2
        let total = size + 1 + more
        precondition(total < 1 << 20)
        let rest = (0..<more).map { UInt8(truncatingIfNeeded: total >> (4 + 8 * $0)) }
        return [UInt8(more << 6 | total & 0xf)] + rest + content
    }
}

/// The bytes of a number, little-endian.
private func number<T: FixedWidthInteger & UnsignedInteger>(_ value: T) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.append(value)
    return bytes
}
