// Kernels of a few instructions for the command-line tests, chosen by -D: each is a PVH ELF.
    .section .note, "a", @note
    .long 4, 4, 18
    .asciz "Xen"
    .long start

    .text
    .code32
    .globl start
start:
#if defined(SPIN)
    jmp start
#elif defined(STALL)
    // A driver that sets ACKNOWLEDGE in the first device and never comes back.
    mov $0xd0000070, %eax
    movl $1, (%eax)
    jmp .
#elif defined(TRIPLE_FAULT)
    ud2
#elif defined(NO_CODE)
    // To where no memory is: KVM cannot fetch what it should emulate.
    mov $0xd0100000, %eax
    jmp *%eax
#elif defined(POWER_OFF)
    mov $0x600, %dx
    mov $0x34, %al
    out %al, %dx
    jmp .
#elif defined(RESET)
    mov $0x602, %dx
    out %al, %dx
    jmp .
#elif defined(KEYBOARD)
    in $0x64, %al
    test $2, %al
    jnz .
    mov $0xfe, %al
    out %al, $0x64
    jmp .
#elif defined(SERIAL)
    // "ok" and a new line, and power off.
    mov $0x3f8, %dx
    mov $'o', %al
    out %al, %dx
    mov $'k', %al
    out %al, %dx
    mov $10, %al
    out %al, %dx
    mov $0x600, %dx
    mov $0x34, %al
    out %al, %dx
    jmp .
#elif defined(CHATTER)
    // "chatter" and a new line, again and again.
    mov $0x3f8, %dx
1:  mov $text, %esi
    mov $8, %ecx
2:  lodsb
    out %al, %dx
    loop 2b
    jmp 1b
text:
    .ascii "chatter\n"
#elif defined(DEBUG_EXIT)
    mov $5, %eax
    out %eax, $0xf4
    jmp .
#elif defined(COMMAND_LINE)
    // Exits with the command line's length (without "virtio_mmio.device" arguments there is none), plus 100 with an initrd.
    mov 24(%ebx), %esi
    xor %ecx, %ecx
1:  cmpb $0, (%esi,%ecx)
    je 2f
    inc %ecx
    jmp 1b
2:  mov 12(%ebx), %eax
    imul $100, %eax, %eax
    add %ecx, %eax
    out %eax, $0xf4
    jmp .
#endif
