// Kernels of a few instructions for the command-line tests, chosen by -D: each is a PVH ELF.
    .section .note, "a", @note
    .long 4, 4, 18
    .asciz "Xen"
    .long start
#if defined(LINUX)
    .long 6, 4, 256
    .asciz "Linux"
    .balign 4
    .long 0
#endif

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
#elif defined(IDLE)
    // Waits for interrupts, of which none comes.
    sti
1:  hlt
    jmp 1b
#elif defined(HALT)
    // Stops for good.
    cli
1:  hlt
    jmp 1b
#elif defined(POLL)
    // Sets FAILED in the first device and reads Status without end.
    mov $0xd0000070, %eax
    movl $0x80, (%eax)
1:  mov (%eax), %ebx
    jmp 1b
#elif defined(PROCESSORS)
    // Starts all other processors with its first instruction, waits until as many run as the command line has bytes, or for
    // a while, and exits with their number. Each sets a byte of its own, 0x9000 plus its APIC id.
    movl $0xc4500, 0xfee00300   // INIT to all but itself
    mov 24(%ebx), %esi
    xor %ebp, %ebp
1:  cmpb $0, (%esi,%ebp)
    je 2f
    inc %ebp
    jmp 1b
2:  mov $other, %esi
    mov $0x8000, %edi
    mov $(otherEnd - other), %ecx
    rep movsb
    movl $0xc4608, 0xfee00300   // SIPI to all but itself: begin at 0x8000
    movl $0xc4608, 0xfee00300
    mov $100000, %ebx
3:  xor %eax, %eax
    xor %ecx, %ecx
4:  movzbl 0x9000(%ecx), %edx
    add %edx, %eax
    inc %ecx
    cmp $256, %ecx
    jb 4b
    cmp %ebp, %eax
    jae 5f
    dec %ebx
    jnz 3b
5:  out %eax, $0xf4
    jmp .
    .code16
other:
    xor %ax, %ax
    mov %ax, %ds
    mov $1, %eax
    cpuid
    shr $24, %ebx
    movb $1, 0x9000(%bx)
1:  hlt
    jmp 1b
otherEnd:
    .code32
#elif defined(TRIPLE_FAULT)
    mov $0x5a, %al
    out %al, $0x80
    ud2
#elif defined(NO_CODE)
    // To where no memory is: KVM cannot fetch what it should emulate.
    mov $0xd0100000, %eax
    jmp *%eax
#elif defined(UNCLAIMED)
    // Reads a hundred ports, 0xfed00000 five times, and port 0x61 seven times.
    mov $0x2000, %edx
1:  in %dx, %al
    inc %edx
    cmp $0x2064, %edx
    jb 1b
    mov $5, %ecx
    mov $0xfed00000, %edi
2:  mov (%edi), %eax
    loop 2b
    mov $7, %ecx
3:  in $0x61, %al
    loop 3b
    mov $0x600, %dx
    mov $0x34, %al
    out %al, %dx
    jmp .
#elif defined(POWER_OFF) || defined(LINUX)
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
#elif defined(PROMPT)
    // "ok" without the end of a line, and power off.
    mov $0x3f8, %dx
    mov $'o', %al
    out %al, %dx
    mov $'k', %al
    out %al, %dx
    mov $0x600, %dx
    mov $0x34, %al
    out %al, %dx
    jmp .
#elif defined(TALK)
    // 70000 letters by the console's emergency write, from "a" to "p" again and again, then one to the serial port.
    xor %ecx, %ecx
    mov $0xd0000108, %edi
1:  mov %ecx, %eax
    and $15, %eax
    add $'a', %eax
    mov %eax, (%edi)
    inc %ecx
    cmp $70000, %ecx
    jb 1b
    mov $0x3f8, %dx
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
