#!/usr/bin/env python3
# A kernel that lacks a layer of the sandbox, for programs that the caller starts: a filter refuses the system calls of that layer.
#
# usage: layers.py     prints the --sandbox of the tests: on, or auto on a host that lacks a layer

import ctypes
import errno
import struct

PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, SECCOMP_MODE_FILTER = 22, 38, 2
SECCOMP_RET_ERRNO, SECCOMP_RET_ALLOW = 0x00050000, 0x7fff0000
CALLS = {"landlock": 444, "seccomp": 317}


def refuse(call, error):
    """Between fork and exec: the system call with this number ends in `error` from here on."""
    rules = (
        struct.pack("HBBI", 0x20, 0, 0, 0),                 # load the system call's number
        struct.pack("HBBI", 0x15, 0, 1, call),              # this one?
        struct.pack("HBBI", 0x06, 0, 0, SECCOMP_RET_ERRNO | error),
        struct.pack("HBBI", 0x06, 0, 0, SECCOMP_RET_ALLOW))
    program = ctypes.create_string_buffer(b"".join(rules))
    filter = struct.pack("HxxxxxxP", len(rules), ctypes.addressof(program))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, filter, 0, 0):
        raise OSError(ctypes.get_errno(), "no seccomp filter")


def without(layer):
    """The calls of `layer` do not exist from here on."""
    refuse(CALLS[layer], errno.ENOSYS)


if __name__ == "__main__":
    # LANDLOCK_CREATE_RULESET_VERSION
    has_landlock = ctypes.CDLL(None).syscall(CALLS["landlock"], None, ctypes.c_size_t(0), 1) > 0
    with open("/proc/self/status") as file:
        print("on" if has_landlock and "\nSeccomp:" in file.read() else "auto")
