// The system calls that Swift's Glibc lacks: fallocate and preadv2, which headers declare only with _GNU_SOURCE,
// pseudo-terminals, inotify and io_uring. Nothing here makes a decision. Functions return a result or -errno.

#ifndef CLINUX_H
#define CLINUX_H

#include <errno.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/falloc.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/if_tun.h>
#include <linux/io_uring.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

// <asm-generic/fcntl.h>; <fcntl.h> defines it only with _GNU_SOURCE.
static const int CLINUX_O_DIRECT = 040000;
static const int CLINUX_O_PATH = 010000000;

// syscall() is variadic.
static inline int clinux_fallocate(int fd, int mode, long offset, long length)
{
    return syscall(SYS_fallocate, fd, mode, offset, length) == 0 ? 0 : -errno;
}

// Makes `fd`, /dev/net/tun, a queue of the TAP interface `name`, whose frames have a virtio header of `header` bytes in front.
// ioctl() is variadic. The headers of struct ifreq, 40 bytes, define types that Glibc has too.
static inline int clinux_tap(int fd, const char *name, int header, int multiqueue)
{
    struct { char name[16]; short flags; char rest[22]; } request = {0};
    strncpy(request.name, name, sizeof request.name - 1);
    request.flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | (multiqueue ? IFF_MULTI_QUEUE : 0);
    return ioctl(fd, TUNSETIFF, &request) < 0 || ioctl(fd, TUNSETVNETHDRSZ, &header) < 0 ? -errno : 0;
}

// Lets the kernel send frames with these offloads, TUN_F_.
static inline int clinux_tap_offloads(int fd, unsigned offloads)
{
    return ioctl(fd, TUNSETOFFLOAD, (unsigned long)offloads) < 0 ? -errno : 0;
}

// The logical and the physical block size of a block device, in bytes. ioctl() is variadic.
static inline int clinux_block_sizes(int fd, unsigned *logical, unsigned *physical)
{
    int size = 0;
    if (ioctl(fd, BLKSSZGET, &size) < 0 || ioctl(fd, BLKPBSZGET, physical) < 0) return -errno;
    *logical = (unsigned)size;
    return 0;
}

// <sys/signalfd.h> is not in Swift's Glibc. A descriptor from which the signals of `set`, a sigset_t, are read; `flags` are
// O_NONBLOCK and O_CLOEXEC, which are SFD_'s too. The kernel's set is 8 bytes.
static inline int clinux_signalfd(const void *set, int flags)
{
    int fd = (int)syscall(SYS_signalfd4, -1, set, 8L, flags);
    return fd < 0 ? -errno : fd;
}

// accept4() is declared only with _GNU_SOURCE. `flags` are SOCK_NONBLOCK and SOCK_CLOEXEC.
static inline int clinux_accept(int fd, int flags) { return (int)syscall(SYS_accept4, fd, 0L, 0L, flags); }

// Unlocks the slave of the pseudo-terminal whose master is `fd`, and returns the slave's number. Swift does not import
// _IOW and _IOR requests.
static inline int clinux_unlock_pty(int fd)
{
    int unlocked = 0;
    unsigned int number = 0;
    return ioctl(fd, TIOCSPTLCK, &unlocked) < 0 || ioctl(fd, TIOCGPTN, &number) < 0 ? -errno : (int)number;
}

// <sys/inotify.h> and <linux/inotify.h> define types that Glibc has too. `flags` are O_NONBLOCK and O_CLOEXEC, equal to
// IN_NONBLOCK and IN_CLOEXEC.
static inline int clinux_inotify(int flags)
{
    int fd = (int)syscall(SYS_inotify_init1, flags);
    return fd < 0 ? -errno : fd;
}

// Adds a watch: `inotify` becomes readable when a process opens `path`.
static inline int clinux_watch_opens(int inotify, const char *path)
{
    const unsigned int in_open = 0x20;  // IN_OPEN
    return syscall(SYS_inotify_add_watch, inotify, path, in_open) < 0 ? -errno : 0;
}

