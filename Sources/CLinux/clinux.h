// What Swift's Glibc leaves out of the host's system calls, because <fcntl.h> hides it behind _GNU_SOURCE. Not a wrapper: nothing
// here decides anything.

#ifndef CLINUX_H
#define CLINUX_H

#include <errno.h>
#include <linux/falloc.h>
#include <sys/syscall.h>
#include <unistd.h>

// syscall() is variadic. The result is 0 or -errno.
static inline int clinux_fallocate(int fd, int mode, long offset, long length)
{
    return syscall(SYS_fallocate, fd, mode, offset, length) == 0 ? 0 : -errno;
}

#endif
