/*
 * The other processors: each starts in real mode at the page that the startup interrupt names, enters long mode with the first
 * processor's tables, and calls processorMain with its APIC id, on a stack of its own. Interrupts stay off.
 */

#include "LongMode.h"

    .set    STACK_SIZE, 16384
    .set    PROCESSORS, 8
    .set    PAGE, 0x8000                        /* where startProcessors copies the code to */

    .section .rodata.processors, "a", @progbits
    .code16
processor_code:
    cli
    cld
    xorw    %ax, %ax
    movw    %ax, %ds
    lgdtl   PAGE + (processor_gdt - processor_code)
    prepare_long_mode
    movl    $0x80000011, %eax                   /* paging, protection, caches on */
    movl    %eax, %cr0
    ljmpl   $CODE_SELECTOR, $processor_long_mode
processor_gdt:
    .word   23
    .long   gdt
processor_code_end:

    .section .text.processors, "ax", @progbits
    .code64
processor_long_mode:
    load_segments
    lidt    idt_pointer
    movl    $0xfee00020, %eax                   /* the local APIC's id */
    movl    (%rax), %edi
    shrl    $24, %edi
    movl    %edi, %eax
    imull   $STACK_SIZE, %eax, %eax
    leaq    processor_stacks(%rax), %rsp
    xorl    %ebp, %ebp
    call    processorMain
    ud2

/* void startProcessors(void): INIT and two startup interrupts to all processors but this one. */
    .globl  startProcessors
startProcessors:
    movl    $processor_code, %esi
    movl    $PAGE, %edi
    movl    $(processor_code_end - processor_code), %ecx
    rep movsb
    movl    $0xfee00300, %eax                   /* the local APIC's interrupt command */
    movl    $0xc4500, (%rax)
    movl    $(0xc4600 + PAGE / 4096), (%rax)
    movl    $(0xc4600 + PAGE / 4096), (%rax)
    ret

    .bss
    .balign 16
    .globl  processor_stacks
processor_stacks:                               /* that of processor n ends at n * STACK_SIZE; the first needs none here */
    .skip   (PROCESSORS - 1) * STACK_SIZE
