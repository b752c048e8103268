// A constant of VirtioABI, and the source of its expected value.

import Testing
import VirtioABI

/// A constant of VirtioABI with its expected value from the kernel's headers, or from the specification where the
/// headers have none.
struct Pin: CustomTestStringConvertible, Sendable {
    /// The source of the expected value.
    enum Source: Sendable {
        /// A macro of the headers with the same value.
        case macro(String)
        /// A macro whose value is the number of the bit.
        case bit(String)
        /// A macro, or a bit-number macro, that older headers lack, and its value in the specification.
        case newMacro(String, UInt64)
        case newBit(String, UInt64)
        /// A size or an offset of a struct in the headers.
        case layout(Int)
        /// A number that only the specification defines.
        case specification(UInt64)
    }

    /// `Type.name` in VirtioABI.
    let name: String
    let ours: UInt64
    let source: Source

    var testDescription: String { name }

    init(_ name: String, _ ours: some BinaryInteger, _ source: Source) {
        self.name = name
        self.ours = UInt64(ours)
        self.source = source
    }

    init<Raw: RawRepresentable>(_ name: String, _ ours: Raw, _ source: Source) where Raw.RawValue: BinaryInteger {
        self.init(name, ours.rawValue, source)
    }

    /// A size or an offset.
    init(_ name: String, _ ours: some BinaryInteger, layout: some BinaryInteger) {
        self.init(name, ours, .layout(Int(layout)))
    }

    /// The name of the headers' macro, if the source is one.
    var macro: String? {
        switch source {
        case .macro(let name), .bit(let name), .newMacro(let name, _), .newBit(let name, _): name
        case .layout, .specification: nil
        }
    }

    /// The expected value of `ours`; nil if the headers lack a macro that they should have.
    var expected: UInt64? {
        let value = macro.flatMap { KernelHeaders.macros[$0] ?? nil }
        return switch source {
        case .macro: value
        case .bit: value.map { 1 << $0 }
        case .newMacro(_, let number): value ?? number
        case .newBit(_, let bit): 1 << (value ?? bit)
        case .layout(let number): UInt64(number)
        case .specification(let number): number
        }
    }
}
