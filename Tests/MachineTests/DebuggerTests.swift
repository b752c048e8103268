// The debugger without a machine: packets and sessions as values, breakpoints, and the registers' description.

import KVM
import Testing

@testable import Machine

/// A guest with memory at 0x1000 that notes what is asked of it.
private final class TestGuest: DebugTarget {
    var memory = Array(UInt8(0)...255)
    var files = [RegisterFile(), RegisterFile()]
    var actions: [ResumeAction?] = []
    var isInterrupted = false
    let processorCount = 2
    let hasAVX = true
    func activity(of vcpu: Int) -> String { "running" }
    func registers(of vcpu: Int) throws(DebugError) -> RegisterFile { files[vcpu] }
    func setRegisters(_ registers: RegisterFile, of vcpu: Int) throws(DebugError) { files[vcpu] = registers }
    func read(_ address: UInt64, count: Int, vcpu: Int?) -> [UInt8] {
        (0x1000..<0x1100).contains(address) ? Array(memory[Int(address - 0x1000)...].prefix(count)) : []
    }
    func write(_ bytes: [UInt8], at address: UInt64, vcpu: Int?) throws(DebugError) { throw .number(14) }
    func insert(_ breakpoint: Breakpoint, vcpu: Int) throws(DebugError) { throw .sentence("none is free") }
    func remove(_ breakpoint: Breakpoint) {}
    func resume(_ actions: [ResumeAction?]) { self.actions = actions }
    func interrupt() { isInterrupted = true }
    func perform(_ command: String) -> String { "\(command)?" }
}

/// The packet's answer, without the acknowledgement; the checksums are made and checked here.
private func ask(_ session: inout GDBSession, _ text: String) -> String {
    let sum = Array(text.utf8).reduce(0, &+)
    let output = session.receive(Array("$\(text)#\([sum].hexadecimal)".utf8))
    return String(decoding: output, as: UTF8.self).replacing("+", with: "", maxReplacements: 1)
}

