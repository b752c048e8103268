// The lines of a debugger's `monitor`: what the devices and vCPUs are at, and what stops the guest. Each returns text.

import Virtio

/// A command of `monitor`.
struct MonitorCommand {
    /// The words that name it, then what it takes.
    let form: String
    let summary: String
    let perform: @Sendable (_ words: ArraySlice<Substring>, Debugger) throws(DebugError) -> String

    /// Carries out a line.
    static func perform(_ line: String, _ debugger: Debugger) -> String {
        let words = line.split(whereSeparator: \.isWhitespace)
        guard let command = all.first(where: { words.starts(with: $0.names) }) else {
            return words.isEmpty ? help : "there is no command '\(line)'; monitor help lists those there are"
        }
        do throws(DebugError) { return try command.perform(words.dropFirst(command.names.count), debugger) } catch {
            return error.text
        }
    }

    /// The words in front of the first in capitals or in brackets.
    private var names: [Substring] { form.split(separator: " ").prefix { $0.allSatisfy(\.isLowercase) } }

    private static let all = [
        MonitorCommand(form: "help", summary: "this list") { _, _ in help },
        MonitorCommand(form: "devices", summary: "the devices, and what each waits for") { _, debugger in
            debugger.machine.deviceStates.map { "\($0.name): \($0.reason)" }.joined(separator: "\n")
        },
        MonitorCommand(form: "device NAME", summary: "the state of a device") { words, debugger throws(DebugError) in
            try state(words, debugger).report
        },
        MonitorCommand(form: "queue NAME N", summary: "a virtqueue, with its addresses") {
            words, debugger throws(DebugError) in
            let queues = try state(words, debugger).model.queues
            guard let number = words.dropFirst().first.flatMap({ Int($0) }), queues.indices.contains(number) else {
                throw DebugError("name one of the device's queues, 0 to \(queues.count - 1)")
            }
            let queue = queues[number]
            let areas = [
                ("descriptor", queue.descriptorArea), ("driver", queue.driverArea), ("device", queue.deviceArea),
            ]
            return "queue \(number): \(queue.text)\n"
                + areas.map { "  \($0) area at 0x\(hex($1, digits: 1))" }.joined(separator: "\n")
        },
        MonitorCommand(form: "explain CLAUSE", summary: "what a clause asks for") { words, _ throws(DebugError) in
            let checked = Set(Check.allCases.map { "\($0.clause.id)" })
            guard let word = words.first, let (_, clauses) = Clause.named(String(word)) else {
                throw DebugError("name a clause, such as 2.1.1-1")
            }
            return clauses.map { $0.explanation(isChecked: checked.contains("\($0.id)")) }.joined(separator: "\n")
        },
        MonitorCommand(form: "exits", summary: "the exits of each vCPU so far") { _, debugger in
            debugger.machine.vcpus.exits.enumerated().map { "vcpu\($0): \($1)" }.joined(separator: "\n")
        },
        MonitorCommand(form: "break", summary: "the breaks that are set") { words, debugger throws(DebugError) in
            guard words.isEmpty else { throw DebugError("monitor help lists what break takes") }
            let breaks = debugger.breaks.current
            return breaks.isEmpty ? "no breaks" : breaks.map { "break \($0.text)" }.sorted().joined(separator: "\n")
        },
        MonitorCommand(form: "break off", summary: "delete them") { _, debugger in
            debugger.breaks.set([])
            return "no breaks"
        },
        MonitorCommand(
            form: "break clause [ID|any]", summary: "stop at an access that breaks the clause, or any"
        ) { words, debugger throws(DebugError) in
            guard debugger.machine.configuration.conform != .off else {
                throw DebugError("drivers are not checked, by --conform off; start vmm without it")
            }
            let word = words.first.map(String.init) ?? "any"
            if word == "any" { return add([.clause(nil)], debugger) }
            let checked = Set(Check.allCases.map { "\($0.clause.id)" })
            let ids = Clause.named(word)?.clauses.map { "\($0.id)" }.filter { checked.contains($0) } ?? []
            guard !ids.isEmpty else {
                throw DebugError("no clause '\(word)' is checked in drivers; see vmm explain --list")
            }
            return add(ids.map { .clause($0) }, debugger)
        },
        MonitorCommand(
            form: "break device NAME reset|suspend|resume|config|notify", summary: "stop at such an access"
        ) { words, debugger throws(DebugError) in
            let name = try state(words, debugger).name
            guard let access = words.dropFirst().first.flatMap({ DeviceAccess(rawValue: String($0)) }) else {
                throw DebugError("name an access: \(DeviceAccess.allCases.map(\.rawValue).joined(separator: ", "))")
            }
            return add([.access(device: name, access)], debugger)
        },
        MonitorCommand(form: "break interrupt NAME", summary: "stop when the device raises its interrupt") {
            words, debugger throws(DebugError) in
            add([.interrupt(device: try state(words, debugger).name)], debugger)
        },
    ].sorted { $0.names.count > $1.names.count }

    private static var help: String {
        let width = all.reduce(0) { max($0, $1.form.count) }
        return all.sorted { $0.form < $1.form }
            .map { $0.form + String(repeating: " ", count: width + 2 - $0.form.count) + $0.summary }.joined(
                separator: "\n")
    }

    private static func add(_ breaks: [DeviceBreak], _ debugger: Debugger) -> String {
        debugger.breaks.set(debugger.breaks.current.union(breaks))
        return breaks.map { "break \($0.text)" }.joined(separator: "\n")
    }

    /// The device that the first word names.
    private static func state(_ words: ArraySlice<Substring>, _ debugger: Debugger) throws(DebugError) -> DeviceState {
        let states = debugger.machine.deviceStates
        guard let state = states.first(where: { $0.name == words.first ?? "" }) else {
            throw DebugError("name a device: \(states.map(\.name).joined(separator: ", "))")
        }
        return state
    }
}
