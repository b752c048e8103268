// Transfers between a file and memory by one process, one at a time, without a virtual machine. vmm's disk is compared with it.
//
//   transfer read|write|flush sequential|random FILE SIZE COUNT BUFFERS direct|buffered
//
// COUNT transfers of SIZE bytes into or from BUFFERS buffers in turn: from the file's start, round and round, or of random
// blocks. `flush` writes, and calls fdatasync after each write. Prints the seconds and the processor seconds that it took.

#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static double now(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return time.tv_sec + time.tv_nsec * 1e-9;
}

int main(int count, char **arguments) {
    if (count != 8) errx(64, "usage: transfer read|write|flush sequential|random FILE SIZE COUNT BUFFERS direct|buffered");
    int writes = strcmp(arguments[1], "read") != 0, flushes = strcmp(arguments[1], "flush") == 0;
    int is_random = strcmp(arguments[2], "random") == 0;
    long size = atol(arguments[4]), transfers = atol(arguments[5]), buffers = atol(arguments[6]);
    int direct = strcmp(arguments[7], "direct") == 0 ? O_DIRECT : 0;
    int file = open(arguments[3], (writes ? O_RDWR : O_RDONLY) | direct);
    off_t blocks = file < 0 ? 0 : lseek(file, 0, SEEK_END) / size;
    char *memory;
    if (blocks < 1 || buffers < 1 || posix_memalign((void **)&memory, 2 << 20, size * buffers)) err(1, "%s", arguments[3]);
    memset(memory, 1, size * buffers);
    uint64_t random = 0x9e3779b97f4a7c15;
    double start = now(CLOCK_MONOTONIC), processor = now(CLOCK_PROCESS_CPUTIME_ID);
    for (long n = 0; n < transfers; n++) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        off_t offset = (is_random ? (off_t)(random % blocks) : n % blocks) * size;
        struct iovec buffer = {memory + n % buffers * size, size};
        if ((writes ? pwritev(file, &buffer, 1, offset) : preadv(file, &buffer, 1, offset)) != size) err(1, "%s", arguments[3]);
        if (flushes && fdatasync(file)) err(1, "fdatasync");
    }
    printf("%.9f %.9f\n", now(CLOCK_MONOTONIC) - start, now(CLOCK_PROCESS_CPUTIME_ID) - processor);
}
