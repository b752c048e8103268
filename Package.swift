// swift-tools-version: 6.2

import PackageDescription

/// What every Swift target of this package is compiled with.
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
        // The device model. It imports neither KVM nor an operating system.
        .target(name: "VirtioABI", swiftSettings: house),
        .target(name: "Virtio", dependencies: ["VirtioABI"], swiftSettings: house),

        // The hypervisor. It knows nothing of virtio.
        .systemLibrary(name: "CKVM"),
        .target(name: "KVM", dependencies: ["CKVM"], swiftSettings: house),

        // The board, where both meet, and the command line.
        .systemLibrary(name: "CLinux"),
        .target(
            name: "Machine", dependencies: ["CLinux", "KVM", "Virtio", "VirtioABI", "TestGuest"], swiftSettings: house),
        .executableTarget(
            name: "vmm",
            dependencies: [
                "Machine", "Virtio", "VirtioABI", .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: house),

        // The benchmarks. `peers` are the C programs that vmm is held against; the script compiles them.
        .executableTarget(
            name: "vmm-bench",
            dependencies: [
                "Virtio", "VirtioABI", .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            exclude: ["peers"], swiftSettings: house),

        // The built-in guest: `guest/build.sh` makes an ELF, the plugin turns it into a Swift constant.
        .plugin(name: "BuildGuest", capability: .buildTool(), path: "guest/plugin"),
        .target(name: "TestGuest", path: "guest/image", swiftSettings: house, plugins: ["BuildGuest"]),

        // The kernel's headers, which hold the specification's numbers down.
        .systemLibrary(name: "UAPI", path: "Tests/UAPI"),
        .testTarget(name: "VirtioABITests", dependencies: ["VirtioABI", "UAPI"], swiftSettings: house),
        .testTarget(
            name: "VirtioTests", dependencies: ["Virtio"], exclude: ["Suspend/requirements.tsv"], swiftSettings: house),
        .testTarget(name: "KVMTests", dependencies: ["KVM"], swiftSettings: house),
        .testTarget(name: "MachineTests", dependencies: ["Machine", "TestGuest"], swiftSettings: house),
    ],
    swiftLanguageModes: [.v6]
)
