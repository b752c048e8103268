// Runs a loaded kernel on KVM.

import KVM
import Machine
import Testing

@Suite(.needsKVM)
struct PVHTests {
    @Test func pvhEntersWithTheStartInformation() throws {
        let kernel = Executable.kernel([
            0x8b, 0x03,  // mov eax, [ebx]
            0xe7, 0xf4,  // out 0xf4, eax
            0x0f, 0x20, 0xc0,  // mov eax, cr0
            0xe7, 0xf4,  // out 0xf4, eax
        ])
        let ram = try RAM(size: 2 << 20)
        let state = try Loader(kernel: .bytes(kernel.bytes, name: "kernel")).load(into: ram, commandLine: "")
        let hypervisor = try Hypervisor()
        let machine = try VirtualMachine(hypervisor, reserved: MemoryMap.hypervisorPages)
        for (slot, region) in ram.regions.enumerated() {
            unsafe try machine.mapMemory(
                slot: UInt32(slot), guestAddress: region.guestAddress, host: region.host, size: region.size)
        }
        var vcpu = try VCPU(machine, id: 0)
        try vcpu.setCPUID(hypervisor.supportedCPUID())
        try state.apply(to: vcpu)
        #expect(try vcpu.run() == .portOut(port: 0xf4, width: 4, value: 0x336e_c578))
        guard case .portOut(port: 0xf4, width: 4, let cr0) = try vcpu.run() else {
            Issue.record("the guest did not write cr0")
            return
        }
        #expect(cr0 & 0x8000_0001 == 1, "protected mode, no paging")
    }
}
