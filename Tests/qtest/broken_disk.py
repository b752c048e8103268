#!/usr/bin/env python3
# A block driver with four mistakes, or with `fixed` without them. usage: broken_disk.py VMM TRACE [fixed]
import subprocess, sys

vmm = subprocess.Popen([sys.argv[1], "--qtest", "stdio", "-v", "--trace", sys.argv[2]],
                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
fixed = "fixed" in sys.argv

def say(line):
    vmm.stdin.write(line + "\n")
    vmm.stdin.flush()
    answer = vmm.stdout.readline().rstrip("\n")
    assert answer.startswith("OK"), f"{line}: {answer}"
    return answer[3:]

BLK0 = 0xd0001000
ACCEPT, ACCEPT_SEL, QUEUE_SEL = 0x20, 0x24, 0x30
QUEUE_SIZE, READY, NOTIFY, STATUS, DESC, AVAIL, USED = 0x38, 0x44, 0x50, 0x70, 0x80, 0x90, 0xa0
get = lambda register: int(say(f"readl {BLK0 + register}"), 16)
put = lambda register, value: say(f"writel {BLK0 + register} {value}")

for status in (0, 1, 3):                            # reset, ACKNOWLEDGE, DRIVER
    put(STATUS, status)
put(ACCEPT_SEL, 1), put(ACCEPT, 1)                  # VIRTIO_F_VERSION_1
put(STATUS, 0x0b)                                   # FEATURES_OK
if fixed: assert get(STATUS) == 0x0b                # mistake 1: it is not read back
if fixed: put(QUEUE_SEL, 0)                         # mistake 2: no queue is selected
for register, value in ((QUEUE_SIZE, 8), (DESC, 0x1000), (AVAIL, 0x2000), (USED, 0x3000), (READY, 1)):
    put(register, value)

def descriptor(index, address, length, flags):
    for verb, offset, value in (("q", 0, address), ("l", 8, length), ("w", 12, flags), ("w", 14, index + 1)):
        say(f"write{verb} {0x1000 + 16 * index + offset} {value}")

descriptor(0, 0x4000, 16, 1)                        # the header: read sector 0
descriptor(1, 0x5000, 512 if fixed else 513, 3)     # mistake 3: the status byte counted as data
descriptor(2, 0x6000, 1, 2)
say("writew 0x2002 1")
if not fixed: put(NOTIFY, 0)                        # mistake 4: a notification before DRIVER_OK
put(STATUS, 0x0f)                                   # DRIVER_OK
if fixed: put(NOTIFY, 0)
print("used", int(say("readw 0x3002"), 16), "status byte", int(say("readb 0x6000"), 16))
vmm.stdin.close()
sys.exit(vmm.wait(10))
