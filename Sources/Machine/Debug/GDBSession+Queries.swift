// The general queries of GDB's remote serial protocol, and those that QEMU added.

extension GDBSession {
    /// The answer to a packet that begins with q or Q.
    mutating func query(_ data: Word) -> String {
        let name = data.prefix { $0 != UInt8(ascii: ":") && $0 != UInt8(ascii: ",") }
        let rest = data.dropFirst(name.count + 1)
        switch name.text {
        case "qSupported":
            let offered = rest.text.split(separator: ";")
            reportsBreakpoints = offered.contains("swbreak+") && offered.contains("hwbreak+")
            return
                "PacketSize=\(hex(UInt64(GDBPacketParser.capacity), digits: 1));QStartNoAckMode+;qXfer:features:read+;"
                + "vContSupported+;swbreak+;hwbreak+;binary-upload+"
        case "QStartNoAckMode":
            stopAcknowledging()
            return "OK"
        case "qAttached": return "1"
        case "qC": return "QC\(threads[selected])"
        case "qfThreadInfo": return "m\(threads.joined(separator: ","))"
        case "qsThreadInfo": return "l"
        case "qThreadExtraInfo": return activity(rest).map { Array($0.utf8).hexadecimal } ?? "E22"
        case "qSymbol": return "OK"
        case "qXfer": return transfer(rest)
        default: return emulatorQuery(name, rest)
        }
    }

    /// QEMU's queries.
    private mutating func emulatorQuery(_ name: Word, _ rest: Word) -> String {
        if let value = name.removing("Qqemu.sstep=") {
            guard let flags = value.hexadecimalNumber, flags < 8 else { return "E22" }
            stepFlags = flags
            return "OK"
        }
        switch name.text {
        case "qqemu.sstepbits": return "ENABLE=1,NOIRQ=2,NOTIMER=4"
        case "qqemu.sstep": return "0x\(hex(stepFlags, digits: 1))"
        case "qqemu.Supported": return "sstepbits;sstep;PhyMemMode"
        case "qqemu.PhyMemMode": return isPhysical ? "1" : "0"
        case "Qqemu.PhyMemMode":
            guard let mode = rest.hexadecimalNumber else { return "E22" }
            isPhysical = mode != 0
            return "OK"
        default: return ""
        }
    }

    /// qXfer:features:read:target.xml:OFFSET,LENGTH
    private func transfer(_ data: Word) -> String {
        guard let place = data.removing("features:read:") else { return "" }
        let parts = place.split(separator: UInt8(ascii: ":"), maxSplits: 1, omittingEmptySubsequences: false)
        guard parts[0].text == "target.xml" else { return "E00" }
        let numbers = parts.count == 2 ? parts[1].split(separator: UInt8(ascii: ",")).map(\.hexadecimalNumber) : []
        guard numbers.count == 2, let offset = numbers[0], let length = numbers[1] else { return "E22" }
        let text = Array(RegisterFile.description(hasAVX: hasAVX).utf8)
        guard offset <= text.count else { return "E22" }
        let most = UInt64(GDBPacketParser.capacity / 2)
        let part = text[Int(offset)...].prefix(Int(min(length, most)))
        return (part.endIndex == text.count ? "l" : "m") + String(decoding: part, as: UTF8.self)
    }
}
