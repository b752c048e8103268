// The requirements of VIRTIO 1.4 and of the two SUSPEND texts on drivers and devices, as data.
//
// The id of a VIRTIO 1.4 clause is its section and the number of its key word (MUST, MUST NOT, SHALL, SHOULD, SHOULD
// NOT, MAY) in that section, from 1, those in notes not counted: 4.2.2.2-14 is the fourteenth of section 4.2.2.2. SECTION-0 is stated without a key word.
// V5-... are clauses of the draft, V14-... those of SUSPEND in 1.4, H-... hazards of SUSPEND: SuspendRequirements.md
// lists them. D-... are this model's decisions (Suspend.md). VMM-n is in no specification: behaviour that works only
// with some devices.

/// A requirement on drivers or devices.
public struct Clause: Sendable {
    /// Which side has to keep a clause.
    public enum ConformanceTarget: Sendable {
        /// The driver.
        case driver
        /// The device.
        case device
        /// Both sides.
        case both
    }

    /// The requirement level (RFC 2119), or where else the sentence comes from.
    public enum Level: Sendable {
        /// Required.
        case must
        /// Forbidden.
        case mustNot
        /// Required unless there is a good reason.
        case should
        /// Forbidden unless there is a good reason.
        case shouldNot
        /// Permitted.
        case may
        /// Stated without a key word, as a form or a definition: what differs has no meaning in the specification.
        case stated
        /// Not required: the specification permits the behaviour, or does not mention it, but it works only with some
        /// devices.
        case advice
        /// A decision of this model where the texts of SUSPEND are silent.
        case decision

        /// Whether a device in strict mode refuses a driver that breaks a clause of this level.
        public var binds: Bool { self == .must || self == .mustNot || self == .stated }

        /// The level as reports print it.
        public var word: StaticString {
            switch self {
            case .must: "MUST"
            case .mustNot: "MUST NOT"
            case .should: "SHOULD"
            case .shouldNot: "SHOULD NOT"
            case .may: "MAY"
            case .stated: "stated"
            case .advice: "advice"
            case .decision: "decision"
            }
        }
    }

    /// The clause's id. Ids are stable.
    public let id: StaticString
    /// Which side has to keep it.
    public let target: ConformanceTarget
    /// How strongly it is required.
    public let level: Level
    /// What the clause requires: a paraphrase of the specification.
    public let sentence: StaticString
    /// The usual cause of a violation.
    public let cause: StaticString
    /// How to fix a violation.
    public let remedy: StaticString

    /// Every clause: first those with a check, in the order of `Check`.
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
