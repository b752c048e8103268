// The driver's side of a virtqueue in either format: `FakeQueue` is split, `FakePackedQueue` packed. The state that a
// conforming driver keeps for both is here. Tests build a hostile driver from the same parts.

import Testing
import VirtioABI

/// A buffer of one descriptor.
struct Part {
    var address: UInt64
    var length: UInt32
    var writable: Bool
    /// The buffer is an indirect table.
    var indirect = false
}

/// An available chain.
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
    /// All parts in the ring's descriptors.
    case direct
    /// All parts in an indirect table, `shift` bytes after an aligned address.
    case table(shift: UInt64)
    /// The first part in the ring, the rest in a table; legal in a split ring.
    case tail(shift: UInt64)
}

/// Ring format, ring features and chain layout of a driver.
struct Form: Sendable, Equatable, CustomTestStringConvertible {
    var packed = false
    var layout = Layout.direct
    var eventIndex = true
    var inOrder = false
    /// The driver fills ignored fields with 0, and uses descriptors as 2.7.5 requires with `inOrder`. Otherwise it
    /// fills ignored fields with arbitrary values.
    var tidy = false

    /// Features that the device must offer beyond its default, and must not offer.
    var adding: Features { Features(packed ? [.ringPacked] : []).union(inOrder ? .inOrder : []) }
    var withholding: Features { eventIndex ? [] : .eventIndex }

    var testDescription: String {
        let words = [eventIndex ? "event index" : nil, inOrder ? "in order" : nil, tidy ? "tidy" : nil]
        return (["\(packed ? "packed" : "split")", "\(layout)"] + words.compactMap { $0 }).joined(separator: ", ")
    }

    /// Packed, without event indices.
    static let plainPacked = Form(packed: true, eventIndex: false)
    /// Both formats, each with its chain layouts.
    static let layouts = [
        Form(), Form(layout: .table(shift: 0)), Form(layout: .table(shift: 3)), Form(layout: .tail(shift: 8)),
        Form(packed: true), Form(packed: true, layout: .table(shift: 0)), Form(packed: true, layout: .table(shift: 1)),
    ]
    /// Both formats, with and without event indices.
    static let rings = [Form(), Form(eventIndex: false), Form(packed: true), .plainPacked]
    /// All tidy forms, with and without in-order use.
    static let legal = [false, true].flatMap { inOrder in
        (layouts + rings.filter { !$0.eventIndex }).map {
            Form(packed: $0.packed, layout: $0.layout, eventIndex: $0.eventIndex, inOrder: inOrder, tidy: true)
        }
    }
    /// Both formats with in-order use.
    static let inOrder = [false, true].flatMap { packed in
        [false, true].map { Form(packed: packed, eventIndex: $0, inOrder: true) }
    }
}

/// A virtqueue with the driver's state.
protocol FakeRing: AnyObject {
    var index: Int { get }
    var size: UInt16 { get }
    /// The descriptor, the driver and the device area.
    var areas: [UInt64] { get }
    var memory: FakeMemory { get }
    /// The negotiated features.
    var features: Features { get }
    /// Number of free descriptors.
    var room: Int { get }
    /// With VIRTIO_F_IN_ORDER: the chains in flight, in the order made available.
    var order: [UInt16] { get set }
    /// With VIRTIO_F_EVENT_IDX: `takeUsed` asks for a notification of the next used buffer.
    var followsUsed: Bool { get set }

    /// Makes `parts` available as a chain, in this order. Returns its head or buffer id.
    func place(_ parts: [Part]) -> UInt16
    /// Takes the used elements since the last call and frees their descriptors.
    func collect() -> [UsedElement]
    /// Asks for a notification of the next used buffer (2.7.10, 2.8.10).
    func askForInterrupt()
    /// Whether the device wants a notification of the buffers made available since the last call (Linux:
    /// virtqueue_kick_prepare).
    func prepareKick() -> Bool
    /// The bytes of an indirect table of `parts`.
    func table(_ parts: [Part]) -> [UInt8]
    /// A copy of the queue in another memory with the same contents.
    func moved(to memory: FakeMemory) -> any FakeRing
}

extension FakeRing {
    /// Makes a chain of `parts` available; `whole` are its parts without tables, for the test.
    func add(_ parts: [Part], whole: [Part]? = nil) -> Chain {
        precondition(!parts.isEmpty && parts.count <= room, "the test has no descriptors left")
        let head = place(parts)
        if features.contains(.inOrder) { order.append(head) }
        return Chain(head: head, parts: whole ?? parts)
    }

    /// Takes the used elements since the last call. Fails with VIRTIO_F_IN_ORDER if they are out of order.
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
