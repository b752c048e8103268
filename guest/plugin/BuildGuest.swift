// Build-tool plugin that builds the guest in every build: runs `guest/build.sh` with the tools of the current toolchain
// and compiles the generated Swift constant into the target `TestGuest`. Foundation is imported because PackagePlugin
// uses its URLs; the plugin runs on the host and is part of no product.

import Foundation
import PackagePlugin

@main
struct BuildGuest: BuildToolPlugin {
    func createBuildCommands(context: PluginContext, target: any Target) throws -> [Command] {
        let package = context.package.directoryURL
        let guest = package.appending(path: "guest")
        let output = context.pluginWorkDirectoryURL
        let folders = ["boot", "driver", "program", "checks", "bench", "stress"].map { guest.appending(path: $0) }
        let sources = try (folders + [package.appending(path: "Sources/VirtioABI")]).flatMap { folder in
            try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
        }
        let script = guest.appending(path: "build.sh")
        let shell = URL(filePath: "/bin/sh")
        return [
            .prebuildCommand(
                displayName: "Removing module caches made under another path",
                executable: shell,
                arguments: [
                    guest.appending(path: "moved.sh").path(percentEncoded: false),
                    output.path(percentEncoded: false),
                ],
                outputFilesDirectory: output.appending(path: "none")),
            .buildCommand(
                displayName: "Building the test guest",
                executable: shell,
                arguments: [script.path(percentEncoded: false), output.path(percentEncoded: false)],
                environment: [
                    "PATH": "/usr/bin:/bin",
                    "SWIFTC": try context.tool(named: "swiftc").url.path(percentEncoded: false),
                    "CLANG": try context.tool(named: "clang").url.path(percentEncoded: false),
                    "LLD": try context.tool(named: "ld.lld").url.path(percentEncoded: false),
                ],
                inputFiles: sources.sorted { $0.path < $1.path } + [script, guest.appending(path: "link.ld")],
                outputFiles: [output.appending(path: "GuestImage.swift")]),
        ]
    }
}
