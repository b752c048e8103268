// What a debugger's session acts on, and the values between the two. `Debugger` is a machine as such a target; the session itself does
// no I/O and knows no machine.

/// Why a request of a debugger is refused.
public enum DebugError: Error, Equatable {
    /// An errno: EINVAL for a packet that is malformed, EFAULT for what is not in memory.
    case number(Int32)
    /// What to do instead.
    case sentence(String)

    /// As an error reply: `E` and two digits, or `E.` and text (GDB manual, appendix E.3, "Standard Replies").
    public var reply: String {
        switch self {
        case .number(let number): "E\(number)"
        case .sentence(let text): "E.\(text)"
        }
    }

    var text: String {
        switch self {
        case .number(let number): reason(number)
        case .sentence(let text): text
        }
    }
}

/// A breakpoint or watchpoint.
public struct Breakpoint: Hashable, Sendable {
    /// The numbers are those of the packets Z0 to Z4.
    public enum Kind: UInt64, Sendable {
        /// An int3 in memory, where the host can.
        case software
        /// A breakpoint in a debug register.
        case hardware
        /// Stops behind a write.
        case write
        /// Stops behind a read, or a write: the processor has no other.
        case read
        /// Stops behind a read or a write.
        case access

        /// The processor stops in front of the instruction, not behind an access.
        public var isExecution: Bool { self == .software || self == .hardware }
    }

    /// What it stops at.
    public let kind: Kind
    /// A linear address.
    public let address: UInt64
    /// The bytes watched; 1 for a breakpoint.
    public let length: UInt64
}

/// What a vCPU does when the guest is resumed.
public enum ResumeAction: Equatable, Sendable {
    /// It runs until the next stop.
    case run
    /// One instruction.
    case step(blocksInterrupts: Bool)
}

/// Why the guest stopped.
public struct DebugStop: Equatable, Sendable {
    /// What the guest stopped at.
    public enum Reason: Equatable, Sendable {
        /// A breakpoint of the kind at the address, or a watched access to it.
        case breakpoint(Breakpoint.Kind, address: UInt64)
        /// A vCPU executed one instruction.
        case step
        /// The client's Ctrl-C.
        case interrupt
        /// A device, or an access of its driver.
        case device
    }

    /// The vCPU at which it stopped, from 0.
    public let vcpu: Int
    /// What it stopped at.
    public let reason: Reason
    /// What the debugger's console shows; nil for nothing.
    public let message: String?

    /// A stop of this vCPU.
    public init(vcpu: Int, reason: Reason, message: String? = nil) {
        (self.vcpu, self.reason, self.message) = (vcpu, reason, message)
    }
}

/// A guest as a debugger sees it. All but `interrupt` is called only while the guest is stopped.
public protocol DebugTarget: AnyObject {
    /// The vCPUs, numbered from 0.
    var processorCount: Int { get }
    /// What a vCPU does, in a word or two.
    func activity(of vcpu: Int) -> String
    /// Whether the guest has AVX, and `RegisterFile` its registers.
    var hasAVX: Bool { get }
    /// The registers of a vCPU.
    func registers(of vcpu: Int) throws(DebugError) -> RegisterFile
    /// Sets the registers of a vCPU. Throws EINVAL if the processor refuses a value.
    func setRegisters(_ registers: RegisterFile, of vcpu: Int) throws(DebugError)
    /// At most `count` bytes at a linear address of `vcpu`, or at a guest-physical one if that is nil; fewer where memory ends.
    func read(_ address: UInt64, count: Int, vcpu: Int?) -> [UInt8]
    /// Writes bytes. Throws EFAULT, and writes none, if not all of them are in memory.
    func write(_ bytes: [UInt8], at address: UInt64, vcpu: Int?) throws(DebugError)
    /// Sets a breakpoint; `vcpu` is the one whose page tables map its address. Throws a sentence if the host cannot.
    func insert(_ breakpoint: Breakpoint, vcpu: Int) throws(DebugError)
    /// Deletes a breakpoint; nothing happens if it is not set.
    func remove(_ breakpoint: Breakpoint)
    /// Resumes the guest: an action for each vCPU, nil for one that stays stopped.
    func resume(_ actions: [ResumeAction?])
    /// Stops the running guest soon.
    func interrupt()
    /// Executes a line of the debugger's `monitor`; returns what it prints.
    func perform(_ command: String) -> String
}
