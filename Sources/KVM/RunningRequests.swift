// The ioctls by which a machine that runs uses KVM, by who issues them: those that a filter of system calls has to let through.

/// The requests of a machine that runs.
public enum RunningRequests {
    /// A request's number and name.
    public typealias Entry = (number: UInt32, name: String)

    /// Of a vCPU's thread to its vCPU.
    public static let vcpu = entries([
        .run, .getRegisters, .getSpecialRegisters, .getActivity, .injectNMI, .noteStop, .setGuestDebug,
    ])
    /// Of a vCPU's thread to the machine.
    public static let machine = entries([.irqLine, .ioEventFD, .getIRQChip, .createPIT, .getPIT, .setPIT])
    /// Of a device's thread.
    public static let interrupts = entries([.irqLine])
    /// Of a thread that reports the machine's state.
    public static let inspection = entries([.getIRQChip])
    /// Of the thread that takes snapshots.
    public static let snapshot = entries(
        VCPU.Part.allCases.map(\.requests.get) + [
            .getXSave2, .msrList, .getMSRs, .getTSCFrequency, .getIRQChip, .getPIT, .getClock, .supportedCPUID,
            .checkExtension,
        ])
    /// Of the thread that serves a debugger.
    public static let debugger = entries([
        .getRegisters, .setRegisters, .getSpecialRegisters, .setSpecialRegisters, .getXSave, .setXSave, .getMSRs,
        .setMSRs, .setGuestDebug, .ioEventFD, .getActivity,
    ])

    private static func entries(_ requests: [Request]) -> [Entry] {
        requests.map { (UInt32(truncatingIfNeeded: $0.number), $0.name) }
    }
}
