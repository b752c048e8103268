// Number of a vCPU's exits to this process. What KVM serves by itself, such as an ioeventfd or an interrupt controller's
// register, is not counted.

import KVM

/// Exits by kind.
public struct ExitCounts: Sendable, CustomStringConvertible {
    /// Accesses to memory space without RAM.
    public private(set) var memory = 0
    /// Accesses to ports.
    public private(set) var ports = 0
    /// All others: interruptions, and what ends a run.
    public private(set) var others = 0
    /// Accesses among them to addresses and ports that nothing claims.
    public internal(set) var unclaimed = UnclaimedAccesses()
    /// Bytes written to the absent serial port.
    public internal(set) var lostOutput = 0

    /// All exits.
    public var total: Int { memory + ports + others }

    mutating func count(_ exit: VCPU.Exit) {
        switch exit {
        case .mmioRead, .mmioWrite: memory += 1
        case .portIn, .portOut: ports += 1
        default: others += 1
        }
    }

    public var description: String {
        "\(total) exits: \(memory) memory, \(ports) port, \(others) others; \(unclaimed.total) of them unclaimed"
    }
}

/// Accesses to ports and addresses that nothing claims: reads are answered with all ones, writes have no effect.
public struct UnclaimedAccesses: Sendable {
    /// A port or an address.
    private struct Place: Hashable {
        let isPort: Bool
        let address: UInt64

        var space: String { isPort ? "port" : "address" }
        var number: String { "0x\(hex(address, digits: 1))" }
    }

    /// The accesses to a place.
    private struct Accesses {
        var count = 0
        /// The instruction pointer at the first, as KVM has it at the exit; nil if it cannot be read.
        let rip: UInt64?
    }

    /// Places that are told apart, because a guest may access any number.
    private static let mostPlaces = 4096
    /// Places that are reported.
    private static let mostReported = 5

    /// All accesses.
    private(set) var total = 0
    private var places: [Place: Accesses] = [:]

    /// No access.
    public init() {}

    /// Counts an access; `rip` is called for the first of a place.
    mutating func count(isPort: Bool, _ address: UInt64, rip: () -> UInt64?) {
        total += 1
        let place = Place(isPort: isPort, address: address)
        if places[place] == nil {
            guard places.count < Self.mostPlaces else { return }
            places[place] = Accesses(rip: rip())
        }
        places[place]?.count += 1
    }

    /// Adds the accesses of another processor.
    mutating func add(_ other: UnclaimedAccesses) {
        total += other.total
        for (place, accesses) in other.places {
            places[place, default: Accesses(rip: accesses.rip)].count += accesses.count
        }
    }

    /// The most accessed places, the most accessed first.
    private var reported: ArraySlice<(key: Place, value: Accesses)> {
        places.sorted { ($1.value.count, $0.key.address) < ($0.value.count, $1.key.address) }.prefix(Self.mostReported)
    }

    /// A sentence for each of the most accessed places, and one for the rest.
    public var sentences: [String] {
        let reported = reported
        let rest = total - reported.reduce(0) { $0 + $1.value.count }
        return reported.map { place, accesses in
            let first = accesses.rip.map { ", the first at rip \(hex($0, digits: 16))" } ?? ""
            return "nothing answers \(place.space) \(place.number): \(accesses.count) "
                + (accesses.count == 1 ? "access" : "accesses") + first
        } + (rest > 0 ? ["nothing answers other ports and addresses either: \(rest) accesses"] : [])
    }

    var json: JSON {
        [
            "total": .count(total),
            "most": .array(
                reported.map { place, accesses in
                    [
                        place.space: .string(place.number), "count": .count(accesses.count),
                        "rip": accesses.rip.map { .string("0x\(hex($0, digits: 1))") } ?? .null,
                    ]
                }),
        ]
    }
}
