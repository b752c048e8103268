/*
 * What the first processor and the others do alike, in protected and in real mode: what long mode needs before paging is turned on, and
 * the segments afterwards.
 */

    .set    CODE_SELECTOR, 8
    .set    DATA_SELECTOR, 16

    .macro  prepare_long_mode
    movl    %cr4, %eax
    orl     $(1 << 5), %eax                     /* physical address extension */
    movl    %eax, %cr4
    movl    $pml4, %eax
    movl    %eax, %cr3
    movl    $0xc0000080, %ecx                   /* EFER: long mode enable */
    rdmsr
    orl     $(1 << 8), %eax
    wrmsr
    .endm

    .macro  load_segments
    movl    $DATA_SELECTOR, %eax
    movl    %eax, %ds
    movl    %eax, %es
    movl    %eax, %ss
    .endm
