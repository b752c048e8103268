// swift-tools-version: 6.2

import PackageDescription

let settings: [SwiftSetting] = [.strictMemorySafety(), .treatAllWarnings(as: .error)]

/// Hosts outside this package: they use the device model as a library, through its public interface.
let package = Package(
    name: "embedding",
    dependencies: [.package(name: "vmm", path: "../..")],
    targets: [
        .executableTarget(
            name: "embedding", dependencies: [.product(name: "Virtio", package: "vmm")],
            swiftSettings: settings),
        .executableTarget(
            name: "entropy", dependencies: [.product(name: "Virtio", package: "vmm")], swiftSettings: settings),
        // What a request costs in such a host: Tests/bench/chain.py.
        .executableTarget(
            name: "chain", dependencies: [.product(name: "Virtio", package: "vmm")], swiftSettings: settings),
    ],
    swiftLanguageModes: [.v6]
)
