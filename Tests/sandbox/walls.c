// What the threads of a running vmm may do: makes system calls in each of them, as a guest would that has taken a thread over, and says
// of each whether the sandbox trapped it. It needs no help of vmm's: the calls are made with ptrace, and the SIGSYS that would end vmm is
// taken away, so that one vmm serves all attempts. Static, so that it also runs in a bare initramfs.
//
// usage: walls PID            every attempt in every thread; exit code 1 if one is not refused
//        walls PID -          the first attempt alone, for a vmm without a sandbox, which the others would change
//        walls PID THREAD     execve in that thread, whose SIGSYS then ends vmm

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

// What follows is harmless to a host without a sandbox.
//
// Addresses of data in the thread's stack, which `scratch` holds: a path, a second path, zeroes, the address of an abstract socket.
enum { PATH = -1000, OTHER, ZEROES, ABSTRACT, BESIDE };

struct attempt {
    const char *name;
    long call, arguments[6];
    // The threads that may make the call, whose result must then be -errno `refusal`.
    const char *permitted;
    long refusal;
};

static const struct attempt attempts[] = {
    {"open a file", SYS_open, {PATH, O_RDONLY}},
    {"open a file, by openat", SYS_openat, {AT_FDCWD, PATH, O_RDONLY}, "", EACCES},
    {"open a file, by openat2", 437, {AT_FDCWD, PATH, ZEROES, 24}},
    {"open a descriptor again", SYS_openat, {AT_FDCWD, OTHER, O_RDWR}, "", EACCES},
    {"make a file", SYS_creat, {BESIDE, 0600}},
    {"truncate a file", SYS_truncate, {PATH, 0}},
    {"rename a file", SYS_rename, {PATH, BESIDE}, "snapshot", EACCES},
    {"link a file", SYS_linkat, {AT_FDCWD, PATH, AT_FDCWD, BESIDE, 0}},
    {"make a symbolic link", SYS_symlink, {PATH, BESIDE}},
    {"remove a file", SYS_unlink, {PATH}, "vmm signals snapshot", EACCES},
    {"remove a file, by unlinkat", SYS_unlinkat, {AT_FDCWD, PATH, 0}},
    {"make a folder", SYS_mkdir, {BESIDE, 0700}, "snapshot", EACCES},
    {"remove a folder", SYS_rmdir, {PATH}, "snapshot", EACCES},
    {"make a device", SYS_mknod, {BESIDE, S_IFCHR | 0600, 0x103}},
    {"change a mode", SYS_chmod, {PATH, 0777}},
    {"change an owner", SYS_chown, {PATH, 0, 0}},
    {"set an attribute", SYS_setxattr, {PATH, OTHER, ZEROES, 1, 0}},
    {"change the folder", SYS_chdir, {PATH}},
    {"change the root", SYS_chroot, {PATH}},
    {"open by a handle", SYS_open_by_handle_at, {0, ZEROES, 0}},
    {"map code", SYS_mmap, {0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0}},
    {"make memory code", SYS_mprotect, {ZEROES, 4096, PROT_READ | PROT_EXEC}},
    {"make memory code, with a key", SYS_pkey_mprotect, {ZEROES, 4096, PROT_READ | PROT_EXEC, -1}},
    {"make a file in memory", SYS_memfd_create, {PATH, 0}},
    {"execute a program", SYS_execve, {PATH, 0, 0}},
    {"execute a descriptor", SYS_execveat, {0, ZEROES, 0, 0, AT_EMPTY_PATH}},
    {"fork", SYS_fork, {0}},
    {"vfork", SYS_vfork, {0}},
    {"start a process, by clone", SYS_clone, {SIGCHLD, 0, 0, 0, 0}},
    {"start a process, by clone3", SYS_clone3, {ZEROES, 88}, "blk snapshot", ENOSYS},
    {"leave name spaces", SYS_unshare, {CLONE_NEWUSER}},
    {"enter name spaces", SYS_setns, {0, 0}},
    {"trace a process", SYS_ptrace, {PTRACE_ATTACH, 0, 0, 0}},
    {"read a process", SYS_process_vm_readv, {1, ZEROES, 1, ZEROES, 1, 0}},
    {"write a process", SYS_process_vm_writev, {1, ZEROES, 1, ZEROES, 1, 0}},
    {"signal a process", SYS_kill, {1, 0}},
    {"signal a thread of another process", SYS_tgkill, {1, 1, 0}},
    {"signal a thread", SYS_tkill, {1, 0}},
    {"queue a signal", SYS_rt_sigqueueinfo, {1, 0, ZEROES}},
    {"open a process", SYS_pidfd_open, {1, 0}},
    {"set limits of a process", SYS_prlimit64, {1, 0, 0, ZEROES}},
    {"mount", SYS_mount, {PATH, PATH, ZEROES, 0, 0}},
    {"mount, by descriptors", SYS_move_mount, {AT_FDCWD, PATH, AT_FDCWD, PATH, 0}},
    {"load a program into the kernel", SYS_bpf, {0, ZEROES, 64}},
    {"load a module", SYS_finit_module, {0, ZEROES, 0}},
    {"load a kernel", SYS_kexec_load, {0, 0, 0, 0}},
    {"reboot", SYS_reboot, {0, 0, 0}},
    {"count events", SYS_perf_event_open, {ZEROES, 0, -1, -1, 0}},
    {"handle page faults", SYS_userfaultfd, {0}},
    {"use keys", SYS_keyctl, {0, -1, 0}},
    {"add a key", SYS_add_key, {PATH, PATH, ZEROES, 1, -1}},
    {"ports of the processor", SYS_iopl, {3}},
    {"segments of the processor", SYS_modify_ldt, {0, ZEROES, 16}},
    {"set the clock", SYS_clock_settime, {99, ZEROES}},
    {"become a user", SYS_setresuid, {0, 0, 0}},
    {"take capabilities", SYS_capset, {ZEROES, ZEROES}},
    {"be dumpable", SYS_prctl, {PR_SET_DUMPABLE, 1, 0, 0, 0}},
    {"another filter", SYS_seccomp, {1, 0, ZEROES}},
    {"make a ring", SYS_io_uring_setup, {8, ZEROES}},
    {"register with a ring", SYS_io_uring_register, {0, IORING_REGISTER_FILES, ZEROES, 1}},
    {"a socket of the network", SYS_socket, {AF_INET, SOCK_STREAM, 0}},
    {"a raw socket", SYS_socket, {AF_PACKET, SOCK_RAW, 0}},
    {"a socket of the kernel", SYS_socket, {AF_NETLINK, SOCK_RAW, 0}},
    {"a socket of the host", SYS_socket, {AF_VSOCK, SOCK_STREAM, 0}},
    {"bind a socket", SYS_bind, {0, ABSTRACT, 12}},
    {"pass a descriptor", SYS_sendmsg, {0, ZEROES, 0}},
    {"type at the terminal", SYS_ioctl, {0, TIOCSTI, PATH}},
    {"make a machine", SYS_ioctl, {0, 0xae01, 0}},
    {"give a machine memory", SYS_ioctl, {0, 0x4020ae46, ZEROES}},
    {"make an interface", SYS_ioctl, {0, 0x400454ca, ZEROES}},
    {"a call of the x32 interface", 0x40000000 | SYS_openat, {AT_FDCWD, PATH, O_RDONLY}},
    {"a call without a name", 1000, {0}},
};

