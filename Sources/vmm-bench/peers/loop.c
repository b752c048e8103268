// The minimum that runs the guest: KVM_RUN and a switch. vmm's register round trip and start are compared with it. It
// has one device window, in which MagicValue reads "virt" and everything else 0, and a serial port for the guest's
// output.
//
//   loop GUEST COMMAND-LINE       runs the ELF file from its PVH entry in 128 MiB; ends when the guest powers off

#include <elf.h>
#include <err.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MEMORY = 128 << 20, START_INFO = 0x6000, COMMAND_LINE = 0x7000, WINDOW = 0xd0000000 };

static unsigned entry;

static void load(char *ram, const char *path) {
    int file = open(path, O_RDONLY);
    Elf64_Ehdr head;
    Elf64_Phdr part;
    if (file < 0 || pread(file, &head, sizeof head, 0) != sizeof head) err(1, "%s", path);
    for (int n = 0; n < head.e_phnum; n++) {
        if (pread(file, &part, sizeof part, head.e_phoff + n * sizeof part) != sizeof part) err(1, "%s", path);
        if (part.p_type != PT_LOAD) continue;
        if (part.p_paddr + part.p_memsz > MEMORY) errx(1, "%s: too big", path);
        if (pread(file, ram + part.p_paddr, part.p_filesz, part.p_offset) != (ssize_t)part.p_filesz) err(1, "%s", path);
    }
    entry = head.e_entry;
    close(file);
}

int main(int count, char **arguments) {
    if (count != 3) errx(64, "usage: loop GUEST COMMAND-LINE");
    char *ram = mmap(0, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (ram == MAP_FAILED) err(1, "memory");
    load(ram, arguments[1]);
    strncpy(ram + COMMAND_LINE, arguments[2], 2047);
    *(unsigned long *)(ram + START_INFO + 24) = COMMAND_LINE;

    int kvm = open("/dev/kvm", O_RDWR);
    if (kvm < 0) err(1, "/dev/kvm");
    int vm = ioctl(kvm, KVM_CREATE_VM, 0);
    unsigned long identity = 0xfffbc000;
    struct kvm_userspace_memory_region region = {.memory_size = MEMORY, .userspace_addr = (unsigned long)ram};
    if (vm < 0 || ioctl(vm, KVM_SET_IDENTITY_MAP_ADDR, &identity) || ioctl(vm, KVM_SET_TSS_ADDR, identity + 0x1000)
        || ioctl(vm, KVM_CREATE_IRQCHIP, 0) || ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region)) err(1, "machine");
    int cpu = ioctl(vm, KVM_CREATE_VCPU, 0), size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
    struct kvm_run *run = mmap(0, size, PROT_READ | PROT_WRITE, MAP_SHARED, cpu, 0);
    struct { struct kvm_cpuid2 head; struct kvm_cpuid_entry2 entries[256]; } table = {.head.nent = 256};
    if (run == MAP_FAILED || ioctl(kvm, KVM_GET_SUPPORTED_CPUID, &table) || ioctl(cpu, KVM_SET_CPUID2, &table)) err(1, "processor");

    struct kvm_sregs special;
    ioctl(cpu, KVM_GET_SREGS, &special);
    struct kvm_segment flat = {.limit = ~0u, .selector = 16, .type = 3, .present = 1, .db = 1, .s = 1, .g = 1};
    special.ds = special.es = special.fs = special.gs = special.ss = flat;
    flat.selector = 8, flat.type = 11, special.cs = flat;
    special.tr = (struct kvm_segment){.limit = 0x67, .selector = 24, .type = 11, .present = 1};
    special.cr0 = 1, special.cr4 = 0, special.efer = 0;
    struct kvm_regs registers = {.rip = entry, .rbx = START_INFO, .rflags = 2};
    if (ioctl(cpu, KVM_SET_SREGS, &special) || ioctl(cpu, KVM_SET_REGS, &registers)) err(1, "registers");

    for (;;) {
        if (ioctl(cpu, KVM_RUN, 0)) err(1, "KVM_RUN");
        void *data = (char *)run + run->io.data_offset;
        switch (run->exit_reason) {
        case KVM_EXIT_MMIO:
            if (!run->mmio.is_write) memcpy(run->mmio.data, run->mmio.phys_addr == WINDOW ? "virt\0\0\0" : "\0\0\0\0\0\0\0", 8);
            break;
        case KVM_EXIT_IO:
            if (run->io.direction == KVM_EXIT_IO_IN) memset(data, 0xff, run->io.size * run->io.count);
            else if (run->io.port == 0x600) return 0;
            else if (run->io.port == 0xf4) return 85;
            else if (run->io.port == 0x3f8 && write(1, data, 1) != 1) err(1, "output");
            break;
        default: errx(1, "exit reason %d", run->exit_reason);
        }
    }
}
