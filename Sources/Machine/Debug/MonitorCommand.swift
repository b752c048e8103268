// The lines of a debugger's `monitor`: the state of the devices and vCPUs, and what stops the guest. Each returns text.

import Virtio

/// A command of `monitor`.
struct MonitorCommand {
    private typealias Body = @Sendable (_ words: ArraySlice<String>, Debugger) throws(DebugError) -> String

    /// The words that name it, then its arguments.
    private let form: String
    private let summary: String
    private let body: Body

    private init(_ form: String, _ summary: String, _ body: @escaping Body) {
        (self.form, self.summary, self.body) = (form, summary, body)
    }

    /// Executes a line.
    static func perform(_ line: String, _ debugger: Debugger) -> String {
        let words = line.split(whereSeparator: \.isWhitespace).map(String.init)
        guard let command = all.filter({ words.starts(with: $0.names) }).max(by: { $0.names.count < $1.names.count })
        else { return words.isEmpty ? help : "there is no command '\(line)'; monitor help lists those there are" }
        do throws(DebugError) { return try command.body(words.dropFirst(command.names.count), debugger) } catch {
            return error.text
        }
    }

    /// The words in front of the first in capitals or in brackets.
    private var names: [String] {
        form.split(separator: " ").prefix { $0.allSatisfy(\.isLowercase) }.map(String.init)
    }

    private static let all: [MonitorCommand] = [
        MonitorCommand("help", "this list") { _, _ in help },
        MonitorCommand("devices", "the devices, and what each waits for") { _, debugger in
            debugger.machine.deviceStates.map { "\($0.name): \($0.reason)" }.joined(separator: "\n")
        },
        MonitorCommand("devices stop", "requests that devices take from now on wait") { _, debugger in
            debugger.holdDevices(true)
            return "the devices are stopped"
        },
        MonitorCommand("devices go", "start them") { _, debugger in
            debugger.holdDevices(false)
            return "the devices go on"
        },
        MonitorCommand("device NAME", "the state of a device") { words, debugger throws(DebugError) in
            try state(words, debugger).report
        },
        MonitorCommand("queue NAME N", "a virtqueue, with its addresses") { words, debugger throws(DebugError) in
            let queues = try state(words, debugger).model.queues
            guard let number = words.dropFirst().first.flatMap({ Int($0) }), queues.indices.contains(number) else {
                throw .sentence("name one of the device's queues, 0 to \(queues.count - 1)")
            }
            let queue = queues[number]
            return """
                queue \(number): \(queue.text)
                  descriptor area at 0x\(hex(queue.descriptorArea, digits: 1))
                  driver area at 0x\(hex(queue.driverArea, digits: 1))
                  device area at 0x\(hex(queue.deviceArea, digits: 1))
                """
        },
        MonitorCommand("explain CLAUSE", "what a clause asks for") { words, _ throws(DebugError) in
            guard let found = words.first.flatMap({ Clause.named($0) }) else {
                throw .sentence("name a clause, such as 2.1.1-1")
            }
            let clauses = found.clauses.map { $0.explanation(isChecked: checked.contains("\($0.id)")) }
            let examples = found.clauses.count == 1 ? found.clauses[0].sequences.map(\.text) : []
            return (clauses + examples).joined(separator: "\n")
        },
        MonitorCommand("exits", "the exits of each vCPU so far") { _, debugger in
            debugger.machine.vcpus.exits.enumerated().map { "vcpu\($0): \($1)" }.joined(separator: "\n")
        },
        MonitorCommand("trace on FILE", "begin a trace") { words, debugger throws(DebugError) in
            guard let file = words.first else { throw .sentence("name the file, beside the folder of --snapshot-to") }
            do throws(MachineError) { try debugger.machine.startTrace(to: file) } catch {
                throw .sentence(error.description)
            }
            return "the trace is on"
        },
        MonitorCommand("trace off", "end the trace") { _, debugger throws(DebugError) in
            do throws(MachineError) { try debugger.machine.stopTrace() } catch { throw .sentence(error.description) }
            return "the trace is off"
        },
        MonitorCommand("snapshot DIR", "write a snapshot") { words, debugger throws(DebugError) in
            guard let folder = words.first else { throw .sentence("name the folder, the one of --snapshot-to") }
            do throws(MachineError) {
                let report = try debugger.machine.snapshot(to: folder)
                return "snapshot \(folder): \(report.bytes >> 20) MiB of memory"
            } catch { throw .sentence(error.description) }
        },
        MonitorCommand("break", "the breaks that are set") { words, debugger throws(DebugError) in
            guard words.isEmpty else { throw .sentence("monitor help lists what break takes") }
            return text(of: debugger.breaks.current)
        },
        MonitorCommand("break off", "delete them") { _, debugger in
            debugger.breaks.set([])
            return text(of: [])
        },
        MonitorCommand("break clause [ID|any]", "stop at an access that breaks the clause, or any") {
            words, debugger throws(DebugError) in
            guard debugger.machine.configuration.conform != .off else {
                throw .sentence("drivers are not checked, by --conform off; start vmm without it")
            }
            guard let word = words.first, word != "any" else { return add([.clause(nil)], debugger) }
            let ids = Clause.named(word)?.clauses.map { "\($0.id)" }.filter { checked.contains($0) } ?? []
            guard !ids.isEmpty else {
                throw .sentence("no clause '\(word)' is checked in drivers; see vmm explain --list")
            }
            return add(Set(ids.map { .clause($0) }), debugger)
        },
        MonitorCommand("break device NAME reset|suspend|resume|config|notify", "stop at such an access") {
            words, debugger throws(DebugError) in
            let name = try state(words, debugger).name
            guard let access = words.dropFirst().first.flatMap({ DeviceAccess(rawValue: $0) }) else {
                throw .sentence("name an access: \(DeviceAccess.allCases.map(\.rawValue).joined(separator: ", "))")
            }
            return add([.access(device: name, access)], debugger)
        },
        MonitorCommand("break interrupt NAME", "stop when the device raises its interrupt") {
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

    private static func add(_ breaks: Set<DeviceBreak>, _ debugger: Debugger) -> String {
        debugger.breaks.set(debugger.breaks.current.union(breaks))
        return text(of: breaks)
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
}
