// What the program calls of a C library: memory that is never given back, copies, and characters to the PL011 UART.
#include "Runtime.h"
#include <stdint.h>

extern uint8_t heap[], heap_end[];
extern _Noreturn void power_off(void);

int posix_memalign(void **out, size_t alignment, size_t size) {
    static uint8_t *next = heap;
    uint8_t *start = (uint8_t *)(((uintptr_t)next + alignment - 1) & ~(uintptr_t)(alignment - 1));
    if (size > (size_t)(heap_end - start)) return 12;
    next = start + size;
    *out = start;
    return 0;
}

void free(void *pointer) {}

void *memcpy(void *to, const void *from, size_t count) {
    for (size_t i = 0; i < count; i++) ((uint8_t *)to)[i] = ((const uint8_t *)from)[i];
    return to;
}

void *memmove(void *to, const void *from, size_t count) {
    if (to <= from) return memcpy(to, from, count);
    while (count-- > 0) ((uint8_t *)to)[count] = ((const uint8_t *)from)[count];
    return to;
}

void *memset(void *to, int byte, size_t count) {
    for (size_t i = 0; i < count; i++) ((uint8_t *)to)[i] = (uint8_t)byte;
    return to;
}

int memcmp(const void *left, const void *right, size_t count) {
    const uint8_t *a = left, *b = right;
    for (size_t i = 0; i < count; i++)
        if (a[i] != b[i]) return a[i] - b[i];
    return 0;
}

int putchar(int character) {
    *(volatile uint32_t *)0x09000000 = (uint32_t)character;
    return character;
}

// Ends the program. The machine has no exit code, so it is printed.
_Noreturn void exit(int code) {
    for (const char *text = code == 0 ? "exit code 0\n" : "exit code 1\n"; *text; text++) putchar(*text);
    power_off();
}

// What compiler-rt has: a shift of 128 bits.
unsigned __int128 __ashlti3(unsigned __int128 value, int count) {
    uint64_t low = (uint64_t)value, high = (uint64_t)(value >> 64);
    if (count >= 64) return (unsigned __int128)(low << (count - 64)) << 64;
    if (count == 0) return value;
    return (unsigned __int128)(high << count | low >> (64 - count)) << 64 | low << count;
}
