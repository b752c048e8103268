// The state of a virtual processor as a value, and what it says about the guest: whether it can continue, and where it is.

import KVM

/// A virtual processor between two instructions.
struct ProcessorState: Equatable, Sendable {
    let activity: VCPU.Activity
    let rip: UInt64
    let rsp: UInt64
    /// RFLAGS.IF.
    let interruptsEnabled: Bool
    /// Number of accesses to ports and to memory space without RAM so far.
    let accesses: Int
    /// The return addresses on its stack, the innermost first.
    var frames: [UInt64] = []

    /// Whether no interrupt can change what the processor does: it is halted with interrupts off, has not been started, or
    /// was running with interrupts off at `earlier` and has made no access since.
    func isStuck(since earlier: ProcessorState?) -> Bool {
        switch activity {
        case .notStarted: return true
        case .halted: return !interruptsEnabled
        case .running:
            guard let earlier, earlier.activity == .running else { return false }
            return !interruptsEnabled && !earlier.interruptsEnabled && earlier.accesses == accesses
        }
    }
}

/// All processors of a machine at one moment. A processor is nil while an access to a device has not returned.
struct ProcessorStates: Equatable, Sendable {
    let states: [ProcessorState?]
    /// The names of addresses.
    var symbols: Symbols?

    /// Whether no processor can continue: each is stuck since `earlier`. An INIT or NMI would come from another processor.
    func areStuck(since earlier: ProcessorStates?) -> Bool {
        states.indices.allSatisfy { index in
            states[index]?.isStuck(
                since: earlier.flatMap { $0.states.indices.contains(index) ? $0.states[index] : nil })
                == true
        }
    }

    /// One line for each processor, and its callers where they have names.
    func lines(since earlier: ProcessorStates? = nil) -> [String] {
        let areStuck = areStuck(since: earlier)
        return states.enumerated().map { "vcpu\($0) is \(phrase($1, areStuck: areStuck))\(callers($1))" }
    }

    /// Lines for the callers, which begin with a new line.
    private func callers(_ state: ProcessorState?) -> String {
        guard let symbols, let state, symbols.place(of: state.rip) != nil else { return "" }
        return symbols.callers(state.frames)
    }

    private func phrase(_ state: ProcessorState?, areStuck: Bool) -> String {
        guard let state else { return "in an access to a device that has not returned" }
        let name = symbols?.place(of: state.rip).map { " \($0)" } ?? ""
        let place = "rip \(hex(state.rip, digits: 16))\(name), rsp \(hex(state.rsp, digits: 16))"
        let interrupts = "interrupts \(state.interruptsEnabled ? "on" : "off")"
        return switch (state.activity, areStuck) {
        case (.halted, true): "halted with interrupts off: nothing can wake it; \(place)"
        case (.running, true): "running with interrupts off, without an access to a device; \(place)"
        case (.running, false): "running at \(place), \(interrupts)"
        case (.halted, false): "halted at \(place), \(interrupts)"
        case (.notStarted, _): "not started at \(place), \(interrupts)"
        }
    }
}
