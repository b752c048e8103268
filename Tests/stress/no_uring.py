#!/usr/bin/env python3
# A host that refuses io_uring, as a container's seccomp filter does: io=auto goes on with threads and says why, io=uring is
# an error before any guest runs. usage: no_uring.py VMM
import errno, os, subprocess, sys, tempfile

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../sandbox"))
from layers import refuse
from machine import needs_kvm, ran_on_kvm

IO_URING_SETUP = 425

def run(*options):
    done = subprocess.run([sys.argv[1], "run", "--suspend", "1.4", *options], preexec_fn=lambda: refuse(IO_URING_SETUP, errno.EPERM),
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
