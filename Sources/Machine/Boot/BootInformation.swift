// What a kernel is told at its entry, before a boot protocol gives it a form.

/// What a kernel is told at its entry.
struct BootInformation {
    /// A file in guest memory.
    struct Module {
        let range: Range<UInt64>
        /// The file as the user named it.
        let name: String
    }

    let ram: RAM
    /// The command line with its terminating zero, at `MemoryMap.commandLine`.
    let commandLine: [UInt8]
    let modules: [Module]
    /// The ACPI tables at `MemoryMap.acpi`, the root first; nil without ACPI.
    let acpi: [UInt8]?

    /// The address of the ACPI root (RSDP); 0 without ACPI.
    var rsdp: UInt64 { acpi == nil ? 0 : MemoryMap.acpi.lowerBound }
}
