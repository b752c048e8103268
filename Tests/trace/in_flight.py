#!/usr/bin/env python3
# A disk's driver that resets the device and its queue, and stops the queue, while requests are in flight, and then uses the same
# descriptors again. usage: in_flight.py VMM TRACE
import subprocess, sys

vmm = subprocess.Popen([sys.argv[1], "--qtest", "stdio", "--trace", sys.argv[2]],
                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

def say(line):
    vmm.stdin.write(line + "\n")
    vmm.stdin.flush()
    answer = vmm.stdout.readline().rstrip("\n")
    assert answer.startswith("OK"), f"{line}: {answer}"
    return answer[3:]

BLK0 = 0xd0001000
ACCEPT, ACCEPT_SEL, QUEUE_SEL, SIZE, READY, NOTIFY, STATUS = 0x20, 0x24, 0x30, 0x38, 0x44, 0x50, 0x70
DESC, AVAIL, USED, RESET = 0x80, 0x90, 0xa0, 0xc0
get = lambda register: int(say(f"readl {BLK0 + register}"), 16)
put = lambda register, value: say(f"writel {BLK0 + register} {value}")
available = 0

def start_device():
    for status in (0, 1, 3): put(STATUS, status)
    put(ACCEPT_SEL, 1), put(ACCEPT, 0x101)          # VIRTIO_F_VERSION_1, VIRTIO_F_RING_RESET
    put(STATUS, 0x0b)
    assert get(STATUS) == 0x0b
    start_queue()
    put(STATUS, 0x0f)

def start_queue():
    global available
    available = 0
    say("memset 0x1000 0x3000 0")
    put(QUEUE_SEL, 0)
    for register, value in ((SIZE, 16), (DESC, 0x1000), (AVAIL, 0x2000), (USED, 0x3000), (READY, 1)): put(register, value)

def request(head, kind=0):
    """A request of one sector: descriptors `head` to `head` + 2."""
    global available
    say("clock_step 1000")
    say(f"writel {0x4000 + 16 * head} {kind}")
    parts = ((0x4000 + 16 * head, 16, 1), (0x5000 + 512 * head, 512, 3 if kind != 1 else 1), (0x4800 + head, 1, 2))
    for index, (address, length, flags) in enumerate(parts):
        for verb, offset, value in (("q", 0, address), ("l", 8, length), ("w", 12, flags), ("w", 14, head + index + 1)):
            say(f"write{verb} {0x1000 + 16 * (head + index) + offset} {value}")
    say(f"writew {0x2004 + 2 * (available % 16)} {head}")
    available += 1
    say(f"writew 0x2002 {available}")
    put(NOTIFY, 0)

def fill():
    """Two requests in flight; a third that the device answers at once, with the descriptors of one that is gone."""
    say("x-hold blk0")
    request(0), request(3, kind=1)
    request(6, kind=99)
    assert int(say("readw 0x3002"), 16) == 1

def take_away(how):
    say("clock_step 1000")
    if how == "device reset": put(STATUS, 0)
    if how == "queue reset": put(RESET, 1)
    if how == "queue stop": put(READY, 0)
    say("x-release blk0")
    if how == "device reset": return start_device()
    assert get(READY) == 0
    start_queue()

start_device()
for how in ("device reset", "queue reset", "queue stop"):
    fill()
    take_away(how)
    request(3, kind=99), request(0)
    assert int(say("readw 0x3002"), 16) == 2
    put(STATUS, 0)
    start_device()
fill()
vmm.stdin.close()
sys.exit(vmm.wait(10))
