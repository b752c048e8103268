// Machines that are built and ended in one process, one after the other, leave nothing behind: descriptors, threads, memory and address
// space are after VMM_MACHINES of them what they were after a few.

import Glibc
import Testing
import VirtioABI

@testable import Machine

/// How many machines; 0 in a run of other tests, which would change what is counted.
private let machines = unsafe getenv("VMM_MACHINES").flatMap { unsafe Int(String(cString: $0)) } ?? 0

/// What this process has of the host.
private struct Usage: CustomStringConvertible {
    let descriptors = (0..<1024).count { fcntl(Int32($0), F_GETFD) >= 0 }
    let threads: Int
    let residentKiB: Int
    let sizeKiB: Int

    init() throws {
        let status = String(decoding: try contents(of: "/proc/self/status"), as: UTF8.self).split(separator: "\n")
        func number(_ name: String) -> Int {
            let line = status.first { $0.hasPrefix("\(name):") } ?? ""
            return Int(line.split(whereSeparator: { !$0.isNumber }).first ?? "") ?? -1
        }
        (threads, residentKiB, sizeKiB) = (number("Threads"), number("VmRSS"), number("VmSize"))
    }

    var description: String {
        "\(descriptors) descriptors, \(threads) threads, VmRSS \(residentKiB) KiB, VmSize \(sizeKiB) KiB"
    }
}

@Suite("Resources", .serialized, .enabled(if: machines > 0, "make test-resources runs it, in a process of its own"))
struct ResourceTests {
    /// Calls `body` for each machine, and compares what the process has after a few with what it has in the end.
    private func compare(_ what: String, _ body: () throws -> Void) throws {
        for _ in 0..<5 { try body() }
        let before = try Usage()
        for _ in 0..<machines { try body() }
        let after = try Usage()
        print("\(machines) \(what): before \(before); after \(after)")
        #expect(after.descriptors == before.descriptors && after.threads == before.threads)
        // Fewer bytes for each machine than the smallest that it allocates; and the allocator's arenas, of 64 MiB of address space.
        #expect(after.residentKiB - before.residentKiB < 1024 + 2 * machines)
        #expect(after.sizeKiB - before.sizeKiB < 4 * 65536)
    }

    private func withImage(_ body: (String) throws -> Void) throws {
        let path = "/tmp/vmm-test-\(getpid())-resources"
        let image = unsafe open(path, O_RDWR | O_CREAT | O_EXCL, 0o600)
        try #require(image >= 0 && ftruncate(image, 1 << 20) == 0)
        close(image)
        defer { unsafe unlink(path) }
        try body(path)
    }

    @Test("machines that a client drives, with requests in flight at the end")
    func driven() throws {
        try withImage { path in
            try compare("machines of a qtest client") {
                let client = try QTestClient {
                    $0.disks = [Machine.Configuration.Disk(path: path), Machine.Configuration.Disk(path: path)]
                    $0.disks[0].readOnly = true
                    $0.disks[1].readOnly = true
                    $0.trace = "/dev/null"
                }
                client.say("x-hold blk0")
                client.bringUp(QTestClient.disk, queues: 1)
                client.request(BlockRequest.Kind.read, sector: 0, at: 0x4_0000)
                for device in client.devices { device.stop() }
                client.closeTrace()
            }
        }
    }

    @Test("machines that cannot be built, late and early")
    func refused() throws {
        try withImage { path in
            try compare("machines that were refused") {
                var configuration = Machine.Configuration()
                configuration.disks = [Machine.Configuration.Disk(path: path)]
                configuration.console = .file("/dev/null")
                configuration.control = .unix("/nonexistent/socket")
                #expect((try? Machine(configuration)) == nil)
                configuration.disks.append(Machine.Configuration.Disk(path: "/nonexistent/image"))
                #expect((try? Machine(configuration)) == nil)
                #expect((try? QTestMachine(configuration)) == nil)
            }
        }
    }

    @Test("machines whose guest runs", .enabled(if: noKVM == nil, "\(noKVM?.description ?? "")"))
    func running() throws {
        try compare("machines with a running guest") {
            let run = try GuestRun(append: ["only=identity"])
            #expect(run.outcome == .poweredOff)
        }
    }
}
