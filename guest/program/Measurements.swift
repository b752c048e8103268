// Numbers that a check measured. They are printed on a TAP comment line before the check's result line.

/// Up to 16 names and numbers, in order of addition.
struct Measurements {
    private var names: [16 of StaticString]
    private var values = [16 of UInt64](repeating: 0)
    private(set) var count = 0

    init() { names = [16 of StaticString](repeating: "") }

    mutating func add(_ name: StaticString, _ value: UInt64) {
        precondition(count < names.count)
        names[count] = name
        values[count] = value
        count += 1
    }

    subscript(index: Int) -> (name: StaticString, value: UInt64) { (names[index], values[index]) }
}