static void die(const char *what)
{
    fprintf(stderr, "walls: %s: %s\n", what, strerror(errno));
    exit(2);
}

// A place in the process where the instruction with these two bytes is, in the process's code; 0 if there is none.
static unsigned long find_instruction(int process, const char *bytes)
{
    char name[64], line[512];
    snprintf(name, sizeof name, "/proc/%d/maps", process);
    FILE *maps = fopen(name, "r");
    snprintf(name, sizeof name, "/proc/%d/mem", process);
    int memory = open(name, O_RDONLY);
    if (!maps || memory < 0) die("cannot look into vmm");
    unsigned long found = 0, start, end;
    char rights[8];
    while (!found && fgets(line, sizeof line, maps)) {
        if (sscanf(line, "%lx-%lx %7s", &start, &end, rights) != 3 || rights[2] != 'x' || strstr(line, "[vsyscall]")) continue;
        char *content = malloc(end - start);
        ssize_t count = pread(memory, content, end - start, (off_t)start);
        char *place = count > 0 ? memmem(content, (size_t)count, bytes, 2) : 0;
        if (place) found = start + (unsigned long)(place - content);
        free(content);
    }
    fclose(maps);
    close(memory);
    return found;
}

static void await(int thread, int *status)
{
    while (waitpid(thread, status, __WALL) < 0)
        if (errno != EINTR) die("waitpid");
}

// Stops `thread` outside any system call; its registers are `saved`.
static void stop(int thread, struct user_regs_struct *saved)
{
    int status;
    if (ptrace(PTRACE_SEIZE, thread, 0, PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC) < 0)
        die("cannot trace vmm");
    if (ptrace(PTRACE_INTERRUPT, thread, 0, 0) < 0) die("cannot stop vmm");
    await(thread, &status);
    if (ptrace(PTRACE_GETREGS, thread, 0, saved) < 0) die("no registers");
}

