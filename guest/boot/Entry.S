/*
 * PVH entry point (Xen's x86/HVM direct boot ABI): starts in 32-bit protected mode with paging off and ebx =
 * hvm_start_info, builds identity-mapped page tables and an interrupt descriptor table, enters long mode and calls
 * guestMain.
 *
 *   PML4[0] -> PDPT[0..3] -> four page directories, 2048 entries of 2 MiB: the low 4 GiB, each address mapped to itself
 */

#include "LongMode.h"

    .set    VECTORS, 64                 /* 0 to 31 exceptions, 32 + n the IOAPIC's input n, 63 spurious */

    .section .note.pvh, "a", @note
    .balign 4
    .long   4, 8, 18                    /* sizes of name and descriptor, XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz  "Xen"
    .quad   entry

    .section .text.entry, "ax", @progbits
    .code32
    .globl  entry
entry:
    cld
    movl    $stack_top, %esp

    movl    $(page_directories + 7), %eax       /* 7: present, writable, user */
    movl    $pdpt, %edi
    movl    $4, %ecx
1:  movl    %eax, (%edi)
    addl    $0x1000, %eax
    addl    $8, %edi
    loop    1b
    movl    $(pdpt + 7), pml4

    movl    $0x87, %eax                         /* the same, and a 2 MiB page */
    movl    $page_directories, %edi
    movl    $2048, %ecx
1:  movl    %eax, (%edi)
    addl    $0x200000, %eax
    addl    $8, %edi
    loop    1b

    prepare_long_mode
    movl    %cr0, %eax
    orl     $0x80000001, %eax                   /* paging, protection */
    movl    %eax, %cr0
    lgdt    gdt_pointer
    ljmp    $CODE_SELECTOR, $long_mode

    .code64
long_mode:
    load_segments

    movl    $stubs, %eax
    movl    $idt, %edi
    movl    $VECTORS, %ecx
1:  movl    %eax, %edx
    shrl    $16, %edx
    movw    %ax, (%rdi)
    movw    $CODE_SELECTOR, 2(%rdi)
    movw    $0x8e00, 4(%rdi)                    /* present interrupt gate */
    movw    %dx, 6(%rdi)
    addl    $16, %eax
    addl    $16, %edi
    loop    1b
    lidt    idt_pointer

    movl    %ebx, %edi
    xorl    %ebp, %ebp
    call    guestMain
    ud2

/* One stub per vector, 16 bytes each. Every frame is the same: vector, error code, rip, cs, rflags, rsp, ss. */
    .balign 16
stubs:
    .set    vector, 0
    .rept   VECTORS
    .balign 16
    .if     (vector == 8) || (vector >= 10 && vector <= 14) || (vector == 17) || (vector == 21)
    .else
    pushq   $0
    .endif
    pushq   $vector
    jmp     taken
    .set    vector, vector + 1
    .endr

    .globl  taken
taken:
    pushq   %rax
    pushq   %rcx
    pushq   %rdx
    pushq   %rsi
    pushq   %rdi
    pushq   %r8
    pushq   %r9
    pushq   %r10
    pushq   %r11
    movq    72(%rsp), %rdi                      /* vector */
    movq    80(%rsp), %rsi                      /* error code */
    movq    88(%rsp), %rdx                      /* rip */
    cld
    cmpl    $32, %edi
    jb      exception
    call    interruptTaken
    popq    %r11
    popq    %r10
    popq    %r9
    popq    %r8
    popq    %rdi
    popq    %rsi
    popq    %rdx
    popq    %rcx
    popq    %rax
    addq    $16, %rsp
    iretq
exception:
    call    exceptionTaken
    ud2

    .section .rodata.tables, "a", @progbits
    .balign 8
    .globl  gdt, idt_pointer
gdt:
    .quad   0, 0x00af9b000000ffff, 0x00cf93000000ffff
gdt_pointer:
    .word   gdt_pointer - gdt - 1
    .long   gdt
idt_pointer:
    .word   VECTORS * 16 - 1
    .quad   idt

    .bss
    .balign 4096
    .globl  pml4
pml4:
    .skip   4096
pdpt:
    .skip   4096
page_directories:
    .skip   4 * 4096
    .globl  idt
idt:
    .skip   VECTORS * 16
    .balign 16
    .skip   32768
stack_top:
/* Words shared by the interrupt handler and the program; see Instructions.h. */
    .globl  shared_words
shared_words:
    .skip   1024
    .balign 4096
    .globl  arena_start
arena_start:
    .skip   512 * 1024
    .globl  arena_end
arena_end:
