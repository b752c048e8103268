// Recorder of a device model's trace events. In a replay it also supplies the recorded reads of guest memory. A device
// without a recorder pays one comparison for each load.
//
// Safety of the unsafe code: the storage is created and freed with its transport, and all copies of the recorder belong
// to that transport.

import Synchronization

/// Records a device's trace events, or nothing.
@usableFromInline @safe struct TraceRecorder: @unchecked Sendable {
    /// The recorded events and the state of a replay.
    @safe struct Storage: ~Copyable {
        /// Guest memory, to convert host pointers to guest addresses.
        let memory: GuestMemory
        let isReplay: Bool
        let capacity: Int
        let events: UnsafeMutablePointer<Event>
        var count = 0
        var dropped: UInt64 = 0
        /// Recorded events of the call being replayed, and the position of the next one to read.
        var script: [Event] = []
        var position = 0
        /// Describes the first read that differs from the script.
        var divergence: String?
        /// Whether the model read more than the script contains.
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

    /// Creates a recorder that records nothing.
    init() { unsafe storage = nil }

    /// Creates a recorder for a device with guest memory `memory`.
    init(memory: GuestMemory, isReplay: Bool) {
        let made = UnsafeMutablePointer<Storage>.allocate(capacity: 1)
        unsafe made.initialize(to: Storage(memory: memory, capacity: Event.mostInCall, isReplay: isReplay))
        unsafe storage = made
    }

    /// Frees the storage. The recorder and its copies must not be used afterwards.
    func free() {
        guard let storage = unsafe storage else { return }
        unsafe storage.deinitialize(count: 1)
        unsafe storage.deallocate()
    }

    /// Whether events are recorded.
    var isOn: Bool { unsafe storage != nil }

    /// Records `event`.
    @inline(always)
    func record(_ event: @autoclosure () -> Event) {
        guard unsafe storage != nil else { return }
        append(event())
    }

    /// The position of the next event.
    var mark: Int { unsafe storage?.pointee.count ?? 0 }

    /// Records the input of a call whose value is known only at the end of the call, before the events since `mark`.
    func record(_ event: @autoclosure () -> Event, at mark: Int) {
        guard let storage = unsafe storage else { return }
        let (events, count) = unsafe (storage.pointee.events, storage.pointee.count)
        append(event())
        guard unsafe storage.pointee.count > count else { return }
        for index in (mark..<count).reversed() { unsafe swap(&events[index], &events[index + 1]) }
    }

    /// Records input for `port`, and that it was passed to the device.
    func recordInput(_ bytes: Span<UInt8>, port: Int) { recordInput(bytes, port: port, .receive(port: UInt8(port))) }

    /// Records input, eight bytes in each event, and the call that takes it.
    func recordInput(_ bytes: Span<UInt8>, port: Int = 0, _ call: Event) {
        guard isOn else { return }
        var start = 0
        while start < bytes.count {
            let count = min(8, bytes.count - start)
            var word: UInt64 = 0
            for index in 0..<count { word |= UInt64(bytes[start + index]) << UInt64(8 * index) }
            append(.input(port: UInt8(port), count: UInt8(count), bytes: word))
            start += count
        }
        append(call)
    }

    @inline(never)
    private func append(_ event: Event) {
        guard let storage = unsafe storage else { return }
        guard unsafe storage.pointee.count < storage.pointee.capacity else {
            unsafe storage.pointee.dropped += 1
            return
        }
        unsafe (storage.pointee.events + storage.pointee.count).initialize(to: event)
        unsafe storage.pointee.count += 1
    }

    /// Calls `body` with each event recorded since the last call, then discards them. `Event` is trivial: nothing to
    /// deinitialize.
    func drain(_ body: (Event) -> Void) {
        guard let storage = unsafe storage else { return }
        for index in 0..<(unsafe storage.pointee.count) { unsafe body(storage.pointee.events[index]) }
        unsafe storage.pointee.count = 0
        let dropped = unsafe storage.pointee.dropped
        if dropped > 0 { body(.dropped(dropped)) }
        unsafe storage.pointee.dropped = 0
    }

    // MARK: Guest memory

    /// Records `value`, which the caller has loaded from `place` in guest memory, and returns it. A replay returns the
    /// recorded value.
    @inline(always)
    func load<Word: FixedWidthInteger & UnsignedInteger>(_ value: Word, at place: UnsafeRawPointer) -> Word {
        guard unsafe storage != nil else { return value }
        return unsafe Word(truncatingIfNeeded: exchange(UInt64(value), Word.bitWidth / 8, place))
    }

    @inline(never)
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

    /// Whether a load that only a check needs is possible: a trace of a version without that check does not contain it.
    var canLoad: Bool {
        guard let storage = unsafe storage, unsafe storage.pointee.isReplay else { return true }
        let rest = unsafe storage.pointee.script.dropFirst(storage.pointee.position)
        return rest.contains { if case .load = $0 { true } else { false } }
    }

    /// Makes the reads in `events` the values that `load` returns.
    func play(_ events: [Event]) {
        guard let storage = unsafe storage else { return }
        unsafe storage.pointee.script = events
        unsafe storage.pointee.position = 0
    }

    /// Describes the first read that differs from the script; nil if there is none.
    var divergence: String? { unsafe storage?.pointee.divergence }
    /// Whether the model read more than the script contains.
    var isExhausted: Bool { unsafe storage?.pointee.isExhausted ?? false }
}

extension TraceRecorder.Storage {
    /// Returns the value of the script's next read if it is of `width` bytes at `address`; nil otherwise.
    mutating func next(_ address: UInt64, _ width: Int) -> UInt64? {
        while position < script.count {
            defer { position += 1 }
            guard case .load(let place, let size, let value) = script[position] else { continue }
            if place == address && Int(size) == width { return value }
            diverge(
                "it reads \(width) bytes at 0x\(String(address, radix: 16)), where the trace has \(size) at 0x\(String(place, radix: 16))"
            )
            return nil
        }
        isExhausted = true
        diverge("it reads \(width) bytes at 0x\(String(address, radix: 16)), a read that the trace does not contain")
        return nil
    }

    private mutating func diverge(_ how: String) {
        if divergence == nil { divergence = how }
    }
}
