// Output on its way to the host end of a console or serial port: a buffer of fixed size. While it is full the guest's output waits; before
// the first peer of a socket or pseudo-terminal has connected, the oldest output is dropped instead.

/// The output buffer of a port.
struct OutputBuffer {
    /// Bytes of the buffer.
    static let capacity = 64 << 10
    /// Bytes beyond it for emergency output, which must not wait.
    private static let reserve = 4096

    private(set) var bytes: [UInt8] = []
    /// The newest output is kept for the first peer.
    private(set) var keepsNewest: Bool
    /// Bytes that were dropped because newer ones came.
    private var dropped = 0

    /// Looks for a text in what is appended.
    var watch: TextWatch?

    /// An empty buffer, which keeps the newest output until `firstPeerConnected`, or makes output wait.
    init(keepsNewest: Bool) {
        self.keepsNewest = keepsNewest
        bytes.reserveCapacity(Self.capacity)
    }

    var isEmpty: Bool { bytes.isEmpty }
    var count: Int { bytes.count }
    /// Whether a byte can be taken.
    var hasRoom: Bool { keepsNewest || count < Self.capacity }

    /// Appends the first of `new` as far as there is room. Returns how many were taken.
    @unsafe mutating func append(_ new: UnsafeRawBufferPointer) -> Int {
        let taken = makeRoom(for: new.count)
        if watch != nil { for index in 0..<taken { unsafe watch?.look(at: new[index]) } }
        // Of more than the buffer's size the end is kept.
        let kept = min(taken, Self.capacity)
        unsafe bytes.append(contentsOf: new[taken - kept..<taken])
        return taken
    }

    /// Appends a byte, if there is room.
    mutating func append(_ byte: UInt8, isEmergency: Bool = false) {
        guard makeRoom(for: 1, reserve: isEmergency && !keepsNewest ? Self.reserve : 0) > 0 else { return }
        bytes.append(byte)
        watch?.look(at: byte)
    }

    /// How many of `new` bytes to take: as many as there is room for, or all, where the oldest output makes room.
    private mutating func makeRoom(for new: Int, reserve: Int = 0) -> Int {
        let room = max(0, Self.capacity + reserve - count)
        guard new > room, keepsNewest else { return min(new, room) }
        dropped += new - room
        bytes.removeFirst(min(count, new - room))
        return new
    }

    /// The first peer has connected, and gets the output that was kept. Returns a sentence for the user if some was dropped before.
    mutating func firstPeerConnected() -> String? {
        keepsNewest = false
        return dropped == 0
            ? nil : "the first to connect gets the last \(count) bytes of output; \(dropped) before them are lost"
    }

    /// Removes the first `count` bytes, which were written.
    mutating func remove(_ count: Int) { bytes.removeFirst(count) }

    /// Takes all output.
    mutating func takeAll() -> [UInt8] {
        defer { bytes.removeAll(keepingCapacity: true) }
        return bytes
    }
}
