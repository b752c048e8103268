// Standard input, output and error. A program started without one of them would get its next open file in that place, and a disk
// image as standard output would be written over with messages.

import CLinux
import Glibc

/// The three descriptors every program is given.
public enum StandardStreams {
    /// Puts /dev/null where one is missing. Before any file is opened.
    public static func ensureOpen() {
        for descriptor: Int32 in 0...2 where fcntl(descriptor, F_GETFD) < 0 {
            // The lowest free number is the one that is missing.
            _ = unsafe open("/dev/null", O_RDWR)
        }
    }

    /// Writes out what `print` has buffered. Throws if standard output did not take all that was printed.
    public static func finishOutput() throws(MachineError) {
        let number = clinux_finish_stdout()
        guard number == 0 else {
            throw .host("standard output did not take all of the text", errno: number)
        }
    }
}
