# What the tests need of ptrace(2): to stop a thread, and to change where it goes on.

import ctypes
import os

# <sys/ptrace.h>, <sys/wait.h>, and places in user_regs_struct.
GETREGS, SETREGS, ATTACH, DETACH, SYSCALL = 12, 13, 16, 17, 24
WALL = 0x40000000
RAX, ORIG_RAX, RIP, REGISTERS = 10, 15, 16, 27

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
LIBC.ptrace.restype = ctypes.c_long


def ptrace(request, thread, data=None):
    if LIBC.ptrace(request, thread, None, data) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


class Stopped:
    """A thread that stands still for as long as a `with` lasts."""

    def __init__(self, thread):
        self.thread = thread

    def __enter__(self):
        ptrace(ATTACH, self.thread)
        os.waitpid(self.thread, WALL)
        return self

    def __exit__(self, *_):
        ptrace(DETACH, self.thread)

    def registers(self):
        values = (ctypes.c_ulonglong * REGISTERS)()
        ptrace(GETREGS, self.thread, values)
        return values

    def set(self, values):
        ptrace(SETREGS, self.thread, values)

    def step(self):
        """Lets it run to the next entry to a system call, or return from one."""
        ptrace(SYSCALL, self.thread)
        os.waitpid(self.thread, WALL)
