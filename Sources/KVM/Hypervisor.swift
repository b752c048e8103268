// The host's KVM: `/dev/kvm`, its capabilities, and the processor features it supports. Kernel:
// Documentation/virt/kvm/api.rst, "System ioctls".

import CKVM
import Glibc

/// The host's KVM. Needed only to create virtual machines.
public struct Hypervisor: ~Copyable, Sendable {
    let descriptor: FileDescriptor
    /// Bytes of a vCPU's shared area (KVM_GET_VCPU_MMAP_SIZE).
    let runSize: Int

    /// The capabilities that this package requires.
    private static let required: [(Int32, String)] = [
        (KVM_CAP_IRQCHIP, "KVM_CAP_IRQCHIP"),
        (KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY"),
        (KVM_CAP_SET_TSS_ADDR, "KVM_CAP_SET_TSS_ADDR"),
        (KVM_CAP_EXT_CPUID, "KVM_CAP_EXT_CPUID"),
        (KVM_CAP_IOEVENTFD, "KVM_CAP_IOEVENTFD"),
        (KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT"),
    ]

    /// Opens the KVM device node at `path`, and checks the API version (12, since Linux 2.6.22) and each capability
    /// that this package requires.
    public init(path: String = "/dev/kvm") throws(KVMError) {
        let opened = unsafe open(path, O_RDWR | O_CLOEXEC)
        let node = try FileDescriptor(owning: opened < 0 ? -errno : opened, from: "open(\(path))")
        guard try node.control(.apiVersion) == KVM_API_VERSION else {
            throw KVMError(call: "KVM_GET_API_VERSION", errno: EOPNOTSUPP)
        }
        for (capability, name) in Self.required where try node.control(.checkExtension, UInt(capability)) == 0 {
            throw KVMError(call: "KVM_CHECK_EXTENSION(\(name))", errno: EOPNOTSUPP)
        }
        runSize = Int(try node.control(.runSize))
        descriptor = node
    }

    /// The greatest number of vCPUs of a machine: local APIC ids are below 255 here.
    public static let vCPULimit = 254

    /// The maximum number of vCPUs of one machine on this host; at most `vCPULimit`.
    public borrowing func maximumVCPUs() throws(KVMError) -> Int {
        // Without KVM_CAP_MAX_VCPUS the limit is KVM_CAP_NR_VCPUS, and without that it is 4 (api.rst, 4.7).
        for capability in [KVM_CAP_MAX_VCPUS, KVM_CAP_NR_VCPUS] {
            let count = try descriptor.control(.checkExtension, UInt(capability))
            if count > 0 { return min(Int(count), Self.vCPULimit) }
        }
        return 4
    }

    /// The numbers of the model-specific registers that make up a guest's state (KVM_GET_MSR_INDEX_LIST).
    public borrowing func modelSpecificRegisters() throws(KVMError) -> [UInt32] {
        let capacity = 4096
        let table = UnsafeMutablePointer<UInt32>.allocate(capacity: capacity + 1)
        defer { unsafe table.deallocate() }
        unsafe table[0] = UInt32(capacity)
        unsafe try descriptor.control(.msrList, at: table)
        return unsafe (0..<Int(table[0])).map { unsafe table[$0 + 1] }
    }

    /// The processor features that this host supports in a guest (KVM_GET_SUPPORTED_CPUID).
    public borrowing func supportedCPUID() throws(KVMError) -> CPUID {
        var cpuid = CPUID()
        unsafe try cpuid.withTable { (table) throws(KVMError) in
            _ = unsafe try descriptor.control(.supportedCPUID, at: table)
        }
        // KVM does not set this bit itself: it is valid only with the in-kernel local APIC, which every VM here has.
        if try descriptor.control(.checkExtension, UInt(KVM_CAP_TSC_DEADLINE_TIMER)) != 0 {
            cpuid.setTSCDeadlineTimer()
        }
        return cpuid
    }
}
