// A snapshot that a machine continues: what it makes of the configuration, whether the host fits, and the state of its parts.

import Glibc
import KVM
import Virtio
import VirtioABI

/// An open snapshot.
final class RestoredMachine: Sendable {
    let file: SnapshotFile
    private let request: Machine.Configuration.Restore
    private let devices: [SavedDevice]
    /// The open file `memory`. Guest memory is a private mapping of it.
    private let memory: Int32

    /// Opens the snapshot. Its memory is read only if the file was modified since it was written, as a copy of it was, or on request: the
    /// rest takes the same time for every size.
    init(_ request: Machine.Configuration.Restore) throws(MachineError) {
        self.request = request
        file = try SnapshotFile.read(request.folder)
        devices = file.devices.compactMap { SavedDevice($0) }
        memory = unsafe open("\(request.folder)/memory", O_RDONLY | O_CLOEXEC)
        guard memory >= 0 else {
            throw .snapshot(request.folder, "memory cannot be opened (\(reason(errno))); copy both files of a snapshot")
        }
        guard devices.count == file.devices.count, !file.vcpus.isEmpty else {
            throw damaged("machine.json is damaged")
        }
        let size = UInt64(max(0, lseek(memory, 0, SEEK_END)))
        guard size == file.memory.size else {
            throw damaged("memory has \(size) bytes, and had \(file.memory.size)")
        }
        let identity = ImageIdentity(path: "memory", descriptor: memory, size: size)
        guard request.verifies || identity.modified != file.memory.modified else { return }
        let found: MemoryContents
        do throws(HostError) { found = try MemoryContents.read(memory) } catch {
            throw .snapshot(request.folder, "memory cannot be read: \(reason(error.errno))")
        }
        guard found.pages == file.memory.pages, "0x\(hex(found.digest.value, digits: 16))" == file.memory.digest else {
            throw damaged("memory was changed")
        }
    }

    deinit { close(memory) }

    private func damaged(_ what: String) -> MachineError {
        .snapshot(request.folder, "\(what); take the snapshot again")
    }

    private func refused(_ what: String) -> MachineError { .snapshot(request.folder, what) }

    /// Guest memory.
    func makeRAM() throws(RAMError) -> RAM {
        try RAM(size: file.memory.ram, from: MappedFile(descriptor: memory, offset: 0))
    }

    // MARK: Configuration

    /// The configuration of the machine of the snapshot, with the host ends of `given`.
    func applied(to given: Machine.Configuration) throws(MachineError) -> Machine.Configuration {
        var new = given
        new.memory = file.memory.ram
        new.processors = file.vcpus.count
        new.kernel = file.kernel
        new.testDevice = file.testDevice
        new.suspend = Self.dialect(file.suspend)
        if file.serial == nil, given.serial != nil {
            throw refused("its machine has no serial port; leave --serial out")
        }
        if let serial = file.serial, given.serial == nil {
            new.serial = serial.stdio ? .descriptors(input: nil, output: 1) : .null
        }
        let console = devices.first { $0.description.deviceID == DeviceID.console }?.description
        new.consoleOffer = console.map { Self.offer(of: $0) } ?? given.consoleOffer
        let names = console?.ports.map { Array($0.utf8)[...].hexadecimalBytes ?? [] } ?? []
        guard names.count < Console.maximumPorts, Machine.Configuration.processorCounts ~= file.vcpus.count else {
            throw damaged("machine.json is damaged")
        }
        new.ports = try host(given.ports, or: names.map { _ in Machine.Configuration.Port(.null, name: "") }, "--port")
        for index in names.indices { new.ports[index].name = String(decoding: names[index], as: UTF8.self) }
        try setDisks(&new, given.disks)
        try setNetworks(&new, given.networks)
        let sources = devices.filter { $0.description.deviceID == DeviceID.entropy }.map(\.description)
        new.entropy = sources.prefix(Int(file.entropy)).map {
            var device = Machine.Configuration.EntropyDevice()
            device.offer = Self.offer(of: $0)
            return device
        }
        return new
    }

    /// What was given, or `saved` if nothing was; throws if it is another number.
    private func host<Value>(_ given: [Value], or saved: [Value], _ option: String) throws(MachineError) -> [Value] {
        if given.isEmpty { return saved }
        guard given.count == saved.count else {
            throw refused(
                "\(option) is there \(given.count) times, and its machine has \(saved.count); give that many, or none")
        }
        return given
    }

