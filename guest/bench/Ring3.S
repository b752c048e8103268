/*
 * Runs benchmarks in ring 3: where ring 0 is emulated, ring 3 runs on the processor itself, so that a loop timed there
 * measures the monitor and not the emulator. Defines segments for ring 3 and a TSS beside those of Entry.S, and changes
 * two gates of the interrupt descriptor table:
 *
 *   the device's vector   acknowledges InterruptStatus, counts, sends the end of interrupt, in few instructions
 *   13                    emulates instructions that fault in ring 3: hlt, unless an interrupt came since the caller
 *                         decided to halt (rdi: the count at that time), and the port accesses of Instructions.h
 *
 * Port accesses do not rely on an I/O privilege level: not every host that runs ring 3 natively honours it. The program
 * ends in ring 3, by a port access.
 */

    .set    USER_DATA, 0x18 + 3
    .set    USER_CODE, 0x20 + 3
    .set    TASK, 0x28
    .set    FLAGS, 0x202                        /* I/O privilege level 0, interrupts on */

    .code64
    .section .text.ring3, "ax", @progbits

/* enterRing3(startInfo): calls benchMain(startInfo) in ring 3, on the same stack. */
    .globl  enterRing3
enterRing3:
    movq    $ring0_stack, task_state + 4        /* rsp0 */
    movw    $104, task_state + 102              /* no I/O permission map: no port */
    movl    $task_state, %eax
    movw    %ax, ring3_gdt + TASK + 2
    shrl    $16, %eax
    movb    %al, ring3_gdt + TASK + 4
    movb    %ah, ring3_gdt + TASK + 7
    lgdt    ring3_gdt_pointer
    movl    $TASK, %eax
    ltr     %ax

    movl    $idt + 13 * 16, %ecx
    movl    $protection_fault, %eax
    call    setGate
    movl    $USER_DATA, %eax
    movl    %eax, %ds
    movl    %eax, %es
    movq    %rsp, %rcx
    pushq   $USER_DATA
    pushq   %rcx
    pushq   $FLAGS
    pushq   $USER_CODE
    pushq   $benchMain
    iretq

/* ecx: address of a gate, eax: its handler. */
setGate:
    movw    %ax, (%rcx)
    shrl    $16, %eax
    movw    %ax, 6(%rcx)
    ret

/* takeInterrupts(vector, base): handles the vector of the device whose window is at base. */
    .globl  takeInterrupts
takeInterrupts:
    movq    %rsi, ring3_device
    movl    %edi, %ecx
    shll    $4, %ecx
    addl    $idt, %ecx
    movl    $device_interrupt, %eax
    jmp     setGate

device_interrupt:
    pushq   %rax
    pushq   %rcx
    movq    ring3_device, %rcx
    movl    0x60(%rcx), %eax                    /* InterruptStatus */
    testl   %eax, %eax
    jz      1f
    movl    %eax, 0x64(%rcx)                    /* InterruptACK */
    incq    ring3_interrupts
1:  movl    $0xfee000b0, %ecx                   /* end of interrupt */
    movl    $0, (%rcx)
    popq    %rcx
    popq    %rax
    iretq

/* haltUnlessInterrupted(seen): returns at the next interrupt, or at once if ring3_interrupts is not `seen`. */
    .globl  haltUnlessInterrupted
haltUnlessInterrupted:
    movl    %cs, %eax
    testl   $3, %eax
    jz      1f
    hlt
    ret
1:  cli
    cmpq    %rdi, ring3_interrupts
    jne     2f
    sti
    hlt
    ret
2:  sti
    ret

protection_fault:
    cmpl    $0, (%rsp)                          /* error code 0: no selector involved */
    jne     unknown
    pushq   %rcx
    movq    16(%rsp), %rcx                      /* rip */
    movl    (%rcx), %ecx
    cmpb    $0xf4, %cl
    je      halt
    cmpb    $0xed, %cl
    je      in_dx
    cmpb    $0xee, %cl
    je      out_byte_dx
    cmpb    $0xef, %cl
    je      out_word_dx
    cmpb    $0xe6, %cl
    je      out_byte
    cmpb    $0xe7, %cl
    je      out_word
    popq    %rcx
unknown:
    pushq   $13
    jmp     taken
halt:
    cmpq    %rdi, ring3_interrupts
    jne     one_byte
    sti                                         /* takes effect after the next instruction */
    hlt
    jmp     one_byte
in_dx:
    inl     %dx, %eax
    jmp     one_byte
out_byte_dx:
    outb    %al, %dx
    jmp     one_byte
out_word_dx:
    outl    %eax, %dx
one_byte:
    popq    %rcx
    addq    $1, 8(%rsp)
    jmp     return
out_byte:
    xchgq   %rcx, %rdx
    movzbl  %dh, %edx
    outb    %al, %dx
    jmp     two_bytes
out_word:
    xchgq   %rcx, %rdx
    movzbl  %dh, %edx
    outl    %eax, %dx
two_bytes:
    movq    %rcx, %rdx
    popq    %rcx
    addq    $2, 8(%rsp)
return:
    addq    $8, %rsp
    iretq

    .data
    .balign 16
ring3_gdt:
    .quad   0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x00cff3000000ffff, 0x00affb000000ffff
    .quad   0x0000890000000067, 0
ring3_gdt_pointer:
    .word   ring3_gdt_pointer - ring3_gdt - 1
    .quad   ring3_gdt

    .bss
    .balign 16
task_state:
    .skip   112
    .skip   4096
ring0_stack:
/* Number of the device's interrupts with a bit set in InterruptStatus. */
    .globl  ring3_interrupts
ring3_interrupts:
    .skip   8
ring3_device:
    .skip   8
