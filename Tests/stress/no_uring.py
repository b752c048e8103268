#!/usr/bin/env python3
# A host that refuses io_uring, as a container's seccomp filter does: io=auto goes on with threads and says why, io=uring is
# an error before any guest runs. usage: no_uring.py VMM
import ctypes, os, struct, subprocess, sys, tempfile

from machine import needs_kvm, ran_on_kvm

IO_URING_SETUP, EPERM = 425, 1
PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, SECCOMP_MODE_FILTER = 22, 38, 2
SECCOMP_RET_ERRNO, SECCOMP_RET_ALLOW = 0x00050000, 0x7fff0000

def refuse_uring():
    """Between fork and exec: every io_uring_setup ends in EPERM from here on."""
    rules = (
        struct.pack("HBBI", 0x20, 0, 0, 0),                               # load the system call's number
        struct.pack("HBBI", 0x15, 0, 1, IO_URING_SETUP),                  # io_uring_setup?
        struct.pack("HBBI", 0x06, 0, 0, SECCOMP_RET_ERRNO | EPERM),
        struct.pack("HBBI", 0x06, 0, 0, SECCOMP_RET_ALLOW))
    program = ctypes.create_string_buffer(b"".join(rules))
    filter = struct.pack("HxxxxxxP", len(rules), ctypes.addressof(program))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, filter, 0, 0):
        raise OSError(ctypes.get_errno(), "no seccomp filter")

def run(*options):
    done = subprocess.run([sys.argv[1], "run", "--suspend", "1.4", *options], preexec_fn=refuse_uring,
                          capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr

needs_kvm("io_uring refused by the host")
with tempfile.NamedTemporaryFile() as image:
    image.truncate(16 << 20)
    load = ["-v", "-a", "stress=200", "-a", "disk=2"]

    code, output, errors = run(*load, "-d", f"{image.name},io=auto")
    assert code == 0 and "\nok " in output and "\nnot ok" not in output, (code, output, errors)
    assert "blk2" in errors and "threads, because the host refuses io_uring (Operation not permitted)" in errors, errors
    print("no io_uring: io=auto goes on with threads, and says why")

    code, output, errors = run(*load, "-d", f"{image.name},io=uring")
    assert code == 1 and "io=auto" in errors and output == "", (code, output, errors)
    print("no io_uring: io=uring ends before the guest begins")
ran_on_kvm(2, "runs without io_uring")
