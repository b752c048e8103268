// vmm machine: the board that a kernel finds, without running one.

import ArgumentParser
import Machine
import VirtioABI

/// Prints a machine's devices, addresses, limits, and what the host can do for it.
struct DescribeMachine: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "machine",
        abstract:
            "Describe a machine: devices, features, registers, memory map, ports, limits, and what the host can do.",
        usage: "vmm machine [--json] [<options of vmm run>]",
        discussion: """
            The options are those of vmm run, and the machine is the one that they make; without a device among them it has one of each \
            type. No guest runs, and KVM is not needed. vmm explain says what a clause asks for.

            Exit codes: 0 described; 1 the machine cannot be made; 64 usage.
            """)

    @OptionGroup(visibility: .hidden)
    var options: Run

    func run() throws {
        let machine: MachineDescription
        do throws(MachineError) {
            machine = try MachineDescription(options.makeConfiguration(options.dialect))
        } catch {
            Log.say(error.description)
            throw ExitCode(1)
        }
        print(options.json ? machine.json : text(machine))
        try finishOutput()
    }

    private func text(_ machine: MachineDescription) -> String {
        var lines: [String] = []
        for device in machine.devices {
            let queues = device.queues.count
            lines.append(
                "\(device.name): device ID \(device.id), --\(device.option), at \(hex(device.window.lowerBound, 8)), interrupt \(device.gsi) "
                    + "(level), \(queues) queue\(queues == 1 ? "" : "s") of \(device.queues.first ?? 0)")
            for feature in device.features {
                let section = feature.section == "draft" ? "draft" : "VIRTIO 1.4, \(feature.section)"
                lines.append(
                    "  \(Self.padded("\(feature.bit)", 2, left: true))  \(Self.padded(feature.name, 30)) \(section)"
                        + (feature.clauses.isEmpty ? "" : "; \(feature.clauses.joined(separator: " "))"))
            }
        }
        lines.append("registers, from a device's address on (VIRTIO 1.4, 4.2.2):")
        for register in Register.allCases {
            lines.append(
                "  \(hex(register.rawValue, 3))  \(Self.padded(register.name, 18)) \(register.direction.word)")
        }
        lines.append("  \(hex(Register.configuration, 3))  device-specific configuration space")
        lines.append(
            "slots: \(hex(MemoryMap.slots, 8)) and every \(hex(MemoryMap.slotSize, 1)) bytes, interrupts "
                + MemoryMap.slotGSIs.map { "\($0)" }.joined(separator: " "))
        lines.append("memory:")
        lines += machine.memory.map { "  \(hex($0.first, 8))-\(hex($0.last, 8))  \($0.what)" }
        lines.append("ports:")
        for area in machine.ports {
            let last = area.last > area.first ? "-\(hex(area.last, 3))" : ""
            lines.append("  \(Self.padded(hex(area.first, 3) + last, 11))  \(area.what)")
        }
        lines.append("limits:")
        lines += machine.limits.map { "  \(Self.padded($0.name, 14)) \($0.value)" }
        lines.append("host:")
        lines += machine.host.map { "  \(Self.padded($0.name, 9)) \($0.isThere ? "yes" : "no "), \($0.what)" }
        return lines.joined(separator: "\n")
    }

    static func padded(_ text: String, _ width: Int, left: Bool = false) -> String {
        let blanks = String(repeating: " ", count: max(0, width - text.count))
        return left ? blanks + text : text + blanks
    }
}

/// `0x` and `digits` digits at least.
func hex(_ value: some BinaryInteger, _ digits: Int) -> String {
    let text = String(value, radix: 16)
    return "0x" + String(repeating: "0", count: max(0, digits - text.count)) + text
}
