// swift-tools-version: 6.2

import PackageDescription

/// A host outside this package: it uses the device model as a library, through its public interface.
let package = Package(
    name: "embedding",
    dependencies: [.package(name: "vmm", path: "../..")],
    targets: [
        .executableTarget(
            name: "embedding", dependencies: [.product(name: "Virtio", package: "vmm")],
            swiftSettings: [.strictMemorySafety(), .treatAllWarnings(as: .error)])
    ],
    swiftLanguageModes: [.v6]
)
