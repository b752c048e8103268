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
    /// Serves a debugger.
    case debugger
    case signals
    /// Takes snapshots, and so opens files; begins traces, whose thread it starts.
    case snapshot
    case trace
    /// Watches for stalls.
    case watch

    /// The thread calls `Sandbox.confine` itself, once it has what its filter does not let it have: a disk's thread its ring.
    var confinesItself: Bool { self == .disk }

    /// Calls and their conditions, in the order in which they are tested. `process` is the number of this process.
    func rules(process: UInt32) -> [SeccompFilter.Rule] {
        calls + [.init(SYS_ioctl, .argument(1, among: requests.map(\.number)))]
            + Self.common(process).filter { common in !calls.contains { $0.call == common.call } }
    }

    /// Calls besides those of every thread.
    private var calls: [SeccompFilter.Rule] {
        switch self {
        // It flushes disks, ends captures of frames, and removes sockets; the signals' thread does where the machine does not end.
        case .main: Self.flush + [.init(SYS_unlink), .init(SYS_ftruncate)]
        case .signals: [.init(SYS_unlink)]
        case .qtest: Self.files + Self.link + [.init(SYS_accept4), .init(SYS_unlink)]
        case .vcpu, .watch, .entropy, .trace: []
        case .snapshot: Self.flush + Self.folders + Self.threads
        case .disk: [.init(SYS_io_uring_enter)] + Self.files + Self.threads
        case .network: [.init(SYS_writev), .init(SYS_ftruncate)]
        case .networkSocket: Self.link
        // Peers come and go.
        case .console, .control: [.init(SYS_accept4)]
        case .debugger: [.init(SYS_accept4), .init(SYS_setsockopt, .argument(1, among: [UInt32(IPPROTO_TCP)]))]
        }
    }

    private static let flush = [SYS_pwrite64, SYS_fsync, SYS_fdatasync].map { SeccompFilter.Rule($0) }
    /// Landlock permits these in the folder of the snapshots. F_SETFL is 4, and F_OFD_SETLK 37.
    private static let folders =
        [
            SYS_openat, SYS_mkdir, SYS_rmdir, SYS_rename, SYS_renameat2, SYS_unlink, SYS_ftruncate, SYS_getcwd,
        ].map { SeccompFilter.Rule($0) } + [.init(SYS_fcntl, .argument(1, among: [4, 37]))]
    private static let files =
        [SYS_preadv, SYS_pwritev, SYS_preadv2, SYS_pwritev2, SYS_fallocate].map {
            SeccompFilter.Rule($0)
        } + flush
    private static let link: [SeccompFilter.Rule] = [
        .init(SYS_ftruncate), .init(SYS_writev), .init(SYS_recvfrom), .init(SYS_sendto), .init(SYS_connect),
        .init(SYS_socket, .argument(0, among: [UInt32(AF_UNIX)])),
    ]
    /// The C library makes threads by `clone` where `clone3`, whose flags a filter cannot see, does not exist. These are its flags:
    /// everything shared with the process.
    private static let threads: [SeccompFilter.Rule] = [
        .init(SYS_clone, .argument(0, among: [0x3d_0f00])), .init(SYS_clone3, .refused(ENOSYS)),
        .init(SYS_set_robust_list), .init(SYS_rseq),
    ]

    /// The calls of every thread.
    private static func common(_ process: UInt32) -> [SeccompFilter.Rule] {
        [
            // PROT_EXEC
            .init(SYS_mmap, .lacksBits(4, ofArgument: 2)),
            .init(SYS_mprotect, .lacksBits(4, ofArgument: 2)),
            // The C library does without the files that it looks for, such as /proc/sys/vm/overcommit_memory.
            .init(SYS_openat, .refused(EACCES)),
            .init(SYS_tgkill, .argument(0, among: [process])),
            .init(SYS_prctl, .argument(0, among: [UInt32(PR_GET_NAME), UInt32(PR_SET_NAME)])),
        ]
            + [
                SYS_futex, SYS_read, SYS_pread64, SYS_write, SYS_poll, SYS_lseek, SYS_close,
                SYS_clock_gettime,
                SYS_restart_syscall, SYS_munmap, SYS_mremap, SYS_madvise, SYS_brk, SYS_getrandom,
                SYS_sched_yield,
                SYS_fstat, SYS_newfstatat, SYS_rt_sigprocmask, SYS_rt_sigaction, SYS_rt_sigreturn,
                SYS_getpid,
                SYS_gettid, SYS_getpgrp, SYS_getsid, SYS_exit, SYS_exit_group,
            ].map { SeccompFilter.Rule($0) }
    }

    // MARK: Requests to devices

    /// The ioctl requests that the thread may make. Every thread may put the terminal back, before it crashes.
    var requests: [RunningRequests.Entry] {
        let size: RunningRequests.Entry = (0x5413, "TIOCGWINSZ")
        let offloads: RunningRequests.Entry = (0x4004_54d0, "TUNSETOFFLOAD")
        let own: [RunningRequests.Entry] =
            switch self {
            case .vcpu: RunningRequests.vcpu + RunningRequests.machine
            case .disk, .networkSocket, .entropy: RunningRequests.interrupts
            case .network: RunningRequests.interrupts + [offloads]
            case .console: RunningRequests.interrupts + [size]
            case .main, .signals: RunningRequests.interrupts + RunningRequests.inspection + [size]
            case .debugger:
                RunningRequests.interrupts + RunningRequests.inspection + RunningRequests.debugger
            case .control, .watch: RunningRequests.interrupts + RunningRequests.inspection
            case .snapshot: RunningRequests.interrupts + RunningRequests.snapshot
            case .qtest: [size, offloads]
            case .trace: []
            }
        // The second two are what the C library calls since version 2.42.
        return own + [
            (0x5401, "TCGETS"), (0x5402, "TCSETS"), (0x802c_542a, "TCGETS2"), (0x402c_542b, "TCSETS2"),
            (0x540f, "TIOCGPGRP"),
        ]
    }
}
