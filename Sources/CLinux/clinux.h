// What Swift's Glibc leaves out of the host's system calls: fallocate, which <fcntl.h> hides behind _GNU_SOURCE, pseudo-terminals
// and inotify. Not a wrapper: nothing here decides anything. Calls give a result or -errno.

#ifndef CLINUX_H
#define CLINUX_H

#include <errno.h>
#include <linux/falloc.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

// syscall() is variadic.
static inline int clinux_fallocate(int fd, int mode, long offset, long length)
{
    return syscall(SYS_fallocate, fd, mode, offset, length) == 0 ? 0 : -errno;
}

// Unlocks the other end of the pseudo-terminal whose master is `fd`; its number. Swift imports no request that is a _IOW or _IOR.
static inline int clinux_unlock_pty(int fd)
{
    int unlocked = 0;
    unsigned int number = 0;
    return ioctl(fd, TIOCSPTLCK, &unlocked) < 0 || ioctl(fd, TIOCGPTN, &number) < 0 ? -errno : (int)number;
}

// <sys/inotify.h> and its kernel twin define types that Glibc has. `flags` are O_NONBLOCK and O_CLOEXEC, which are IN_'s too.
static inline int clinux_inotify(int flags)
{
    int fd = (int)syscall(SYS_inotify_init1, flags);
    return fd < 0 ? -errno : fd;
}

// From now on `inotify` becomes readable when somebody opens `path`.
static inline int clinux_watch_opens(int inotify, const char *path)
{
    const unsigned int in_open = 0x20;  // IN_OPEN
    return syscall(SYS_inotify_add_watch, inotify, path, in_open) < 0 ? -errno : 0;
}

#endif
