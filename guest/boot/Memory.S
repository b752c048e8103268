/*
 * The memory functions that compilers call implicitly. They move eight bytes per step: where ring 0 is emulated, a
 * step costs the same whatever its width. Each has its own section, so that the linker drops unused ones.
 */

    .code64
    .section .text.memset, "ax", @progbits
    .globl  memset
memset:
    movq    %rdi, %r8
    movzbl  %sil, %eax
    movabsq $0x0101010101010101, %rcx
    imulq   %rcx, %rax
    movq    %rdx, %rcx
    shrq    $3, %rcx
    rep stosq
    movl    %edx, %ecx
    andl    $7, %ecx
    rep stosb
    movq    %r8, %rax
    ret

    .section .text.memmove, "ax", @progbits
    .globl  memcpy
    .globl  memmove
memcpy:
memmove:
    movq    %rdi, %rax
    movq    %rdi, %rcx
    subq    %rsi, %rcx
    cmpq    %rdx, %rcx                          /* a destination inside the source: copy from the end */
    jb      1f
    movq    %rdx, %rcx
    shrq    $3, %rcx
    rep movsq
    movl    %edx, %ecx
    andl    $7, %ecx
    rep movsb
    ret
1:  leaq    -1(%rdi,%rdx), %rdi
    leaq    -1(%rsi,%rdx), %rsi
    movq    %rdx, %rcx
    std
    rep movsb
    cld
    ret

    .section .text.memcmp, "ax", @progbits
    .globl  memcmp
memcmp:
    xorl    %ecx, %ecx
1:  cmpq    %rcx, %rdx
    je      2f
    movzbl  (%rdi,%rcx), %eax
    movzbl  (%rsi,%rcx), %r8d
    incq    %rcx
    subl    %r8d, %eax
    je      1b
    ret
2:  xorl    %eax, %eax
    ret
