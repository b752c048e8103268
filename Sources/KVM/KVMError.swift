// Why a call into the kernel failed. Not what to do about it: the caller knows what the call was for.

import Glibc

/// A call into the kernel that failed.
///
/// `errno` keeps the cases of opening `/dev/kvm` apart: ENOENT (no such module), EACCES or EPERM (no permission), ENODEV
/// (the module is there, the processor cannot). A kernel whose KVM is too old or lacks a capability gives EOPNOTSUPP, and
/// `call` names what is lacking.
public struct KVMError: Error, Equatable, CustomStringConvertible {
    /// What was called, as the kernel's documentation names it.
    public let call: String
    /// The error number the kernel gave, positive.
    public let errno: Int32

    /// An error of `call`.
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
