// What is run: the programs, the files, and the command lines that make two monitors do the same work.

/// Whether the host's page cache is used. The same on both sides of a row.
enum Cache: String, CaseIterable {
    case buffered, direct
}

/// How QEMU does a disk's I/O.
struct QEMUMode {
    let engine: String
    let hasThread: Bool
    var name: String { engine + (hasThread ? "+iothread" : "") }

    /// What QEMU allows: Linux's native asynchronous I/O needs O_DIRECT.
    static func all(_ cache: Cache) -> [QEMUMode] {
        let engines = ["threads", "io_uring"] + (cache == .direct ? ["native"] : [])
        return engines.flatMap { [QEMUMode(engine: $0, hasThread: false), QEMUMode(engine: $0, hasThread: true)] }
    }
}

/// The programs and files of a run, and how long it takes.
struct Setup {
    var vmm: String
    var qemu: String
    var guest: String
    var disk: String
    var peers: String
    /// Added to vmm's disk option.
    var diskOptions = ""
    /// What the guest's processor does while it waits.
    var wait = "halt"
    var runs = 7
    /// Disks have a packed ring, on both sides.
    var isPacked = false
    /// Counts are a twentieth.
    var isQuick = false

    /// How much work a sample is.
    func count(_ usual: Int) -> Int { isQuick ? max(usual / 20, 1) : usual }

    /// What the guest is told of a disk's rows beside the benchmark.
    var diskWords: String { ",wait=\(wait)" + (isPacked ? " features=packed+indirect+event_idx" : "") }

    /// The exit codes of a guest that was content: powered off, and under QEMU 0x55 at the debug-exit port.
    static let vmmCodes: [Int32] = [0]
    static let qemuCodes: [Int32] = [171]

    func vmmDisk(_ cache: Cache) -> String {
        "\(disk),ro" + (cache == .direct ? ",direct" : "") + (isPacked ? ",features=+packed" : "")
            + (diskOptions.isEmpty ? "" : ",\(diskOptions)")
    }

    /// vmm with the guest, doing what `words` say.
    func vmmCommand(_ words: String, memory: String = "128M", disk: String? = nil) -> [String] {
        [vmm, guest, "-m", memory, "-a", words] + (disk.map { ["-d", $0] } ?? [])
    }

    /// QEMU's microvm, without what it need not have.
    func qemuCommand(
        _ words: String, memory: String = "128M", mode: QEMUMode? = nil, cache: Cache = .buffered,
        console: String = "stdio,signal=off"
    ) -> [String] {
        var command = [
            qemu, "-M", "microvm,acpi=off,rtc=off,pit=off,pic=off,isa-serial=off", "-accel", "kvm", "-m", memory,
            "-global", "virtio-mmio.force-legacy=false", "-nodefaults", "-no-user-config", "-display", "none",
            "-no-reboot", "-kernel", guest, "-append", words, "-chardev", "\(console),id=console",
            "-device", "virtio-serial-device", "-device", "virtconsole,chardev=console",
            "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
        ]
        guard let mode else { return command }
        let drive = "if=none,id=disk,format=raw,readonly=on,file=\(disk),aio=\(mode.engine)"
        command += ["-drive", drive + ",cache=\(cache == .direct ? "none" : "writeback")"]
        if mode.hasThread { command += ["-object", "iothread,id=thread"] }
        let device = "virtio-blk-device,drive=disk" + (mode.hasThread ? ",iothread=thread" : "")
        return command + ["-device", device + (isPacked ? ",packed=on" : "")]
    }

    /// The C program that only runs the guest; it has one window, which is no device.
    func loopCommand(_ words: String) -> [String] {
        ["\(peers)/loop", guest, "\(words) virtio_mmio.device=4K@0xd0000000:5"]
    }

    /// vmm, measured by a run of the guest.
    func vmmContestant(
        _ name: String, _ words: String, disk: String? = nil, _ value: @escaping (GuestRun) -> Double
    ) -> Peer {
        let command = vmmCommand(words, disk: disk)
        return Peer("vmm", command) { () throws(BenchError) in
            value(try GuestRun(name, command, codes: Self.vmmCodes))
        }
    }

    /// A peer, measured in the same way.
    func peer(
        _ who: String, _ name: String, _ command: [String], codes: [Int32], _ value: @escaping (GuestRun) -> Double
    ) -> Peer {
        guard Self.isInstalled(command[0]) else { return Peer(who, missing: "not installed") }
        return Peer(who, command) { () throws(BenchError) in value(try GuestRun(name, command, codes: codes)) }
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
