// The host's end of a console port: where its output goes and its input comes from, and who may come and go there.

import CLinux
import Glibc

/// What a console port is connected to.
public enum ConsoleTarget: Equatable, Sendable {
    /// The terminal, pipe or file `vmm` was started with.
    case stdio
    /// Nothing: output is dropped, no input comes.
    case null
    /// A file for the output, made or cut; no input.
    case file(String)
    /// A new pseudo-terminal, whose name is told to the user.
    case pty
    /// A stream socket with a name in the file system, for one client at a time.
    case unix(String)
    /// Descriptors of the embedding program, which keeps owning them; nil for no input.
    case descriptors(input: Int32?, output: Int32)
}

/// An input and an output descriptor, either of which can go away while the guest runs, and for a socket or a pseudo-terminal the
/// door through which the next peer comes.
final class ConsolePort {
    private(set) var input: Int32?
    private(set) var output: Int32?
    /// Tells of peers: it becomes readable when one may have come. Nil where nobody can come.
    private var peers: Peers?
    /// Closed at the end.
    private var owned: Int32?
    /// Cut before anything is written.
    private let isFile: Bool

    private enum Peers {
        case listener(UnixListener)
        case terminal(PseudoTerminal)
    }

    /// The output is appended to what is in the file.
    private var appends = false

    /// Opens `target`; messages to the user name the port `name`.
    init(_ target: ConsoleTarget, name: String, appends: Bool = false) throws(MachineError) {
        self.appends = appends
        var peers: Peers?
        var owned: Int32?
        switch target {
        case .stdio:
            // A terminal's buffer can be smaller than what poll lets us write. Opened anew, it can be made not to block without
            // changing it for the shell, too.
            let flags = O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC
            let terminal = isatty(1) == 1 ? unsafe open("/proc/self/fd/1", flags) : -1
            (input, output, owned) = terminal < 0 ? (0, 1, nil) : (0, terminal, terminal)
        case .null: break
        case .descriptors(let source, let sink): (input, output) = (source, sink)
        case .file(let path):
            let descriptor = try HostFiles.openOutput(path) { .console(path: path, errno: $0) }
            (output, owned) = (descriptor, descriptor)
        case .unix(let path): peers = .listener(try UnixListener(path: path))
        case .pty:
            let terminal = try PseudoTerminal()
            Log.say("\(name) is at \(terminal.path)")
            peers = .terminal(terminal)
        }
        self.peers = peers
        self.owned = owned
        isFile = if case .file = target { true } else { false }
    }

    /// A port at `terminal`.
    init(_ terminal: PseudoTerminal) {
        peers = .terminal(terminal)
        owned = nil
        isFile = false
    }

    deinit { shut() }

    /// Closes what the port opened, and takes its name away.
    func shut() {
        if let owned { close(owned) }
        if case .listener = peers, let input { close(input) }
        (input, output, owned, peers) = (nil, nil, nil, nil)
    }

    /// Truncates an output file, or goes to its end, once the machine is sure to run.
    func begin() {
        if isFile, let owned { _ = appends ? Int(lseek(owned, 0, SEEK_END)) : Int(ftruncate(owned, 0)) }
    }

    /// Whether somebody is at the other end. Output to nobody is dropped, as on a serial line.
    var isOpen: Bool { input != nil || output != nil }

    /// Writes give up rather than wait: what the port opened itself it opened so. What it was given may wait when it is asked to
    /// take more than `poll` promised, which is a page.
    var neverWaits: Bool { owned != nil || peers != nil }

    /// What to listen to while nobody is there, if somebody can come.
    var door: Int32? {
        guard !isOpen, let peers else { return nil }
        return switch peers {
        case .listener(let listener): listener.descriptor
        case .terminal(let terminal): terminal.opened
        }
    }

    /// Size of the terminal behind `output`, in characters, or nil if it is none.
    static func size(of output: Int32?) -> (columns: UInt16, rows: UInt16)? {
        guard let output else { return nil }
        var size = winsize()
        guard unsafe ioctl(output, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return nil }
        return (size.ws_col, size.ws_row)
    }

    /// Lets in who stands at the door.
    func admit() {
        switch peers {
        case .listener(let listener):
            guard let client = listener.accept() else { return }
            (input, output) = (client, client)
        case .terminal(let terminal):
            guard terminal.isOpenedNow() else { return }
            (input, output) = (terminal.descriptor, terminal.descriptor)
        case nil: break
        }
    }

    /// Reads up to `count` bytes of what is there. At the end of input, or on an error, there will be no more from this peer.
    func read(_ count: Int) -> [UInt8] {
        guard let descriptor = input else { return [] }
        var result = 0
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            result = unsafe Glibc.read(descriptor, buffer.baseAddress, count)
            initialized = max(0, result)
        }
        let later = result < 0 && (errno == EINTR || errno == EAGAIN)
        if result <= 0 && !later { peerLeft(from: .input) }
        return bytes
    }

    /// Writes some of `bytes` and says how many. Output that nobody reads any more is gone.
    func write(_ bytes: ArraySlice<UInt8>) -> Int {
        guard let descriptor = output else { return bytes.count }
        let written = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
        if written >= 0 { return written }
        if errno == EINTR || errno == EAGAIN { return 0 }
        if peers == nil {
            Log.say("console output cannot be written (\(reason(errno))) and is dropped from here on")
        }
        peerLeft(from: .output)
        return bytes.count
    }

    private enum Direction { case input, output }

    /// A peer that came by the door leaves for good in both directions; a pipe ends in the one it serves.
    private func peerLeft(from direction: Direction) {
        guard let peers else {
            if direction == .input { input = nil } else { output = nil }
            return
        }
        if case .listener = peers, let input { close(input) }
        (input, output) = (nil, nil)
    }
}

/// A pseudo-terminal of our own. Its master says nothing of a user who opens the other end, so the file system is asked.
final class PseudoTerminal: Sendable {
    /// The master.
    let descriptor: Int32
    /// Where users find it.
    let path: String
    /// Becomes readable when somebody opens the other end.
    let opened: Int32

    /// Makes one, in raw mode.
    init() throws(MachineError) {
        func fail(_ number: Int32) -> MachineError { .host("no pseudo-terminal for a console", errno: number) }
        let flags = O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK
        let master = unsafe open("/dev/ptmx", flags)
        guard master >= 0 else { throw fail(errno) }
        let number = clinux_unlock_pty(master)
        let path = "/dev/pts/\(number)"
        let watch = number < 0 ? number : clinux_inotify(O_CLOEXEC | O_NONBLOCK)
        let result = watch < 0 ? watch : unsafe clinux_watch_opens(watch, path)
        guard result >= 0 else {
            close(master)
            if watch >= 0 { close(watch) }
            throw fail(-result)
        }
        (descriptor, opened, self.path) = (master, watch, path)
        // Opened and closed once, the other end counts as hung up until a user opens it.
        let other = unsafe open(path, flags)
        var mode = termios()
        if other >= 0, unsafe tcgetattr(other, &mode) == 0 {
            unsafe cfmakeraw(&mode)
            unsafe tcsetattr(other, TCSANOW, &mode)
        }
        if other >= 0 { close(other) }
    }

    deinit {
        close(descriptor)
        close(opened)
    }

    /// Whether the other end is open; takes note of the openings so far.
    func isOpenedNow() -> Bool {
        var events = [UInt8](repeating: 0, count: 4096)
        while unsafe events.withUnsafeMutableBytes({ unsafe read(opened, $0.baseAddress, $0.count) }) > 0 {}
        var state = pollfd(fd: descriptor, events: 0, revents: 0)
        return unsafe poll(&state, 1, 0) >= 0 && Int32(state.revents) & POLLHUP == 0
    }
}
