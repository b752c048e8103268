// An owned file descriptor, and the ioctl calls to KVM through one.

import CKVM
import Glibc

/// A file descriptor that `deinit` closes.
struct FileDescriptor: ~Copyable, Sendable {
    let number: Int32

    /// Takes ownership of the descriptor `result`; a negative `result` is -errno of `call`.
    init(owning result: Int32, from call: String) throws(KVMError) {
        guard result >= 0 else { throw KVMError(call: call, errno: -result) }
        number = result
    }

    deinit { close(number) }

    /// Issues an ioctl whose argument is a number.
    @discardableResult
    borrowing func control(_ request: Request, _ value: UInt = 0) throws(KVMError) -> Int32 {
        unsafe try control(request, at: UnsafeMutableRawPointer(bitPattern: value))
    }

    /// Issues an ioctl whose argument is the address of a struct. It is restarted after EINTR.
    @discardableResult
    borrowing func control(_ request: Request, at argument: UnsafeMutableRawPointer?) throws(KVMError) -> Int32 {
        var result: Int32
        repeat { result = unsafe ckvm_ioctl(number, request.number, argument) } while result == -EINTR
        guard result >= 0 else { throw KVMError(call: request.name, errno: -result) }
        return result
    }
}

/// An ioctl: its number and its name in the kernel's documentation.
struct Request {
    let number: UInt
    let name: String

    init(_ number: UInt, _ name: String) {
        self.number = number
        self.name = name
    }

    static let apiVersion = Request(CKVM_GET_API_VERSION, "KVM_GET_API_VERSION")
    static let checkExtension = Request(CKVM_CHECK_EXTENSION, "KVM_CHECK_EXTENSION")
    static let runSize = Request(CKVM_GET_VCPU_MMAP_SIZE, "KVM_GET_VCPU_MMAP_SIZE")
    static let supportedCPUID = Request(CKVM_GET_SUPPORTED_CPUID, "KVM_GET_SUPPORTED_CPUID")
    static let createVM = Request(CKVM_CREATE_VM, "KVM_CREATE_VM")

    static let setTSSAddress = Request(CKVM_SET_TSS_ADDR, "KVM_SET_TSS_ADDR")
    static let setIdentityMapAddress = Request(CKVM_SET_IDENTITY_MAP_ADDR, "KVM_SET_IDENTITY_MAP_ADDR")
    static let createIRQChip = Request(CKVM_CREATE_IRQCHIP, "KVM_CREATE_IRQCHIP")
    static let createPIT = Request(CKVM_CREATE_PIT2, "KVM_CREATE_PIT2")
    static let getPIT = Request(CKVM_GET_PIT2, "KVM_GET_PIT2")
    static let setPIT = Request(CKVM_SET_PIT2, "KVM_SET_PIT2")
    static let setMemoryRegion = Request(CKVM_SET_USER_MEMORY_REGION, "KVM_SET_USER_MEMORY_REGION")
    static let irqLine = Request(CKVM_IRQ_LINE, "KVM_IRQ_LINE")
    static let getIRQChip = Request(CKVM_GET_IRQCHIP, "KVM_GET_IRQCHIP")
    static let ioEventFD = Request(CKVM_IOEVENTFD, "KVM_IOEVENTFD")

    static let run = Request(CKVM_RUN, "KVM_RUN")
    static let createVCPU = Request(CKVM_CREATE_VCPU, "KVM_CREATE_VCPU")
    static let setCPUID = Request(CKVM_SET_CPUID2, "KVM_SET_CPUID2")
    static let getRegisters = Request(CKVM_GET_REGS, "KVM_GET_REGS")
    static let setRegisters = Request(CKVM_SET_REGS, "KVM_SET_REGS")
    static let getSpecialRegisters = Request(CKVM_GET_SREGS, "KVM_GET_SREGS")
    static let setSpecialRegisters = Request(CKVM_SET_SREGS, "KVM_SET_SREGS")
    static let injectNMI = Request(CKVM_NMI, "KVM_NMI")
    static let noteStop = Request(CKVM_KVMCLOCK_CTRL, "KVM_KVMCLOCK_CTRL")
    static let getClock = Request(CKVM_GET_CLOCK, "KVM_GET_CLOCK")
    static let setClock = Request(CKVM_SET_CLOCK, "KVM_SET_CLOCK")
    static let setIRQChip = Request(CKVM_SET_IRQCHIP, "KVM_SET_IRQCHIP")
    static let msrList = Request(CKVM_GET_MSR_INDEX_LIST, "KVM_GET_MSR_INDEX_LIST")
    static let getMSRs = Request(CKVM_GET_MSRS, "KVM_GET_MSRS")
    static let setMSRs = Request(CKVM_SET_MSRS, "KVM_SET_MSRS")
    static let getXSave = Request(CKVM_GET_XSAVE, "KVM_GET_XSAVE")
    static let setXSave = Request(CKVM_SET_XSAVE, "KVM_SET_XSAVE")
    static let getXSave2 = Request(CKVM_GET_XSAVE2, "KVM_GET_XSAVE2")
    static let getTSCFrequency = Request(CKVM_GET_TSC_KHZ, "KVM_GET_TSC_KHZ")
    static let setTSCFrequency = Request(CKVM_SET_TSC_KHZ, "KVM_SET_TSC_KHZ")
    static let setGuestDebug = Request(CKVM_SET_GUEST_DEBUG, "KVM_SET_GUEST_DEBUG")
    static let getActivity = Request(CKVM_GET_MP_STATE, "KVM_GET_MP_STATE")
}