    private func setDisks(_ new: inout Machine.Configuration, _ given: [Machine.Configuration.Disk])
        throws(MachineError)
    {
        let saved = devices.filter { $0.disk != nil }
        let images = saved.compactMap { $0.disk }
        new.disks = try host(
            given,
            or: images.map { image in
                var disk = Machine.Configuration.Disk(path: image.image.path)
                disk.overlay = image.overlay.map { .kept($0.path) }
                return disk
            }, "-d")
        for (index, image) in images.enumerated() {
            var disk = new.disks[index]
            let (path, description) = (disk.path, saved[index].description)
            try check(path, image.image)
            switch (image.overlay, disk.overlay) {
            case (let overlay?, .kept(let path)): try check(path, overlay)
            case (.some, _):
                throw refused(
                    "disk \(path) had an overlay, without which its contents are others; give it with overlay=FILE")
            default: break
            }
            guard disk.hasDefaults else {
                throw refused(
                    "disk \(path) is as it was but for its file: leave out all but overlay, direct, io=, format= and force"
                )
            }
            disk.readOnly = description.offered.contains(BlockFeature.readOnly)
            disk.id = String(decoding: image.identity, as: UTF8.self)
            disk.queues = min(max(1, description.queues), 32)
            disk.queueSize = description.queueSize.nonzeroBitCount == 1 ? description.queueSize : 256
            disk.blockSize = description.blockSizes?.logical
            disk.isRaw = true
            disk.offer = Self.offer(of: description)
            if disk.readOnly { disk.overlay = nil }
            new.disks[index] = disk
        }
    }

    /// Throws if the file is not as it was when the snapshot was taken.
    private func check(_ path: String, _ old: ImageIdentity) throws(MachineError) {
        // A missing file gets a sentence when it is opened.
        guard let now = ImageIdentity(path: path) else { return }
        guard now.size == old.size else {
            throw refused("\(path) has \(now.size) bytes, and had \(old.size); give the file as it was")
        }
        guard now.modified == old.modified || request.force else {
            throw refused(
                "\(path) was modified since the snapshot was taken; give a copy from then (cp -p keeps its time), or --force if the change "
                    + "does no harm")
        }
    }

    private func setNetworks(
        _ new: inout Machine.Configuration, _ given: [Machine.Configuration.NetworkDevice]
    ) throws(MachineError) {
        let saved = devices.filter { $0.description.deviceID == DeviceID.network }.map(\.description)
        let links = file.links.map { try? Machine.Configuration.NetworkDevice(option: $0) }
        new.networks = try host(
            given, or: saved.indices.map { links.indices.contains($0) ? links[$0] ?? .init(.null) : .init(.null) },
            "--net")
        for (index, description) in saved.enumerated() {
            guard let parameters = description.network, description.dialect != .draft else {
                throw damaged("machine.json is damaged")
            }
            var plain = Machine.Configuration.NetworkDevice(new.networks[index].target)
            plain.capture = new.networks[index].capture
            guard plain == new.networks[index] else {
                throw refused(
                    "--net is as it was but for what it is connected to; leave out all but local= and pcap=")
            }
            new.networks[index].mac = parameters.mac
            new.networks[index].mtu = parameters.mtu
            new.networks[index].wake = parameters.wake
            let hasPairs = description.offered.contains(NetworkFeature.multiqueue)
            new.networks[index].pairs = hasPairs ? min(max(1, Int(description.queues / 2)), Network.maximumPairs) : 1
            new.networks[index].offer = Self.offer(of: description)
        }
    }

    /// An offer of exactly what the device offered.
    private static func offer(of device: TracedDevice) -> Machine.Configuration.Offer {
        var offer = Machine.Configuration.Offer()
        offer.suspend = .own(device.dialect)
        offer.freeze = device.freeze
        offer.features.adding = device.offered
        offer.features.withholding = Features(rawValue: ~device.offered.rawValue)
        return offer
    }

    private static func dialect(_ name: String?) -> SuspendDialect? {
        name.map { $0 == "draft" ? .draft : .ratified }
    }

    // MARK: State

