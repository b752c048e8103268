// A machine's ioeventfds, interrupt lines and memory, and the errors where there is no KVM.

import Glibc
import KVM
import Testing

@Suite(.needsKVM)
struct VirtualMachineTests {
    /// mov ebx, 0xd0000050; mov dword [ebx], 7; mov dword [ebx], 9; out 0xf4, al
    static let twoNotifications: [UInt8] = [
        0xbb, 0x50, 0x00, 0x00, 0xd0, 0xc7, 0x03, 0x07, 0x00, 0x00, 0x00, 0xc7, 0x03, 0x09, 0x00, 0x00, 0x00, 0xe6,
        0xf4,
    ]

    @Test func aWriteToAnIOEventFDDoesNotExit() throws {
        var guest = try Guest(Self.twoNotifications)
        let event = try EventFD()
        try guest.machine.attach(event, address: Guest.device + 0x50, length: 4)
        #expect(event.take() == 0)
        #expect(try guest.next() == .portOut(port: 0xf4, width: 1, value: 0))
        #expect(event.take() == 2)
        #expect(event.take() == 0)
    }

    @Test func onlyTheMatchingWriteDoesNotExit() throws {
        var guest = try Guest(Self.twoNotifications)
        let event = try EventFD()
        try guest.machine.attach(event, address: Guest.device + 0x50, length: 4, match: 9)
        #expect(try guest.next() == .mmioWrite(address: Guest.device + 0x50, width: 4, value: 7))
        #expect(try guest.next() == .portOut(port: 0xf4, width: 1, value: 0))
        #expect(event.take() == 1)
    }

    @Test func aPortCanHaveAnIOEventFD() throws {
        var guest = try Guest([0xe6, 0x77, 0xe6, 0xf4])  // out 0x77, al; out 0xf4, al
        let event = try EventFD()
        try guest.machine.attach(event, in: .ports, address: 0x77, length: 1)
        #expect(try guest.next() == .portOut(port: 0xf4, width: 1, value: 0))
        #expect(event.take() == 1)
    }

