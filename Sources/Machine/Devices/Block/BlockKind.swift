// The block device's row in the registry: a board has one for each disk that the user named, in that order, or the two of memory that
// the built-in guest's suite expects.

import Virtio
import VirtioABI

extension DeviceKind {
    /// The block device (virtio-blk): `--disk`.
    public static let block = DeviceKind(
        id: DeviceID.block, name: "blk", option: "disk",
        words: [
            "ro", "id=NAME", "queues=N", "queue-size=N", "block-size=512|1024|2048|4096", "format=raw", "force",
            "overlay[=FILE]", "direct",
            "io=\(IOMode.allCases.map(\.rawValue).joined(separator: "|"))",
        ],
        features: [
            ("size_max", BlockFeature.sizeMax), ("seg_max", BlockFeature.segmentMax),
            ("blk_size", BlockFeature.blockSize), ("flush", BlockFeature.flush), ("topology", BlockFeature.topology),
            ("config_wce", BlockFeature.configWCE), ("mq", BlockFeature.multiqueue), ("discard", BlockFeature.discard),
            ("write_zeroes", BlockFeature.writeZeroes),
        ],
        fixedFeatures: [("ro", BlockFeature.readOnly)],
        commands: ["x-hold", "x-release", "x-fail", "x-capacity"],
        open: { (configuration, purpose) throws(MachineError) in
            var disks: [any OpenedDevice] = []
            if purpose.hasTestDevices {
                let features = configuration.everyRingForm
                disks.append(OpenedDisk(memory: try MemoryDisk(size: 16 << 20), readOnly: false, features))
                disks.append(OpenedDisk(memory: try MemoryDisk(size: 1 << 20), readOnly: true, features))
            }
            if purpose.isSample {
                disks.append(OpenedDisk(disk: .init(path: ""), backend: try MemoryDisk(size: 1 << 20)))
            }
            for disk in configuration.disks { disks.append(OpenedDisk(disk: disk, backend: try FileDisk(disk))) }
            return disks
        },
        replay: { traced, memory in
            let device = Block(
                capacity: traced.configuration, readOnly: traced.offered.contains(BlockFeature.readOnly),
                queues: traced.queues, queueSize: traced.queueSize,
                writeZeroesMayUnmap: traced.writeZeroesMayUnmap ?? true, blockSizes: traced.blockSizes ?? .standard)
            return ReplayedTransport(device, traced, memory)
        })
}

/// A disk and its backend.
private struct OpenedDisk: OpenedDevice {
    let disk: Machine.Configuration.Disk
    let backend: any BlockBackend

    func make(_ factory: DeviceFactory, name: String, slot: Int) throws(MachineError) -> BoardDevice {
        let host = factory.hooks.backend(backend)
        let backend = factory.torture(disk.offer, slot: slot).flatMap { FaultyBackend(host, $0) } ?? host
        let device = Block(
            capacity: backend.capacity, readOnly: disk.readOnly, queues: disk.queues, queueSize: disk.queueSize,
            writeZeroesMayUnmap: backend.canDeallocate, blockSizes: backend.blockSizes)
        return try BlockSlot(
            name: name, transport: factory.transport(device, disk.offer, slot: slot), context: factory.context(slot),
            backend: backend, identity: disk.id ?? name, mode: disk.mode, workers: Host.processors)
    }
}

extension OpenedDisk {
    /// A disk in memory that offers `features` of the rings, for the built-in guest's tests.
    fileprivate init(memory: MemoryDisk, readOnly: Bool, _ features: Features) {
        var disk = Machine.Configuration.Disk(path: "")
        disk.readOnly = readOnly
        disk.offer.features.adding = features
        self.init(disk: disk, backend: memory)
    }
}

extension Machine.Configuration.Disk {
    /// Reads a path, the words of `DeviceKind.block`, and those that every device has.
    public init(option: String) throws(OptionError) {
        let option = try DeviceOption(option, of: .block)
        guard !option.value.isEmpty else {
            throw OptionError("name the file or block device in front of the first comma")
        }
        self.init(path: option.value)
        offer = option.offer
        readOnly = option.has("ro")
        direct = option.has("direct")
        force = option.has("force")
        if let format = option["format"] {
            guard format == "raw" else { throw .choose("format", format, ["raw"]) }
            isRaw = true
        }
        if option.has("overlay") {
            guard !readOnly else { throw OptionError("ro and overlay exclude each other; leave one of them out") }
            overlay = option["overlay"].map { .kept($0) } ?? .discarded
        }
        blockSize = option["block-size"].flatMap { UInt32($0) }
        if let name = option["id"] {
            guard name.utf8.count <= 20 else {
                throw OptionError("id= takes at most 20 bytes, and '\(name)' has \(name.utf8.count)")
            }
            id = name
        }
        if let text = option["queues"] {
            guard let count = UInt16(text), 1...32 ~= count else {
                throw OptionError("queues= takes 1 to 32, not '\(text)'")
            }
            guard count == 1 || !offer.features.withholding.contains(BlockFeature.multiqueue) else {
                throw OptionError(
                    "queues=\(count) needs the feature mq, which -mq does not offer; leave one of them out")
            }
            queues = count
        }
        if let text = option["queue-size"] {
            guard let size = UInt16(text), size.nonzeroBitCount == 1 else {
                throw OptionError("queue-size= takes a power of two up to 32768, not '\(text)'")
            }
            queueSize = size
        }
        if let mode = option["io"].flatMap({ IOMode(rawValue: $0) }) { self.mode = mode }
    }
}

extension FileDisk {
    /// Opens the image of `disk`. Throws if it asks for io_uring and the host refuses that.
    fileprivate convenience init(_ disk: Machine.Configuration.Disk) throws(MachineError) {
        if disk.mode == .uring {
            do throws(RingError) { _ = try Ring(size: 1) } catch {
                throw .disk(path: disk.path, problem: .noIOUring(errno: error.errno))
            }
        }
        try self.init(
            path: disk.path, readOnly: disk.readOnly, overlay: disk.overlay, direct: disk.direct, force: disk.force,
            blockSize: disk.blockSize)
        if !disk.isRaw { warnOfFormat() }
    }
}
