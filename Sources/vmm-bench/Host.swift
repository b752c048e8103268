// The host that the results were measured on.

import Glibc

/// The host's processor and kernel, and the versions of the programs that were measured.
struct Host {
    let processor: String
    let processors: Int
    let kernel: String
    let monitors: [(name: String, version: String)]

    init(_ setup: Setup) {
        let lines = String(file: "/proc/cpuinfo").split(separator: "\n")
        processor =
            lines.first { $0.hasPrefix("model name") }?.split(separator: ":").last.map { String($0.drop { $0 == " " }) }
            ?? "unknown"
        processors = lines.count { $0.hasPrefix("processor") }
        kernel = String(file: "/proc/version").split(separator: "\n").first.map(String.init) ?? "unknown"
        let commands = [
            ("vmm", [setup.vmm, "--version"]), ("qemu", [setup.qemu, "--version"]),
            ("kvmtool", ["lkvm", "version"]), ("valgrind", ["valgrind", "--version"]),
        ]
        monitors = commands.map { ($0.0, String.firstLine(of: $0.1) ?? "not installed") }
    }

    /// The load average of the last minute. If the host was not idle, other load affected the results.
    static var load: String { String(file: "/proc/loadavg").split(separator: " ").first.map(String.init) ?? "?" }

    func isInstalled(_ name: String) -> Bool {
        monitors.contains { $0.name == name && $0.version != "not installed" }
    }

    var json: JSON {
        .members([
            ("processor", .string(processor)), ("processors", .int(processors)), ("kernel", .string(kernel)),
            ("load", .string(Self.load)),
            ("versions", .members(monitors.map { ($0.name, .string($0.version)) })),
        ])
    }
}
