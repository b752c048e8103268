// The command `vmm ctl`: one request to a running machine.

import ArgumentParser
import Machine

/// Controls a machine that was started with --qmp unix=PATH.
struct Control: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ctl",
        abstract: "Control a machine that was started with --qmp unix=PATH.",
        discussion: """
            status says whether the guest runs. snapshot DIR writes a snapshot to a folder, for vmm --restore. trace-start FILE begins a \
            trace of the devices, for vmm check, and trace-stop ends it. stop, cont, quit and every other command of QEMU's machine \
            protocol (query-commands lists them) print what the machine answers, as JSON, if it answers anything.

            Exit codes: 0 done; 1 refused, or there is no machine; 64 usage.
            """)

    @Argument(help: "The machine's socket.", completion: .file())
    var path: String

    @Argument(
        help: "What to do: status, stop, cont, snapshot, trace-start, trace-stop, quit, or a command of the protocol.")
    var command: String

    @Argument(
        help: ArgumentHelp(
            "The command's arguments, NAME=VALUE; the folder of a snapshot, the file of a trace.", valueName: "argument"
        ))
    var arguments: [String] = []

    /// Commands with a name of their own here: the protocol's name, and its argument that is a path.
    private static let own: [String: (name: String, path: String?)] = [
        "status": ("query-status", nil), "snapshot": ("x-vmm-snapshot", "dir"),
        "trace-start": ("x-vmm-trace-start", "file"), "trace-stop": ("x-vmm-trace-stop", nil),
    ]

    func validate() throws {
        guard let argument = Self.own[command]?.path, arguments.count != 1 else { return }
        throw ValidationError("Name one \(argument): vmm ctl \(path) \(command) \(argument.uppercased()).")
    }

    func run() throws {
        do throws(MachineError) {
            let client = try QMPClient(path: path)
            let own = Self.own[command]
            let text = try client.answer(
                to: own?.name ?? command, own?.path.map { [QMPClient.argument($0, path: arguments[0])] } ?? arguments)
            let line = command == "status" ? QMPClient.status(in: text) : text
            if line != "{}" { print(line) }
        } catch {
            Log.say(error.description)
            throw ExitCode(1)
        }
        try StandardStreams.finishOutput()
    }
}
