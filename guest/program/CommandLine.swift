// The kernel command line: words separated by spaces.
//
//   virtio_mmio.device=SIZE@ADDRESS:GSI   a device window, repeated, in any order
//   only=NAME[,NAME]                      runs these checks only
//   input=TEXT                            the host sends TEXT to the console
//   features=NAME[+NAME...]               accepts these features (RingForm.swift) and no other of them; none for none
//   queue-size=N                          queues of N entries, as far as the device allows
//   cycles=N                              suspend-cycles goes round N times, 200 without this
//   disk=N                                the checks' writable disk is blkN, and not the first one that is writable
//   stress=N, records=N, latency=N        that check instead of all others, and how long; more words in Stress.swift

/// The kernel command line.
struct KernelCommandLine {
    let text: Text

    /// From `hvm_start_info`, whose `cmdline_paddr` stands at 24.
    init(startInfo: UInt64) { text = Text(terminatedAt: load64(startInfo &+ 24)) }

    /// Calls `body` with what follows `key` in each word that begins with it.
    func forEach(_ key: StaticString, _ body: (Text) -> Void) {
        var rest = text
        while rest.count > 0 {
            var word = rest.removeFirst(before: UInt8(ascii: " "))
            if word.removePrefix(key) { body(word) }
        }
    }

    /// Whether the check `name` is to run.
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

    /// The number of the last word that begins with `key`.
    func number(_ key: StaticString) -> UInt64? {
        var number: UInt64?
        forEach(key) { number = $0.number ?? number }
        return number
    }

    /// The form of the queues, and whether the command line says which features. A name that is none becomes a feature
    /// no device offers.
    func form() -> (form: RingForm, choosesFeatures: Bool) {
        var form = RingForm()
        var choosesFeatures = false
        forEach("features=") { list in
            var list = list
            choosesFeatures = true
            while list.count > 0 {
                let name = list.removeFirst(before: UInt8(ascii: "+"))
                if name.equals(Text("none")) { continue }
                form.features.formUnion(RingFeature.named(name) ?? RingFeature.unknown)
            }
        }
        form.queueSize = number("queue-size=").map { UInt32(truncatingIfNeeded: min(max($0, 1), 32768)) }
        return (form, choosesFeatures)
    }

    /// The device windows, lowest address first; those beyond `Slots.capacity` are left out.
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

/// The device windows of the board in the order of their addresses.
struct Slots {
    static let capacity = 16
    private var devices: [16 of MMIODevice]
    private(set) var count = 0

    init() { devices = [16 of MMIODevice](repeating: MMIODevice(base: 0, input: 0, slot: 0)) }

    subscript(slot: Int) -> MMIODevice { devices[slot] }

    /// Keeps the order; a device's slot is its rank.
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
