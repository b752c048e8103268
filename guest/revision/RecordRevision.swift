// Build-tool plugin that tells `vmm --version` the commit and the Swift version: before each build it runs `revision.sh`, which
// takes 40 ms and writes a Swift file only if one of the two has changed. A build in which SwiftPM finds nothing changed does not run it:
// after a commit alone a debug build keeps the commit that it was made at; `make release` asks again. Foundation is imported because PackagePlugin uses its URLs.

import Foundation
import PackagePlugin

@main
struct RecordRevision: BuildToolPlugin {
    func createBuildCommands(context: PluginContext, target: any Target) throws -> [Command] {
        let package = context.package.directoryURL
        let work = context.pluginWorkDirectoryURL
        let output = work.appending(path: "generated")
        let script = package.appending(path: "guest/revision/revision.sh")
        let paths = [script, package, work, output, try context.tool(named: "swiftc").url]
        return [
            .prebuildCommand(
                displayName: "Recording the commit", executable: URL(filePath: "/bin/sh"),
                arguments: paths.map { $0.path(percentEncoded: false) }, outputFilesDirectory: output)
        ]
    }
}
