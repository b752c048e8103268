// Sequential reads of a file by one process, without a virtual machine. vmm's sequential reads are compared with it.
//
//   preadv FILE SIZE COUNT BUFFERS direct|buffered     prints the seconds that COUNT reads of SIZE bytes took, into BUFFERS
//                                                      buffers in turn, from the file's start, round and round

#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec * 1e-9;
}

int main(int count, char **arguments) {
    if (count != 6) errx(64, "usage: preadv FILE SIZE COUNT BUFFERS direct|buffered");
    long size = atol(arguments[2]), reads = atol(arguments[3]), buffers = atol(arguments[4]);
    int file = open(arguments[1], O_RDONLY | (strcmp(arguments[5], "direct") == 0 ? O_DIRECT : 0));
    off_t blocks = file < 0 ? 0 : lseek(file, 0, SEEK_END) / size;
    char *memory;
    if (blocks < 1 || buffers < 1 || posix_memalign((void **)&memory, 2 << 20, size * buffers)) err(1, "%s", arguments[1]);
    memset(memory, 1, size * buffers);
    double start = now();
    for (long n = 0; n < reads; n++) {
        struct iovec buffer = {memory + n % buffers * size, size};
        if (preadv(file, &buffer, 1, n % blocks * size) != size) err(1, "preadv");
    }
    printf("%.9f\n", now() - start);
}
