// The specification's requirements as data: what VIRTIO 1.4 and the two SUSPEND texts ask of a driver and of a device, as far as
// a device model can see it.
//
// A clause of VIRTIO 1.4 is named by its section and by which of the section's key words (MUST, MUST NOT, SHOULD, SHOULD NOT,
// MAY) it is, counted from 1: 4.2.2.2-14 is the fourteenth of section 4.2.2.2, SECTION-0 what a section states without one. Clauses of the draft are V5-..., those of 1.4's SUSPEND
// V14-...; Suspend.md has the list. VMM-n is no clause of any text: what works only by luck, and why.

/// One requirement.
public struct Clause: Sendable {
    /// Who has to keep it.
    public enum ConformanceTarget: Sendable { case driver, device }

    /// How strong it is (RFC 2119), or that no text says so.
    public enum Level: Sendable {
        case must, mustNot, should, shouldNot
        /// Stated without a key word; a device can not go on without it.
        case stated
        /// No text forbids it, and another device or the next kernel may not take it.
        case advice

        /// Whether a device may refuse a driver that breaks it.
        public var binds: Bool { self == .must || self == .mustNot || self == .stated }

        /// The key word.
        public var word: StaticString {
            switch self {
            case .must: "MUST"
            case .mustNot: "MUST NOT"
            case .should: "SHOULD"
            case .shouldNot: "SHOULD NOT"
            case .stated: "stated"
            case .advice: "advice"
            }
        }
    }

    /// Its name, which does not change.
    public let id: StaticString
    public let target: ConformanceTarget
    public let level: Level
    /// What it asks for, in a sentence of our own.
    public let sentence: StaticString
    /// What usually breaks it.
    public let cause: StaticString
    /// What to do about it.
    public let remedy: StaticString

    /// Every clause: those that drivers are checked for first, in the order of the checks.
    public static var all: [Clause] { Check.allCases.map { $0.clause } + otherDriverClauses + deviceClauses }

    init(
        _ id: StaticString, _ target: ConformanceTarget, _ level: Level, _ sentence: StaticString, cause: StaticString,
        remedy: StaticString
    ) {
        self.id = id
        self.target = target
        self.level = level
        self.sentence = sentence
        self.cause = cause
        self.remedy = remedy
    }
}