    @Test func twoEventsAtOneAddressAreRefused() throws {
        let guest = try Guest([])
        let event = try EventFD()
        try guest.machine.attach(event, address: Guest.device, length: 4)
        #expect(throws: KVMError(call: "KVM_IOEVENTFD", errno: EEXIST)) {
            try guest.machine.attach(event, address: Guest.device, length: 4)
        }
    }

    @Test func everyLineOfTheIOAPICRisesAndFalls() throws {
        let guest = try Guest([])
        for gsi: UInt32 in 5...23 {
            try guest.machine.setInterruptLine(gsi: gsi, level: true)
            try guest.machine.setInterruptLine(gsi: gsi, level: false)
        }
    }

    /// A raised line, unmasked at the 8259 and at the local APIC, ends a halt, and the guest's handler runs.
    @Test func aRaisedLineReachesTheGuest() throws {
        var guest = try Guest(InterruptGuest.code)
        InterruptGuest.writeTables(guest.pages)
        #expect(try guest.next() == .portOut(port: 0xf4, width: 1, value: 1), "the guest is set up")
        try guest.machine.setInterruptLine(gsi: 5, level: true)
        #expect(try guest.next() == .portOut(port: 0xf5, width: 1, value: 2), "its handler runs")
        try guest.machine.setInterruptLine(gsi: 5, level: false)
    }

    /// After the reset nothing is unmasked; `InterruptGuest` unmasks line 5 of the 8259.
    @Test func aLineThatNoControllerDeliversIsMasked() throws {
        var guest = try Guest(InterruptGuest.code)
        InterruptGuest.writeTables(guest.pages)
        for gsi: UInt32 in 0...23 { #expect(try guest.machine.isMasked(gsi: gsi), "GSI \(gsi) after the reset") }
        #expect(try guest.next() == .portOut(port: 0xf4, width: 1, value: 1), "the guest is set up")
        for gsi: UInt32 in 0...23 { #expect(try guest.machine.isMasked(gsi: gsi) == (gsi != 5), "GSI \(gsi)") }
    }

    /// The IOAPIC's registers: select the low word of entry 20, write vector 0x30, not masked.
    @Test func aLineThatTheIOAPICDeliversIsNotMasked() throws {
        var code: [UInt8] = []
        for (address, value) in [(0x00, 0x10 + 2 * 20), (0x10, 0x30)] as [(UInt8, UInt8)] {
            code += [0xc7, 0x05, address, 0x00, 0xc0, 0xfe, value, 0, 0, 0]  // mov dword [0xfec000xx], value
        }
        var guest = try Guest(code + [0xe6, 0xf4])
        #expect(try guest.next() == .portOut(port: 0xf4, width: 1, value: 0))
        for gsi: UInt32 in 0...23 { #expect(try guest.machine.isMasked(gsi: gsi) == (gsi != 20), "GSI \(gsi)") }
    }

    @Test func memoryMustBeWholePages() throws {
        let guest = try Guest([])
        #expect(throws: KVMError(call: "KVM_SET_USER_MEMORY_REGION", errno: EINVAL)) {
            unsafe try guest.machine.mapMemory(slot: 1, guestAddress: 0x10_0000, host: guest.pages.base, size: 5)
        }
    }
}

/// A guest in protected mode that takes one interrupt, of GSI 5 through the 8259 (vector 0x25).
enum InterruptGuest {
    static let handler = 0x1100
    private static let idt = 0x2000
    private static let gdt = 0x2800

    static let code: [UInt8] = {
        var bytes: [UInt8] = [0x0f, 0x01, 0x15, 0x00, 0x2f, 0x00, 0x00]  // lgdt [0x2f00]
        bytes += [0x0f, 0x01, 0x1d, 0x08, 0x2f, 0x00, 0x00]  // lidt [0x2f08]
        // 8259: ICW1 to ICW4, then a mask that unmasks only line 5.
        for (port, value) in [(0x20, 0x11), (0x21, 0x20), (0x21, 0x04), (0x21, 0x01), (0x21, 0xdf)] as [(UInt8, UInt8)]
        {
            bytes += [0xb0, value, 0xe6, port]  // mov al, value; out port, al
        }
        bytes += [0xb0, 0x01, 0xe6, 0xf4]  // mov al, 1; out 0xf4, al
        bytes += [0xfb, 0xf4, 0xeb, 0xfd]  // sti; hlt; jmp to the hlt
        return bytes
    }()

    static func writeTables(_ pages: GuestPages) {
        pages.write([0x17, 0, UInt8(gdt & 0xff), UInt8(gdt >> 8), 0, 0], at: 0x2f00)
        pages.write([0xff, 0x07, UInt8(idt & 0xff), UInt8(idt >> 8), 0, 0], at: 0x2f08)
        pages.write([0xff, 0xff, 0, 0, 0, 0x9b, 0xcf, 0, 0xff, 0xff, 0, 0, 0, 0x93, 0xcf, 0], at: gdt + 8)
        pages.write([UInt8(handler & 0xff), UInt8(handler >> 8), 0x08, 0, 0, 0x8e, 0, 0], at: idt + 0x25 * 8)
        pages.write([0xb0, 0x02, 0xe6, 0xf5, 0xf4], at: handler)  // mov al, 2; out 0xf5, al; hlt
    }
}

struct KVMErrorTests {
    @Test func anAbsentNodeIsENOENT() {
        #expect(throws: KVMError(call: "open(/dev/no-such-kvm)", errno: ENOENT)) {
            _ = try Hypervisor(path: "/dev/no-such-kvm")
        }
    }

    @Test func anotherDeviceIsNotKVM() {
        #expect(throws: KVMError(call: "KVM_GET_API_VERSION", errno: ENOTTY)) { _ = try Hypervisor(path: "/dev/null") }
    }

    @Test func theDescriptionIsASentence() {
        let error = KVMError(call: "KVM_CREATE_VM", errno: EACCES)
        #expect(error.description == "KVM_CREATE_VM failed: Permission denied (errno 13)")
    }
}