@Suite struct DebuggerTests {
    @Test func packetsAreFoundInAnyBytes() {
        var parser = GDBPacketParser()
        func inputs(_ text: String) -> [GDBInput] { Array(text.utf8).compactMap { parser.append($0) } }
        #expect(
            inputs("+-xyz\u{3}") == [
                .acknowledgement(isPositive: true), .acknowledgement(isPositive: false), .interrupt,
            ])
        #expect(inputs("$qC#b4") == [.packet(Array("qC".utf8))])
        #expect(inputs("$qC#b5$#00$qC#zz") == [.damaged, .packet([]), .damaged])
        // A packet that is cut off by another; an escape; a byte 3 within a packet, which interrupts nothing.
        #expect(inputs("$half$qC#b4") == [.packet(Array("qC".utf8))])
        #expect(inputs("$a}\u{3}#e1") == [.packet([97, 35])])
        #expect(inputs("$\u{3}#03") == [.packet([3])])
        let long = String(repeating: "0", count: GDBPacketParser.capacity + 1)
        let sum = [UInt8](repeating: 48, count: GDBPacketParser.capacity + 1).reduce(0, &+)
        #expect(inputs("$\(long)#\([sum].hexadecimal)") == [.packet(nil)])
    }

    @Test func framesEscape() {
        let bytes: [UInt8] = [0x24, 0x23, 0x7d, 0x2a, 0, 255]
        var parser = GDBPacketParser()
        #expect(GDBPacketParser.frame(bytes).compactMap { parser.append($0) } == [.packet(bytes)])
        #expect(GDBPacketParser.frame(Array("OK".utf8)) == Array("$OK#9a".utf8))
    }

    @Test func anUnacknowledgedPacketIsSentAgain() {
        var session = GDBSession(TestGuest())
        #expect(ask(&session, "qC") == "$QC01#f5")
        #expect(session.receive([UInt8(ascii: "-")]) == Array("$QC01#f5".utf8))
        #expect(session.receive(Array("$qC#00".utf8)) == [UInt8(ascii: "-")])
        #expect(ask(&session, "QStartNoAckMode") == "$OK#9a")
        #expect(session.receive([UInt8(ascii: "-")]).isEmpty)
        #expect(session.receive(Array("$qC#00".utf8)).isEmpty)
    }

    @Test(arguments: [
        ("vCont;c", [ResumeAction.run, .run]), ("vCont;s:1", [.step(blocksInterrupts: true), nil]),
        ("vCont;s:2;c", [.run, .step(blocksInterrupts: true)]),
        ("vCont;c:2;s:-1", [.step(blocksInterrupts: true), .run]),
        ("c", [.run, .run]), ("s", [.step(blocksInterrupts: true), nil]), ("C05", [.run, .run]),
    ])
    func vCPUsGoOnAsTheyAreTold(packet: String, actions: [ResumeAction?]) {
        let guest = TestGuest()
        var session = GDBSession(guest)
        #expect(ask(&session, packet) == "")
        #expect(guest.actions == actions)
        #expect(!session.isStopped)
        // Nothing but an interruption helps now.
        #expect(ask(&session, "g").contains("E.the guest runs"))
        #expect(session.receive([3]).isEmpty && guest.isInterrupted)
        #expect(session.report(DebugStop(vcpu: 1, reason: .interrupt)) == Array("$T02thread:02;#05".utf8))
        #expect(session.isStopped && session.selected == 1)
        // Only one stop is reported.
        #expect(session.report(DebugStop(vcpu: 0, reason: .step)).isEmpty)
    }

    @Test func stopsSayWhy() {
        var session = GDBSession(TestGuest())
        func reply(_ reason: DebugStop.Reason) -> String {
            _ = ask(&session, "c")
            let bytes = session.report(DebugStop(vcpu: 0, reason: reason))
            return String(String(decoding: bytes, as: UTF8.self).dropFirst().dropLast(3))
        }
        #expect(reply(.breakpoint(.software, address: 1)) == "T05thread:01;")
        _ = ask(&session, "qSupported:swbreak+;hwbreak+")
        #expect(reply(.breakpoint(.software, address: 1)) == "T05thread:01;swbreak:;")
        #expect(reply(.breakpoint(.hardware, address: 1)) == "T05thread:01;hwbreak:;")
        #expect(reply(.breakpoint(.write, address: 0xabc)) == "T05thread:01;watch:abc;")
        #expect(reply(.breakpoint(.access, address: 0xabc)) == "T05thread:01;awatch:abc;")
        _ = ask(&session, "c")
        let shown = session.report(DebugStop(vcpu: 0, reason: .device, message: "blk0"))
        #expect(String(decoding: shown, as: UTF8.self).hasPrefix("$O626c6b300a#"))
        #expect(session.end(exitCode: 300, signal: nil) == Array("$W2c#ec".utf8))
    }

    @Test func registersAreSlicesOfWhatKVMReturns() {
        for hasAVX in [false, true] {
            let registers = RegisterFile.registers(hasAVX: hasAVX)
            #expect(registers.count == (hasAVX ? 82 : 66))
            #expect(Set(registers.map(\.name)).count == registers.count)
            var file = RegisterFile()
            for (index, register) in registers.enumerated() where register.name != "ftag" {
                file[register] = (0..<register.width).map { $0 < 2 ? UInt8(index + 1) : 0 }
            }
            // None overlaps another.
            for (index, register) in registers.enumerated() where register.name != "ftag" {
                #expect(
                    file[register] == (0..<register.width).map { $0 < 2 ? UInt8(index + 1) : 0 }, "\(register.name)")
            }
            let xml = RegisterFile.description(hasAVX: hasAVX)
            for register in registers {
                #expect(xml.contains("name=\"\(register.name)\" bitsize=\"\(8 * register.width)\""))
            }
            #expect(xml.contains("ymm") == hasAVX)
        }
    }

    @Test func theTagsOfx87AreTwoBitsEach() throws {
        var file = RegisterFile()
        let tag = try #require(RegisterFile.registers(hasAVX: false).first { $0.name == "ftag" })
        #expect(file[tag] == [0xff, 0xff, 0, 0])
        file[tag] = [0xfc, 0x3f, 0, 0]
        #expect(file[tag] == [0xfc, 0x3f, 0, 0])
    }

    @Test func debugRegistersCoverWhatIsWatched() {
        var table = BreakpointTable()
        let isFirst = table.addToRegisters(Breakpoint(kind: .write, address: 0x1003, length: 6))
        #expect(isFirst)
        #expect(table.registers.map(\.address) == [0x1003, 0x1004, 0x1008])
        #expect(table.registers.map(\.length) == [1, 4, 1])
        let isSecond = table.addToRegisters(Breakpoint(kind: .access, address: 0x2001, length: 3))
        #expect(!isSecond)
        let isThird = table.addToRegisters(Breakpoint(kind: .software, address: 0x3001, length: 1))
        #expect(isThird)
        let isFourth = table.addToRegisters(Breakpoint(kind: .hardware, address: 0x3002, length: 1))
        #expect(!isFourth)
        for length: UInt64 in [0, 65, .max] {
            #expect(!BreakpointTable.holds(Breakpoint(kind: .write, address: .max, length: length)))
        }
        #expect(table.control.dr7 == 0x600 | 0b10101010 | 0x0_1_d_1 << 16)
        #expect(table.reason(dr6: 2, address: 0) == .breakpoint(.write, address: 0x1004))
        #expect(table.reason(dr6: 8, address: 0x3001) == .breakpoint(.software, address: 0x3001))
        #expect(table.reason(dr6: 8, address: 0x3002) == nil)
        table.removeFromRegisters(Breakpoint(kind: .write, address: 0x1003, length: 6))
        #expect(table.registers.map(\.address) == [0x3001])
    }

    @Test func memoryDoesNotShowInt3() {
        var table = BreakpointTable()
        let (isFirst, isAlias) = (
            table.addPatch(0xffff_5002, at: 0x5002, found: 0x55), table.addPatch(0x7002, at: 0x5002, found: 0xcc)
        )
        #expect(isFirst && isAlias && table.hasPatch(at: 0x5002) && !table.hasPatch(at: 0x5003))
        #expect(table.control.usesINT3)
        #expect(table.hidden([1, 2, 0xcc, 4], at: 0x5000) == [1, 2, 0x55, 4])
        #expect(table.hidden([1, 2, 0xcc, 4], at: 0x5003) == [1, 2, 0xcc, 4])
        let written = table.patched([9, 8, 7], at: 0x5001)
        #expect(written == [9, 0xcc, 7])
        // The byte stays replaced until its last address has no breakpoint.
        let (first, last) = (table.removePatch(0xffff_5002), table.removePatch(0x7002))
        #expect(first == nil && last == BreakpointTable.Patch(place: 0x5002, original: 8))
        let added = (0..<4097 as Range<UInt64>).map { table.addPatch($0, at: $0, found: 0) }
        #expect(added.filter(\.self).count == 4096)
    }
}

extension BreakpointTable {
    /// Whether debug registers hold the breakpoint.
    fileprivate static func holds(_ breakpoint: Breakpoint) -> Bool {
        var table = BreakpointTable()
        return table.addToRegisters(breakpoint)
    }
}
