// The smallest useful kernel for vmm: prints a line, prints the first 16 bytes of the first disk, powers off. Documentation.docc/Kernels.md.
        .section .note.pvh, "a", @note
        .long 4, 4, 18                  // size of the name, size of the entry, XEN_ELFNOTE_PHYS32_ENTRY
        .asciz "Xen"
        .long start
        .text
        .code32
        .globl start
start:  mov $hello, %esi
        mov $(hello.end - hello), %ecx
        mov $stack, %esp
        call print
        mov $setup, %esi                // the disk is in slot 1, at 0xd0001000: write its registers
next:   lodsl
        mov %eax, %ebx
        lodsl
        mov %eax, 0xd0001000(%ebx)
        mov 0xd0001070, %edx            // Status; FEATURES_OK stays set if the device accepts the features
        cmp $setup.end, %esi
        jb next
        movw $1, avail + 2              // one chain is available,
        movl $0, 0xd0001050             // QueueNotify
wait:   cmpw $1, used + 2               // and used
        jne wait
        mov $sector, %esi
        mov $16, %ecx
        call print
        mov $0x34, %al                  // ACPI: sleep type 5 with SLP_EN
        mov $0x600, %dx
        out %al, %dx
        hlt
print:  lodsb                           // ECX bytes from ESI on; the console in slot 0 prints what is written to emerg_wr
        mov %eax, 0xd0000108
        loop print
        ret
        .data
hello:  .ascii "hello from a minimal kernel\n"
hello.end:                              // then pairs of a register's offset and its value
setup:  .long 0x70, 0, 0x70, 1, 0x70, 3, 0x24, 0, 0x20, 0, 0x24, 1, 0x20, 1, 0x70, 11      // features: VERSION_1
        .long 0x30, 0, 0x38, 4, 0x80, table, 0x84, 0, 0x90, avail, 0x94, 0, 0xa0, used, 0xa4, 0, 0x44, 1, 0x70, 15
setup.end: .balign 16                   // descriptors: address, length, flags (1: NEXT, 2: WRITE) and next
table:  .long header, 0, 16, 1 | 1 << 16, sector, 0, 512, 3 | 2 << 16, status, 0, 1, 2, 0, 0, 0, 0
avail:  .word 0, 0, 0, 0, 0, 0, 0, 0    // its first entry is the chain that begins with descriptor 0
header: .long 0, 0, 0, 0                // VIRTIO_BLK_T_IN, sector 0
        .balign 4
used:   .skip 40
sector: .skip 512
status: .skip 64                        // one byte; the rest is the stack
stack:
