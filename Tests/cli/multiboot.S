// Kernels for the Multiboot protocols, chosen by -D: VERSION is 1 or 2; HEADER changes the flags or adds tags. Each checks the
// numbers of its boot information, exits with 9 by debug-exit if one is wrong, prints the strings at COM1, and powers off.
#ifndef FLAGS
#define FLAGS 3
#endif
#ifndef SUM
#define SUM 0
#endif
    .text
    .code32
    .globl start
#if VERSION == 1
    .balign 4
header:
    .long 0x1badb002, FLAGS, SUM - 0x1badb002 - (FLAGS)
#if FLAGS & 0x10000
    .long header, header, 0, end + 4096, start
#endif
#else
    .balign 8
header:
    .long 0xe85250d6, 0, headerEnd - header, SUM - 0xe85250d6 - (headerEnd - header)
    // Information: the display is known and not there. Modules on pages. EFI's entry is not for this board.
    .word 1, 0
    .long 12, 8
    .balign 8
    .word 6, 0
    .long 8
    .word 9, 0
    .long 12, 0
    .balign 8
#ifdef ADDRESSES
    .word 2, 0
    .long 24, header, -1, 0, end + 4096
    .word 3, 0
    .long 12, start
    .balign 8
#endif
#ifdef RELOCATABLE
    .word 10, 0
    .long 24, 0x400000, 0x7ffffff, 0x200000, 0
#endif
#ifdef TAG
    .word TAG
    .long 12, 0x1001
    .balign 8
#endif
    .word 0, 0
    .long 8
headerEnd:
#endif

// Position-independent: a relocated image runs as it is.
start:
    mov $0x7c00, %esp
#if VERSION == 1
    cmp $0x2badb002, %eax
    jne wrong
    cmpl $0x24d, (%ebx)
    jne wrong
    cmpl $640, 4(%ebx)
    jne wrong
    cmpl $130048, 8(%ebx)       // -m 128M
    jne wrong
    cmpl $72, 44(%ebx)          // three ranges
    jne wrong
    mov 48(%ebx), %esi
    cmpl $20, (%esi)
    jne wrong
    cmpl $0xa0000, 12(%esi)
    jne wrong
    cmpl $2, 44(%esi)           // the second is reserved
    jne wrong
    mov 64(%ebx), %esi
    call print
    mov 16(%ebx), %esi
    call print
    mov 20(%ebx), %ecx
    mov 24(%ebx), %edi
1:  jecxz done
    testl $0xfff, (%edi)
    jnz wrong
    mov 8(%edi), %esi
    call print
    mov (%edi), %esi
    call print
    add $16, %edi
    dec %ecx
    jmp 1b
#else
    cmp $0x36d76289, %eax
    jne wrong
    lea 8(%ebx), %edi
    add (%ebx), %ebx            // the end
1:  cmp %ebx, %edi
    jae wrong
    mov (%edi), %eax
    lea 8(%edi), %esi
    cmp $0, %eax
    je done
    cmp $2, %eax
    jbe text
    cmp $15, %eax
    je text
    cmp $3, %eax
    jne 2f
    testl $0xfff, (%esi)
    jnz wrong
    add $8, %esi
    call print
    mov 8(%edi), %esi
    jmp text
2:  cmp $4, %eax
    jne 3f
    cmpl $640, (%esi)
    jne wrong
    cmpl $130048, 4(%esi)
    jne wrong
3:  cmp $6, %eax
    jne 4f
    cmpl $24, (%esi)
    jne wrong
    cmpl $2, 48(%esi)
    jne wrong
4:  cmp $21, %eax
    jne next
    cmpl $0x400000, (%esi)
    jne wrong
    call 5f
5:  pop %eax
    cmp $0x400000, %eax
    jb wrong
    jmp next
text:
    call print
next:
    mov 4(%edi), %eax
    add $7, %eax
    and $~7, %eax
    add %eax, %edi
    jmp 1b
#endif
done:
    mov $0x600, %dx
    mov $0x34, %al
    out %al, %dx
wrong:
    mov $4, %al
    out %al, $0xf4

// Prints the string at esi up to a zero or a new line, and a new line.
print:
    push %eax
    mov $0x3f8, %dx
1:  lodsb
    cmp $10, %al
    je 2f
    test %al, %al
    jz 2f
    out %al, %dx
    jmp 1b
2:  mov $10, %al
    out %al, %dx
    pop %eax
    ret
end:
