// Traces of drivers over qtest, in files that a test may damage.

import Glibc
import Testing
import Virtio
import VirtioABI

@testable import Machine

/// A file that is gone when it is not used any more.
final class TraceFile: Sendable {
    let path = "/tmp/vmm-test-\(getpid())-\(UInt64.random(in: 0 ... .max))"

    /// An empty file, or one of `text`.
    init(_ text: String = "") throws { try write(text) }

    deinit { unsafe unlink(path) }

    /// Makes `bytes` all that is in the file.
    func write(_ bytes: ArraySlice<UInt8>) throws {
        let file = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        try #require(file >= 0, "\(reason(errno))")
        defer { close(file) }
        let count = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(file, $0.baseAddress, $0.count) }
        try #require(count == bytes.count, "\(reason(errno))")
    }

    func write(_ text: String) throws { try write(Array(text.utf8)[...]) }

    /// What the checks find of the trace in the file.
    func check() throws -> TraceCheck { try TraceCheck(path: path) }

    var text: String {
        get throws {
            let file = unsafe open(path, O_RDONLY | O_CLOEXEC)
            try #require(file >= 0, "\(reason(errno))")
            defer { close(file) }
            var bytes = [UInt8](repeating: 0, count: 1 << 22)
            let count = unsafe read(file, &bytes, bytes.count)
            return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
        }
    }
}

/// Drivers whose traces are put to the test.
enum TraceSample: String, CaseIterable, Sendable {
    /// Requests over a suspension; then clauses are broken, by accesses and in the ring.
    case draftDisk, ratifiedDisk
    /// Input, output and a second port, whose driver breaks clauses of the console.
    case console
    /// A driver that is refused for what it does.
    case strict

    /// The lines of its trace.
    var lines: [String] {
        get throws {
            let file = try TraceFile()
            let client = try QTestClient(suspend: self == .ratifiedDisk ? .ratified : .draft) {
                $0.trace = file.path
                if self == .console { $0.ports = [Machine.Configuration.Port(.null, name: "log")] }
                if self == .strict { $0.conform = .strict }
            }
            switch self {
            case .draftDisk, .ratifiedDisk: driveDisk(client)
            case .console: driveConsole(client)
            case .strict: driveStrictly(client)
            }
            client.closeTrace()
            return try file.text.split(separator: "\n").map { "\($0)\n" }
        }
    }

    private func driveDisk(_ client: QTestClient) {
        let disk = QTestClient.disk
        client.bringUp(disk, queues: 1)
        client.request(BlockRequest.Kind.read, sector: 0, at: 0x3_0000)
        client.say("x-hold blk0")
        client.request(BlockRequest.Kind.write, sector: 1, at: 0x3_1000, first: 3)
        client.set(disk, .status, 0x1f)
        client.say("x-release blk0")
        _ = client.status(disk)
        client.set(disk, .queueNotify, 0)
        client.set(disk, .status, self == .draftDisk ? 0x0f : 0x1f)
        client.request(99, sector: 1 << 40, at: 0x3_2000)
        client.say("readb \(client.address(disk, 0x100))")
        client.set(disk, .interruptACK, 4)
        // A head that is no descriptor.
        client.offer(disk, 0, first: 200, [])
        client.notify(disk, 0)
        _ = client.status(disk)
    }

    private func driveConsole(_ client: QTestClient) {
        let console = QTestClient.console
        client.bringUp(console, queues: 4, features: UInt64(ConsoleFeature.multiport.rawValue))
        client.offer(console, 0, first: 0, [(0x3_0000, 32, true)])
        client.offer(console, 2, first: 0, [(0x3_1000, 32, true)])
        client.notify(console, 0)
        client.say("x-input console0 0x68656c6c6f2c20776f726c640a")
        client.say("writel 0x32000 65535")
        client.say("writel 0x32004 9")
        client.offer(console, 3, first: 0, [(0x3_2000, 8, false)])
        client.notify(console, 3)
        client.offer(console, 1, first: 0, [(0x3_3000, 5, true)])
        client.notify(console, 1)
        client.say("x-size console0 100 40")
        _ = client.get(console, .interruptStatus)
        client.set(console, .status, 0)
    }

    private func driveStrictly(_ client: QTestClient) {
        let disk = QTestClient.disk
        client.bringUp(disk, queues: 1)
        client.request(BlockRequest.Kind.read, sector: 0, at: 0x3_0000)
        _ = client.get(disk, .queueNotify)
        _ = client.status(disk)
        client.request(BlockRequest.Kind.read, sector: 0, at: 0x3_0000)
        client.set(disk, .status, 0)
    }
}
