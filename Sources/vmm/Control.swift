// The command `vmm ctl`: one request to a running machine.

import ArgumentParser
import Machine

/// Controls a machine that was started with --qmp unix=PATH.
struct Control: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ctl",
        abstract: "Control a machine that was started with --qmp unix=PATH.",
        discussion: """
            status says whether the guest runs. snapshot DIR writes a snapshot to a folder, for vmm --restore. stop, cont, quit and every other command of QEMU's machine protocol (query-commands \
            lists them) print what the machine answers, as JSON, if it answers anything.

            Exit codes: 0 done; 1 refused, or there is no machine; 64 usage.
            """)

    @Argument(help: "The machine's socket.", completion: .file())
    var path: String

    @Argument(help: "What to do: status, stop, cont, snapshot, quit, or a command of the protocol.")
    var command: String

    @Argument(
        help: ArgumentHelp("The command's arguments, NAME=VALUE; the folder of a snapshot.", valueName: "argument"))
    var arguments: [String] = []

    func validate() throws {
        if command == "snapshot" && arguments.count != 1 {
            throw ValidationError("Name one folder for the snapshot: vmm ctl \(path) snapshot DIR.")
        }
    }

    func run() throws {
        do throws(MachineError) {
            let client = try QMPClient(path: path)
            let names = ["status": "query-status", "snapshot": "x-vmm-snapshot"]
            let isSnapshot = command == "snapshot"
            let text = try client.answer(
                to: names[command] ?? command,
                isSnapshot ? QMPClient.snapshotArguments(arguments[0]) : arguments)
            let line = command == "status" ? QMPClient.status(in: text) : text
            if line != "{}" { print(line) }
        } catch {
            Log.say(error.description)
            throw ExitCode(1)
        }
        try StandardStreams.finishOutput()
    }
}
