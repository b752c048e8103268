// The system calls of each kind of thread once the sandbox is closed. A test compares them with the table of the page
// "Security".

import CLinux
import Glibc
import KVM

/// What a thread is for, and with that the system calls it may make.
enum ThreadKind: String, CaseIterable {
    /// Starts and stops the others, and waits for the end.
    case main
    /// The main thread of a run without processors: it also serves the client and every device.
    case qtest
    case vcpu
    /// A thread of a disk; of those that it starts for requests that block, too.
    case disk
    /// A console with its ports, or the serial port.
    case console
    /// Of a network device that reads and writes a descriptor which is there.
    case network
    /// Of a network device at a socket, which it connects to again.
    case networkSocket = "network at a socket"
    case entropy
    /// Serves control clients.
    case control
    case signals
    case trace
    /// Watches for stalls.
    case watch

    /// The thread calls `Sandbox.confine` itself, once it has what its filter does not let it have: a disk's thread its ring.
    var confinesItself: Bool { self == .disk }

    /// Calls and their conditions, those that are made most often first. The condition on a number of this process is `process`'s.
    func rules(process: UInt32) -> [SeccompFilter.Rule] {
        let own = Self.allowed(calls) + [Self.ioctl(requests.map(\.number))]
        let special: [SeccompFilter.Rule] =
            switch self {
            case .disk: Self.threads
            case .networkSocket, .qtest: [.init(SYS_socket, .argument(0, among: [UInt32(AF_UNIX)]))]
            default: []
            }
        return own + special + Self.common(process) + Self.allowed(Self.commonCalls)
    }

    private static func allowed(_ calls: [Int32]) -> [SeccompFilter.Rule] { calls.map { .init($0, .always) } }

    private static func ioctl(_ requests: [UInt32]) -> SeccompFilter.Rule {
        .init(SYS_ioctl, .argument(1, among: requests))
    }

    // MARK: The calls of one kind

    /// Calls besides those of every thread.
    private var calls: [Int32] {
        switch self {
        // It flushes disks, and removes sockets.
        case .main: [SYS_pwrite64, SYS_fsync, SYS_fdatasync, SYS_unlink]
        case .qtest: Self.files + Self.link + [SYS_accept4, SYS_unlink]
        case .vcpu, .watch, .entropy, .trace: []
        // It removes sockets where the machine does not end.
        case .signals: [SYS_unlink]
        case .disk: [SYS_io_uring_enter] + Self.files
        case .network: [SYS_writev]
        case .networkSocket: Self.link
        // Peers come and go.
        case .console, .control: [SYS_accept4]
        }
    }

    private static let files = [
        SYS_preadv, SYS_pwritev, SYS_preadv2, SYS_pwritev2, SYS_pwrite64, SYS_fsync, SYS_fdatasync,
        SYS_fallocate,
    ]
    private static let link = [SYS_writev, SYS_recvfrom, SYS_sendto, SYS_connect]

    /// The C library makes threads by `clone` where `clone3`, whose flags a filter cannot see, does not exist. These are its flags:
    /// everything shared with the process.
    private static let threads: [SeccompFilter.Rule] = [
        .init(SYS_clone, .argument(0, among: [0x3d_0f00])), .init(SYS_clone3, .refused(ENOSYS)),
        .init(SYS_set_robust_list, .always), .init(SYS_rseq, .always),
    ]

    // MARK: Requests to devices

    /// An ioctl: its number and its name.
    typealias Request = (number: UInt32, name: String)

    /// Requests besides those of every thread.
    private var ownRequests: [Request] {
        switch self {
        case .vcpu: RunningRequests.vcpu + RunningRequests.machine
        case .disk, .console, .network, .networkSocket, .entropy: RunningRequests.interrupts
        case .main, .control, .signals, .watch: RunningRequests.interrupts + RunningRequests.inspection
        case .qtest, .trace: []
        }
    }

    /// The requests that the thread may make.
    var requests: [Request] {
        let device: [Request] =
            switch self {
            case .network: [(0x4004_54d0, "TUNSETOFFLOAD")]
            case .main, .qtest, .console, .signals: [(0x5413, "TIOCGWINSZ")]
            default: []
            }
        return ownRequests + device + Self.terminal
    }

    /// Every thread may put the terminal back, before it crashes.
    private static let terminal: [Request] = [(0x5401, "TCGETS"), (0x5402, "TCSETS"), (0x540f, "TIOCGPGRP")]

    // MARK: The calls of every thread

    private static func common(_ process: UInt32) -> [SeccompFilter.Rule] {
        [
            // PROT_EXEC
            .init(SYS_mmap, .lacksBits(4, ofArgument: 2)), .init(SYS_mprotect, .lacksBits(4, ofArgument: 2)),
            // The C library does without the files that it looks for, such as /proc/sys/vm/overcommit_memory.
            .init(SYS_openat, .refused(EACCES)),
            .init(SYS_tgkill, .argument(0, among: [process])),
            .init(SYS_prctl, .argument(0, among: [UInt32(PR_GET_NAME), UInt32(PR_SET_NAME)])),
        ]
    }

    private static let commonCalls = [
        SYS_futex, SYS_read, SYS_pread64, SYS_write, SYS_poll, SYS_lseek, SYS_close, SYS_clock_gettime,
        SYS_restart_syscall, SYS_munmap, SYS_mremap,
        SYS_madvise, SYS_brk, SYS_getrandom, SYS_sched_yield, SYS_fstat, SYS_newfstatat, SYS_rt_sigprocmask,
        SYS_rt_sigaction, SYS_rt_sigreturn, SYS_getpid, SYS_gettid, SYS_getpgrp, SYS_getsid, SYS_exit, SYS_exit_group,
    ]
}

extension SeccompFilter.Rule {
    fileprivate init(_ call: Int32, _ condition: SeccompFilter.Condition) {
        self.init(call: call, condition: condition)
    }
}
