// The programs, the files, and the command lines that give vmm and QEMU the same work.

import Glibc

/// Whether the host's page cache is used. The same for all candidates of a row.
enum Cache: String, CaseIterable {
    case buffered, direct
}

/// A mode of QEMU's disk I/O.
struct QEMUMode {
    let engine: String
    let hasThread: Bool
    var name: String { engine + (hasThread ? "+iothread" : "") }

    /// The modes that QEMU allows: Linux's native asynchronous I/O needs O_DIRECT.
    static func all(_ cache: Cache) -> [QEMUMode] {
        let engines = ["threads", "io_uring"] + (cache == .direct ? ["native"] : [])
        return engines.flatMap { [QEMUMode(engine: $0, hasThread: false), QEMUMode(engine: $0, hasThread: true)] }
    }
}

/// The programs and files of a run, and its options.
struct Setup {
    var vmm: String
    var qemu: String
    var guest: String
    var disk: String
    /// The image that the write rows overwrite.
    var scratch: String
    var peers: String
    /// A TAP interface for the rows of the network; nil for none.
    var tap: String?
    /// Added to vmm's disk option.
    var diskOptions = ""
    /// What the guest's processor executes while it waits: "halt" or "pause".
    var wait = "halt"
    var runs = 7
    /// Whether disks have packed rings, with vmm and with QEMU.
    var isPacked = false
    /// Whether counts are divided by 20.
    var isQuick = false

    /// The number of operations of a sample.
    func count(_ usual: Int) -> Int { isQuick ? max(usual / 20, 1) : usual }

    /// The words on the guest's command line that all disk rows share.
    var diskWords: String { ",wait=\(wait)" + (isPacked ? " features=packed+indirect+event_idx" : "") }

    /// The exit codes of a successful run: 0 after power-off, and under QEMU 171, for 0x55 written to the debug-exit
    /// port.
    static let vmmCodes: [Int32] = [0]
    static let qemuCodes: [Int32] = [171]

    /// The image of reads or of writes.
    func image(writes: Bool) -> String { writes ? scratch : disk }

    func vmmDisk(_ cache: Cache, writes: Bool = false) -> String {
        image(writes: writes) + (writes ? "" : ",ro") + (cache == .direct ? ",direct" : "")
            + (isPacked ? ",features=+packed" : "")
            + (diskOptions.isEmpty ? "" : ",\(diskOptions)")
    }

    /// vmm with the guest; `words` are on the guest's command line.
    func vmmCommand(_ words: String, memory: String = "128M", disk: String? = nil) -> [String] {
        [vmm, guest, "-m", memory, "-a", words] + (disk.map { ["-d", $0] } ?? [])
    }

    /// QEMU's microvm, without the devices that are not needed.
    func qemuCommand(
        _ words: String, memory: String = "128M", mode: QEMUMode? = nil, cache: Cache = .buffered,
        writes: Bool = false, console: String = "stdio,signal=off"
    ) -> [String] {
        var command = [
            qemu, "-M", "microvm,acpi=off,rtc=off,pit=off,pic=off,isa-serial=off", "-accel", "kvm", "-m", memory,
            "-global", "virtio-mmio.force-legacy=false", "-nodefaults", "-no-user-config", "-display", "none",
            "-no-reboot", "-kernel", guest, "-append", words, "-chardev", "\(console),id=console",
            "-device", "virtio-serial-device", "-device", "virtconsole,chardev=console",
            "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
        ]
        guard let mode else { return command }
        let image = "readonly=\(writes ? "off" : "on"),file=\(image(writes: writes))"
        let drive = "if=none,id=disk,format=raw,\(image),aio=\(mode.engine)"
        command += ["-drive", drive + ",cache=\(cache == .direct ? "none" : "writeback")"]
        if mode.hasThread { command += ["-object", "iothread,id=thread"] }
        let device = "virtio-blk-device,drive=disk" + (mode.hasThread ? ",iothread=thread" : "")
        return command + ["-device", device + (isPacked ? ",packed=on" : "")]
    }

    /// The C program that only runs the guest; it has one MMIO window, without a device.
    func loopCommand(_ words: String) -> [String] {
        ["\(peers)/loop", guest, "\(words) virtio_mmio.device=4K@0xd0000000:5"]
    }

    /// vmm, measured by a run of the guest.
    func vmmCandidate(
        _ name: String, _ words: String, disk: String? = nil, _ value: @escaping (GuestRun) -> Double
    ) -> Candidate {
        candidate("vmm", name, vmmCommand(words, disk: disk), codes: Self.vmmCodes, value)
    }

    /// Writes the scratch image's dirty pages, so that no sample pays for the writes of the one before it.
    func settle() {
        let descriptor = unsafe open(scratch, O_WRONLY | O_CLOEXEC)
        fsync(descriptor)
        close(descriptor)
    }

    /// Another program, measured in the same way.
    func candidate(
        _ label: String, _ name: String, _ command: [String], codes: [Int32], _ value: @escaping (GuestRun) -> Double
    ) -> Candidate {
        guard Self.isInstalled(command[0]) else { return Candidate(label, missing: "not installed") }
        return Candidate(
            label, command,
            measure: { () throws(BenchError) in
                settle()
                let run = try GuestRun(name, command, codes: codes)
                return run.sample(value(run))
            })
    }

    /// A program, measured by the time from the start of its process to its end, in ms.
    func lifetimeCandidate(_ name: String, _ command: [String], _ codes: [Int32]) -> Candidate {
        guard Self.isInstalled(command[0]) else { return Candidate(name, missing: "not installed") }
        return Candidate(name, command) { () throws(BenchError) in
            let start = ContinuousClock.now
            var child = try Child(command)
            try child.finish(codes)
            return (ContinuousClock.now - start).seconds * 1e3
        }
    }

    static func isInstalled(_ program: String) -> Bool {
        var known = false
        do throws(BenchError) {
            var child = try Child([program, "--version"])
            known = true
            _ = try child.readToEnd()
        } catch {}
        return known
    }
}
