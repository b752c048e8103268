// Clauses on drivers and SUSPEND that no check covers.

extension Clause {
    /// SUSPEND, in the draft.
    static var driverSuspendClauses: [Clause] {
        [
            Clause(
                "V5-DRV-2", .driver, .must,
                "If SUSPEND was negotiated, the driver must use it only as the draft describes.",
                cause: "Status saved and restored as a whole by the system's suspend",
                remedy: "Write SUSPEND only in the driver's suspend and resume functions."),
            Clause(
                "V5-DRV-6", .driver, .may,
                "While it polls for the value that it wrote, the driver may abort by writing the other value, or reset.",
                cause: "a driver without a timeout, which polls a device that never finishes its requests",
                remedy: "After a timeout write the other value of SUSPEND, or 0."),
            Clause(
                "V5-DRV-8", .driver, .may, "The driver may suspend a device that has buffers in its queues.",
                cause: "receive buffers taken back by a reset before each suspend",
                remedy: "Leave them in the queue, unchanged (V5-DRV-9)."),
            Clause(
                "V5-DRV-11", .driver, .should,
                "After SUSPEND, the driver should use the transport's own suspend, if there is one.",
                cause: "a PCI function left in D0 after SUSPEND reads 1",
                remedy: "Continue with the transport's power state; virtio-mmio has none."),
        ]
    }
}
