// The start of a program on QEMU's machine `virt`, aarch64, without an operating system. It turns the MMU on, so that memory is cached
// and atomic accesses and those that are not aligned are as on any machine: one table of 1 GiB blocks, devices from 0, RAM from 1 GiB.

        .section .text.start, "ax"
        .globl start
start:  ldr     x0, =stack_end
        mov     sp, x0
        mov     x0, #(3 << 20)                  // CPACR_EL1.FPEN: floating point and vectors
        msr     cpacr_el1, x0
        ldr     x0, =table
        ldr     x1, =0x00000401                 // block, access flag, attribute 0: device
        str     x1, [x0]
        ldr     x1, =0x40000705                 // block, access flag, inner shareable, attribute 1: memory
        str     x1, [x0, #8]
        mov     x1, #0xff00                     // attribute 0: Device-nGnRnE; 1: write-back
        msr     mair_el1, x1
        ldr     x1, =0x00803519                 // 39 bits of address below, pages of 4 KiB, cached walks, nothing above
        msr     tcr_el1, x1
        msr     ttbr0_el1, x0
        dsb     sy
        isb
        mrs     x1, sctlr_el1
        mov     x2, #0x1005                     // MMU, data and instruction cache
        orr     x1, x1, x2
        msr     sctlr_el1, x1
        isb
        mov     w0, #0
        mov     x1, #0
        bl      main
        bl      exit

// PSCI's SYSTEM_OFF, which ends QEMU.
        .globl power_off
power_off:
        ldr     w0, =0x84000008
        hvc     #0
        b       .

        .section .bss.table, "aw", @nobits
        .balign 4096
table:  .skip   4096
        .section .bss.stack, "aw", @nobits
        .balign 16
        .skip   0x40000
stack_end:
