// What the cells of a sweep have in common.

/// What a sweep runs, when a cell passes, and how this process runs its part.
public struct SweepPlan: Sendable {
    /// The axes, `KEY=VALUE,VALUE`.
    public var over: [String] = []
    /// What every run gets beside its cell's values.
    public var arguments: [String] = []
    /// The limit of a cell's time, as `--timeout` takes it, and as a duration.
    public var timeout: (text: String, duration: Duration) = ("60s", .seconds(60))
    /// The exit code of a run that passes.
    public var exit: Int32 = 0
    /// Texts that the console must print.
    public var expect: [String] = []
    /// Whether the console must print TAP without a failure, with as many results as planned.
    public var checksTAP = false
    /// Whether no driver may break a clause.
    public var checksClauses = false

    /// This program's name, for the commands that repeat cells.
    public var program = "vmm"
    /// Without a kernel of its own a cell runs the built-in guest.
    public var isBuiltIn = true
    /// Most cells that run at the same time.
    public var jobs = Host.processors
    /// Whether the first failure ends the sweep.
    public var failsFast = false
    /// The folder for each cell's output; nil for none.
    public var logs: String?

    /// A sweep of the built-in guest, of one cell.
    public init() {}

    /// The words of `vmm sweep` that are the same for all pieces of the sweep.
    public var words: [String] {
        var words = over.flatMap { ["--over", $0] } + ["--timeout", timeout.text, "--exit", "\(exit)"]
        words += expect.flatMap { ["--expect", $0] }
        words += (checksTAP ? ["--check-tap"] : []) + (checksClauses ? ["--clauses"] : [])
        return words + (arguments.isEmpty ? [] : ["--"] + arguments)
    }

    /// The arguments of `vmm` for a run of `cell`.
    public func arguments(of cell: SweepCell) -> [String] {
        ["run"] + arguments + cell.arguments(isBuiltIn: isBuiltIn) + ["--timeout=\(timeout.text)"]
    }

    /// The command that runs `vmm` with `arguments`, for a shell.
    public func command(_ arguments: [String]) -> String {
        let plain = Set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=+,./:@%")
        return ([program] + arguments).map { word in
            !word.isEmpty && plain.isSuperset(of: word) ? word : "'" + word.replacing("'", with: "'\\''") + "'"
        }.joined(separator: " ")
    }
}
