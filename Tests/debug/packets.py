#!/usr/bin/env python3
"""Every packet that Debugging.md names, sent to vmm; those that QEMU's stub answers too are sent to it as well, about the same guest, and
the answers compared.

usage: packets.py VMM SYMBOLS
"""
import os
import random
import re
import socket
import subprocess
import sys

from machine import VM, Client, check, expect, run_tests
from session import DEADLINE, Failure, wait_for

VMM, SYMBOLS = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
GUEST = os.path.join(os.path.dirname(SYMBOLS), "guest.elf")
FEW = ["--suspend", "draft", "-a", "only=identity"]
TESTS = []


def test(function):
    TESTS.append(function)
    return function


def address(name):
    for line in subprocess.run(["nm", SYMBOLS], capture_output=True, text=True, check=True).stdout.splitlines():
        if line.endswith(f" {name}"):
            return int(line.split()[0], 16)
    raise Failure(f"the guest has no symbol {name}")


class QEMU:
    def __enter__(self):
        # The stub of -gdb serves one client, so each waits for its socket.
        self.process = subprocess.Popen(
            ["qemu-system-x86_64", "-accel", "tcg", "-M", "microvm,acpi=off", "-nodefaults", "-no-user-config", "-nographic",
             "-kernel", GUEST, "-S", "-gdb", "unix:q.sock,server=on,wait=off"], stdin=subprocess.DEVNULL)
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def conversation(client, features=""):
    """The packets that both answer alike, and their answers. The guest is stopped at guestMain."""
    start = address("guestMain")
    # QEMU's stub knows p and P once its description was read.
    client.ask("qXfer:features:read:target.xml:0,ffb")
    yield "a breakpoint", client.ask(f"Z1,{start:x},1")
    client.send("vCont;c")
    yield "its stop", re.sub("hwbreak:;", "", client.packet().decode())
    yield "it is deleted", client.ask(f"z1,{start:x},1")
    for name, number in ("rsp", 7), ("rip", 16), ("cs", 18), ("ss", 19), ("fs_base", 24), ("gs_base", 25), ("cr3", 29), ("cr4", 30):
        yield name, client.ask(f"p{number:x}")
    yield "efer, long mode", int.from_bytes(bytes.fromhex(client.ask("p20")), "little") & 0x500
    for packet in (
            "?", "qC", "qAttached", "Hg1", "Hg0", "Hc-1", "Hc0", "T1", "T9", "Hg9", "vMustReplyEmpty", "vUnknown", "jThreadsInfo",
            f"m{start:x},10", f"m{start:x},0", "mc0000000,4", "M200000,2:abcd", "m200000,2",
            "P0=8877665544332211", "p0", "P8=0102030405060708", "p8", "P31=000102030405060708090a0b0c0d0e0f", "p31",
            "Qqemu.PhyMemMode:1", "qqemu.PhyMemMode", "m200000,2", "M200000,2:1234", "Qqemu.PhyMemMode:0", "qqemu.PhyMemMode", "m200000,2",
            "qqemu.sstepbits", "qqemu.sstep", "Qqemu.sstep=1", "qqemu.sstep", "Qqemu.sstep=7",
            f"Z0,{start + 4:x},1", f"z0,{start + 4:x},1", f"Z1,{start + 4:x},1", f"z1,{start + 4:x},1",
            "Z2,200000,4", "z2,200000,4", "vCont?"):
        yield packet, client.ask(packet)
    for packet in "vCont;s:1;", "vCont;s:1", "s", "vCont;S05:1":
        client.send(packet.rstrip(";"))
        yield packet, client.packet().decode()
        yield f"rip after {packet}", client.ask("p10")
    yield "a packet with a wrong checksum", refused(client)
    yield "detach", client.ask("D")


def refused(client):
    client.socket.sendall(b"$p10#00")
    return client.byte()


@test
def the_answers_are_those_of_qemu():
    with VM(VMM, *FEW) as vm:
        with Client() as client:
            ours = list(conversation(client))
        vm.ends(0)
    with QEMU(), Client("q.sock") as client:
        theirs = list(conversation(client))
    different = [f"{what}: {our}, QEMU {their}" for (what, our), (_, their) in zip(ours, theirs) if our != their]
    check("answers", len(ours), len(theirs))
    if different:
        raise Failure("\n  ".join(["differences:", *different]))
    print(f"debug: QEMU and vmm answer {len(ours)} packets alike")


