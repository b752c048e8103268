// What a driver wants to receive (VIRTIO 1.4, 5.1.9.5.1 to 5.1.9.5.3): its modes, MAC addresses and VLANs.

import VirtioABI

/// The receive filter of a network device. After a reset it passes all frames, and after negotiation all that the driver has not
/// been given commands to ask for.
struct NetworkFilter {
    /// Bytes of an Ethernet header without a VLAN tag.
    static let headerSize = 14
    /// MAC addresses in the table at most. A driver that sets more receives every frame of that kind.
    static let maximumAddresses = 64

    /// The device's MAC address.
    var mac: UInt64
    /// Bit n: the command n of class `receive` is on.
    private var modes: UInt8 = 0
    private var addresses = InlineArray<64, UInt64>(repeating: 0)
    private var addressCount = 0
    /// The table of unicast or multicast addresses has overflowed.
    private var passesUnicast = false
    private var passesMulticast = false
    /// Bit n of the words: VLAN n.
    private var vlans = InlineArray<64, UInt64>(repeating: 0)
    /// VIRTIO_NET_F_CTRL_RX, VIRTIO_NET_F_CTRL_VLAN.
    private var filtersAddresses = false
    private var filtersVLANs = false
    /// The driver knows the device's MAC address: it accepted VIRTIO_NET_F_MAC, or set it.
    private var hasMAC = false

    init(mac: UInt64) { self.mac = mac }

    mutating func negotiated(_ features: Features) {
        filtersAddresses = features.contains(NetworkFeature.controlReceive)
        filtersVLANs = features.contains(NetworkFeature.controlVLAN)
        hasMAC = features.contains(NetworkFeature.mac)
    }

    mutating func setMode(_ command: UInt8, _ isOn: Bool) {
        modes = isOn ? modes | 1 << command : modes & ~(1 << command)
    }

    mutating func setVLAN(_ id: UInt16, _ isOn: Bool) {
        let (word, bit) = (Int(id / 64), UInt64(1) << UInt64(id % 64))
        vlans[word] = isOn ? vlans[word] | bit : vlans[word] & ~bit
    }

    /// The driver set the device's address.
    mutating func learnMAC() { hasMAC = true }

    /// Empties the table of addresses.
    mutating func removeAddresses() { (addressCount, passesUnicast, passesMulticast) = (0, false, false) }

    mutating func addAddress(_ address: UInt64) {
        guard addressCount < Self.maximumAddresses else {
            if Self.isMulticast(address) { passesMulticast = true } else { passesUnicast = true }
            return
        }
        addresses[addressCount] = address
        addressCount += 1
    }

    static func isMulticast(_ address: UInt64) -> Bool { address.octet(0) & 1 != 0 }

    private func isOn(_ command: UInt8) -> Bool { modes & 1 << command != 0 }

    /// The VLAN of a frame's tag, nil if it has none.
    static func vlan(of frame: Span<UInt8>) -> UInt16? {
        guard frame.count >= headerSize + 2, frame[12] == 0x81, frame[13] == 0 else { return nil }
        return (UInt16(frame[14]) << 8 | UInt16(frame[15])) & 0xfff
    }

    /// Whether the driver wants `frame`, an Ethernet header at least.
    func accepts(_ frame: Span<UInt8>) -> Bool {
        if filtersVLANs, let id = Self.vlan(of: frame), vlans[Int(id / 64)] & 1 << UInt64(id % 64) == 0 { return false }
        guard filtersAddresses, !isOn(NetworkControl.Receive.promiscuous) else { return true }
        var target: UInt64 = 0
        for index in 0..<6 { target = target << 8 | UInt64(frame[index]) }
        if target == 0xffff_ffff_ffff { return !isOn(NetworkControl.Receive.noBroadcast) }
        if Self.isMulticast(target) {
            if isOn(NetworkControl.Receive.noMulticast) { return false }
            return isOn(NetworkControl.Receive.allMulticast) || passesMulticast || contains(target)
        }
        if isOn(NetworkControl.Receive.noUnicast) { return false }
        return isOn(NetworkControl.Receive.allUnicast) || passesUnicast || !hasMAC || target == mac || contains(target)
    }

    private func contains(_ address: UInt64) -> Bool { (0..<addressCount).contains { addresses[$0] == address } }

    /// Whether `frame` has the wake-on-LAN pattern for the device's address.
    func isMagic(_ frame: Span<UInt8>) -> Bool {
        let length = 6 + 16 * 6
        var ones = 0
        for start in 0..<frame.count {
            if ones >= 6, start + length - 6 <= frame.count,
                (0..<96).allSatisfy({ frame[start + $0] == mac.octet($0 % 6) })
            {
                return true
            }
            ones = frame[start] == 0xff ? ones + 1 : 0
        }
        return false
    }

    // MARK: Snapshots

    /// The settings, in a form of fixed length.
    var savedState: [UInt8] {
        var state = [modes, UInt8(addressCount)]
        let flags = [passesUnicast, passesMulticast, hasMAC]
        state.append(flags.indices.reduce(0) { flags[$1] ? $0 | 1 << UInt8($1) : $0 })
        state.append(littleEndian: mac)
        for index in addresses.indices { state.append(littleEndian: addresses[index]) }
        for index in vlans.indices { state.append(littleEndian: vlans[index]) }
        return state
    }

    /// Restores `savedState`, and removes it from the front of `state`.
    mutating func restore(from state: inout ArraySlice<UInt8>) {
        guard state.count >= 11 + 2 * 64 * 8 else { return }
        modes = state.removeFirst()
        addressCount = min(Int(state.removeFirst()), Self.maximumAddresses)
        let flags = state.removeFirst()
        (passesUnicast, passesMulticast, hasMAC) = (flags & 1 != 0, flags & 2 != 0, flags & 4 != 0)
        mac = state.removeLittleEndian()
        for index in addresses.indices { addresses[index] = state.removeLittleEndian() }
        for index in vlans.indices { vlans[index] = state.removeLittleEndian() }
    }
}
