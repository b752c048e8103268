// swift-tools-version: 6.2

import PackageDescription

/// A host that is not this repository's: it knows the device model as a library and by its public names alone.
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
