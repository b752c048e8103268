// State of a console port: its input, whether guest and host have it open, and the control messages pending for the
// driver. Pending messages are a bit mask and not a queue, so a driver cannot make them grow by repeated requests.

import VirtioABI

/// State of a console port.
struct ConsolePortState {
    /// The port's name, in UTF-8.
    let name: [UInt8]
    let isConsole: Bool
    var input = InputBuffer()
    /// Whether the driver has reported the port as open (VIRTIO_CONSOLE_PORT_OPEN).
    var isOpenInGuest = false
    /// Whether the host has the port open.
    var isOpenOnHost: Bool
    /// The device shows a port that the host has open as closed for a time.
    var isClosedForNow = false
    /// Whether the host's end of the port is open, as the driver sees it.
    var looksOpen: Bool { isOpenOnHost && !isClosedForNow }
    /// Whether VIRTIO_CONSOLE_DEVICE_ADD was queued since the reset.
    private var isAnnounced = false
    /// Whether the driver is ready for messages about the port (VIRTIO_CONSOLE_PORT_READY).
    private var isReady = false
    /// Bit n: the message of event n is pending.
    private var owed: UInt8 = 0

    /// Creates a port not yet announced to the driver. The host has the console port open from the start.
    init(name: [UInt8], isConsole: Bool) {
        self.name = name
        self.isConsole = isConsole
        isOpenOnHost = isConsole
    }

    var owesMessage: Bool { owed != 0 }

    /// Removes and returns the next pending message; nil if there is none. The order is that of the event numbers,
    /// except that the name comes before PORT_OPEN, as drivers need it.
    mutating func nextMessage() -> ConsoleControl.Event? {
        for event in [ConsoleControl.Event.deviceAdd, .consolePort, .resize, .portName, .portOpen] {
            let bit: UInt8 = 1 << UInt8(event.rawValue)
            if owed & bit != 0 {
                owed &= ~bit
                return event
            }
        }
        return nil
    }

    /// Makes a message of `event` pending. Returns false if the driver is not ready for messages about the port.
    mutating func owe(_ event: ConsoleControl.Event) -> Bool {
        guard isReady else { return false }
        owed |= 1 << UInt8(event.rawValue)
        return true
    }

    /// Handles VIRTIO_CONSOLE_DEVICE_READY: announces the port, once after a reset (5.3.6.2).
    mutating func announce() {
        guard !isAnnounced else { return }
        isAnnounced = true
        owed |= 1 << UInt8(ConsoleControl.Event.deviceAdd.rawValue)
    }

    /// Handles VIRTIO_CONSOLE_PORT_READY: makes the messages that describe the port pending.
    mutating func describe(withSize: Bool) {
        guard isAnnounced else { return }
        isReady = true
        if isConsole {
            _ = owe(.consolePort)
            if withSize { _ = owe(.resize) }
        }
        if !name.isEmpty { _ = owe(.portName) }
        if isOpenOnHost { _ = owe(.portOpen) }
    }

    /// Forgets the driver's state and the pending messages, on a reset.
    mutating func driverLeft() {
        isOpenInGuest = false
        isAnnounced = false
        isReady = false
        owed = 0
    }

    // MARK: Snapshots

    /// Appends four bytes and the input to `state`.
    func save(into state: inout [UInt8]) {
        let flags = [isOpenInGuest, isOpenOnHost, isAnnounced, isReady]
        var bits: UInt8 = 0
        for index in flags.indices where flags[index] { bits |= 1 << UInt8(index) }
        let contents = input.contents
        state += [bits, owed, UInt8(contents.count & 0xff), UInt8(contents.count >> 8)]
        state += contents
    }

    /// Restores the state that `save` appended, and removes it from the front of `state`.
    mutating func restore(from state: inout ArraySlice<UInt8>) {
        guard let bits = state.popFirst(), let owed = state.popFirst(), let low = state.popFirst(),
            let high = state.popFirst()
        else { return }
        self.owed = owed
        isOpenInGuest = bits & 1 != 0
        isOpenOnHost = bits & 2 != 0
        isAnnounced = bits & 4 != 0
        isReady = bits & 8 != 0
        let count = Int(high) << 8 | Int(low)
        for byte in state.prefix(count) { _ = input.append(byte) }
        state = state.dropFirst(count)
    }
}

/// A FIFO of at most 4096 bytes of input.
struct InputBuffer {
    private var bytes = [UInt8](repeating: 0, count: 4096)
    private var first = 0
    private var count = 0

    var isEmpty: Bool { count == 0 }
    var room: Int { bytes.count - count }

    /// The undelivered bytes, oldest first.
    var contents: [UInt8] {
        var contents: [UInt8] = []
        for index in 0..<count { contents.append(bytes[(first + index) % bytes.count]) }
        return contents
    }

    mutating func append(_ byte: UInt8) -> Bool {
        guard count < bytes.count else { return false }
        bytes[(first + count) % bytes.count] = byte
        count += 1
        return true
    }

    mutating func removeFirst() -> UInt8? {
        guard count > 0 else { return nil }
        let byte = bytes[first]
        first = (first + 1) % bytes.count
        count -= 1
        return byte
    }
}
