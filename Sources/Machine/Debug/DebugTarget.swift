// What a debugger's session acts on, and the values between the two. `Debugger` is a machine as such a target; the session itself does
// no I/O and knows no machine.

/// A refusal, as a sentence.
public struct DebugError: Error, Equatable {
    public let text: String

    /// A refusal with this sentence.
    public init(_ text: String) { self.text = text }
}

/// The address space of an access to memory.
public enum DebugSpace: Equatable, Sendable {
    case physical
    /// The linear addresses of a vCPU, through its page tables.
    case linear(vcpu: Int)
}

/// A breakpoint or watchpoint.
public struct Breakpoint: Hashable, Sendable {
    /// With the numbers that the protocol has.
    public enum Kind: UInt64, Sendable {
        case software, hardware, write, read, access

        /// The processor stops in front of the instruction, not behind an access.
        public var isExecution: Bool { self == .software || self == .hardware }
    }

    public let kind: Kind
    /// A linear address.
    public let address: UInt64
    /// The bytes watched; of a breakpoint 1.
    public let length: UInt64
}

/// What a vCPU does when the guest is let go on.
public enum ResumeAction: Equatable, Sendable {
    case run
    /// One instruction.
    case step(blocksInterrupts: Bool)
}

/// Why the guest stopped.
public struct DebugStop: Equatable, Sendable {
    public enum Reason: Equatable, Sendable {
        case breakpoint(Breakpoint.Kind)
        /// A watched access; the address is one that is watched.
        case watchpoint(Breakpoint.Kind, address: UInt64)
        case step
        /// The client's Ctrl-C.
        case interrupt
        /// A device, or one of its driver's accesses.
        case device
    }

    public let vcpu: Int
    public let reason: Reason
    /// What the debugger's console shows; nil for nothing.
    public var message: String?

    /// A stop of this vCPU.
    public init(vcpu: Int, reason: Reason, message: String? = nil) {
        (self.vcpu, self.reason, self.message) = (vcpu, reason, message)
    }
}

/// A guest as a debugger sees it. All but `interrupt` is called only while the guest is stopped.
public protocol DebugTarget: AnyObject {
    var processorCount: Int { get }
    /// What a vCPU does, in a word or two.
    func activity(of vcpu: Int) -> String
    /// Whether `RegisterFile.avx` is there.
    var hasAVX: Bool { get }
    /// The registers of a vCPU; nil if they cannot be read.
    func registers(of vcpu: Int) -> RegisterFile?
    /// Sets the registers of a vCPU; false if the processor refuses a value.
    func setRegisters(_ registers: RegisterFile, of vcpu: Int) -> Bool
    /// The bytes at an address; fewer where memory ends.
    func read(_ address: UInt64, count: Int, in space: DebugSpace) -> [UInt8]
    /// Writes bytes; false, and none, if not all of them are in memory.
    func write(_ bytes: [UInt8], at address: UInt64, in space: DebugSpace) -> Bool
    /// Sets a breakpoint; `vcpu` is the one whose page tables have its address.
    func insert(_ breakpoint: Breakpoint, vcpu: Int) throws(DebugError)
    func remove(_ breakpoint: Breakpoint)
    /// Lets the guest go on: an action for each vCPU, nil for one that stays stopped.
    func resume(_ actions: [ResumeAction?])
    /// Stops the running guest soon.
    func interrupt()
    /// Carries out a line of the debugger's `monitor`; returns what it prints.
    func perform(_ command: String) -> String
}
