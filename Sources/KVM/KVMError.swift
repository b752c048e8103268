// The error of a failed call into the kernel. What the user should do about it is up to the caller.

import Glibc

/// A call into the kernel that failed.
///
/// When `/dev/kvm` cannot be opened, `errno` gives the reason: ENOENT (the module is not loaded), EACCES or EPERM (no
/// permission), ENODEV (the module is loaded, the processor has no virtualization). For a KVM that is too old or lacks
/// a capability it is EOPNOTSUPP, and `call` names the missing capability.
public struct KVMError: Error, Equatable, CustomStringConvertible {
    /// The call, as the kernel's documentation names it.
    public let call: String
    /// The kernel's error number, positive.
    public let errno: Int32

    /// Creates the error of `call`, which failed with `errno`.
    public init(call: String, errno: Int32) {
        self.call = call
        self.errno = errno
    }

    /// One English sentence, without the full stop.
    public var description: String {
        let meaning = unsafe strerror(errno).map { unsafe String(cString: $0) } ?? "unknown error"
        return "\(call) failed: \(meaning) (errno \(errno))"
    }
}
