// A queue that the driver enabled: a ring in one of the two formats, and its parked chains.

import Synchronization
import VirtioABI

/// A position in a ring. A split ring needs only the free-running `count`; a packed ring also has a slot and a wrap
/// counter.
struct RingPosition: Equatable, Sendable {
    /// Entries (split) or descriptors (packed) passed so far, free-running.
    var count: UInt16 = 0
    /// The next descriptor of a packed ring, below its size.
    var slot: UInt16 = 0
    /// The wrap counter of a packed ring (2.8.1).
    var wrap = true

    /// Advances by `n` descriptors, at most `size`, in a packed ring.
    mutating func advance(by n: UInt16, size: UInt16) {
        count &+= n
        let rest = size &- slot
        if n < rest {
            slot &+= n
        } else {
            slot = n &- rest
            wrap.toggle()
        }
    }
}

/// The device's positions in a ring.
struct RingPositions: Equatable, Sendable {
    /// The next chain to pop.
    var available = RingPosition()
    /// The next used entry to write.
    var used = RingPosition()
    /// `used` at the last decision whether to interrupt (2.7.7.2, 2.8.10).
    var notified = RingPosition()
}

/// A chain that the device has answered, to be used together with others.
struct UsedChain {
    let id: UInt16
    /// Ring entries that the chain takes.
    let slots: UInt16
    let written: UsedLength
}

/// Result of popping a queue.
enum NextChain: ~Copyable {
    case empty
    case chain(DescriptorChain)
    case fault(QueueFault)
}

/// A pointer to a live queue, valid until the queue is dropped: a queue in use is reached by one load.
@safe struct LiveQueuePointer: @unchecked Sendable {
    private let pointer: UnsafeMutablePointer<LiveQueue>

    init(_ queue: consuming LiveQueue) {
        unsafe pointer = .allocate(capacity: 1)
        unsafe pointer.initialize(to: queue)
    }

    /// Ends the queue. No copy of the pointer may be used afterwards.
    func free() {
        unsafe pointer.deinitialize(count: 1)
        unsafe pointer.deallocate()
    }

    var value: LiveQueue {
        unsafeAddress { unsafe UnsafePointer(pointer) }
        nonmutating unsafeMutableAddress { unsafe pointer }
    }
}

/// A virtqueue whose configuration was checked, so that it may be used.
struct LiveQueue: ~Copyable {
    private enum Ring {
        case split(SplitQueue)
        case packed(PackedQueue)
    }

    private var ring: Ring
    private let rules: ChainRulesPointer
    var positions = RingPositions()
    var parked: ParkedChains

    /// Checks what the driver configured and makes it a queue in the negotiated ring format.
    init(
        _ configuration: QueueConfiguration, _ features: Features, in memory: GuestMemory, checksDriver: Bool
    ) throws(QueueFault) {
        guard let region = memory.largestRegion else { throw .ringOutsideMemory }
        let size: UInt16
        if features.contains(.ringPacked) {
            let queue = try PackedQueue(configuration, in: memory)
            (ring, size) = (.packed(queue), queue.size)
        } else {
            let queue = try SplitQueue(configuration, in: memory)
            (ring, size) = (.split(queue), queue.size)
        }
        let rules = ChainRules(
            memory: memory, mainRegion: region, indirect: features.contains(.indirectDescriptors),
            longest: configuration.longestChain, sizeMax: configuration.sizeMax, checksDriver: checksDriver,
            inOrder: features.contains(.inOrder),
            eventIndex: features.contains(.eventIndex),
            areas: configuration.areas(size: size, isPacked: features.contains(.ringPacked), in: memory),
            everyChain: features.contains(.ringPacked) ? .packedList : .splitChain,
            everyTable: features.contains(.ringPacked) ? .packedTable : .splitTable)
        self.rules = ChainRulesPointer(rules)
        parked = ParkedChains(
            size: size, inOrder: features.contains(.inOrder), namedByHead: !features.contains(.ringPacked))
    }

    deinit { rules.free() }

    /// Entries (split) or descriptors (packed) that the driver has made available and the device has not popped.
    var availableCount: UInt16 {
        switch ring {
        case .split(let queue): queue.availableIndex &- positions.available.count
        case .packed(let queue): queue.availableCount(from: positions.available)
        }
    }

    /// Whether the driver has made nothing available that the device has not popped.
    var isEmpty: Bool {
        switch ring {
        case .split(let queue): queue.availableIndex == positions.available.count
        case .packed(let queue): !queue.isAvailable(positions.available)
        }
    }

