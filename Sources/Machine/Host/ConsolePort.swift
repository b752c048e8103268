// The host's end of the console: where output goes and input comes from.

import Glibc

/// What the console is connected to.
public enum ConsoleTarget: Equatable, Sendable {
    /// The terminal, pipe or file `vmm` was started with.
    case stdio
    /// Nothing: output is dropped, no input comes.
    case null
    /// A file for the output, made or cut; no input.
    case file(String)
    /// Descriptors of the embedding program, which keeps owning them; nil for no input.
    case descriptors(input: Int32?, output: Int32)
}

/// An input and an output descriptor, either of which can go away while the guest runs.
struct ConsolePort {
    private(set) var input: Int32?
    private(set) var output: Int32?
    private let owned: Int32?

    init(_ target: ConsoleTarget) throws(MachineError) {
        switch target {
        case .stdio:
            // A terminal's buffer can be smaller than what poll lets us write. Opened anew, it can be made not to block without
            // changing it for the shell, too.
            let flags = O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC
            let terminal = isatty(1) == 1 ? unsafe open("/proc/self/fd/1", flags) : -1
            (input, output, owned) = terminal < 0 ? (0, 1, nil) : (0, terminal, terminal)
        case .null: (input, output, owned) = (nil, nil, nil)
        case .descriptors(let source, let sink): (input, output, owned) = (source, sink, nil)
        case .file(let path):
            // A pipe that nobody reads is an error, and not a wait for ever.
            let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0o644)
            guard descriptor >= 0 else { throw .console(path: path, errno: errno) }
            (input, output, owned) = (nil, descriptor, descriptor)
        }
    }

    /// Cuts an output file that was there before, once the machine is sure to run.
    func begin() {
        if let owned { _ = ftruncate(owned, 0) }
    }

    /// Size of the terminal behind `output`, in characters, or nil if it is none.
    static func size(of output: Int32?) -> (columns: UInt16, rows: UInt16)? {
        guard let output else { return nil }
        var size = winsize()
        guard unsafe ioctl(output, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return nil }
        return (size.ws_col, size.ws_row)
    }

    /// Reads up to `count` bytes of what is there. At the end of input, or on an error, there will be no more.
    mutating func read(_ count: Int) -> [UInt8] {
        guard let descriptor = input else { return [] }
        var result = 0
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            result = unsafe Glibc.read(descriptor, buffer.baseAddress, count)
            initialized = max(0, result)
        }
        let later = result < 0 && (errno == EINTR || errno == EAGAIN)
        if result <= 0 && !later { input = nil }
        return bytes
    }

    /// Writes some of `bytes` and says how many. Output that nobody reads any more is gone.
    mutating func write(_ bytes: ArraySlice<UInt8>) -> Int {
        guard let descriptor = output else { return bytes.count }
        let written = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
        if written >= 0 { return written }
        if errno == EINTR || errno == EAGAIN { return 0 }
        Log.say("console output cannot be written (\(reason(errno))) and is dropped from here on")
        output = nil
        return bytes.count
    }

    /// Closes what the port opened.
    func close() {
        if let owned { _ = Glibc.close(owned) }
    }
}