// preadv2, or pwritev2 if `writes`, with RWF_NOWAIT: returns -EAGAIN instead of waiting for a device.
static inline long clinux_transfer_now(int writes, int fd, const void *iov, int count, long offset)
{
    const int nowait = 8;  // RWF_NOWAIT of <linux/fs.h>
    long result = syscall(writes ? SYS_pwritev2 : SYS_preadv2, fd, iov, count, offset, 0L, nowait);
    return result < 0 ? -errno : result;
}

static inline int clinux_uring_setup(unsigned entries, struct io_uring_params *params)
{
    int fd = (int)syscall(SYS_io_uring_setup, entries, params);
    return fd < 0 ? -errno : fd;
}

// Lets the disabled ring `fd` have entries with `operations` alone and no registration any more, and enables it.
static inline int clinux_uring_enable(int fd, const unsigned char *operations, unsigned count)
{
    struct io_uring_restriction restrictions[8] = {{0}};
    for (unsigned i = 0; i < count && i < 8; i++) {
        restrictions[i].opcode = IORING_RESTRICTION_SQE_OP;
        restrictions[i].sqe_op = operations[i];
    }
    return syscall(SYS_io_uring_register, fd, IORING_REGISTER_RESTRICTIONS, restrictions, count) < 0
                   || syscall(SYS_io_uring_register, fd, IORING_REGISTER_ENABLE_RINGS, (void *)0, 0) < 0 ? -errno : 0;
}

// Submits entries and waits for `complete` completions, for at most `nanoseconds`; without a limit if that is negative.
static inline int clinux_uring_enter(int fd, unsigned submit, unsigned complete, long long nanoseconds)
{
    struct __kernel_timespec time = {nanoseconds / 1000000000, nanoseconds % 1000000000};
    struct io_uring_getevents_arg argument = {.ts = nanoseconds < 0 ? 0 : (unsigned long)&time};
    unsigned flags = IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG;
    long result = syscall(SYS_io_uring_enter, fd, submit, complete, flags, &argument, sizeof argument);
    return result < 0 ? -errno : (int)result;
}

// Swift cannot set the anonymous unions of io_uring_sqe.
static inline void clinux_prepare(struct io_uring_sqe *entry, unsigned char operation, int fd, const void *address,
                                  unsigned length, unsigned long offset, unsigned long name)
{
    *entry = (struct io_uring_sqe){
        .opcode = operation, .fd = fd, .addr = (unsigned long)address, .len = length, .off = offset, .user_data = name};
}

// The first and the last byte of the program's code, by the linker's names. Swift does not import symbols without a size.
static inline void clinux_code(unsigned long *first, unsigned long *last)
{
    extern const char __executable_start[], etext[];
    *first = (unsigned long)__executable_start;
    *last = (unsigned long)etext;
}

// A pipe, closed on exec. pipe2() and close_range() are declared only with _GNU_SOURCE.
static inline int clinux_pipe(int *reading, int *writing)
{
    const int close_on_exec = 02000000;  // O_CLOEXEC
    int ends[2];
    if (syscall(SYS_pipe2, ends, close_on_exec) < 0) return -errno;
    *reading = ends[0];
    *writing = ends[1];
    return 0;
}

// Every descriptor behind standard error, those that this process was started with included, is closed on exec.
static inline void clinux_close_rest_on_exec(void)
{
    const unsigned close_on_exec = 4;  // CLOSE_RANGE_CLOEXEC
    syscall(SYS_close_range, 3U, ~0U, close_on_exec);
}

// Exchanges two names of the file system; <stdio.h> declares renameat2 only with _GNU_SOURCE.
static inline int clinux_exchange(const char *first, const char *second)
{
    const int at_fdcwd = -100, exchange = 2;  // AT_FDCWD, RENAME_EXCHANGE
    return syscall(SYS_renameat2, at_fdcwd, first, at_fdcwd, second, exchange) < 0 ? -errno : 0;
}

// prctl() is variadic. `name` has room for 16 bytes.
static inline int clinux_thread_name(char *name) { return prctl(PR_GET_NAME, name) < 0 ? -errno : 0; }
static inline void clinux_set_thread_name(const char *name) { prctl(PR_SET_NAME, name); }

