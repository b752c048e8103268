// The grid of a sweep: axes, each an option of `vmm run` with its values, and the cells that they span, in a fixed order.

/// The cells of a sweep.
public struct SweepGrid: Sendable {
    /// Most cells.
    static let limit = 1_000_000
    /// Options that a sweep gives to its runs itself.
    private static let own = ["timeout", "json"]

    /// Every cell; the first axis changes slowest.
    public let cells: [SweepCell]

    /// The grid of these axes, `KEY=VALUE,VALUE`; of none, one cell.
    public init(over: [String]) throws(OptionError) {
        var cells = [SweepCell(values: [])]
        for text in over {
            let (key, values) = try Self.axis(text)
            guard !cells[0].values.contains(where: { $0.key == key }) else {
                throw OptionError("--over \(key) is there twice: give it once, with all values")
            }
            guard cells.count * values.count <= Self.limit else {
                throw OptionError("the grid has more than \(Self.limit) cells: use fewer values")
            }
            cells = cells.flatMap { cell in values.map { SweepCell(values: cell.values + [.init(key: key, value: $0)]) }
            }
        }
        self.cells = cells
    }

    /// The cells of the part `K/N`: every N-th, from the K-th on, by their indices.
    public func part(_ text: String) throws(OptionError) -> [Int] {
        let numbers = text.split(separator: "/").compactMap { Int($0) }
        guard numbers.count == 2, numbers[0] > 0, numbers[0] <= numbers[1], text == "\(numbers[0])/\(numbers[1])" else {
            throw OptionError("a part of a grid is K/N, from 1/N to N/N, such as 2/8")
        }
        return Array(stride(from: numbers[0] - 1, to: cells.count, by: numbers[1]))
    }

    /// The key and the values of an axis. `A..B` is each integer of that range; a comma in a value is written `,,`.
    private static func axis(_ text: String) throws(OptionError) -> (key: String, values: [String]) {
        guard let mark = text.firstIndex(of: "="), mark > text.startIndex, !text.hasPrefix("-") else {
            throw OptionError("'\(text)' is no axis: write KEY=VALUE,VALUE, with an option of vmm run such as cpus=1,2")
        }
        let key = String(text[..<mark])
        guard !own.contains(key) else { throw OptionError("--\(key) is not for --over: leave it out") }
        let words = OptionWords(String(text[text.index(after: mark)...]))
        var values: [String] = []
        for word in [words.first] + words.others {
            let ends = word.split(separator: "..", omittingEmptySubsequences: false).compactMap { Int($0) }
            guard ends.count == 2, word == "\(ends[0])..\(ends[1])" else {
                values.append(word)
                continue
            }
            let (span, overflow) = ends[1].subtractingReportingOverflow(ends[0])
            guard !overflow, 0..<limit ~= span else {
                throw OptionError("\(key)=\(word) is no range of up to \(limit) numbers: write the smaller one first")
            }
            values += (ends[0]...ends[1]).map { "\($0)" }
        }
        guard !values.contains(""), Set(values).count == values.count else {
            throw OptionError("--over \(text) has an empty value, or one twice: give each once")
        }
        return (key, values)
    }
}

/// A cell: an option of `vmm run` for each axis.
public struct SweepCell: Hashable, Sendable {
    /// A value of an axis.
    public struct Value: Hashable, Sendable, CustomStringConvertible {
        /// The option, without dashes.
        public let key: String
        /// `yes` for an option without a value, `no` for none.
        public let value: String

        /// `KEY=VALUE`, with a comma in the value written twice, and `\n` for the end of a line.
        public var description: String { "\(key)=\(value.replacing(",", with: ",,").replacing("\n", with: "\\n"))" }
    }

    /// The values, in the order of the axes.
    public let values: [Value]

    /// The values with commas between them; `all` without an axis.
    public var id: String { values.isEmpty ? "all" : values.map(\.description).joined(separator: ",") }

    /// A name for a file: the id, with slashes as `%2F`, and of a long one the beginning and a digest.
    public var fileName: String {
        let name = id.replacing("%", with: "%25").replacing("/", with: "%2F")
        return name.utf8.count <= 200 ? name : "\(name.prefix(40))~\(hex(Digest(of: id.utf8).value, digits: 16))"
    }

    /// The value of `key`; nil if that is no axis.
    subscript(key: String) -> String? { values.first { $0.key == key }?.value }

    /// The cell with another value of `key`.
    func with(_ key: String, _ value: String) -> SweepCell {
        SweepCell(values: values.map { $0.key == key ? Value(key: key, value: value) : $0 })
    }

    /// The cell's own arguments of `vmm run`. The value of `features` is ring features with a `+` between them, which every device offers
    /// and the built-in guest, if it runs, accepts; `split` is none.
    public func arguments(isBuiltIn: Bool) -> [String] {
        values.flatMap { axis in
            switch (axis.key, axis.value) {
            case (_, "no"), ("features", "split"): return [String]()
            case (_, "yes"): return ["--\(axis.key)"]
            case ("features", let names):
                let runsGuest = isBuiltIn && self["kernel"] ?? "no" == "no"
                return ["--features=+\(names.replacing("+", with: ",+"))"]
                    + (runsGuest ? ["--append=features=\(names)"] : [])
            default: return ["--\(axis.key)=\(axis.value)"]
            }
        }
    }
}
