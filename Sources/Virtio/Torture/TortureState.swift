// What a device under torture has put off, and how far its random words were used. A device without torture has none, and pays
// one comparison where a choice could be made.

/// The torture of one device so far.
struct TortureState {
    let torture: Torture
    /// Random words used, by choice.
    private var used = InlineArray<32, UInt32>(repeating: 0)
    /// Finished requests that are not used yet, in the order in which they finished.
    private(set) var held: [Token] = []
    /// Reports of `delayPassed` until `held` is used, and until the transitions of Status are over.
    private var delays = InlineArray<32, UInt8>(repeating: 0)
    /// The same until queues that their driver stops may end, by queue.
    private var ends = InlineArray<32, UInt8>(repeating: 0)
    /// Queues that have buffers to serve, and those whose notifications are suppressed.
    var unserved: QueueSet = []
    var suppressed: QueueSet = []
    /// The backend is ready for a resume that is not over yet.
    var backendIsReady = false
    /// Ports of a console that the host has open look closed.
    var closesPorts = false
    /// Calls until the device needs a reset; 0 for never.
    private var callsToDeath: UInt32 = 0

    init(_ torture: Torture) {
        self.torture = torture
        if torture.contains(.die), torture.word(.die, 0) % 4 != 0 {
            callsToDeath = UInt32(torture.word(.die, 1) % 2000) + 1
        }
    }

    // MARK: Choices

    /// The next random word for `choice`; nil if the choice is not made.
    mutating func word(_ choice: TortureChoice) -> UInt64? {
        guard torture.contains(choice) else { return nil }
        defer { used[Int(choice.rawValue)] &+= 1 }
        return torture.word(choice, used[Int(choice.rawValue)])
    }

    /// Whether `choice` is made now, once in `n` times.
    mutating func chooses(_ choice: TortureChoice, oneIn n: UInt64) -> Bool {
        word(choice).map { $0 % n == 0 } ?? false
    }

    /// Whether the device fails in this call.
    mutating func dies() -> Bool {
        guard callsToDeath > 0 else { return false }
        callsToDeath -= 1
        return callsToDeath == 0
    }

    // MARK: Delays

    /// Puts the end of something off by up to 31 reports of `delayPassed`; half of the times not at all.
    mutating func begin(_ choice: TortureChoice) {
        guard let word = word(choice) else { return }
        delays[Int(choice.rawValue)] = word & 1 == 0 ? 0 : UInt8(word >> 1 & 31)
    }

    /// Whether nothing puts the end of that off any more.
    func isOver(_ choice: TortureChoice) -> Bool { delays[Int(choice.rawValue)] == 0 }

    mutating func end(_ choice: TortureChoice) { delays[Int(choice.rawValue)] = 0 }

    /// Puts the end of queue `index` off likewise. Returns whether it may end now.
    mutating func beginEnd(of index: Int, _ choice: TortureChoice) -> Bool {
        ends[index] = word(choice).map { $0 & 1 == 0 ? 0 : UInt8($0 >> 1 & 31) } ?? 0
        return ends[index] == 0
    }

    /// Whether nothing puts the end of queue `index` off any more.
    func isOver(endOf index: Int) -> Bool { ends[index] == 0 }

    /// One report of `delayPassed`.
    mutating func pass() {
        for index in 0..<32 {
            if delays[index] > 0 { delays[index] -= 1 }
            if ends[index] > 0 { ends[index] -= 1 }
        }
    }

    /// Whether something is put off by a number of reports of `delayPassed`.
    var counts: Bool {
        for index in 0..<32 where delays[index] > 0 || ends[index] > 0 { return true }
        return false
    }

    /// Takes the queues that wait to be served, and those whose notifications are suppressed.
    mutating func takeWaiting() -> (unserved: QueueSet, suppressed: QueueSet) {
        let waiting = (isOver(.partial) ? unserved : [], isOver(.suppress) ? suppressed : [])
        unserved.subtract(waiting.0)
        suppressed.subtract(waiting.1)
        return waiting
    }

    // MARK: Finished requests

    /// Whether a request that has just finished is put off: it is `held` from now on.
    mutating func holds(_ token: Token) -> Bool {
        // What came earlier goes first, unless the order is free.
        let waits = !held.isEmpty && !torture.contains(.order)
        let choice: TortureChoice? =
            chooses(.order, oneIn: 2)
            ? .order : chooses(.late, oneIn: 4) ? .late : chooses(.group, oneIn: 4) ? .group : nil
        guard waits || choice != nil else { return false }
        if held.isEmpty, let choice { delays[Int(TortureChoice.late.rawValue)] = UInt8((word(choice) ?? 0) & 31) }
        held.append(token)
        return true
    }

    /// Takes the requests to be used now, in this order: none before their time.
    mutating func takeHeld() -> [Token] {
        guard isOver(.late) else { return [] }
        var tokens = held
        held = []
        guard let word = word(.order) else { return tokens }
        // Fisher and Yates; 16 bits of the word are enough for a queue's worth of requests.
        var state = word
        for index in stride(from: tokens.count - 1, to: 0, by: -1) {
            tokens.swapAt(index, Int(state >> 48) % (index + 1))
            state = state &* 0x5851_f42d_4c95_7f2d &+ 1
        }
        return tokens
    }

    /// Forgets the requests that are held: the resume uses what is finished.
    mutating func forgetHeld() { held = [] }

    /// Forgets everything that was put off.
    mutating func reset() {
        held = []
        (delays, ends) = (InlineArray(repeating: 0), InlineArray(repeating: 0))
        (unserved, suppressed, backendIsReady) = ([], [], false)
    }
}
