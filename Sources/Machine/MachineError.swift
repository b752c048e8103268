// The errors of a machine, each as a sentence that says what to do.

import Glibc
import KVM

/// An error that prevents a machine from being made or from running.
public enum MachineError: Error, Equatable, CustomStringConvertible {
    /// There is no `/dev/kvm`.
    case noKVM
    /// `/dev/kvm` may not be opened.
    case noPermissionForKVM
    /// A call into KVM failed.
    case kvm(KVMError)
    /// The kernel cannot be loaded.
    case kernel(LoaderError)
    /// The guest's memory cannot be had.
    case memory(RAMError)
    /// A disk image cannot be used.
    case disk(path: String, problem: DiskProblem)
    /// The console's file or terminal cannot be opened.
    case console(path: String, errno: Int32)
    /// A trace cannot be read or written.
    case trace(path: String, errno: Int32)
    /// The file is not of the kind that would overwrite it.
    case not(String, path: String)
    /// A line of a trace is not one that `vmm` writes; the text says why.
    case badTrace(path: String, line: Int, String)
    /// A file of a sweep cannot be written, or a report not be read.
    case report(path: String, errno: Int32)
    /// The file is no report of this sweep; the text says why.
    case badReport(path: String, String)
    /// A socket cannot be listened at or connected to.
    case socket(path: String, problem: SocketProblem)
    /// A debugger cannot be listened for at a port.
    case port(host: String, UInt16, errno: Int32)
    /// The TAP interface cannot be used with so many queue pairs.
    case network(name: String, errno: Int32, pairs: Int)
    /// An output would overwrite `other`.
    case sameFile(output: String, other: String)
    /// The file of an output is a disk image, or another output.
    case outputInUse(path: String)
    /// An output is a symbolic link of another user's.
    case foreignLink(path: String)
    /// The board has fewer slots than devices.
    case tooManyDevices
    /// KVM gives a guest at most so many processors.
    case tooManyProcessors(most: Int)
    /// A layer of the sandbox is missing; the text says what that means.
    case sandbox(String, errno: Int32)
    /// A control client's request was not carried out; the text says why.
    case control(String)
    /// The snapshot in this folder cannot be restored; the text says why.
    case snapshot(String, String)
    /// A call to the host failed; the text says what for.
    case host(String, errno: Int32)

    /// Why a disk image cannot be used.
    public enum DiskProblem: Equatable, Sendable {
        /// There is no such file.
        case missing
        /// It is a directory.
        case directory
        /// It is neither a file nor a block device.
        case notADisk
        /// It may not be read, or not be written.
        case notPermitted(writing: Bool)
        /// Its length is not a multiple of `size`, the bytes of a block.
        case notWholeBlocks(bytes: UInt64, size: UInt32)
        /// It has no bytes.
        case empty
        /// Another program, or another disk of this machine, has it locked.
        case locked
        /// Its file system has no transfers past the page cache (O_DIRECT).
        case notDirect
        /// Direct transfers take whole blocks of `size` bytes.
        case directNeedsBlocks(size: Int)
        /// The host has the block device mounted, or uses it otherwise.
        case usedByTheHost
        /// The host refuses io_uring, which `io=uring` asks for.
        case noIOUring(errno: Int32)
        /// No file for an overlay can be made in `folder`.
        case noOverlay(folder: String, errno: Int32)
        /// The file system of its overlay has no transfers past the page cache.
        case overlayNotDirect
        /// The file named for the overlay has other content.
        case notAnOverlay
        /// The overlay is one of `image`, which had `bytes` bytes.
        case overlayOfAnother(image: String, bytes: UInt64)
        /// The image was modified since the overlay was made.
        case imageChanged(image: String)
        /// A call to the host failed.
        case failed(errno: Int32)
    }

    /// Why a socket cannot be listened at.
    public enum SocketProblem: Equatable, Sendable {
        /// The name has more bytes than a socket's address holds.
        case nameTooLong
        /// A file of another kind has the name.
        case notASocket
        /// Another program listens there.
        case inUse
        /// A client finds no server there.
        case notListening(errno: Int32)
        /// A call to the host failed.
        case failed(errno: Int32)
    }

    /// One sentence that says what to do next, without the full stop.
    public var description: String {
        switch self {
        case .noKVM:
            "there is no /dev/kvm; load the kvm module (modprobe kvm-intel or kvm-amd), enable virtualization in the "
                + "firmware, or run vmm in a nested host (make test-nested shows one)"
        case .noPermissionForKVM:
            "/dev/kvm may not be opened; add yourself to the kvm group (sudo usermod -aG kvm $USER) and log in again"
        case .kvm(let error): "\(error)\(remedy(error.errno, else: "the host's kernel log (dmesg) may say more"))"
        case .kernel(let error): error.description
        case .memory(let error): error.description
        case .disk(let path, let problem): "disk \(path) \(problem.text)"
        case .console(let path, let number):
            "console \(path) cannot be opened: \(reason(number))\(remedy(number, else: "check the path, or give another target"))"
        case .trace(let path, let number):
            "trace \(path) cannot be used: \(reason(number))\(remedy(number, else: "check the path and its file system"))"
        case .not(let kind, let path):
            "\(path) exists and is not a \(kind), and would be overwritten; delete it or choose another file for the \(kind)"
        case .badTrace(let path, let line, let problem): "trace \(path), line \(line): \(problem)"
        case .report(let path, let number):
            "\(path) cannot be used for the sweep: \(reason(number))\(remedy(number, else: "check the path and its file system"))"
        case .badReport(let path, let problem): "\(path) cannot be used: \(problem)"
        case .socket(let path, let problem): "socket \(path) \(problem.text)"
        case .port(let host, let port, let number):
            "\(host):\(port) cannot be listened at: \(reason(number))"
                + remedy(number, else: "name another port, or an address of this host in numbers")
        case .network(let name, let number, let pairs):
            "the TAP interface \(name) cannot be used: \(reason(number)); make it with: sudo ip tuntap add dev \(name) mode tap user $USER"
                + (pairs > 1 ? " multi_queue" : "")
        case .sameFile(let output, let other):
            "\(output) and \(other) are the same file, which would be overwritten; choose another file for the output"
        case .outputInUse(let path):
            "\(path) is in use, as a disk image or for another output, and would be overwritten; choose another file"
        case .foreignLink(let path):
            "\(path) is a symbolic link of another user's, and vmm does not write where it leads; name the file itself"
        case .tooManyDevices:
            "the board has slots for \(MemoryMap.maximumSlots) devices, the console included; use fewer disks"
        case .tooManyProcessors(let most): "this host's KVM gives a guest at most \(most) processors; use a smaller -c"
        case .sandbox(let what, let number):
            "this host lacks a layer of the sandbox: \(what) (\(reason(number)))"
                + remedy(number, else: "use --sandbox auto to run with the others")
        case .control(let text): text
        case .snapshot(let folder, let problem): "snapshot \(folder): \(problem)"
        case .host(let what, let number): "\(what): \(reason(number))\(remedy(number))"
        }
    }

    /// The error for a failed opening of /dev/kvm: two causes have sentences of their own.
    static func opening(_ error: KVMError) -> MachineError {
        switch error.errno {
        case ENOENT, ENODEV, ENXIO: .noKVM
        case EACCES, EPERM: .noPermissionForKVM
        default: .kvm(error)
        }
    }
}

extension MachineError.DiskProblem {
    fileprivate var text: String {
        switch self {
        case .missing: "does not exist; create it with: truncate -s 64M FILE"
        case .directory: "is a directory; name an image file or a block device"
        case .notADisk: "is neither a file nor a block device; copy its content into a file"
        case .notPermitted(let writing):
            writing
                ? "may not be written; add ,ro to use it read-only, or change its permissions"
                : "may not be read; change its permissions"
        case .notWholeBlocks(let bytes, let size):
            "has \(bytes) bytes, which is not a multiple of \(size); use truncate -s %\(size) FILE"
        case .empty: "is empty; give it a size with: truncate -s 64M FILE"
        case .locked:
            "is in use: it is named twice, or locked by another program; end that program or use a copy"
        case .notDirect: "is on a file system without O_DIRECT (transfers past the page cache); leave ,direct out"
        case .directNeedsBlocks(let size):
            "has sectors of \(size) bytes on the host, and ,direct cannot transfer less; use block-size=\(size), or leave ,direct out"
        case .usedByTheHost:
            "is in use by this host, mounted or as part of another device; unmount it, add ,ro to read it, or add ,force to write to it "
                + "nevertheless"
        case .noIOUring(let number): "cannot use io=uring: the host refuses io_uring (\(reason(number))); use io=auto"
        case .noOverlay(let folder, let number):
            "has no overlay: \(folder) takes no file (\(reason(number)))"
                + remedy(number, else: "set TMPDIR to a folder that does, or use overlay=FILE")
        case .overlayNotDirect:
            "has its overlay on a file system without O_DIRECT (transfers past the page cache); leave ,direct out, or use another folder "
                + "(TMPDIR, or overlay=FILE)"
        case .notAnOverlay: "is not an overlay, and would be overwritten; give overlay= the name of a new file"
        case .overlayOfAnother(let image, let bytes):
            "is the overlay of an image of \(bytes) bytes, \(image); use that image, or the name of a new file"
        case .imageChanged(let image):
            "is the overlay of \(image), which was modified since the overlay was made; use the name of a new file, or add ,force if the "
                + "change does no harm"
        case .failed(let number):
            "cannot be used: \(reason(number))\(remedy(number, else: "check the path and its file system"))"
        }
    }
}

extension MachineError.SocketProblem {
    fileprivate var text: String {
        switch self {
        case .nameTooLong: "has a name of more than 107 bytes; use a shorter one"
        case .notASocket: "is a file of another kind; remove it, or use another name"
        case .inUse: "is in use by another program; use another name"
        case .notListening(let number): "has no machine behind it (\(reason(number))); start one with --qmp unix=PATH"
        case .failed(let number): "cannot be created: \(reason(number))\(remedy(number, else: "check its directory"))"
        }
    }
}

/// What to do about a limit of the host that a call ran into, behind a semicolon; `other` for other errors.
func remedy(_ number: Int32, else other: String = "") -> String {
    switch number {
    case EMFILE, ENFILE: "; raise the limit of open files (ulimit -n), or use fewer devices"
    case EAGAIN:
        "; raise the limit of threads (ulimit -u) or of memory (ulimit -v), or use fewer processors and devices"
    case ENOMEM: "; free memory of the host, or use less"
    case ENOSPC: "; free space there, or choose another file"
    case EFBIG: "; raise the limit of a file's size (ulimit -f)"
    default: other.isEmpty ? "" : "; \(other)"
    }
}

/// The C library's message for an errno.
func reason(_ number: Int32) -> String {
    guard let text = unsafe strerror(number) else { return "error \(number)" }
    return unsafe String(cString: text)
}
