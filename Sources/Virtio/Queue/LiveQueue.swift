// A queue that the driver enabled: a ring in one of the two formats, and the chains taken from it.

import VirtioABI

/// How far a ring was followed. In a split ring the free-running `count` is all; a packed one also has a place and a lap.
struct RingPosition: Equatable, Sendable {
    /// Entries (split) or descriptors (packed) so far, free-running.
    var count: UInt16 = 0
    /// The descriptor that comes next in a packed ring, below its size.
    var slot: UInt16 = 0
    /// The wrap counter of a packed ring (2.8.1).
    var wrap = true

    /// Goes `n` descriptors, at most `size`, further round a packed ring.
    mutating func advance(by n: UInt16, size: UInt16) {
        count &+= n
        let rest = size - slot
        if n < rest {
            slot += n
        } else {
            slot = n - rest
            wrap.toggle()
        }
    }
}

/// Outcome of popping a queue.
enum NextChain: ~Copyable {
    case empty
    case chain(DescriptorChain)
    case fault(QueueFault)
}

/// A virtqueue that has been checked and may be used.
struct LiveQueue: ~Copyable {
    private enum Ring {
        case split(SplitQueue)
        case packed(PackedQueue)
    }

    private var ring: Ring
    var parked: ParkedChains
    /// Entries.
    let size: UInt16

    /// Checks what the driver configured and makes it a queue of the format it negotiated.
    init(_ configuration: QueueConfiguration, packed: Bool, in memory: GuestMemory) throws(QueueFault) {
        if packed {
            let queue = try PackedQueue(configuration, in: memory)
            (ring, size) = (.packed(queue), queue.size)
        } else {
            let queue = try SplitQueue(configuration, in: memory)
            (ring, size) = (.split(queue), queue.size)
        }
        parked = ParkedChains(size: size)
    }

    /// Where the next chain is popped and the next one is put.
    var positions: (available: RingPosition, used: RingPosition) {
        get {
            switch ring {
            case .split(let queue): (queue.available, queue.used)
            case .packed(let queue): (queue.available, queue.used)
            }
        }
        set {
            switch ring {
            case .split(var queue):
                (queue.available, queue.used) = newValue
                ring = .split(queue)
            case .packed(var queue):
                (queue.available, queue.used) = newValue
                ring = .packed(queue)
            }
        }
    }

    /// `count` of the available position at the end of what the driver has made available.
    var availableCount: UInt16 {
        switch ring {
        case .split(let queue): queue.availableIndex
        case .packed(let queue): queue.availableCount
        }
    }

    /// Pops the next chain and lays it out in `segments`, which has room for `size` of them; with `limit`, nothing from
    /// that available count on.
    mutating func next(in memory: GuestMemory, upTo limit: UInt16?, _ segments: inout SegmentStorage) -> NextChain {
        do throws(QueueFault) {
            guard limit != positions.available.count else { return .empty }
            switch ring {
            case .split(var queue):
                guard let chain = try queue.next(in: memory, parked, &segments) else { return .empty }
                ring = .split(queue)
                return .chain(chain)
            case .packed(var queue):
                guard let chain = try queue.next(in: memory, parked, &segments) else { return .empty }
                ring = .packed(queue)
                return .chain(chain)
            }
        } catch {
            return .fault(error)
        }
    }

    /// Gives a chain of `descriptors` descriptors back with `written` bytes in its writable part, counted from their start
    /// (2.7.8, 2.8.7).
    mutating func put(_ head: UInt16, descriptors: UInt16, written: UInt32) {
        switch ring {
        case .split(var queue):
            queue.put(head, written: written)
            ring = .split(queue)
        case .packed(var queue):
            queue.put(head, descriptors: descriptors, written: written)
            ring = .packed(queue)
        }
    }

    /// Whether the driver wants to hear of used buffers. To be asked after they were put.
    func wantsInterrupt() -> Bool {
        switch ring {
        case .split(let queue): queue.wantsInterrupt()
        case .packed(let queue): queue.wantsInterrupt()
        }
    }
}
