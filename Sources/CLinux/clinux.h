// The system calls that Swift's Glibc lacks: fallocate and preadv2, which headers declare only with _GNU_SOURCE,
// pseudo-terminals, inotify and io_uring. Nothing here makes a decision. Functions return a result or -errno.

#ifndef CLINUX_H
#define CLINUX_H

#include <errno.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/if_tun.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

// <asm-generic/fcntl.h>; <fcntl.h> defines it only with _GNU_SOURCE.
static const int CLINUX_O_DIRECT = 040000;

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

// prctl() is variadic. `name` has room for 16 bytes.
static inline int clinux_thread_name(char *name) { return prctl(PR_GET_NAME, name) < 0 ? -errno : 0; }

// Swift 6 does not let `stdout` be named. Writes out what stdio holds for it: 0, or an errno if a write failed, now or before.
static inline int clinux_finish_stdout(void)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout)) return 0;
    return errno ? errno : EIO;
}

#endif
