// A port of the console: its input, both sides' idea of whether it is open, and the control messages that the driver is still to
// get. Messages are owed, not queued: a driver that asks again and again makes nothing grow.

import VirtioABI

/// What the console knows of one of its ports.
struct ConsolePortState {
    /// In UTF-8.
    let name: [UInt8]
    let isConsole: Bool
    var input = InputBuffer()
    /// The driver said that something in the guest has the port open.
    var isOpenInGuest = false
    /// Something on the host has it open.
    var isOpenOnHost: Bool
    /// The driver was told of the port.
    private var isAnnounced = false
    /// The driver is ready for messages about the port.
    private var isReady = false
    /// Bit n: event n is owed.
    private var owed: UInt8 = 0

    /// A port nobody has heard of. A console is open on the host from the start.
    init(name: [UInt8], isConsole: Bool) {
        self.name = name
        self.isConsole = isConsole
        isOpenOnHost = isConsole
    }

    var owesMessage: Bool { owed != 0 }

    /// The message to be sent next, which is then not owed any more. In the order in which a driver needs them, which is
    /// their numbers' but for the name: it comes before the port is said to be open.
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

    /// From now on `event` is owed, if the driver is there to hear it.
    mutating func owe(_ event: ConsoleControl.Event) -> Bool {
        guard isReady else { return false }
        owed |= 1 << UInt8(event.rawValue)
        return true
    }

    /// The driver wants to know which ports there are. It is told of each once.
    mutating func announce() {
        guard !isAnnounced else { return }
        isAnnounced = true
        owed |= 1 << UInt8(ConsoleControl.Event.deviceAdd.rawValue)
    }

    /// The driver is ready for the port: it is told what the port is.
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

    /// The driver went away. What it was told and said is void.
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

    /// Takes back what `save` appended, off the front of `state`.
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

/// Bytes on their way in, first in, first out, at most 4096.
struct InputBuffer {
    private var bytes = [UInt8](repeating: 0, count: 4096)
    private var first = 0
    private var count = 0

    var isEmpty: Bool { count == 0 }
    var room: Int { bytes.count - count }

    /// What waits, first in first.
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