// Makes the call with the instruction at `place`; returns what it returned. With `traps`, the SIGSYS of a filter is taken away and sets it;
// without, it ends the process.
static long make_call(int thread, unsigned long place, const struct user_regs_struct *saved, long call, const long *arguments, int *traps)
{
    struct user_regs_struct registers = *saved;
    registers.rip = place;
    registers.rax = (unsigned long)call;
    registers.orig_rax = -1UL;
    registers.rdi = arguments[0], registers.rsi = arguments[1], registers.rdx = arguments[2];
    registers.r10 = arguments[3], registers.r8 = arguments[4], registers.r9 = arguments[5];
    if (ptrace(PTRACE_SETREGS, thread, 0, &registers) < 0) die("cannot set registers");
    if (!traps) return ptrace(PTRACE_DETACH, thread, 0, 0);
    *traps = 0;
    if (ptrace(PTRACE_SINGLESTEP, thread, 0, 0) < 0) die("cannot step");
    for (int status;;) {
        await(thread, &status);
        if (!WIFSTOPPED(status)) {
            errno = ESRCH;
            die("the attempt ended vmm");
        }
        siginfo_t signal;
        if (WSTOPSIG(status) == SIGSYS) {
            *traps = ptrace(PTRACE_GETSIGINFO, thread, 0, &signal) == 0 && signal.si_code == 1;
            // The trap of the step comes after it.
            ptrace(PTRACE_SINGLESTEP, thread, 0, 0);
            continue;
        }
        if (WSTOPSIG(status) == SIGTRAP && status >> 16 == 0) break;
        // An event of the call, such as a child; or another signal, which comes again.
        unsigned long child = 0;
        if (status >> 16 && ptrace(PTRACE_GETEVENTMSG, thread, 0, &child) == 0 && status >> 16 != PTRACE_EVENT_EXEC) kill((int)child, SIGKILL);
        ptrace(PTRACE_SINGLESTEP, thread, 0, 0);
    }
    if (ptrace(PTRACE_GETREGS, thread, 0, &registers) < 0) die("no registers");
    return (long)registers.rax;
}

static void resume(int thread, struct user_regs_struct *saved)
{
    // A system call that was interrupted is made again.
    long result = (long)saved->rax;
    if ((long)saved->orig_rax >= 0 && result <= -512 && result >= -516) {
        saved->rax = result == -516 ? SYS_restart_syscall : saved->orig_rax;
        saved->rip -= 2;
    }
    saved->orig_rax = -1UL;
    ptrace(PTRACE_SETREGS, thread, 0, saved);
    ptrace(PTRACE_DETACH, thread, 0, 0);
}

static void put(int thread, unsigned long address, const void *data, size_t size)
{
    for (size_t done = 0; done < size; done += sizeof(long)) {
        long word = 0;
        memcpy(&word, (const char *)data + done, size - done < sizeof word ? size - done : sizeof word);
        if (ptrace(PTRACE_POKEDATA, thread, address + done, word) < 0) die("cannot write into vmm");
    }
}

// Whether one of the words of `names` begins `thread`; no word is every thread.
static int permits(const char *names, const char *thread)
{
    for (const char *word = names;; word++) {
        size_t length = strcspn(word, " ");
        if (strncmp(word, thread, length) == 0) return 1;
        word += length;
        if (!*word) return 0;
    }
}

