// Where a device model's events are noted, or, when it goes through them once more, where it reads guest memory from. A device without
// one pays a comparison a load.
//
// The unsafe code here rests on this: a storage is made with its transport and freed with it, and whoever holds a tape is part of that
// transport.

import Synchronization

/// A device's tape, or none.
@safe struct TraceRecorder: @unchecked Sendable {
    /// What is on a tape.
    @safe struct Storage: ~Copyable {
        /// Guest memory, to name places in it.
        let memory: GuestMemory
        let isReplay: Bool
        let capacity: Int
        let events: UnsafeMutablePointer<Event>
        var count = 0
        var dropped: UInt64 = 0
        /// What a replay reads, and how far it has come.
        var script: [Event] = []
        var position = 0
        /// The first event at which the model went another way than the script.
        var divergence: String?
        /// The script had no more, and the model read on.
        var isExhausted = false

        init(memory: GuestMemory, capacity: Int, isReplay: Bool) {
            self.memory = memory
            self.isReplay = isReplay
            self.capacity = capacity
            unsafe events = .allocate(capacity: capacity)
        }

        deinit { unsafe events.deallocate() }
    }

    private let storage: UnsafeMutablePointer<Storage>?

    /// No tape.
    init() { unsafe storage = nil }

    /// A tape for a device over `memory`.
    init(memory: GuestMemory, isReplay: Bool) {
        let made = UnsafeMutablePointer<Storage>.allocate(capacity: 1)
        unsafe made.initialize(to: Storage(memory: memory, capacity: Event.mostInCall, isReplay: isReplay))
        unsafe storage = made
    }

    /// Frees what `init` made. Nothing may use the tape, or a copy of it, any more.
    func free() {
        guard let storage = unsafe storage else { return }
        unsafe storage.deinitialize(count: 1)
        unsafe storage.deallocate()
    }

    /// Whether there is one.
    var isOn: Bool { unsafe storage != nil }

    /// Notes an event.
    @inline(__always)
    func record(_ event: @autoclosure () -> Event) {
        guard unsafe storage != nil else { return }
        append(event())
    }

    /// Where the next event will stand.
    var mark: Int { unsafe storage?.pointee.count ?? 0 }

    /// Notes the event that began a call, known only now, before what has come of the call since `mark`.
    func record(_ event: @autoclosure () -> Event, at mark: Int) {
        guard let storage = unsafe storage else { return }
        append(event())
        let (events, count) = unsafe (storage.pointee.events, storage.pointee.count)
        for index in (mark..<max(mark, count - 1)).reversed() { unsafe swap(&events[index], &events[index + 1]) }
    }

    /// Notes input, eight bytes an event.
    func recordInput(_ bytes: Span<UInt8>, port: Int) {
        guard isOn else { return }
        var start = 0
        while start < bytes.count {
            let count = min(8, bytes.count - start)
            var word: UInt64 = 0
            for index in 0..<count { word |= UInt64(bytes[start + index]) << UInt64(8 * index) }
            append(.input(port: UInt8(port), count: UInt8(count), bytes: word))
            start += count
        }
        append(.receive(port: UInt8(port)))
    }

    private func append(_ event: Event) {
        guard let storage = unsafe storage else { return }
        guard unsafe storage.pointee.count < storage.pointee.capacity else {
            unsafe storage.pointee.dropped += 1
            return
        }
        unsafe (storage.pointee.events + storage.pointee.count).initialize(to: event)
        unsafe storage.pointee.count += 1
    }

    /// Calls `body` with the events noted since the last time, and forgets them. Events are plain values.
    func drain(_ body: (Event) -> Void) {
        guard let storage = unsafe storage else { return }
        for index in 0..<(unsafe storage.pointee.count) { unsafe body(storage.pointee.events[index]) }
        unsafe storage.pointee.count = 0
        let dropped = unsafe storage.pointee.dropped
        if dropped > 0 { body(.dropped(dropped)) }
        unsafe storage.pointee.dropped = 0
    }

    // MARK: Guest memory

    /// A word of guest memory, fetched once by whoever calls: noted or, in a replay, what was noted.
    @inline(__always)
    func load<Word: FixedWidthInteger & UnsignedInteger>(_ value: Word, at place: UnsafeRawPointer) -> Word {
        guard unsafe storage != nil else { return value }
        return unsafe Word(truncatingIfNeeded: exchange(UInt64(value), Word.bitWidth / 8, place))
    }

    private func exchange(_ value: UInt64, _ width: Int, _ place: UnsafeRawPointer) -> UInt64 {
        guard let storage = unsafe storage else { return value }
        let address = unsafe storage.pointee.memory.guestAddress(of: place) ?? 0
        var value = value
        if unsafe storage.pointee.isReplay {
            value = unsafe storage.pointee.next(address, width) ?? value
        }
        append(.load(address: address, width: UInt8(width), value: value))
        return value
    }

    // MARK: Replay

    /// From here on the model reads what `events` say it read.
    func play(_ events: [Event]) {
        guard let storage = unsafe storage else { return }
        unsafe storage.pointee.script = events
        unsafe storage.pointee.position = 0
    }

    /// Where the model first read another place than the script says, or more than it has.
    var divergence: String? { unsafe storage?.pointee.divergence }
    /// It read more than the script has.
    var isExhausted: Bool { unsafe storage?.pointee.isExhausted ?? false }
}

extension TraceRecorder.Storage {
    /// What was read at `address`, if the script goes on with that.
    mutating func next(_ address: UInt64, _ width: Int) -> UInt64? {
        while position < script.count {
            defer { position += 1 }
            guard case .load(let place, let size, let value) = script[position] else { continue }
            if place == address && Int(size) == width { return value }
            diverge("it reads \(width) bytes at \(address), where the trace has \(size) at \(place)")
            return nil
        }
        isExhausted = true
        diverge("it reads \(width) bytes at \(address), of which the trace knows nothing")
        return nil
    }

    private mutating func diverge(_ how: String) {
        if divergence == nil { divergence = how }
    }
}