// prctl() is variadic; options that take a number.
static inline int clinux_prctl(int option, unsigned long value) { return prctl(option, value, 0L, 0L, 0L) < 0 ? -errno : 0; }

// Gives the calling thread those of its capabilities, bit n for number n, that are in `kept`. Neither libc has capset().
static inline int clinux_keep_capabilities(unsigned kept)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2] = {0};
    if (syscall(SYS_capget, &header, data) < 0) return -errno;
    data[0].effective = data[0].permitted = data[0].permitted & kept;
    data[0].inheritable = data[1].effective = data[1].permitted = data[1].inheritable = 0;
    return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

// Landlock. <linux/landlock.h> of older systems lacks newer rights, so `attributes` and `rule` are theirs by layout.
static inline int clinux_landlock_version(void)
{
    int version = (int)syscall(SYS_landlock_create_ruleset, (void *)0, 0L, 1L);  // LANDLOCK_CREATE_RULESET_VERSION
    return version < 0 ? -errno : version;
}

static inline int clinux_landlock_create(const unsigned long long *attributes, unsigned long size)
{
    int fd = (int)syscall(SYS_landlock_create_ruleset, attributes, size, 0L);
    return fd < 0 ? -errno : fd;
}

// Permits `rights` beneath the folder `folder`.
static inline int clinux_landlock_permit(int fd, unsigned long long rights, int folder)
{
    struct { unsigned long long rights; int folder; } __attribute__((packed)) rule = {rights, folder};
    return syscall(SYS_landlock_add_rule, fd, 1L, &rule, 0L) < 0 ? -errno : 0;  // LANDLOCK_RULE_PATH_BENEATH
}

static inline int clinux_landlock_restrict(int fd)
{
    return syscall(SYS_landlock_restrict_self, fd, 0L) < 0 ? -errno : 0;
}

// Makes the calling thread's system calls pass `program`; with 0 instructions only asks whether the kernel could.
static inline int clinux_filter(const struct sock_filter *program, unsigned short count)
{
    struct sock_fprog filter = {count, (struct sock_filter *)program};
    unsigned action = SECCOMP_RET_TRAP;
    long result = count ? syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0L, &filter)
                        : syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0L, &action);
    return result < 0 ? -errno : 0;
}

// Swift does not import these, which have casts. Of SIGSYS: the call that a filter trapped, -1 for another cause; of the machine state
// `context` its first three arguments and the instruction's address.
static const unsigned CLINUX_ARCHITECTURE = AUDIT_ARCH_X86_64;
static inline int clinux_trapped_call(const siginfo_t *information)
{
    return information->si_signo == SIGSYS && information->si_code == 1 /* SYS_SECCOMP */ ? information->si_syscall : -1;
}

// Writes a sentence about a trapped call, or about a fault if `call` is null. Async-signal-safe, as snprintf allocates nothing for these.
static inline int clinux_describe_end(char *text, unsigned long size, const char *thread, const char *call, int call_length, int number,
                                      const void *context)
{
    enum { RDI = 8, RSI = 9, RDX = 12, RIP = 16 };  // REG_ of <sys/ucontext.h>, which defines them only with _GNU_SOURCE
    const greg_t *r = ((const ucontext_t *)context)->uc_mcontext.gregs;
    return call ? snprintf(text, size,
                           "vmm: the sandbox ends vmm: its thread %s made the system call %.*s (%d; arguments 0x%llx, 0x%llx, 0x%llx), "
                           "which is not permitted; report it, and use --sandbox off if you trust the guest\n",
                           thread, call_length, call, number, r[RDI], r[RSI], r[RDX])
                : snprintf(text, size,
                           "vmm: the thread %s crashed by signal %d at 0x%llx; report it, with the backtrace that --sandbox off prints\n",
                           thread, number, r[RIP]);
}

// Swift 6 does not let `stdout` be named. Writes out what stdio holds for it: 0, or an errno if a write failed, now or before.
static inline int clinux_finish_stdout(void)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout)) return 0;
    return errno ? errno : EIO;
}

#endif
