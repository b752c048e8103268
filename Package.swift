// swift-tools-version: 6.2

import PackageDescription

/// The settings of every Swift target of this package.
let house: [SwiftSetting] = [
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

let package = Package(
    name: "vmm",
    products: [
        .executable(name: "vmm", targets: ["vmm"]),
        .library(name: "Virtio", targets: ["Virtio", "VirtioABI"]),
        .library(name: "KVM", targets: ["KVM"]),
        .library(name: "Machine", targets: ["Machine"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2")
    ],
    targets: [
        // The device model. It imports neither KVM nor an operating system's interface.
        .target(name: "VirtioABI", swiftSettings: house),
        .target(name: "Virtio", dependencies: ["VirtioABI"], swiftSettings: house),

        // The wrapper of KVM. It does not import the device model.
        .systemLibrary(name: "CKVM"),
        .target(name: "KVM", dependencies: ["CKVM"], swiftSettings: house),

        // The board, which uses both, and the command line.
        .systemLibrary(name: "CLinux"),
        .target(
            name: "Machine", dependencies: ["CLinux", "KVM", "Virtio", "VirtioABI", "TestGuest"], swiftSettings: house),
        .executableTarget(
            name: "vmm",
            dependencies: [
                "Machine", "Virtio", "VirtioABI", .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: house, plugins: ["RecordRevision"]),
        .plugin(name: "RecordRevision", capability: .buildTool(), path: "guest/revision", exclude: ["revision.sh"]),

        // The benchmarks. `peers` holds the C programs that vmm is compared with; Tests/bench/run.sh compiles them.
        .executableTarget(
            name: "vmm-bench",
            dependencies: [
                "Machine", "Virtio", "VirtioABI", .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            exclude: ["peers"], swiftSettings: house),

        // The built-in guest: `guest/build.sh` builds an ELF file, the plugin turns it into a Swift constant.
        .plugin(name: "BuildGuest", capability: .buildTool(), path: "guest/plugin"),
        .target(name: "TestGuest", path: "guest/image", swiftSettings: house, plugins: ["BuildGuest"]),

        // The kernel's UAPI headers, which the tests compare VirtioABI's constants with.
        .systemLibrary(name: "UAPI", path: "Tests/UAPI"),
        .testTarget(name: "VirtioABITests", dependencies: ["VirtioABI", "UAPI"], swiftSettings: house),
        .testTarget(
            name: "VirtioTests", dependencies: ["Virtio"], exclude: ["Suspend/requirements.tsv"], swiftSettings: house),
        .testTarget(name: "KVMTests", dependencies: ["KVM"], swiftSettings: house),
        .testTarget(name: "MachineTests", dependencies: ["Machine", "TestGuest"], swiftSettings: house),
    ],
    swiftLanguageModes: [.v6]
)
