// Standard input, output and error. A program started without one of them would get its next open file in that place, and a disk
// image as standard output would be written over with messages.

import CLinux
import Glibc
import Synchronization

/// The three descriptors every program is given.
public enum StandardStreams {
    /// Puts /dev/null where one is missing. Before any file is opened.
    public static func ensureOpen() {
        for descriptor: Int32 in 0...2 where fcntl(descriptor, F_GETFD) < 0 {
            // The lowest free number is the one that is missing.
            _ = unsafe open("/dev/null", O_RDWR)
        }
    }

    /// The guest's output on standard output does not end with the end of a line.
    private static let isWithinLine = Atomic(false)

    /// Whether standard error is the same terminal, pipe or file as standard output.
    private static let areOne: Bool = {
        var (output, error) = (stat(), stat())
        guard unsafe fstat(1, &output) == 0, unsafe fstat(2, &error) == 0 else { return false }
        return (output.st_dev, output.st_ino) == (error.st_dev, error.st_ino)
    }()

    /// Remembers the last byte that the guest wrote to standard output.
    static func noteOutput(_ last: UInt8) { isWithinLine.store(last != UInt8(ascii: "\n"), ordering: .relaxed) }

    /// Whether a message on standard error must end the guest's line first. The caller then does so.
    static func takeUnfinishedLine() -> Bool { areOne && isWithinLine.exchange(false, ordering: .relaxed) }

    /// Writes out what `print` has buffered. Throws if standard output did not take all that was printed.
    public static func finishOutput() throws(MachineError) {
        let number = clinux_finish_stdout()
        guard number == 0 else {
            throw .host("standard output did not take all of the text", errno: number)
        }
    }
}
