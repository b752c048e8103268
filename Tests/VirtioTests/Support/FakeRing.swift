// The driver's half of a virtqueue, whatever its form. `FakeQueue` is the split one, `FakePackedQueue` the packed one;
// what both do, which is to keep the books of a driver that keeps the rules, is here. A hostile driver is made of the
// same parts.

import Testing
import VirtioABI

/// A buffer as one descriptor names it.
struct Part {
    var address: UInt64
    var length: UInt32
    var writable: Bool
    /// It is a table of further descriptors.
    var indirect = false
}

/// A chain that was made available.
struct Chain {
    let head: UInt16
    let parts: [Part]

    var writable: [Part] { parts.filter(\.writable) }
}

/// An element of the used ring.
struct UsedElement: Equatable {
    let id: UInt32
    let length: UInt32
}

/// How a driver lays a chain out in descriptors.
enum Layout: Sendable, Equatable {
    /// Each in the ring's own descriptors.
    case direct
    /// All in a table, `shift` bytes behind an aligned address.
    case table(shift: UInt64)
    /// The first in the ring, the rest in a table; a split ring's driver may do that.
    case tail(shift: UInt64)
}

/// What a driver chooses of the forms that rings and chains have.
struct Form: Sendable, Equatable, CustomTestStringConvertible {
    var packed = false
    var layout = Layout.direct
    var eventIndex = true
    var inOrder = false
    /// Nothing that a device only has to bear with: no noise where it is to ignore it, and with `inOrder` descriptors as
    /// 2.7.5 wants them.
    var tidy = false

    /// What the device has to be told to offer, and not to.
    var adding: Features { Features(packed ? [.ringPacked] : []).union(inOrder ? .inOrder : []) }
    var withholding: Features { eventIndex ? [] : .eventIndex }

    var testDescription: String {
        let words = [eventIndex ? "event index" : nil, inOrder ? "in order" : nil, tidy ? "tidy" : nil]
        return (["\(packed ? "packed" : "split")", "\(layout)"] + words.compactMap { $0 }).joined(separator: ", ")
    }

    /// Packed, and nothing else that is new in it.
    static let plainPacked = Form(packed: true, eventIndex: false)
    /// Both rings, each with its layouts of chains.
    static let layouts = [
        Form(), Form(layout: .table(shift: 0)), Form(layout: .table(shift: 3)), Form(layout: .tail(shift: 8)),
        Form(packed: true), Form(packed: true, layout: .table(shift: 0)), Form(packed: true, layout: .table(shift: 1)),
    ]
    /// Both rings, with and without event indices.
    static let rings = [Form(), Form(eventIndex: false), Form(packed: true), .plainPacked]
    /// All that there are, in order and not, tidy.
    static let legal = [false, true].flatMap { inOrder in
        (layouts + rings.filter { !$0.eventIndex }).map {
            Form(packed: $0.packed, layout: $0.layout, eventIndex: $0.eventIndex, inOrder: inOrder, tidy: true)
        }
    }
    /// Both rings, used in order.
    static let inOrder = [false, true].flatMap { packed in
        [false, true].map { Form(packed: packed, eventIndex: $0, inOrder: true) }
    }
}

/// A virtqueue as its driver keeps it.
protocol FakeRing: AnyObject {
    var index: Int { get }
    var size: UInt16 { get }
    /// The descriptor, the driver and the device area.
    var areas: [UInt64] { get }
    var memory: FakeMemory { get }
    /// What was negotiated.
    var features: Features { get }
    /// Descriptors that no chain occupies.
    var room: Int { get }
    /// With VIRTIO_F_IN_ORDER: the chains with the device, as they were made available.
    var order: [UInt16] { get set }
    /// With VIRTIO_F_EVENT_IDX: a driver that took all used buffers wants to hear of the next.
    var followsUsed: Bool { get set }

    /// Lays `parts` out as a chain, in this order, and makes it available. Returns its name.
    func place(_ parts: [Part]) -> UInt16
    /// The used elements since the last call; their descriptors are free again.
    func collect() -> [UsedElement]
    /// Asks to be notified of the next used buffer (2.7.10, 2.8.10).
    func askForInterrupt()
    /// Whether the device wants to be notified of what was made available since the last call.
    func prepareKick() -> Bool
    /// `parts` as a table of indirect descriptors.
    func table(_ parts: [Part]) -> [UInt8]
    /// The same queue in another memory with the same contents.
    func moved(to memory: FakeMemory) -> any FakeRing
}

extension FakeRing {
    /// Makes a chain of `parts` available; `whole` is what the test knows of it.
    func add(_ parts: [Part], whole: [Part]? = nil) -> Chain {
        precondition(!parts.isEmpty && parts.count <= room, "the test has no descriptors left")
        let head = place(parts)
        if features.contains(.inOrder) { order.append(head) }
        return Chain(head: head, parts: whole ?? parts)
    }

    /// The used elements since the last call, which are in order where that was negotiated.
    func takeUsed() -> [UsedElement] {
        let elements = collect()
        if features.contains(.inOrder) {
            let ids = order.prefix(elements.count).map(UInt32.init)
            if elements.map(\.id) != ids { Issue.record("used \(elements.map(\.id)), available \(ids)") }
            order.removeFirst(min(elements.count, order.count))
        }
        if features.contains(.eventIndex) && followsUsed { askForInterrupt() }
        return elements
    }
}
