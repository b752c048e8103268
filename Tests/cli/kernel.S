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
#elif defined(PROCESSORS) || defined(MP_TABLE)
#ifdef MP_TABLE
    // As below, but the processors are those of the MP table: INIT goes to each but the one that starts, by its APIC id and by the local
    // APIC that the table names, so no other can start. Without a table exits with 127.
    mov $0xf0000, %esi
1:  cmpl $0x5f504d5f, (%esi)    // "_MP_"
    je 2f
    add $16, %esi
    cmp $0x100000, %esi
    jb 1b
    mov $63, %eax
    out %eax, $0xf4
2:  mov 4(%esi), %esi
    movzwl 34(%esi), %ecx
    mov 36(%esi), %ebx
    add $44, %esi
    movl $0x1ff, 0xf0(%ebx)     // Without that KVM may know of no other local APIC yet.
    xor %ebp, %ebp
3:  cmpb $0, (%esi)             // A processor's entry has type 0 and 20 bytes, any other has 8.
    jne 5f
    testb $2, 3(%esi)
    jnz 4f
    inc %ebp
    movzbl 1(%esi), %eax
    shl $24, %eax
    mov %eax, 0x310(%ebx)
    movl $0x4500, 0x300(%ebx)   // INIT
4:  add $12, %esi
5:  add $8, %esi
    loop 3b
#else
    // Starts all other processors with its first instruction, waits until as many run as the command line has bytes, or for
    // a while, and exits with their number. Each sets a byte of its own, 0x9000 plus its APIC id.
    movl $0xc4500, 0xfee00300   // INIT to all but itself
    mov 24(%ebx), %esi
    xor %ebp, %ebp
1:  cmpb $0, (%esi,%ebp)
    je 2f
    inc %ebp
    jmp 1b
2:
#endif
    mov $other, %esi
    mov $0x8000, %edi
    mov $(otherEnd - other), %ecx
    rep movsb
    movl $0xc4608, 0xfee00300   // SIPI to all but itself: begin at 0x8000
    movl $0xc4608, 0xfee00300
    mov $1000000, %ebx
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
    // Reads a hundred ports, 0xfed00000 five times, and port 0x92 seven times.
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
3:  in $0x92, %al
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
#elif defined(CLOCK)
    mov $0x9000, %esp
    // Exits with the clock's century and year as a number, less 2000, or with 127 if the clock's time is not valid.
    mov $0x0d, %al
    call clock
    cmp $0x80, %al
    mov $63, %eax
    jne 1f
    mov $0x32, %al
    call clock
    call number
    imul $100, %eax, %esi
    mov $9, %al
    call clock
    call number
    lea -2000(%esi,%eax), %eax
1:  out %eax, $0xf4
    jmp .
clock:
    out %al, $0x70
    in $0x71, %al
    ret
number:                         // from two decimal digits
    mov %al, %ah
    shr $4, %ah
    and $15, %al
    aad
    movzbl %al, %eax
    ret
#elif defined(PIT)
    // Waits for the second counter of the 8254, by port 0x61, and powers off.
    mov $1, %al
    out %al, $0x61
    mov $0xb0, %al
    out %al, $0x43
    mov $0xff, %al
    out %al, $0x42
    out %al, $0x42
1:  in $0x61, %al
    test $0x20, %al
    jz 1b
    mov $0x600, %dx
    mov $0x34, %al
    out %al, %dx
    jmp .
#elif defined(PANIC)
    // Writes to the emergency console of the first device, and reports a panic that pvpanic knows.
    mov $0xd0000108, %eax
    movl $'!', (%eax)
    mov $0x505, %dx
    in %dx, %al
    cmp $3, %al
    jne .
    mov $2, %al                 // a crash kernel goes on: not the end
    out %al, %dx
    mov $1, %al
    out %al, %dx
    jmp .
#elif defined(ECHO)
    // Returns each byte that comes at the serial port until a zero, and powers off. Without the FIFO, which is cleared when it is enabled.
1:  mov $0x3fd, %dx
    in %dx, %al
    test $1, %al
    jz 1b
    mov $0x3f8, %dx
    in %dx, %al
    test %al, %al
    jz 3f
    mov %al, %bl
    mov $0x3fd, %dx
2:  in %dx, %al
    test $0x20, %al
    jz 2b
    mov %bl, %al
    mov $0x3f8, %dx
    out %al, %dx
    jmp 1b
3:  mov $0x600, %dx
    mov $0x34, %al
    out %al, %dx
    jmp .
#elif defined(CALLS)
    // Functions with frame pointers, the inner one of which does not return; or with a command line it crashes.
    mov 24(%ebx), %esi
    mov $0x9000, %esp
    xor %ebp, %ebp
    call outer
    .globl outer, inner
    .type outer, @function
    .type inner, @function
outer:
    push %ebp
    mov %esp, %ebp
    call inner
    .size outer, . - outer
inner:
    push %ebp
    mov %esp, %ebp
    cmpb $'x', (%esi)
    je 1f
    jmp .
1:  ud2
    .size inner, . - inner
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
