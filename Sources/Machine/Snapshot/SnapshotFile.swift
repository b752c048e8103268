// A snapshot's file `machine.json`: JSON, one object. Its last member is the digest of all that is in front of that. Snapshot.md lists the
// members; bytes are hexadecimal strings, those of kernel structs in the kernel's layout.

import FoundationEssentials
import Glibc
import KVM
import Virtio
import VirtioABI

/// What `machine.json` says.
struct SnapshotFile: Decodable {
    /// The version of the format that is written and read here.
    static let version = 2

    let snapshot: Int
    let memory: Memory
    let kernel: String?
    let commandLine: String
    let testDevice: Bool
    let suspend: String?
    let serial: Serial?
    let links: [String]
    let entropy: UInt32
    let cpuid: String
    let tscKHz: Int
    let vcpus: [[String: String]]
    let chips: [String: String]
    let clockRegister: UInt8
    let devices: [Device]

    /// The file `memory`.
    struct Memory: Decodable {
        /// Bytes of guest memory, and of the file.
        let ram: UInt64
        let size: UInt64
        let pages: Int
        let digest: String
        /// When the file was last modified, as `ImageIdentity` has it.
        let modified: String
    }

    /// The serial port.
    struct Serial: Decodable {
        /// Whether it was connected to standard output.
        let stdio: Bool
        let state: String
    }

    /// A device.
    struct Device: Decodable {
        let line: TraceLine
        let model: String
        let backend: String
        let disk: Disk?

        private enum Key: String, CodingKey { case model, backend, disk }

        init(from decoder: any Decoder) throws {
            line = try TraceLine(from: decoder)
            let members = try decoder.container(keyedBy: Key.self)
            model = try members.decode(String.self, forKey: .model)
            backend = try members.decode(String.self, forKey: .backend)
            disk = try members.decodeIfPresent(Disk.self, forKey: .disk)
        }
    }

    /// A disk.
    struct Disk: Decodable {
        let image: File
        let overlay: File?
        let identity: String
    }

    /// A file of the host.
    struct File: Decodable {
        let path: String
        let size: UInt64
        let modified: String
    }

    // MARK: Reading

    /// Most bytes of the file: 254 processors take 6 MiB.
    private static let mostBytes = 64 << 20

    /// Reads the file of the snapshot in `folder`.
    static func read(_ folder: String) throws(MachineError) -> SnapshotFile {
        let file = unsafe open("\(folder)/machine.json", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else {
            throw .snapshot(folder, "machine.json cannot be opened (\(reason(errno))); name the folder of a snapshot")
        }
        defer { close(file) }
        return try decode(HostFiles.contents(of: file, atMost: mostBytes), in: folder)
    }

    /// The end of the file's text: its digest.
    static func ending(of text: some Sequence<UInt8>) -> String {
        ",\"digest\":\"0x\(hex(Digest(of: text).value, digits: 16))\"}\n"
    }

    /// Decodes the bytes of the file. Not one bit may differ from what was written.
    static func decode(_ bytes: [UInt8], in folder: String) throws(MachineError) -> SnapshotFile {
        let length = ending(of: []).utf8.count
        let text = bytes.dropLast(length)
        guard bytes.count >= length, Array(bytes.suffix(length)) == Array(ending(of: text).utf8) else {
            throw refusal(bytes, folder, "machine.json is cut or was changed; take the snapshot again")
        }
        guard let file = try? JSONDecoder().decode(SnapshotFile.self, from: Data(bytes)), file.snapshot == version
        else {
            throw refusal(bytes, folder, "machine.json lacks members that it needs; take the snapshot again")
        }
        return file
    }

    private struct Version: Decodable { let snapshot: Int }

    /// Why the bytes of the file are refused: they are of another version, of which even the digest may be another, or `damage`.
    private static func refusal(_ bytes: [UInt8], _ folder: String, _ damage: String) -> MachineError {
        guard let found = try? JSONDecoder().decode(Version.self, from: Data(bytes)), found.snapshot != version else {
            return .snapshot(folder, damage)
        }
        return .snapshot(
            folder,
            "it is of version \(found.snapshot), and this vmm reads version \(version); use the vmm that took it")
    }

    /// The bytes of a member.
    static func bytes(_ text: String?) -> [UInt8]? {
        text == "0x" ? [] : text.flatMap { Array($0.utf8)[...].hexadecimalBytes }
    }
}

extension SavedDevice {
    /// Nil if the member is none of a device.
    init?(_ device: SnapshotFile.Device) {
        guard let description = device.line.tracedDevice, let model = SnapshotFile.bytes(device.model),
            let backend = SnapshotFile.bytes(device.backend)
        else { return nil }
        self.init(
            description: description, model: model, backend: backend,
            disk: device.disk.map {
                SavedDisk(
                    image: ImageIdentity($0.image), overlay: $0.overlay.map { ImageIdentity($0) },
                    identity: SnapshotFile.bytes($0.identity) ?? [])
            })
    }

    var json: JSON {
        guard case .object(let members) = TraceLine(description).json else { return .null }
        var added: [JSON.Member] = [
            JSON.Member(name: "model", value: .bytes(model)), JSON.Member(name: "backend", value: .bytes(backend)),
        ]
        if let disk {
            added.append(
                JSON.Member(
                    name: "disk",
                    value: [
                        "image": disk.image.json, "overlay": disk.overlay?.json ?? .null,
                        "identity": .bytes(disk.identity),
                    ]))
        }
        return .object(members + added)
    }
}

extension ImageIdentity {
    fileprivate init(_ file: SnapshotFile.File) {
        self.init(path: file.path, size: file.size, modified: file.modified)
    }

    var json: JSON { ["path": .string(path), "size": .count(size), "modified": .string(modified)] }
}