    /// Pops the next chain and stores its buffers in `segments`, which has room for the longest chain. If the ring is
    /// empty, `requestsNotification` is set and VIRTIO_F_EVENT_IDX was negotiated, asks the driver to notify when it
    /// adds the next chain, and checks the ring once more.
    @inline(never)
    mutating func next(_ segments: inout SegmentStorage, requestsNotification: Bool) -> NextChain {
        var mayAsk = rules.value.eventIndex && requestsNotification
        do throws(QueueFault) {
            while true {
                if let chain = try pop(&segments) { return .chain(chain) }
                guard mayAsk else { return .empty }
                mayAsk = false
                requestNotification()
                // Full fence: the event is visible before the ring is read again. Pairs with the driver's barrier
                // between making a buffer available and reading the event (2.7.13.4.1, 2.8.21.4).
                atomicMemoryFence(ordering: .sequentiallyConsistent)
            }
        } catch {
            return .fault(error)
        }
    }

    @inline(always)
    private mutating func pop(_ segments: inout SegmentStorage) throws(QueueFault) -> DescriptorChain? {
        if isPacked { try popPacked(&segments) } else { try popSplit(&segments) }
    }

    @inline(always)
    private mutating func popSplit(_ segments: inout SegmentStorage) throws(QueueFault) -> DescriptorChain? {
        guard case .split(let queue) = ring, let head = try queue.head(at: positions.available) else { return nil }
        guard parked.isFree(head) else { throw .headInFlight }
        let chain = try queue.walk(from: head, rules, &segments)
        positions.available.count &+= 1
        return chain
    }

    @inline(always)
    private mutating func popPacked(_ segments: inout SegmentStorage) throws(QueueFault) -> DescriptorChain? {
        guard case .packed(let queue) = ring else { return nil }
        return try queue.next(at: &positions.available, rules, parked.slots, &segments)
    }

    /// Asks the driver to notify when it makes the next chain available. Only with VIRTIO_F_EVENT_IDX.
    private func requestNotification() {
        switch ring {
        case .split(let queue): queue.setAvailableEvent(positions.available)
        case .packed(let queue): queue.setDeviceEvent(positions.available)
        }
    }

    /// Suppresses the driver's notifications, or asks for each of them. With VIRTIO_F_EVENT_IDX a device that does not ask has
    /// suppressed them already, and `next` asks (2.7.10, 2.8.10).
    func suppressNotifications(_ isSuppressed: Bool) {
        guard !rules.value.eventIndex else { return }
        switch ring {
        case .split(let queue): queue.suppressNotifications(isSuppressed)
        case .packed(let queue): queue.suppressNotifications(isSuppressed)
        }
        // Full fence: the flags are visible before the ring is read again, as in `next`.
        atomicMemoryFence(ordering: .sequentiallyConsistent)
    }

    /// The driver's interrupt suppression, as it wrote it (2.7.7, 2.8.10).
    var suppression: UInt32 {
        switch ring {
        case .split(let queue): UInt32(rules.value.eventIndex ? queue.usedEvent : queue.availableFlags)
        case .packed(let queue): queue.driverEventWord
        }
    }

    /// Whether the ring is a packed one.
    var isPacked: Bool {
        if case .packed = ring { true } else { false }
    }

    /// Whether the descriptors of the parked chain `name`, below the queue's size, are unchanged since it was popped; nil if
    /// it has no fingerprint.
    @inline(always)
    func isUnchanged(_ name: UInt16) -> Bool? {
        guard let fingerprint = parked.fingerprint(name) else { return nil }
        return switch ring {
        case .split(let queue): queue.isUnchanged(name, fingerprint, longest: rules.value.longest)
        case .packed(let queue): queue.isUnchanged(fingerprint)
        }
    }

    /// Writes the used entry of a chain that takes `slots` entries (2.7.8, 2.8.6).
    @inline(always)
    mutating func put(_ id: UInt16, slots: UInt16, written: UsedLength) {
        switch ring {
        case .split(let queue): queue.put(id, written: written.length, at: &positions.used)
        case .packed(let queue): queue.put(id, slots: slots, written: written, at: &positions.used)
        }
    }

    /// Writes the used entries of several chains, of which the driver sees all or none.
    mutating func put(_ chains: [UsedChain]) {
        switch ring {
        case .split(let queue): queue.put(chains, at: &positions.used)
        case .packed(let queue): queue.put(chains, at: &positions.used)
        }
    }

    /// Whether the driver wants an interrupt for what was used since the last call (2.7.7.2, 2.8.10).
    @inline(always)
    mutating func wantsInterrupt() -> Bool {
        // Full fence: used entries are visible before the driver's suppression is read. Pairs with the driver's barrier
        // between enabling interrupts and checking the ring once more (2.7.7.1).
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        defer { positions.notified = positions.used }
        return switch ring {
        case .split(let queue):
            rules.value.eventIndex ? queue.usedEventPassed(positions) : queue.wantsEveryInterrupt
        case .packed(let queue): queue.wantsInterrupt(positions, eventIndex: rules.value.eventIndex)
        }
    }
}
