// The program and its commands.

import ArgumentParser
import Machine

@main
struct VMM: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "vmm",
        abstract: "A tiny KVM virtual machine monitor, and the reference for virtio-mmio and virtio's SUSPEND.",
        version: "vmm \(Machine.version) (commit \(Revision.commit), Swift \(Revision.swift))",
        subcommands: [
            Run.self, Control.self, DescribeMachine.self, Explain.self, CheckTrace.self, ViewTrace.self, Sweep.self,
            SweepMerge.self,
        ],
        defaultSubcommand: Run.self)

    /// `vmm --help` is that of `run`, which the other commands stand in.
    static func main() {
        let arguments = CommandLine.arguments.dropFirst()
        if let sentence = FromQEMU.sentence(Array(arguments)) { Run.exit(withError: ValidationError(sentence)) }
        do {
            var command = try parseAsRoot(
                ["-h", "--help"].contains(arguments.first) ? ["run", "--help"] : Array(arguments))
            try command.run()
        } catch {
            // Help and the version are errors with exit code 0, whose text is printed.
            let text = fullMessage(for: error)
            guard exitCode(for: error) == .success, !text.isEmpty else { exit(withError: error) }
            print(text)
            do { try finishOutput() } catch { exit(withError: error) }
        }
    }
}
