// swift-tools-version: 6.2

import PackageDescription

/// As the package it tests.
let house: [SwiftSetting] = [
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

let package = Package(
    name: "fuzz",
    dependencies: [.package(name: "vmm", path: "../..")],
    targets: [
        // What is fuzzed, and what must hold: see README.md.
        .target(
            name: "FuzzTargets",
            dependencies: [.product(name: "Virtio", package: "vmm"), .product(name: "Machine", package: "vmm")],
            swiftSettings: house),
        // For libFuzzer, which brings its own main: built with --sanitize fuzzer.
        .executableTarget(name: "fuzz", dependencies: ["FuzzTargets"], swiftSettings: house),
        // Runs inputs one by one without libFuzzer.
        .executableTarget(name: "replay", dependencies: ["FuzzTargets"], swiftSettings: house),
        // Writes inputs to start from.
        .executableTarget(name: "seeds", dependencies: ["FuzzTargets"], swiftSettings: house),
    ],
    swiftLanguageModes: [.v6]
)
