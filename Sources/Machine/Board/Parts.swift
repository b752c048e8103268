// Makes the board's devices out of the machine's configuration: model, interrupt line and backend each.

import KVM
import Virtio
import VirtioABI

/// The virtual machine with its memory, shared by the threads that drive it. The memory stays mapped as long as it lives.
final class SharedVM: Sendable {
    let machine: VirtualMachine
    private let ram: RAM

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

    /// Guest memory as the device model sees it.
    var guestMemory: GuestMemory {
        GuestMemory(
            ram.regions.map {
                unsafe GuestMemory.Region(guestAddress: $0.guestAddress, base: $0.host, size: UInt64($0.size))
            })
    }
}

/// An input of the IOAPIC, level-triggered.
private struct IOAPICLine: InterruptLine {
    let vm: SharedVM
    let gsi: UInt32

    /// The line exists for as long as the machine does, so KVM has nothing to refuse.
    func set(_ level: Bool) { try? vm.machine.setInterruptLine(gsi: gsi, level: level) }
}

/// The devices' maker.
struct Parts {
    let configuration: Machine.Configuration
    let vm: SharedVM
    /// Kicks come as events (ioeventfd), not as exits.
    let kicksAreEvents: Bool

    /// The console in slot `slot`; keys that are vmm's go to `onKey`.
    func console(
        _ port: ConsolePort, slot: Int, onKey: @escaping @Sendable (EscapeKeys.Action) -> Void
    ) throws(MachineError) -> ConsoleSlot {
        let size = ConsolePort.size(of: port.output) ?? (columns: 80, rows: 25)
        let device = Console(configuration: Console.Configuration(columns: size.columns, rows: size.rows))
        let features = configuration.kernel == nil ? .allRings : configuration.consoleFeatures
        let slotted = try ConsoleSlot(
            name: "console0",
            transport: MMIOTransport(
                device: device, memory: vm.guestMemory, suspend: configuration.suspend, adding: features.adding,
                withholding: features.withholding),
            place: place(slot), port: port, escapeKeys: configuration.escapeKeys, onKey: onKey)
        try takeKicks(slotted, slot)
        return slotted
    }

    /// Disk `number` in slot `slot`.
    func disk(_ image: DiskImage, number: Int, slot: Int) throws(MachineError) -> BlockSlot {
        let device = Block(
            capacity: image.backend.capacity, readOnly: image.readOnly, queues: image.queues, queueSize: image.queueSize
        )
        let slotted = try BlockSlot(
            name: "blk\(number)",
            transport: MMIOTransport(
                device: device, memory: vm.guestMemory, suspend: image.suspend.dialect(or: configuration.suspend),
                freeze: image.freeze, adding: image.features.adding, withholding: image.features.withholding),
            place: place(slot), backend: image.backend, identity: image.id ?? "blk\(number)")
        try takeKicks(slotted, slot)
        return slotted
    }

    /// Lets kicks ring the device's doorbell without an exit. Values that name no queue still exit, and are counted.
    private func takeKicks<Device>(_ device: Slot<Device>, _ slot: Int) throws(MachineError)
    where Device: VirtioDevice & SendableMetatype & ~Copyable {
        guard kicksAreEvents else { return }
        let register = MemoryMap.window(slot: slot).lowerBound + UInt64(Register.queueNotify.rawValue)
        do throws(KVMError) {
            for queue in 0..<device.transport.queueCount {
                try vm.machine.attach(device.doorbell, address: register, length: 4, match: UInt64(queue))
            }
        } catch { throw .kvm(error) }
    }

    private func place(_ slot: Int) -> Place {
        Place(
            line: IOAPICLine(vm: vm, gsi: MemoryMap.gsi(slot: slot)), drainDeadline: configuration.drainDeadline,
            reportsAnomalies: configuration.reportsAnomalies, onDeferredEvent: configuration.onDeferredEvent)
    }
}
