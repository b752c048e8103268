#!/usr/bin/env python3
# A disk is suspended while a read is in flight, and resumed. usage: suspend_disk.py VMM draft|1.4
import json, subprocess, sys

vmm = subprocess.Popen([sys.argv[1], "--qtest", "stdio", "--conform", "strict", "--suspend", sys.argv[2]],
                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

def say(line):
    """Sends a line, prints IRQ lines, returns the text after the OK."""
    vmm.stdin.write(line + "\n")
    vmm.stdin.flush()
    while (answer := vmm.stdout.readline().rstrip("\n")).startswith("IRQ"):
        print(answer)
    assert answer.startswith("OK"), f"{line}: {answer}"
    return answer[3:]

BLK0 = 0xd0001000                                   # slot 1; slot 0 is the console
FEATURES, FEATURES_SEL, ACCEPT, ACCEPT_SEL, QUEUE_SEL = 0x10, 0x14, 0x20, 0x24, 0x30
QUEUE_SIZE, READY, NOTIFY, STATUS, DESC, AVAIL, USED = 0x38, 0x44, 0x50, 0x70, 0x80, 0x90, 0xa0
get = lambda register: int(say(f"readl {BLK0 + register}"), 16)
put = lambda register, value: say(f"writel {BLK0 + register} {value}")
state = lambda: json.loads(say("x-state blk0"))

def show(what):
    now = state()
    print(f"{what}: Status {get(STATUS):#04x}, {now['phase']}, {now['queues'][0]['inFlight']} in flight")

say("irq_intercept_in ioapic")
for status in (0, 1, 3):                            # reset, ACKNOWLEDGE, DRIVER
    put(STATUS, status)
put(FEATURES_SEL, 1)
suspend = get(FEATURES) & (1 << 42 - 32 | 1 << 43 - 32)
put(ACCEPT_SEL, 1), put(ACCEPT, suspend | 1)        # and VIRTIO_F_VERSION_1
put(STATUS, 0x0b)                                   # FEATURES_OK
assert get(STATUS) == 0x0b                          # the device accepts these features
for register, value in ((QUEUE_SEL, 0), (QUEUE_SIZE, 8), (DESC, 0x1000), (AVAIL, 0x2000), (USED, 0x3000), (READY, 1)):
    put(register, value)
put(STATUS, 0x0f)                                   # DRIVER_OK
show("running")

def descriptor(index, address, length, flags):
    for verb, offset, value in (("q", 0, address), ("l", 8, length), ("w", 12, flags), ("w", 14, index + 1)):
        say(f"write{verb} {0x1000 + 16 * index + offset} {value}")

descriptor(0, 0x4000, 16, 1)                        # the header, all zeros: read sector 0
descriptor(1, 0x5000, 512, 3)                       # the data, device-writable
descriptor(2, 0x6000, 1, 2)                         # the status byte, device-writable
say("writew 0x2002 1")                              # available index 1; the ring's first entry is descriptor 0
say("x-hold blk0")
put(NOTIFY, 0)
put(STATUS, 0x1f)                                   # SUSPEND; from here on the driver only polls
show("suspending")
say("x-release blk0")
show("suspended")
print("used", int(say("readw 0x3002"), 16), "status byte", int(say("readb 0x6000"), 16))
put(STATUS, 0x0f if suspend == 1 << 42 - 32 else 0x1f)
show("resumed")
vmm.stdin.close()
sys.exit(vmm.wait(10))
