// The kernel command line: words separated by spaces. KnownWord.swift lists them.

/// The kernel command line.
struct KernelCommandLine {
    let text: Text

    /// Reads it from `hvm_start_info`, whose field `cmdline_paddr` is at offset 24.
    init(startInfo: UInt64) { text = Text(terminatedAt: load64(startInfo &+ 24)) }

    /// Calls `body` with the rest of each word that begins with `key`.
    func forEach(_ key: StaticString, _ body: (Text) -> Void) {
        var rest = text
        while rest.count > 0 {
            var word = rest.removeFirst(before: UInt8(ascii: " "))
            if word.removePrefix(key) { body(word) }
        }
    }

    /// Whether the check `name` is selected.
    func selects(_ name: StaticString) -> Bool {
        var restricted = false
        var named = false
        forEach("only=") { list in
            var list = list
            restricted = true
            while list.count > 0 {
                if list.removeFirst(before: UInt8(ascii: ",")).equals(Text(name)) { named = true }
            }
        }
        return named || !restricted
    }

    /// The number after `key` in the last word that begins with it; nil if there is none.
    func number(_ key: StaticString) -> UInt64? {
        var number: UInt64?
        forEach(key) { number = $0.number }
        return number
    }

    /// The form of the queues, and whether the command line names features.
    func form() -> (form: RingForm, choosesFeatures: Bool) {
        var form = RingForm()
        var choosesFeatures = false
        forEach("features=") { list in
            var list = list
            choosesFeatures = true
            while list.count > 0 {
                let name = list.removeFirst(before: UInt8(ascii: "+"))
                form.features.formUnion(RingFeature.named(name) ?? [])
            }
        }
        form.queueSize = number("queue-size=").flatMap { form.queueSize($0) }
        return (form, choosesFeatures)
    }

    /// The device windows, lowest address first. Windows beyond `Slots.capacity` are ignored.
    func slots() -> Slots {
        var slots = Slots()
        forEach("virtio_mmio.device=") { entry in
            var entry = entry
            _ = entry.removeFirst(before: UInt8(ascii: "@"))
            let address = entry.removeFirst(before: UInt8(ascii: ":"))
            guard let base = address.number, let input = entry.number, input < 24 else { return }
            slots.insert(MMIODevice(base: base, input: UInt8(input), slot: 0))
        }
        return slots
    }
}

/// The device windows of the board, sorted by address.
struct Slots {
    static let capacity = 16
    private var devices: [16 of MMIODevice]
    private(set) var count = 0

    init() { devices = [16 of MMIODevice](repeating: MMIODevice(base: 0, input: 0, slot: 0)) }

    subscript(slot: Int) -> MMIODevice { devices[slot] }

    /// Inserts a device in address order. A device's slot is its index in that order.
    mutating func insert(_ device: MMIODevice) {
        guard count < Slots.capacity else { return }
        var index = count
        while index > 0, devices[index - 1].base > device.base {
            devices[index] = devices[index - 1]
            devices[index].slot = UInt8(index)
            index -= 1
        }
        devices[index] = device
        devices[index].slot = UInt8(index)
        count += 1
    }
}
