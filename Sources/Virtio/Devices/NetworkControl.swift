// The control queue of the network device (VIRTIO 1.4, 5.1.9.5).

import VirtioABI

extension Network {
    /// Carries out the command in `chain` and writes the answer. A command that is cut short, too long, unknown or of a feature
    /// that was not negotiated changes nothing, and is answered VIRTIO_NET_ERR.
    mutating func command(_ chain: inout DescriptorChain) -> UsedLength {
        // The answer is the first writable byte: a result may follow it in commands that are not offered here.
        let hasAnswer = chain.writable.byteCount > 0
        let (kind, command) = (chain.removeByte(), chain.removeByte())
        chain.check(.commandFramed, hasAnswer && command != nil)
        guard hasAnswer else { return UsedLength() }
        var isDone = false
        if let kind, let command { isDone = perform(kind, command, &chain) }
        _ = chain.writable.write(isDone ? NetworkControl.ok : NetworkControl.error)
        return UsedLength(1)
    }

    private mutating func perform(_ kind: UInt8, _ command: UInt8, _ chain: inout DescriptorChain) -> Bool {
        switch kind {
        case NetworkControl.Class.receive: return setMode(command, &chain)
        case NetworkControl.Class.mac:
            // Either feature has commands of the class; the text names only the first.
            let filters = accepted.contains(NetworkFeature.controlReceive)
            chain.check(.macCommandNegotiated, filters)
            switch command {
            case NetworkControl.macTableSet where filters: return setTable(&chain)
            case NetworkControl.macAddressSet where accepted.contains(NetworkFeature.controlMAC):
                return setAddress(&chain)
            default: return false
            }
        case NetworkControl.Class.vlan where accepted.contains(NetworkFeature.controlVLAN):
            guard command <= NetworkControl.vlanDelete, let id = argument(&chain), id < 4096 else { return false }
            filter.setVLAN(id, command == NetworkControl.vlanAdd)
            return true
        case NetworkControl.Class.announce
        where accepted.contains(NetworkFeature.guestAnnounce) && command == NetworkControl.announceAcknowledge:
            guard checkLength(0, &chain) else { return false }
            announced()
            return true
        case NetworkControl.Class.multiqueue
        where accepted.contains(NetworkFeature.multiqueue) && command == NetworkControl.queuePairsSet:
            guard let pairs = argument(&chain) else { return false }
            let isValid = 1...parameters.pairs ~= Int(pairs)
            chain.check(.queuePairsExist, isValid)
            if isValid { setPairs(Int(pairs)) }
            return isValid
        default: return false
        }
    }

    private mutating func setMode(_ command: UInt8, _ chain: inout DescriptorChain) -> Bool {
        typealias Mode = NetworkControl.Receive
        guard command <= Mode.noBroadcast else { return false }
        let isExtra = command >= Mode.allUnicast
        let isNegotiated = accepted.contains(
            isExtra ? NetworkFeature.controlReceiveExtra : NetworkFeature.controlReceive)
        chain.check(isExtra ? .extraModeNegotiated : .receiveModeNegotiated, isNegotiated)
        guard isNegotiated, checkLength(1, &chain), let value = chain.removeByte(), value <= 1 else {
            return false
        }
        filter.setMode(command, value == 1)
        return true
    }

    /// Frames for a pair that is no longer in use are dropped (5.1.9.5.6.2).
    private mutating func setPairs(_ pairs: Int) {
        if pairs < activePairs { for pair in pairs..<activePairs { dropWaiting(pair) } }
        activePairs = pairs
    }

    private mutating func setAddress(_ chain: inout DescriptorChain) -> Bool {
        guard checkLength(6, &chain) else { return false }
        let mac = address(&chain)
        guard !NetworkFilter.isMulticast(mac), mac != 0 else { return false }
        setMAC(mac)
        filter.learnMAC()
        return true
    }

    /// Addresses of a table at most; a longer one is refused. An own limit: they are read with the device's lock held.
    private static let longestTable = 4096

    /// Two tables, unicast and multicast, each behind its length (5.1.9.5.2). The filter changes only if both are whole.
    private mutating func setTable(_ chain: inout DescriptorChain) -> Bool {
        var new = filter
        new.removeAddresses()
        var isValid = true
        for isMulticast in [false, true] {
            guard isValid, let count = length(&chain), count <= chain.readable.byteCount / 6 else {
                isValid = false
                break
            }
            guard count <= Self.longestTable else { return false }
            for _ in 0..<count {
                let address = address(&chain)
                if NetworkFilter.isMulticast(address) != isMulticast { isValid = false }
                new.addAddress(address)
            }
        }
        isValid = isValid && chain.readable.byteCount == 0
        chain.check(.macTableWhole, isValid)
        if isValid { filter = new }
        return isValid
    }

    // MARK: Data

    /// Whether as many bytes of data are left as the command has.
    private func checkLength(_ length: Int, _ chain: inout DescriptorChain) -> Bool {
        let isWhole = chain.readable.byteCount == length
        chain.check(.commandFramed, isWhole)
        return isWhole
    }

    /// The 16 bits that are the command's only data.
    private func argument(_ chain: inout DescriptorChain) -> UInt16? {
        guard checkLength(2, &chain), let low = chain.removeByte(), let high = chain.removeByte()
        else {
            return nil
        }
        return UInt16(low) | UInt16(high) << 8
    }

    /// A table's length.
    private func length(_ chain: inout DescriptorChain) -> Int? {
        guard chain.readable.byteCount >= 4 else { return nil }
        var length = 0
        for index in 0..<4 { length |= Int(chain.removeByte() ?? 0) << (8 * index) }
        return length
    }

    /// A MAC address, whose 6 bytes are there.
    private func address(_ chain: inout DescriptorChain) -> UInt64 {
        var address: UInt64 = 0
        for _ in 0..<6 { address = address << 8 | UInt64(chain.removeByte() ?? 0) }
        return address
    }
}