    /// The processor features of the vCPUs. Throws if the host's processor lacks some.
    func features(on host: CPUID) throws(MachineError) -> CPUID {
        let saved = CPUID(bytes: SnapshotFile.bytes(file.cpuid) ?? [])
        if let leaf = saved.missing(from: host.forFirstVCPU(of: file.vcpus.count)), !request.force {
            throw refused(
                "this host's processor, or its KVM, lacks features that the guest was told of (CPUID leaf \(leaf)); restore it on one that "
                    + "has them, or add --force")
        }
        return saved
    }

    /// Sets the state of a vCPU that was just made.
    func restore(_ vcpu: borrowing VCPU, _ id: Int) throws(MachineError) {
        let state = file.vcpus[id].mapValues { SnapshotFile.bytes($0) ?? [] }
        do throws(KVMError) {
            if let now = try? vcpu.tscFrequency(), file.tscKHz > 0, abs(now - file.tscKHz) > file.tscKHz / 4000 {
                do throws(KVMError) { try vcpu.setTSCFrequency(file.tscKHz) } catch {
                    guard request.force else {
                        throw KVMError(
                            call: "KVM_SET_TSC_KHZ(\(file.tscKHz)) on a host with \(now) kHz", errno: error.errno)
                    }
                }
            }
            let refused = try vcpu.restore(state)
            guard refused.isEmpty || request.force else {
                throw KVMError(call: "KVM_SET_MSRS(0x\(hex(UInt64(refused[0]), digits: 1)))", errno: EINVAL)
            }
        } catch {
            throw self.refused(
                "this host's KVM does not take the state of a processor (\(error)); restore it on one like that which took it"
                    + (error.call.contains("(") ? ", or add --force" : ""))
        }
        vcpu.noteStop()
    }

    /// Sets the state of the rest, after that of the vCPUs: an interrupt that is now raised again stays in its local APIC.
    func restore(_ vm: SharedVM, _ board: Board, _ serial: SerialPort?, _ devices: [BoardDevice]) throws(MachineError) {
        do throws(KVMError) {
            for part: VirtualMachine.Part in [.pic0, .pic1, .ioapic, .clock] {
                try vm.machine.restore(part, SnapshotFile.bytes(file.chips[part.rawValue]) ?? [])
            }
            if let pit = SnapshotFile.bytes(file.chips["pit"]) { try board.timer?.restore(pit) }
        } catch { throw refused("this host's KVM does not take the state of the board (\(error))") }
        board.clock.selected = file.clockRegister
        if let state = SnapshotFile.bytes(file.serial?.state) { serial?.restore(state) }
        guard devices.count == self.devices.count else { throw damaged("machine.json is damaged") }
        var offset = Int(file.memory.ram)
        for (device, saved) in zip(devices, self.devices) {
            if let area = device.ownMemory {
                guard offset + area.size <= Int(file.memory.size) else { throw damaged("memory is too short") }
                let number = device.restoreMemory(from: MappedFile(descriptor: memory, offset: offset))
                guard number == 0 else { throw .host("there is no memory for \(device.name)", errno: number) }
                offset += area.size
            }
            try device.restore(saved)
        }
    }
}

extension Machine.Configuration.Disk {
    /// Whether only what a restored machine may change differs from the defaults.
    fileprivate var hasDefaults: Bool {
        var plain = Machine.Configuration.Disk(path: path)
        (plain.overlay, plain.direct, plain.mode) = (overlay, direct, mode)
        (plain.force, plain.isRaw) = (force, isRaw)
        return plain == self
    }
}

extension Machine.Configuration.NetworkDevice.Target {
    /// The target as the option has it.
    var text: String {
        func path(_ text: String) -> String {
            text.split(separator: ",", omittingEmptySubsequences: false).joined(separator: ",,")
        }
        return switch self {
        case .null: "null"
        case .tap(let name): "tap=\(name)"
        case .unix(let name): "unix=\(path(name))"
        case .datagram(let name, let local): "unix-dgram=\(path(name))" + (local.map { ",local=\(path($0))" } ?? "")
        }
    }
}

extension Machine.Configuration {
    /// The serial port shares standard output.
    var serialIsStandardOutput: Bool {
        if case .descriptors(_, 1) = serial { return true }
        return serial == .stdio
    }
}
