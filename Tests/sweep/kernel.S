// A PVH kernel that prints its command line and a new line to the console, and does what the last character says: a digit is written to
// the debug-exit port, `v` breaks a clause and powers off, `l` never ends, and any other powers off.
    .section .note, "a", @note
    .long 4, 4, 18
    .asciz "Xen"
    .long start
    .text
    .code32
    .globl start
start:
    mov 24(%ebx), %esi              // the command line
    mov $0xd0000100, %edi           // the console's configuration; its emerg_wr is at 8
    mov $10, %ebp
1:  movzbl (%esi), %eax
    inc %esi
    test %eax, %eax
    jz 2f
    mov %eax, 8(%edi)
    mov %eax, %ebp
    jmp 1b
2:  movl $10, 8(%edi)
    cmp $'l', %ebp
    je .
    cmp $'v', %ebp
    jne 3f
    movl $4, -0x90(%edi)            // Status: DRIVER_OK before all else
3:  lea -'0'(%ebp), %eax
    cmp $9, %eax
    ja 4f
    out %eax, $0xf4
    jmp .
4:  mov $0x600, %dx
    mov $0x34, %al
    out %al, %dx
    jmp .
