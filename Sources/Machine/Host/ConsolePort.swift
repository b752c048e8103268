// The host's end of a console port: where its output goes, where its input comes from, and the peers that connect and leave there.

import CLinux
import Glibc

/// What a console port is connected to.
public enum ConsoleTarget: Equatable, Sendable {
    /// The terminal, pipe or file `vmm` was started with.
    case stdio
    /// Nothing: output is dropped, no input comes.
    case null
    /// A file for the output, created or truncated; no input.
    case file(String)
    /// A new pseudo-terminal; its name is reported to the user.
    case pty
    /// A stream socket with a name in the file system, for one client at a time.
    case unix(String)
    /// Descriptors of the embedding program, which keeps them; nil for no input.
    case descriptors(input: Int32?, output: Int32)
}

/// An input and an output descriptor, either of which can end while the guest runs, and for a socket or a pseudo-terminal what
/// reports the next peer.
final class ConsolePort {
    private(set) var input: Int32?
    private(set) var output: Int32?
    /// Where peers connect; nil for a target without peers.
    private var peers: Peers?
    /// Descriptors that the port opened, to be closed at the end.
    private var owned: [Int32] = []
    /// The output is a file, truncated before anything is written, or with `appends` written from its end on.
    private var isFile = false
    private var appends = false
    private var isStandardOutput = false
    /// The input is a terminal, and not read while another job has its foreground.
    private var isTerminal = false
    /// No peer has connected yet, and one can.
    private(set) var awaitsFirstPeer = false

    private enum Peers {
        case listener(UnixListener)
        case terminal(PseudoTerminal)
    }

    /// Opens `target`; messages to the user name the port `name`.
    init(_ target: ConsoleTarget, name: String, appends: Bool = false) throws(MachineError) {
        self.appends = appends
        switch target {
        case .stdio:
            input = reopenTerminal(0, O_RDONLY)
            output = reopenTerminal(1, O_WRONLY)
            isTerminal = Terminal.isInteractive
            isStandardOutput = true
        case .null: break
        case .descriptors(let source, let sink):
            input = source
            output = reopenTerminal(sink, O_WRONLY)
            isStandardOutput = sink == 1
        case .file(let path):
            let descriptor = try HostFiles.openOutput(path) { .console(path: path, errno: $0) }
            (output, owned, isFile) = (descriptor, [descriptor], true)
        case .unix(let path):
            peers = .listener(try UnixListener(path: path))
            Log.say("\(name) is at \(path): connect with socat -,raw,echo=0 UNIX-CONNECT:\(path)")
        case .pty:
            let terminal = try PseudoTerminal()
            peers = .terminal(terminal)
            Log.say("\(name) is at \(terminal.path): connect with screen \(terminal.path)")
        }
        awaitsFirstPeer = peers != nil
    }

    /// A port at `terminal`.
    init(_ terminal: PseudoTerminal) {
        peers = .terminal(terminal)
        awaitsFirstPeer = true
    }

    deinit { shut() }

    /// A descriptor of the terminal at `descriptor` that does not block, which the port owns; `descriptor` itself if it is no terminal.
    private func reopenTerminal(_ descriptor: Int32, _ mode: Int32) -> Int32 {
        guard let terminal = Terminal.reopened(descriptor, mode) else { return descriptor }
        owned.append(terminal)
        return terminal
    }

    /// Closes what the port opened, and removes its name.
    func shut() {
        for descriptor in owned { close(descriptor) }
        if case .listener = peers, let input { close(input) }
        (input, output, owned, peers) = (nil, nil, [], nil)
    }

    /// Truncates an output file, or goes to its end, once the machine is sure to run.
    func begin() {
        if isFile, let output { _ = appends ? Int(lseek(output, 0, SEEK_END)) : Int(ftruncate(output, 0)) }
    }

    /// Whether there is a peer. Output without one is dropped, as on a serial line.
    var isOpen: Bool { input != nil || output != nil }

