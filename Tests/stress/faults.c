/*
 * A host that misbehaves, put under vmm with LD_PRELOAD: positioned reads and writes, and fdatasync, do what FAULTS says,
 * and how often is counted in the file FAULTS_LOG, which the test reads afterwards. Only what glibc's functions are asked
 * for is met, so vmm's transfers by io_uring and its tries not to wait (RWF_NOWAIT) are sent here by FAULTS=again.
 *
 *   again       preadv2 and pwritev2 by way of syscall() answer EAGAIN, io_uring_setup answers EPERM
 *   short       a transfer moves a part of what it was asked for
 *   eintr       every second call is interrupted before it does anything
 *   eio=N       every Nth transfer fails with EIO
 *   timer       a signal a thousand times a second, which restarts no call; `interrupted` counts them
 *   sync=N      the Nth fdatasync fails with EIO, and the others do not: the host reports a failed writeback once
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* The file's five words, in the order in which the test names them. */
static struct counts { atomic_ulong calls, shortened, interrupted, failed, synced; } dummy, *counts = &dummy;
static atomic_ulong turn, syncs;
static int again, shortens, interrupts;
static unsigned long every, failing_sync;

static void tick(int number) { (void)number; atomic_fetch_add(&counts->interrupted, 1); }

__attribute__((constructor)) static void start(void) {
    const char *wanted = getenv("FAULTS"), *log = getenv("FAULTS_LOG");
    if (!wanted || !log) return;
    again = strstr(wanted, "again") != 0;
    shortens = strstr(wanted, "short") != 0;
    interrupts = strstr(wanted, "eintr") != 0;
    const char *eio = strstr(wanted, "eio=");
    if (eio) every = strtoul(eio + 4, 0, 10);
    const char *sync = strstr(wanted, "sync=");
    if (sync) failing_sync = strtoul(sync + 5, 0, 10);
    int file = open(log, O_RDWR);
    void *shared = file < 0 ? MAP_FAILED : mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (shared == MAP_FAILED) abort();
    counts = shared;
    if (!strstr(wanted, "timer")) return;
    struct sigaction action = {.sa_handler = tick};
    /* SIGALRM and its like are vmm's own. */
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGURG};
    struct itimerspec millisecond = {{0, 1000000}, {0, 1000000}};
    timer_t timer;
    sigaction(SIGURG, &action, 0);
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) || timer_settime(timer, 0, &millisecond, 0)) abort();
}

static int fails_with_eio(int yes) {
    if (!yes) return 0;
    atomic_fetch_add(&counts->failed, 1);
    errno = EIO;
    return 1;
}

/* Whether this call is to be interrupted, with errno set; `number` is its number. */
static int is_interrupted(unsigned long *number) {
    atomic_fetch_add(&counts->calls, 1);
    *number = atomic_fetch_add(&turn, 1) + 1;
    if (!interrupts || *number % 2 == 0) return 0;
    atomic_fetch_add(&counts->interrupted, 1);
    errno = EINTR;
    return 1;
}

/* Whether this transfer is to fail, with errno set. */
static int fails(void) {
    unsigned long number;
    return is_interrupted(&number) || fails_with_eio(every && number % every == 0);
}

typedef ssize_t transfer(int, const struct iovec *, int, off_t);

static ssize_t move(const char *name, int fd, const struct iovec *vectors, int count, off_t offset) {
    transfer *real = (transfer *)dlsym(RTLD_NEXT, name);
    if (fails()) return -1;
    if (!shortens || count < 1 || vectors[0].iov_len < 2) return real(fd, vectors, count, offset);
    atomic_fetch_add(&counts->shortened, 1);
    struct iovec first = vectors[0];
    first.iov_len = 1 + (size_t)offset / 512 * 7 % (first.iov_len - 1);
    return real(fd, &first, 1, offset);
}

ssize_t preadv(int fd, const struct iovec *vectors, int count, off_t offset) {
    return move("preadv", fd, vectors, count, offset);
}
ssize_t pwritev(int fd, const struct iovec *vectors, int count, off_t offset) {
    return move("pwritev", fd, vectors, count, offset);
}
ssize_t preadv64(int fd, const struct iovec *vectors, int count, off64_t offset) {
    return move("preadv64", fd, vectors, count, offset);
}
ssize_t pwritev64(int fd, const struct iovec *vectors, int count, off64_t offset) {
    return move("pwritev64", fd, vectors, count, offset);
}

/* vmm's transfers past the page cache, of which the kernel moves whole sectors. */
static ssize_t move_sectors(int reads, int fd, void *data, size_t size, off_t offset) {
    ssize_t (*real)(int, void *, size_t, off_t) =
        (ssize_t (*)(int, void *, size_t, off_t))dlsym(RTLD_NEXT, reads ? "pread" : "pwrite");
    if (fails()) return -1;
    if (!shortens || size < 1024) return real(fd, data, size, offset);
    atomic_fetch_add(&counts->shortened, 1);
    return real(fd, data, size / 1024 * 512, offset);
}

ssize_t pread(int fd, void *data, size_t size, off_t offset) { return move_sectors(1, fd, data, size, offset); }
ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) {
    return move_sectors(0, fd, (void *)data, size, offset);
}
ssize_t pread64(int fd, void *data, size_t size, off64_t offset) { return move_sectors(1, fd, data, size, offset); }
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset) {
    return move_sectors(0, fd, (void *)data, size, offset);
}

int fdatasync(int fd) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    unsigned long number;
    if (is_interrupted(&number)) return -1;
    if (fails_with_eio(atomic_fetch_add(&syncs, 1) + 1 == failing_sync)) return -1;
    atomic_fetch_add(&counts->synced, 1);
    return real(fd);
}

long syscall(long number, ...) {
    va_list list;
    long a[6];
    va_start(list, number);
    for (int n = 0; n < 6; n++) a[n] = va_arg(list, long);
    va_end(list);
    if (again && (number == SYS_preadv2 || number == SYS_pwritev2)) return errno = EAGAIN, -1;
    if (again && number == SYS_io_uring_setup) return errno = EPERM, -1;
    static long (*real)(long, ...);
    if (!real) real = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
    return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
