// Takes a snapshot of a running machine: stops its processors, waits until its devices are quiet, writes both files, and lets it go on
// before they are durable.

import Glibc
import KVM
import Virtio
import VirtioABI

extension Machine {
    /// A snapshot that was written.
    public struct SnapshotReport: Sendable {
        /// Bytes of memory in it.
        public let bytes: UInt64
        /// How long the guest stood still.
        public let stopped: Duration
        /// How long it all took.
        public let total: Duration
    }

    /// Writes a snapshot of the machine to `folder`. A machine that runs goes on. Throws if a device has a request that its host side
    /// does not finish within the drain deadline, and if the snapshot cannot be written; the one at `folder` before is then still there.
    @discardableResult
    public func snapshot(to folder: String) throws(MachineError) -> SnapshotReport {
        let thread = try fileThread("snapshot")
        return try thread.perform { [unowned self] () throws(MachineError) in
            try snapshot(to: folder, pageMap: thread.pageMap)
        }
    }

    /// The thread that opens files, without which there is no such `product`.
    func fileThread(_ product: String) throws(MachineError) -> SnapshotThread {
        guard let snapshots else {
            throw .control(
                "there is no \(product): the sandbox lets no file be made; start with --snapshot-to, or --sandbox off")
        }
        return snapshots
    }

    /// Has a snapshot taken by its thread: the caller may be a device's, which could not serve the device meanwhile.
    func requestSnapshot() {
        guard let snapshots else {
            return Log.say("there is no snapshot: start with --snapshot-to, which says where to")
        }
        // Now: the guest is not to run far beyond what asked for the snapshot.
        vcpus.requestPause()
        snapshots.requestSnapshot(configuration.snapshotFolder ?? "snapshot")
    }

    /// The same in the thread that takes snapshots.
    func snapshot(to folder: String, pageMap: Int32) throws(MachineError) -> SnapshotReport {
        try control.locked { () throws(MachineError) in
            let start = ContinuousClock.now
            let (writer, text, bytes) = try whileStopped("snapshot") { () throws(MachineError) in
                let writer = try SnapshotWriter(folder)
                // A debugger's breakpoints are no part of the guest.
                debugger?.setPatches(false)
                defer { debugger?.setPatches(true) }
                let (text, bytes) = try capture(writer, pageMap)
                return (writer, text, bytes)
            }
            let stopped = ContinuousClock.now - start
            try writer.finish(text)
            return SnapshotReport(bytes: bytes, stopped: stopped, total: ContinuousClock.now - start)
        }
    }

    /// Calls `body` while the vCPUs stand still; with `control` held. Then they run again, unless a control client has stopped them.
    func whileStopped<Value>(
        _ product: String, _ body: () throws(MachineError) -> Value
    ) throws(MachineError) -> Value {
        defer { if !isPaused { vcpus.resume() } }
        // At the end of the run the vCPUs are released.
        guard !isEnding, !completion.isReached else { throw .control("there is no \(product): the guest has ended") }
        guard vcpus.pause(until: Instant.now.advanced(by: .seconds(1))) else {
            throw .control("there is no \(product): a processor serves an exit and did not stop; try again")
        }
        if !isPaused { server?.post("STOP") }
        defer { if !isPaused { server?.post("RESUME") } }
        return try body()
    }

    /// Writes memory while nothing changes it. Returns the text of `machine.json`, and the bytes of memory that are not zero.
    private func capture(_ writer: SnapshotWriter, _ pageMap: Int32) throws(MachineError) -> (String, UInt64) {
        var result: (String, UInt64)?
        try whileQuiet([], quietDeadline) { (saved) throws(MachineError) in
            let areas = [vm.ram.area] + devices.compactMap(\.ownMemory)
            let contents: MemoryContents
            do throws(HostError) { contents = try .write(areas, to: writer.memory, pageMap: pageMap) } catch {
                throw writer.failure(error.errno)
            }
            let size = areas.reduce(0) { $0 + $1.size }
            let file = ImageIdentity(path: "memory", descriptor: writer.memory, size: UInt64(size))
            let memory: JSON = [
                "ram": .count(vm.ram.size), "size": .count(size), "pages": .count(contents.pages),
                "digest": .bits(contents.digest.value, digits: 16), "modified": .string(file.modified),
            ]
            do throws(KVMError) {
                guard let text = try describe(memory, saved) else { return }
                result = (text + SnapshotFile.ending(of: text.utf8), UInt64(contents.pages * MemoryContents.page))
            } catch { throw .kvm(error) }
        }
        guard let result else { throw .control("there is no snapshot: the guest has ended") }
        return result
    }

    /// Calls `body` with the states of all devices while all are quiet; `saved` are those of the first ones.
    private func whileQuiet(
        _ saved: [SavedDevice], _ deadline: Instant, _ body: ([SavedDevice]) throws(MachineError) -> Void
    ) throws(MachineError) {
        guard saved.count < devices.count else { return try body(saved) }
        try devices[saved.count].whileQuiet(until: deadline) { (next) throws(MachineError) in
            try whileQuiet(saved + [next], deadline, body)
        }
    }

    /// The text of `machine.json` without its digest; nil if a vCPU's thread has ended meanwhile.
    private func describe(_ memory: JSON, _ saved: [SavedDevice]) throws(KVMError) -> String? {
        guard let states = try vcpus.saved(try hypervisor.modelSpecificRegisters()) else { return nil }
        var chips: [String: [UInt8]] = [:]
        for part: VirtualMachine.Part in [.pic0, .pic1, .ioapic, .clock] {
            chips[part.rawValue] = try vm.machine.saved(part)
        }
        chips["pit"] = try board.timer?.saved()
        let members: [(String, JSON)] = [
            ("snapshot", .count(SnapshotFile.version)), ("vmm", .string(Machine.version)), ("memory", memory),
            ("kernel", configuration.kernel.map { .string(HostFiles.absolutePath($0)) } ?? .null),
            ("commandLine", .string(commandLine)), ("testDevice", .bool(configuration.testDevice)),
            ("suspend", configuration.suspend.map { .string($0 == .draft ? "draft" : "1.4") } ?? .null),
            (
                "serial",
                serial.map { serial in
                    ["stdio": .bool(configuration.serialIsStandardOutput), "state": .bytes(serial.saved)]
                } ?? .null
            ),
            ("links", .array(configuration.networks.map { .string($0.target.text) })),
            ("entropy", .count(configuration.entropy.count)),
            ("cpuid", .bytes(try hypervisor.supportedCPUID().forFirstVCPU(of: states.count).bytes)),
            ("tscKHz", .count(vcpus.tscFrequency)),
            ("vcpus", .array(states.map { .parts($0) })), ("chips", .parts(chips)),
            ("clockRegister", .count(board.clock.selected)), ("devices", .array(saved.map(\.json))),
        ]
        return String(JSON.object(members.map { JSON.Member(name: $0.0, value: $0.1) }).text.dropLast())
    }
}

extension JSON {
    /// Bytes by their names.
    fileprivate static func parts(_ parts: [String: [UInt8]]) -> JSON {
        .object(parts.sorted { $0.key < $1.key }.map { Member(name: $0.key, value: .bytes($0.value)) })
    }
}

extension Duration {
    /// Whole milliseconds.
    var milliseconds: Int64 { components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000 }
}