    /// Writes never wait: the port opened the output itself, without blocking. A descriptor it was given may wait when it is asked to
    /// take more than `poll` promised, which is a page.
    var neverWaits: Bool { output.map(owned.contains) ?? false || peers != nil }

    /// The descriptor to listen to for input, or for a peer; nil if there is none now.
    var source: Int32? {
        if isTerminal && Terminal.isBackground { return nil }
        return input ?? door
    }

    /// The descriptor to listen to while there is no peer, if one can connect.
    var door: Int32? {
        guard !isOpen, let peers else { return nil }
        return switch peers {
        case .listener(let listener): listener.descriptor
        case .terminal(let terminal): terminal.opened
        }
    }

    /// The terminal whose size is the port's; nil if there is none.
    var screen: Int32? { pseudoTerminal?.descriptor ?? output }

    /// The pseudo-terminal. Its peer can change its size at any time, which the kernel does not report.
    var pseudoTerminal: PseudoTerminal? {
        if case .terminal(let terminal) = peers { terminal } else { nil }
    }

    /// Size of a terminal in characters; nil if `screen` is none, or its size is not known.
    static func size(of screen: Int32?) -> (columns: UInt16, rows: UInt16)? {
        guard let screen else { return nil }
        var size = winsize()
        guard unsafe ioctl(screen, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0, size.ws_row > 0 else { return nil }
        return (size.ws_col, size.ws_row)
    }

    /// Accepts the next peer, if there is one.
    func admit() {
        defer { if isOpen { awaitsFirstPeer = false } }
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

    /// Reads up to `count` bytes without waiting for more. At the end of input, or on an error, this peer's input has ended.
    func read(_ count: Int) -> [UInt8] {
        guard let descriptor = input else { return [] }
        var result = 0
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            result = unsafe Glibc.read(descriptor, buffer.baseAddress, count)
            initialized = max(0, result)
        }
        // A terminal whose foreground was lost since `source` said otherwise refuses the read.
        let later = result < 0 && (errno == EINTR || errno == EAGAIN || isTerminal && Terminal.isBackground)
        if result <= 0 && !later { peerLeft(from: .input) }
        return bytes
    }

    /// Writes some of `bytes` and returns how many. Output that cannot be written any more is dropped.
    func write(_ bytes: ArraySlice<UInt8>) -> Int {
        guard let descriptor = output else { return bytes.count }
        let written = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
        if written > 0, isStandardOutput { StandardStreams.noteOutput(bytes[bytes.startIndex + written - 1]) }
        if written >= 0 { return written }
        if errno == EINTR || errno == EAGAIN { return 0 }
        if peers == nil {
            Log.say(
                "console output cannot be written (\(reason(errno))) and is dropped from here on; check the file, or its reader"
            )
        }
        peerLeft(from: .output)
        return bytes.count
    }

    private enum Direction { case input, output }

    /// The peer of a socket or pseudo-terminal left in both directions; a pipe ends in the one it serves.
    private func peerLeft(from direction: Direction) {
        guard let peers else {
            if direction == .input { input = nil } else { output = nil }
            return
        }
        if case .listener = peers, let input { close(input) }
        (input, output) = (nil, nil)
    }
}

/// A pseudo-terminal made by vmm. Its master does not report that the other end is opened, so inotify does.
final class PseudoTerminal: Sendable {
    /// The master.
    let descriptor: Int32
    /// The name of the other end.
    let path: String
    /// Becomes readable when the other end is opened.
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

    /// Whether the other end is open; discards the reports of openings so far.
    func isOpenedNow() -> Bool {
        var events = [UInt8](repeating: 0, count: 4096)
        while unsafe events.withUnsafeMutableBytes({ unsafe read(opened, $0.baseAddress, $0.count) }) > 0 {}
        var state = pollfd(descriptor, 0)
        return unsafe poll(&state, 1, 0) >= 0 && Int32(state.revents) & POLLHUP == 0
    }
}
