// Writes to a file by one process, without a virtual machine: the upper bound of console output to a file.
//
//   write FILE SIZE COUNT      prints the seconds that COUNT writes of SIZE bytes to a new FILE took, and removes it

#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec * 1e-9;
}

int main(int count, char **arguments) {
    if (count != 4) errx(64, "usage: write FILE SIZE COUNT");
    long size = atol(arguments[2]), writes = atol(arguments[3]);
    int file = open(arguments[1], O_WRONLY | O_CREAT | O_TRUNC, 0600);
    char *buffer = malloc(size);
    if (file < 0 || !buffer) err(1, "%s", arguments[1]);
    memset(buffer, 'x', size);
    double start = now();
    for (long n = 0; n < writes; n++)
        if (write(file, buffer, size) != size) err(1, "write");
    printf("%.9f\n", now() - start);
    unlink(arguments[1]);
}