// The first `most` attempts in one thread; returns how many were not refused.
static int attempt_all(size_t most, int thread, const char *name, unsigned long place, unsigned long old_call, const char *path, int *count)
{
    struct user_regs_struct saved;
    stop(thread, &saved);
    unsigned long scratch = (saved.rsp & ~4095UL) - 8192;
    char zeroes[128] = {0}, beside[256], abstract[16] = {AF_UNIX, 0, 0, 'v', 'm', 'm', '-', 'w', 'a', 'l', 'l', 's'};
    snprintf(beside, sizeof beside, "%s.new", path);
    put(thread, scratch, path, strlen(path) + 1);
    put(thread, scratch + 256, "/proc/self/fd/0", 16);
    put(thread, scratch + 512, zeroes, sizeof zeroes);
    put(thread, scratch + 768, abstract, sizeof abstract);
    put(thread, scratch + 1024, beside, strlen(beside) + 1);
    int failed = 0, traps;
    for (size_t i = 0; i < most; i++) {
        const struct attempt *a = &attempts[i];
        long arguments[6];
        // Landlock has no rights for pipes, so the thread that opens files may open its own again.
        if (a->call == SYS_openat && a->arguments[1] == OTHER && !strcmp(name, "snapshot")) continue;
        for (int n = 0; n < 6; n++)
            arguments[n] = a->arguments[n] < PATH || a->arguments[n] > BESIDE ? a->arguments[n] : (long)(scratch + 256 * (a->arguments[n] - PATH));
        if (a->call == SYS_mprotect || a->call == SYS_pkey_mprotect) arguments[0] = (long)(scratch & ~4095UL);
        long result = make_call(thread, place, &saved, a->call, arguments, &traps);
        int is_permitted = a->permitted && permits(a->permitted, name);
        ++*count;
        if (is_permitted ? !traps && result == -a->refusal : traps) continue;
        failed++;
        printf("not ok - %s: %s: %s %ld\n", name, a->name, traps ? "trapped" : "returned", result);
    }
    if (most == 1) {
        resume(thread, &saved);
        return failed;
    }
    if (old_call) {
        // The calls of 32-bit programs have other numbers: 5 is open.
        make_call(thread, old_call, &saved, 5, (long[6]){0}, &traps);
        ++*count;
        if (!traps) failed += printf("not ok - %s: a call of a 32-bit program\n", name) > 0;
    }
    // Some threads connect to sockets of programs; those without a name in the file system are outside the sandbox, by Landlock of version 6.
    long socket = make_call(thread, place, &saved, SYS_socket, (long[6]){AF_UNIX, SOCK_STREAM, 0}, &traps);
    if (!traps && syscall(444, 0, 0, 1) >= 6) {
        long result = make_call(thread, place, &saved, SYS_connect, (long[6]){socket, (long)scratch + 768, 12}, &traps);
        make_call(thread, place, &saved, SYS_close, (long[6]){socket}, &traps);
        ++*count;
        if (result != -EPERM) failed += printf("not ok - %s: connect to an abstract socket: returned %ld\n", name, result) > 0;
    }
    resume(thread, &saved);
    return failed;
}

int main(int argc, char **argv)
{
    if (argc < 2) return 2;
    setbuf(stdout, 0);
    int process = atoi(argv[1]), failed = 0, count = 0, threads = 0;
    unsigned long place = find_instruction(process, "\x0f\x05"), old_call = find_instruction(process, "\xcd\x80");
    if (!place) die("no system call instruction");
    // A file that vmm does not use, and an abstract socket that listens.
    char path[] = "/tmp/walls-XXXXXX";
    int file = mkstemp(path), listener = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un address = {AF_UNIX, "\0vmm-walls"};
    if (file < 0 || bind(listener, (struct sockaddr *)&address, 12) < 0 || listen(listener, 1) < 0) die("no file or socket");
    char name[300];
    snprintf(name, sizeof name, "/proc/%d/task", process);
    DIR *tasks = opendir(name);
    if (!tasks) die("no threads");
    for (struct dirent *task; (task = readdir(tasks));) {
        int thread = atoi(task->d_name);
        if (!thread) continue;
        snprintf(name, sizeof name, "/proc/%d/task/%d/comm", process, thread);
        FILE *comm = fopen(name, "r");
        char thread_name[32] = "";
        if (!comm || !fgets(thread_name, sizeof thread_name, comm)) continue;
        fclose(comm);
        thread_name[strcspn(thread_name, "\n")] = 0;
        // KVM has a thread of the kernel's in the process.
        if (strncmp(thread_name, "kvm-", 4) == 0) continue;
        int is_first_alone = argc > 2 && strcmp(argv[2], "-") == 0;
        if (argc > 2 && !is_first_alone) {
            if (strcmp(thread_name, argv[2])) continue;
            struct user_regs_struct saved;
            stop(thread, &saved);
            unlink(path);
            return (int)make_call(thread, place, &saved, SYS_execve, (long[6]){0}, 0);
        }
        threads++;
        failed += attempt_all(is_first_alone ? 1 : sizeof attempts / sizeof *attempts, thread, thread_name, place, old_call, path, &count);
    }
    struct stat status;
    if (stat(path, &status) < 0 || (status.st_mode & 0777) != 0600) failed += printf("not ok - the file of the attempts is changed\n") > 0;
    strcpy(name, path);
    unlink(strcat(name, ".new"));
    unlink(path);
    printf("walls: %d attempts in %d threads, %d not refused\n", count, threads, failed);
    return failed > 0 || threads == 0;
}
