// A vCPU's exits and registers, on KVM.

import Glibc
import KVM
import Testing

@Suite(.needsKVM)
struct VCPUTests {
    @Test func portAccesses() throws {
        var guest = try Guest([
            0xe4, 0x40,  // in al, 0x40
            0x66, 0xba, 0x34, 0x12,  // mov dx, 0x1234
            0xef,  // out dx, eax
            0x66, 0xed,  // in ax, dx
            0x66, 0xef,  // out dx, ax
            0xed,  // in eax, dx
            0xe6, 0xf4,  // out 0xf4, al
        ])
        #expect(try guest.next() == .portIn(port: 0x40, width: 1))
        guest.vcpu.complete(0xabcd_ef5a)
        #expect(try guest.next() == .portOut(port: 0x1234, width: 4, value: 0x5a))
        #expect(try guest.next() == .portIn(port: 0x1234, width: 2))
        guest.vcpu.complete(0xffff_1234)
        #expect(try guest.next() == .portOut(port: 0x1234, width: 2, value: 0x1234))
        #expect(try guest.next() == .portIn(port: 0x1234, width: 4))
        guest.vcpu.complete(0x8765_4321)
        #expect(try guest.next() == .portOut(port: 0xf4, width: 1, value: 0x21))
        #expect(try guest.vcpu.registers().rax == 0x8765_4321)
    }

    @Test(arguments: [1, 2, 5])
    func cpuidReportsTheTopology(count: Int) throws {
        var guest = try Guest(
            [
                0xb8, 0x01, 0x00, 0x00, 0x00,  // mov eax, 1
                0x0f, 0xa2,  // cpuid
                0x89, 0xd8, 0xe7, 0x41,  // mov eax, ebx; out 0x41, eax
                0x89, 0xc8, 0xe7, 0x41,  // mov eax, ecx; out 0x41, eax
                0x89, 0xd0, 0xe7, 0x41,  // mov eax, edx; out 0x41, eax
                0xb8, 0x0b, 0x00, 0x00, 0x00, 0xb9, 0x01, 0x00, 0x00, 0x00,  // mov eax, 0xb; mov ecx, 1
                0x0f, 0xa2,  // cpuid
                0xe7, 0x41, 0x89, 0xd8, 0xe7, 0x41,  // out 0x41, eax; mov eax, ebx; out 0x41, eax
            ], of: count)
        func next() throws -> UInt32? {
            guard case .portOut(0x41, 4, let value) = try guest.next() else { return nil }
            return value
        }
        let (ebx, ecx, edx) = (try #require(try next()), try #require(try next()), try #require(try next()))
        #expect(ebx >> 24 == 0 && ebx >> 16 & 0xff == count)
        #expect(ecx >> 31 == 1, "the hypervisor bit")
        if count > 1 { #expect(edx >> 28 & 1 == 1, "HTT") }
        #expect(try next() == [1: 0, 2: 1, 5: 3][count], "the width of the core number in an APIC id")
        #expect(try next() == UInt32(count))
    }

    @Test func unansweredReadsAreAllOnes() throws {
        var guest = try Guest([
            0xe5, 0x40,  // in eax, 0x40
            0xe7, 0x41,  // out 0x41, eax
            0x8b, 0x05, 0x00, 0x00, 0x00, 0xd0,  // mov eax, [0xd0000000]
            0xe7, 0x41,  // out 0x41, eax
        ])
        #expect(try guest.next() == .portIn(port: 0x40, width: 4))
        #expect(try guest.next() == .portOut(port: 0x41, width: 4, value: 0xffff_ffff))
        #expect(try guest.next() == .mmioRead(address: Guest.device, width: 4))
        #expect(try guest.next() == .portOut(port: 0x41, width: 4, value: 0xffff_ffff))
    }

    @Test(arguments: [1, 2, 4])
    func memoryAccesses(width: Int) throws {
        let load: [UInt8] = [1: [0x8a, 0x03], 2: [0x66, 0x8b, 0x03], 4: [0x8b, 0x03]][width] ?? []
        let store: [UInt8] =
            [1: [0x88, 0x43, 0x08], 2: [0x66, 0x89, 0x43, 0x08], 4: [0x89, 0x43, 0x08]][width] ?? []
        // mov ebx, 0xd0000000; xor eax, eax; load from [ebx]; store to [ebx + 8]
        var guest = try Guest([0xbb, 0x00, 0x00, 0x00, 0xd0, 0x31, 0xc0] + load + store)
        let value: UInt64 = 0x8877_6655_4433_2211
        #expect(try guest.next() == .mmioRead(address: Guest.device, width: width))
        guest.vcpu.complete(value)
        let low = value & (1 << UInt64(8 * width) - 1)
        #expect(try guest.next() == .mmioWrite(address: Guest.device + 8, width: width, value: low))
    }

    @Test func stringOutputLosesNothing() throws {
        var guest = try Guest([
            0xbe, 0x00, 0x20, 0x00, 0x00,  // mov esi, 0x2000
            0xb9, 0x05, 0x00, 0x00, 0x00,  // mov ecx, 5
            0x66, 0xba, 0xf8, 0x03,  // mov dx, 0x3f8
            0xf3, 0x6e,  // rep outsb
            0xe6, 0xf4,  // out 0xf4, al
        ])
        guest.pages.write(Array("hello".utf8), at: 0x2000)
        var bytes: [UInt8] = []
        while case .portOut(port: 0x3f8, width: 1, let value) = try guest.next() { bytes.append(UInt8(value)) }
        #expect(bytes == Array("hello".utf8))
    }

    @Test func stringInputKeepsEachAnswer() throws {
        var guest = try Guest([
            0xbf, 0x00, 0x20, 0x00, 0x00,  // mov edi, 0x2000
            0xb9, 0x04, 0x00, 0x00, 0x00,  // mov ecx, 4
            0x66, 0xba, 0xf8, 0x03,  // mov dx, 0x3f8
            0xf3, 0x66, 0x6d,  // rep insw
            0xe6, 0xf4,  // out 0xf4, al
        ])
        var reads: UInt64 = 0
        while case .portIn(port: 0x3f8, width: 2) = try guest.next() {
            guest.vcpu.complete(0x1100 + reads)
            reads += 1
        }
        #expect(reads == 4)
        #expect((0..<8).map { guest.pages.byte(at: 0x2000 + $0) } == [0, 0x11, 1, 0x11, 2, 0x11, 3, 0x11])
    }

    @Test func tripleFaultIsAShutdown() throws {
        // lidt [0x2000], where the limit is 0; ud2
        var guest = try Guest([0x0f, 0x01, 0x1d, 0x00, 0x20, 0x00, 0x00, 0x0f, 0x0b])
        #expect(try guest.next() == .shutdown)
    }

    /// KVM emulates instructions that access MMIO, and no version emulates an x87 load.
    @Test func anInstructionThatCannotBeEmulatedIsReported() throws {
        let fld: [UInt8] = [0xd9, 0x05, 0x00, 0x00, 0x00, 0xd0]  // fld dword [0xd0000000]
        var guest = try Guest(fld)
        guard case .internalError(suberror: 1, let instruction) = try guest.next() else {
            Issue.record("the load was emulated")
            return
        }
        if let instruction { #expect(instruction.bytes.starts(with: fld)) }
        #expect(try guest.vcpu.registers().rip == UInt64(Guest.entry))
    }

    @Test func cpuidHasTheHypervisorBit() throws {
        // mov eax, 1; cpuid; mov eax, ecx; out 0xf4, eax; mov eax, ebx; out 0xf4, eax
        var guest = try Guest([
            0xb8, 0x01, 0x00, 0x00, 0x00, 0x0f, 0xa2, 0x89, 0xc8, 0xe7, 0xf4, 0x89, 0xd8, 0xe7, 0xf4,
        ])
        guard case .portOut(port: 0xf4, width: 4, let ecx) = try guest.next(),
            case .portOut(port: 0xf4, width: 4, let ebx) = try guest.next()
        else {
            Issue.record("the guest did not write CPUID's registers")
            return
        }
        #expect(ecx >> 31 == 1, "the hypervisor bit")
        #expect(ebx >> 24 == 0, "the APIC id of vCPU 0")
    }

    /// KVM keeps INIT and SIPI for a vCPU that exists and has not run yet, so the threads of vCPUs may start in any order.
    @Test func anINITAndSIPIBeforeTheFirstRunAreKept() throws {
        var code: [UInt8] = []
        // INIT to all but itself, then SIPI with vector 2: begin at 0x2000.
        for command: UInt32 in [0xc4500, 0xc4602] {
            code += [0xc7, 0x05, 0x00, 0x03, 0xe0, 0xfe]  // mov dword [0xfee00300], command
            code += (0..<4).map { UInt8(truncatingIfNeeded: command >> (8 * $0)) }
        }
        var guest = try Guest(code + [0xe6, 0xf4], of: 2)
        guest.pages.write([0xe6, 0xf5], at: 0x2000)  // out 0xf5, al
        var second = try VCPU(guest.machine, id: 1)
        #expect(try guest.next() == .portOut(port: 0xf4, width: 1, value: 0))
        var exit = VCPU.Exit.interrupted
        while exit == .interrupted { exit = try second.run() }
        #expect(exit == .portOut(port: 0xf5, width: 1, value: 0))
    }

    @Test func registersRoundTrip() throws {
        let guest = try Guest([])
        var registers = try guest.vcpu.registers()
        registers.r15 = 0x1234_5678_9abc_def0
        registers.rbx = 0x6000
        try guest.vcpu.setRegisters(registers)
        #expect(try guest.vcpu.registers().r15 == 0x1234_5678_9abc_def0)
        #expect(try guest.vcpu.registers().rbx == 0x6000)
        #expect(try guest.vcpu.specialRegisters().cr0 & 1 == 1)
    }
}
