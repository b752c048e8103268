#!/usr/bin/env python3
# What happens at the other end of a network device's link while its guest transmits all the time: a peer that stops reading, that is gone
# in the middle of a frame and comes back, that sends nonsense; a datagram socket's that is gone; a TAP interface that is deleted; a capture on
# a full disk. The guest goes on, every frame is whole, and vmm says what happened and ends when it is told to.
#
# usage: network.py VMM [ROUNDS]                40 rounds without a number

import os
import random
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time

from machine import DEADLINE, Failure, Machine, needs_kvm, ran_on_kvm

SIZE = 1500
# The frame of guest/bench/NetworkBench.swift, as far as it is the same in each.
HEAD = bytes.fromhex("525400fffffe525400123456080045")
GUEST = ["-a", f"bench=net-send,count=1000000000000,depth=64,size={SIZE}", "--timeout", "3600s"]


def read(peer, count):
    """So many bytes of a stream."""
    data = b""
    while len(data) < count:
        if not select.select([peer], [], [], DEADLINE)[0]:
            raise Failure("no frames come")
        part = peer.recv(count - len(data))
        if not part:
            raise Failure("vmm has closed the connection")
        data += part
    return data


def check_frame(frame):
    if len(frame) != SIZE or not frame.startswith(HEAD):
        raise Failure(f"a frame of {len(frame)} bytes, which begins with {frame[:20].hex()}")


def said(machine, what):
    """Waits until vmm has said it."""
    end = time.monotonic() + DEADLINE
    while what not in machine.said():
        if time.monotonic() > end or machine.process.poll() is not None:
            raise Failure(f"vmm does not say '{what}'; {machine.said()}")
        time.sleep(0.01)


def finish(machine):
    machine.process.send_signal(signal.SIGINT)
    code, _ = machine.end()
    if code != 128 + signal.SIGINT:
        raise Failure(f"exit code {code}; {machine.said()}")
    if "drivers broke" in machine.said() and "drivers broke 0" not in machine.said():
        raise Failure(machine.said())


def stream(vmm, work, rounds, chance):
    path = os.path.join(work, "stream")
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen()
    server.settimeout(DEADLINE)
    frames = 0
    with Machine(vmm, "--net", f"unix={path}", *GUEST) as machine:
        for _ in range(rounds):
            peer, _ = server.accept()
            for _ in range(chance.randrange(1, 3000)):
                length = int.from_bytes(read(peer, 4), "big")
                if length != SIZE:
                    raise Failure(f"a frame of {length} bytes: the stream is out of step")
                check_frame(read(peer, length))
                frames += 1
            end = chance.randrange(4)
            if end == 0:
                # Full buffers, for a random time that is no wait for anything.
                time.sleep(chance.random() * 0.3)
            elif end == 1:
                peer.sendall(b"\xff" * 8)
            elif end == 2:
                peer.sendall((60).to_bytes(4, "big") + bytes(30))
            elif end == 3:
                read(peer, chance.randrange(1, SIZE))
            peer.close()
        peer, _ = server.accept()
        said(machine, "the link is up")
        finish(machine)
        peer.close()
    server.close()
    print(f"network: stream: a peer that left {rounds} times, {frames} frames, all whole")
    ran_on_kvm(rounds, "peers that left")


def datagrams(vmm, work, rounds):
    path, own = os.path.join(work, "server"), os.path.join(work, "client")
    frames = 0
    with Machine(vmm, "--net", f"unix-dgram={path},local={own}", *GUEST) as machine:
        for _ in range(rounds):
            server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            server.bind(path)
            server.settimeout(DEADLINE)
            for _ in range(500):
                check_frame(server.recv(65536))
                frames += 1
            server.sendto(b"", own)
            server.sendto(bytes(65000), own)
            server.close()
            os.unlink(path)
        said(machine, "the other end of the link has gone")
        finish(machine)
    if os.path.exists(own):
        raise Failure("vmm has left its socket")
    print(f"network: datagrams: a server that left {rounds} times, {frames} frames, all whole")
    ran_on_kvm(rounds, "servers that left")


def full_disk(vmm):
    with Machine(vmm, "--net", "null,pcap=/dev/full", *GUEST, "-v") as machine:
        said(machine, "the capture /dev/full ends here, and the guest goes on: No space left on device")
        finish(machine)
    print("network: a full disk ends the capture alone")
    ran_on_kvm(1, "captures on a full disk")


def deleted(vmm):
    """In a network namespace of its own."""
    def ip(*words):
        subprocess.run(["ip", *words], check=True)
    ip("tuntap", "add", "dev", "tap0", "mode", "tap")
    ip("link", "set", "tap0", "up")
    with Machine(vmm, "--net", "tap=tap0", *GUEST) as machine:
        end = time.monotonic() + DEADLINE
        while "RX:" not in (text := subprocess.run(["ip", "-s", "link", "show", "tap0"], capture_output=True, text=True).stdout) or \
                int(text.split("RX:")[1].split("\n")[1].split()[1]) < 1000:
            if time.monotonic() > end:
                raise Failure(f"no frames at the interface; {machine.said()}")
            time.sleep(0.01)
        ip("link", "delete", "tap0")
        said(machine, "the other end of the link has gone; the link is down")
        finish(machine)
    print("network: a TAP interface that is deleted takes the link down")
    ran_on_kvm(1, "TAP interfaces that are deleted")


def main():
    vmm, rounds = os.path.abspath(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 40
    if os.environ.get("IN_NAMESPACE"):
        return deleted(vmm)
    needs_kvm("links that go away")
    with tempfile.TemporaryDirectory() as work:
        stream(vmm, work, rounds, random.Random(rounds))
        datagrams(vmm, work, rounds)
    full_disk(vmm)
    if os.access("/dev/net/tun", os.W_OK) and subprocess.run(["unshare", "-n", "true"], stderr=subprocess.DEVNULL).returncode == 0:
        subprocess.run(["unshare", "-n", sys.executable, __file__, vmm], env={**os.environ, "IN_NAMESPACE": "1"}, check=True)
    else:
        print("skipped - a TAP interface that is deleted: this user can make no network namespace, or there is no /dev/net/tun")


try:
    main()
except Failure as failure:
    sys.exit(f"network: {failure}")
