// What a device of the board is connected to: guest memory, its interrupt line, and ioeventfds. Devices know nothing else of
// the machine, so that they also work in one without KVM.

import KVM
import Virtio
import VirtioABI

/// A device's interrupt line.
protocol InterruptLine: Sendable {
    /// Raises or lowers the line.
    func set(_ level: Bool)
    /// Whether no interrupt controller delivers the line to a processor; nil if that is unknown.
    var isMasked: Bool? { get }
}

extension InterruptLine {
    var isMasked: Bool? { nil }
}

/// The connections of a board's devices.
protocol BoardConnections: Sendable {
    /// Guest memory as the device model sees it. It stays mapped while the connections exist.
    var guestMemory: GuestMemory { get }
    /// The interrupt line of slot `slot`.
    func line(slot: Int) -> any InterruptLine
    /// From now on a write of `value`, 32 bits wide, to guest-physical `address` signals `event` and does not reach the bus.
    func registerIOEventFD(_ address: UInt64, value: UInt64, to event: borrowing EventFD) throws(MachineError)
}

/// Registers ioeventfds for a slot's available buffer notifications.
struct IOEventFDRegistrar: Sendable {
    let connections: any BoardConnections
    let slot: Int

    /// From now on a notification of `queue` signals `event`, if the host can do that; otherwise it still exits.
    func registerIOEventFD(_ queue: Int, to event: borrowing EventFD) {
        let register = MemoryMap.window(slot: slot).lowerBound + UInt64(Register.queueNotify.rawValue)
        try? connections.registerIOEventFD(register, value: UInt64(queue), to: event)
    }
}

extension RAM {
    /// The memory as the device model sees it.
    var guestMemory: GuestMemory {
        GuestMemory(
            regions.map {
                unsafe GuestMemory.Region(guestAddress: $0.guestAddress, base: $0.host, size: UInt64($0.size))
            })
    }
}

/// The virtual machine with its memory, shared by threads. The memory stays mapped while the machine exists.
final class SharedVM: BoardConnections {
    let machine: VirtualMachine
    let ram: RAM

    init(_ hypervisor: borrowing Hypervisor, _ ram: RAM) throws(MachineError) {
        do throws(KVMError) {
            machine = try VirtualMachine(hypervisor, reserved: MemoryMap.hypervisorPages)
            for (slot, region) in ram.regions.enumerated() {
                unsafe try machine.mapMemory(
                    slot: UInt32(slot), guestAddress: region.guestAddress, host: region.host, size: region.size)
            }
        } catch { throw .kvm(error) }
        self.ram = ram
    }

    var guestMemory: GuestMemory { ram.guestMemory }

    /// The bytes at a guest-physical address; nil if they are not all in one region of memory.
    func bytes(at address: UInt64, count: Int) -> [UInt8]? { ram.read(at: address, count: count) }

    /// Writes bytes at a guest-physical address; false, and none, if they are not all in one region of memory.
    func write(_ bytes: [UInt8], at address: UInt64) -> Bool { ram.write(bytes, at: address) }

    /// The guest-physical address of a linear address of a vCPU that executes nothing now; nil if it has no page there.
    func physicalAddress(of linear: UInt64, on vcpu: borrowing VCPU) -> UInt64? {
        guard let special = try? vcpu.specialRegisters() else { return nil }
        return PageTables(special).physicalAddress(of: linear, in: ram)
    }

    /// The return addresses on the stack of a vCPU that executes nothing now and has these general registers.
    func stackFrames(of vcpu: borrowing VCPU, _ registers: kvm_regs) -> [UInt64] {
        StackTrace.frames(of: vcpu, registers, ram)
    }

    func line(slot: Int) -> any InterruptLine { line(gsi: MemoryMap.gsi(slot: slot)) }

    /// The line of a global system interrupt.
    func line(gsi: UInt32) -> any InterruptLine { IOAPICLine(vm: self, gsi: gsi) }

    func registerIOEventFD(_ address: UInt64, value: UInt64, to event: borrowing EventFD) throws(MachineError) {
        do throws(KVMError) {
            try machine.attach(event, address: address, length: 4, match: value)
        } catch { throw .kvm(error) }
    }
}

/// An input of the IOAPIC.
private struct IOAPICLine: InterruptLine {
    let vm: SharedVM
    let gsi: UInt32

    /// The line exists while the machine does, so KVM refuses nothing.
    func set(_ level: Bool) { try? vm.machine.setInterruptLine(gsi: gsi, level: level) }

    var isMasked: Bool? { try? vm.machine.isMasked(gsi: gsi) }
}
