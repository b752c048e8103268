// The lines of a debugger's `monitor`: the state of the devices and vCPUs, and what stops the guest. Each returns text.

import Virtio

/// A command of `monitor`.
struct MonitorCommand {
    /// The words that name it, then its arguments.
    let form: String
    let summary: String
    let perform: @Sendable (_ words: ArraySlice<String>, Debugger) throws(DebugError) -> String

    /// Executes a line.
    static func perform(_ line: String, _ debugger: Debugger) -> String {
        let words = line.split(whereSeparator: \.isWhitespace).map(String.init)
        if words.isEmpty { return help }
        let found = all.filter { words.starts(with: $0.names) }.max { $0.names.count < $1.names.count }
        guard let found else { return "there is no command '\(line)'; monitor help lists those there are" }
        do throws(DebugError) { return try found.perform(words.dropFirst(found.names.count), debugger) } catch {
            switch error {
            case .number(let number): return reason(number)
            case .sentence(let text): return text
            }
        }
    }

    /// The words in front of the first in capitals or in brackets.
    private var names: [String] {
        form.split(separator: " ").prefix { $0.allSatisfy(\.isLowercase) }.map(String.init)
    }

    private static let all: [MonitorCommand] = [
        MonitorCommand(form: "help", summary: "this list") { _, _ in help },
        MonitorCommand(form: "devices", summary: "the devices, and what each waits for") { _, debugger in
            debugger.machine.deviceStates.map { "\($0.name): \($0.reason)" }.joined(separator: "\n")
        },
        MonitorCommand(form: "devices stop", summary: "requests that devices take from now on wait") { _, debugger in
            debugger.holdDevices(true)
            return "the devices are stopped"
        },
        MonitorCommand(form: "devices go", summary: "start them") { _, debugger in
            debugger.holdDevices(false)
            return "the devices go on"
        },
        MonitorCommand(form: "device NAME", summary: "the state of a device") { words, debugger throws(DebugError) in
            try state(words, debugger).report
        },
        MonitorCommand(form: "queue NAME N", summary: "a virtqueue, with its addresses") {
            words, debugger throws(DebugError) in
            let queues = try state(words, debugger).model.queues
            guard let number = words.dropFirst().first.flatMap({ Int($0) }), queues.indices.contains(number) else {
                throw .sentence("name one of the device's queues, 0 to \(queues.count - 1)")
            }
            let queue = queues[number]
            let areas = [
                ("descriptor", queue.descriptorArea), ("driver", queue.driverArea), ("device", queue.deviceArea),
            ]
            return (["queue \(number): \(queue.text)"] + areas.map { "  \($0) area at 0x\(hex($1, digits: 1))" })
                .joined(separator: "\n")
        },
        MonitorCommand(form: "explain CLAUSE", summary: "what a clause asks for") { words, _ throws(DebugError) in
            guard let found = words.first.flatMap({ Clause.named($0) }) else {
                throw .sentence("name a clause, such as 2.1.1-1")
            }
            return found.clauses.map { $0.explanation(isChecked: checked.contains("\($0.id)")) }
                .joined(separator: "\n")
        },
        MonitorCommand(form: "exits", summary: "the exits of each vCPU so far") { _, debugger in
            debugger.machine.vcpus.exits.enumerated().map { "vcpu\($0): \($1)" }.joined(separator: "\n")
        },
        MonitorCommand(form: "trace off", summary: "leave events out of the trace") { _, debugger throws(DebugError) in
            try setTrace(isOn: false, debugger)
        },
        MonitorCommand(form: "trace on", summary: "write them again") { _, debugger throws(DebugError) in
            try setTrace(isOn: true, debugger)
        },
        MonitorCommand(form: "snapshot DIR", summary: "write a snapshot") { words, debugger throws(DebugError) in
            guard let folder = words.first else { throw .sentence("name the folder, the one of --snapshot-to") }
            return try snapshot(folder, debugger)
        },
        MonitorCommand(form: "break", summary: "the breaks that are set") { words, debugger throws(DebugError) in
            guard words.isEmpty else { throw .sentence("monitor help lists what break takes") }
            return text(of: debugger.breaks.current)
        },
        MonitorCommand(form: "break off", summary: "delete them") { _, debugger in
            debugger.breaks.set([])
            return text(of: [])
        },
        MonitorCommand(
            form: "break clause [ID|any]", summary: "stop at an access that breaks the clause, or any"
        ) { words, debugger throws(DebugError) in
            guard debugger.machine.configuration.conform != .off else {
                throw .sentence("drivers are not checked, by --conform off; start vmm without it")
            }
            guard let word = words.first, word != "any" else { return add([.clause(nil)], debugger) }
            let ids = Clause.named(word)?.clauses.map { "\($0.id)" }.filter { checked.contains($0) } ?? []
            guard !ids.isEmpty else {
                throw .sentence("no clause '\(word)' is checked in drivers; see vmm explain --list")
            }
            return add(ids.map { .clause($0) }, debugger)
        },
        MonitorCommand(
            form: "break device NAME reset|suspend|resume|config|notify", summary: "stop at such an access"
        ) { words, debugger throws(DebugError) in
            let name = try state(words, debugger).name
            guard let access = words.dropFirst().first.flatMap({ DeviceAccess(rawValue: $0) }) else {
                throw .sentence("name an access: \(DeviceAccess.allCases.map(\.rawValue).joined(separator: ", "))")
            }
            return add([.access(device: name, access)], debugger)
        },
        MonitorCommand(form: "break interrupt NAME", summary: "stop when the device raises its interrupt") {
            words, debugger throws(DebugError) in
            add([.interrupt(device: try state(words, debugger).name)], debugger)
        },
    ]

    private static var help: String {
        let width = all.reduce(0) { max($0, $1.form.count) } + 2
        return all.map { $0.form + String(repeating: " ", count: width - $0.form.count) + $0.summary }
            .joined(separator: "\n")
    }

    /// The clauses that are checked in drivers.
    private static let checked = Set(Check.allCases.map { "\($0.clause.id)" })

    private static func add(_ breaks: [DeviceBreak], _ debugger: Debugger) -> String {
        debugger.breaks.set(debugger.breaks.current.union(breaks))
        return text(of: Set(breaks))
    }

    private static func text(of breaks: Set<DeviceBreak>) -> String {
        breaks.isEmpty ? "no breaks" : breaks.map { "break \($0.text)" }.sorted().joined(separator: "\n")
    }

    /// The device that the first word names.
    private static func state(_ words: ArraySlice<String>, _ debugger: Debugger) throws(DebugError) -> DeviceState {
        let states = debugger.machine.deviceStates
        guard let state = states.first(where: { $0.name == words.first }) else {
            throw .sentence("name a device: \(states.map(\.name).joined(separator: ", "))")
        }
        return state
    }

    private static func setTrace(isOn: Bool, _ debugger: Debugger) throws(DebugError) -> String {
        guard let trace = debugger.machine.trace else {
            throw .sentence("there is no trace; start vmm with --trace PATH")
        }
        trace.setOn(isOn)
        return "the trace is \(isOn ? "on" : "off")"
    }

    private static func snapshot(_ folder: String, _ debugger: Debugger) throws(DebugError) -> String {
        do throws(MachineError) {
            let report = try debugger.machine.snapshot(to: folder)
            return "snapshot \(folder): \(report.bytes >> 20) MiB of memory"
        } catch { throw .sentence(error.description) }
    }
}