@test
def others():
    with VM(VMM, *FEW) as vm, Client() as client:
        supported = client.ask("qSupported:multiprocess+;swbreak+;hwbreak+;qRelocInsn+")
        for feature in "PacketSize=4000", "QStartNoAckMode+", "qXfer:features:read+", "vContSupported+", "swbreak+", "binary-upload+":
            check(feature, feature in supported.split(";"), True)
        xml, part = "", "m"
        while part == "m":
            answer = client.ask(f"qXfer:features:read:target.xml:{len(xml):x},200")
            part, xml = answer[0], xml + answer[1:]
        expect(xml, "<architecture>i386:x86-64<", "i386.core", 'name="rax"', "i386.segments", 'name="fs_base"', 'name="cr0"', "i386.sse", 'name="xmm15"')
        size = sum(int(bits) for bits in re.findall(r'<reg name="\w+" bitsize="(\d+)"', xml)) // 8
        registers = client.ask("g")
        check("registers", len(registers), 2 * size)
        check("written back", client.ask("G" + registers), "OK")
        check("the same", client.ask("g"), registers)
        check("another file", client.ask("qXfer:features:read:other.xml:0,10"), "E00")
        check("behind its end", client.ask("qXfer:features:read:target.xml:ffffff,10"), "E22")
        check("threads", (client.ask("qfThreadInfo"), client.ask("qsThreadInfo")), ("m01", "l"))
        check("a thread", bytes.fromhex(client.ask("qThreadExtraInfo,1")), b"CPU#0 [running]")
        check("symbols", client.ask("qSymbol::"), "OK")
        check("what QEMU adds", client.ask("qqemu.Supported"), "sstepbits;sstep;PhyMemMode")
        check("binary", client.ask("X200000,5:\x01}\x03}\x04}\x5d\x00"), "OK")
        check("bytes", client.ask("m200000,5"), "0123247d00")
        check("binary bytes", client.ask("x200000,5"), "b\x01#$}\x00")
        check("a whole packet", len(client.ask("m200000,ffffffff")), 2 * (0x2000 - 8))
        check("cut at the end of memory", client.ask("m7fffffe,10"), "0000")
        for packet in ("m", "mzz,1", "m1,zz", "m0", "M0,2:00", "M0,1:zz", "X0,2:a", "p", "pffff", "P0", "P0=00", "P0=zz", "G0", "H", "Hx1", "T", "Zx,0,1",
                       "Z0,0", "vCont;x", "vCont;", "vCont;c:9", "cxyz", "Qqemu.sstep=9", "Qqemu.PhyMemMode:x", "qRcmd,zz", "qThreadExtraInfo,9"):
            check(packet, client.ask(packet), "E22")
        for packet in "R00", "!", "qTStatus", "vFile:open:", "vRun;", "Z7,0,1", "QNonStop:1", "", "\xff":
            check(packet, client.ask(packet.encode("latin1")), "")
        check("too long", client.ask(b"M0,1:" + b"0" * 20000), "E22")
        client.socket.sendall(b"rubbish+++\x03$")
        check("after rubbish", client.ask("qC"), "QC01")
        start = address("guestMain")
        check("a breakpoint", client.ask(f"Z0,{start:x},1"), "OK")
        check("its byte", client.ask(f"m{start:x},1"), "55")
        check("again", client.ask(f"Z0,{start:x},1"), "OK")
        client.send("c")
        check("why", client.stop(), ("", "T05thread:01;swbreak:;"))
        check("deleted", client.ask(f"z0,{start:x},1"), "OK")
        check("monitor", "the devices, and what each waits for" in client.monitor("help"), True)
        check("an unknown line", client.monitor("nothing"), "there is no command 'nothing'; monitor help lists those there are\n")
        client.send(f"s{start:x}")
        check("a step from an address", client.stop(), ("", "T05thread:01;"))
        check("no acknowledgements", client.ask("QStartNoAckMode"), "OK")
        client.acknowledges = False
        client.send("C05")
        client.send("g")
        check("an answer then", client.packet().decode(), "E.the guest runs; interrupt it first")
        check("the end", client.stop(), ("", "W00"))
        vm.ends(0)
    with VM(VMM, *FEW) as vm, Client() as client:
        check("killed", client.ask("vKill;1"), "OK")
        vm.ends(0)


@test
def clients_that_send_rubbish():
    chance = random.Random(7)
    with VM(VMM, *FEW) as vm:
        for _ in range(30):
            with Client() as client:
                client.socket.sendall(bytes(chance.choice(b"$#}+-gGmMXZz0123456789abcdef,;:\x03") for _ in range(3000)))
        with Client() as client:
            client.socket.sendall(b"$" + b"a" * 3000000)
            client.socket.sendall(b"#00")
            check("refused", client.byte(), b"-")
            # A client that does not read is not read from.
            client.socket.settimeout(0.5)
            try:
                for _ in range(100000):
                    client.socket.sendall(b"$m0,1000#8a")
                raise Failure("a client that does not read costs more and more memory")
            except TimeoutError:
                pass
        vm.ends(0)


run_tests(TESTS)
