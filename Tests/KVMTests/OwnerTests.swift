// Owners (`~Copyable`) that an initialiser consumes or has stored when it throws: the compiler ends each of them once. The classes
// here throw where those of `Machine` do: before anything is stored, between two owners, and in the initialiser of the class above.

import Synchronization
import Testing

private struct Refused: Error {}

/// Owners that exist, and ends of owners.
private final class Ledger: Sendable {
    let begun = Atomic<Int>(0)
    let ended = Atomic<Int>(0)
}

private struct Owner: ~Copyable {
    let ledger: Ledger
    init(_ ledger: Ledger) {
        self.ledger = ledger
        ledger.begun.add(1, ordering: .relaxed)
    }
    deinit { ledger.ended.add(1, ordering: .relaxed) }
}

/// As a transport: an owner within an owner.
private struct Outer<Device: ~Copyable>: ~Copyable {
    var device: Device
    let own: Owner
    init(_ device: consuming Device, _ ledger: Ledger) {
        self.device = device
        own = Owner(ledger)
    }
}

private func check(_ place: Int, _ wanted: Int) throws(Refused) { if place == wanted { throw Refused() } }

/// As a slot.
private class Base<Device: ~Copyable> {
    let name: String
    var outer: Outer<Device>
    init(_ outer: consuming Outer<Device>, _ place: Int) throws(Refused) {
        try check(place, 3)
        name = "slot"
        self.outer = outer
        try check(place, 4)
    }
}

/// As the slot of a device type.
private final class Derived: Base<Owner> {
    let own: Owner
    let other: [Int]
    init(_ outer: consuming Outer<Owner>, _ ledger: Ledger, _ place: Int) throws(Refused) {
        try check(place, 0)
        own = Owner(ledger)
        try check(place, 1)
        other = [1]
        try check(place, 2)
        try super.init(outer, place)
        try check(place, 5)
    }
}

@Suite("Owners")
struct OwnerTests {
    @Test("an initialiser that throws ends each owner once, wherever it throws", arguments: 0...6)
    func once(place: Int) {
        let ledger = Ledger()
        let made = (try? Derived(Outer(Owner(ledger), ledger), ledger, place)) != nil
        #expect(made == (place == 6))
        let (begun, ended) = (ledger.begun.load(ordering: .relaxed), ledger.ended.load(ordering: .relaxed))
        #expect(begun == (place == 0 ? 2 : 3) && ended == begun)
    }
}
