// Numbers a check found out beside whether it passed. They are printed on a comment line of the report before its own.

/// Names and numbers, in their order, as many as there is room for.
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
