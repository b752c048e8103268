// Instructions that Swift cannot express, and memory access by physical address. All memory is identity-mapped, so an
// address is a number. Every access is volatile: the device and the interrupt handler also write memory.
#pragma once

#include <stdint.h>

// Inlined even when the compiler optimises for size: a call is longer.
#define INLINE static inline __attribute__((always_inline))

INLINE uint8_t load8(uint64_t address) { return *(volatile uint8_t *)address; }
INLINE uint16_t load16(uint64_t address) { return *(volatile uint16_t *)address; }
INLINE uint32_t load32(uint64_t address) { return *(volatile uint32_t *)address; }
INLINE uint64_t load64(uint64_t address) { return *(volatile uint64_t *)address; }
INLINE void store8(uint64_t address, uint8_t value) { *(volatile uint8_t *)address = value; }
INLINE void store16(uint64_t address, uint16_t value) { *(volatile uint16_t *)address = value; }
INLINE void store32(uint64_t address, uint32_t value) { *(volatile uint32_t *)address = value; }
INLINE void store64(uint64_t address, uint64_t value) { *(volatile uint64_t *)address = value; }

INLINE uint32_t in32(uint16_t port) {
    uint32_t value;
    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}
INLINE void out8(uint16_t port, uint8_t value) { __asm__ volatile("outb %0, %1" ::"a"(value), "Nd"(port)); }
INLINE void out32(uint16_t port, uint32_t value) { __asm__ volatile("outl %0, %1" ::"a"(value), "Nd"(port)); }

INLINE uint64_t timestamp(void) {
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}
// Orders this processor's earlier stores before its later loads.
INLINE void fence(void) { __asm__ volatile("mfence" ::: "memory"); }
INLINE void disableInterrupts(void) { __asm__ volatile("cli" ::: "memory"); }
INLINE void enableInterrupts(void) { __asm__ volatile("sti" ::: "memory"); }
_Noreturn INLINE void halt(void) {
    for (;;) __asm__ volatile("cli; hlt");
}

// Words shared with the interrupt handler, initially 0. Layout: driver/Interrupts.swift.
INLINE uint64_t sharedWords(void) {
    extern char shared_words[];
    return (uint64_t)shared_words;
}
// Memory for queues and buffers.
INLINE uint64_t arenaStart(void) {
    extern char arena_start[];
    return (uint64_t)arena_start;
}
INLINE uint64_t arenaEnd(void) {
    extern char arena_end[];
    return (uint64_t)arena_end;
}

// Adds 1, so that no increment of another processor is lost, and returns what was there.
INLINE uint16_t fetchAndIncrement16(uint64_t address) {
    uint16_t value = 1;
    __asm__ volatile("lock xaddw %0, %1" : "+r"(value), "+m"(*(volatile uint16_t *)address));
    return value;
}
// Defined in guest/boot/Processors.S.
void startProcessors(void);

// Defined in guest/bench/Ring3.S.
_Noreturn void enterRing3(uint64_t start_info);
void takeInterrupts(uint64_t vector, uint64_t base);
void haltUnlessInterrupted(uint64_t seen);
INLINE uint64_t interruptsTaken(void) {
    extern char ring3_interrupts[];
    return *(volatile uint64_t *)ring3_interrupts;
}
INLINE void pauseBriefly(void) { __asm__ volatile("pause"); }
