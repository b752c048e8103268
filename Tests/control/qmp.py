#!/usr/bin/env python3
"""Controls running machines by QEMU's machine protocol and by `vmm ctl`: what is answered, what stops and goes on, and what clients that
send rubbish, stop reading or leave can do.

usage: qmp.py VMM
"""
import asyncio
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../terminal"))
from session import DEADLINE, Failure, build_kernels, state, wait_for

KVM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../kvm.sh")
VMM = os.path.abspath(sys.argv[1])
TESTS = []


def test(function):
    TESTS.append(function)
    return function


def check(what, got, expected):
    if got != expected:
        raise Failure(f"{what}: {got}, expected {expected}")


def text(name):
    try:
        with open(name) as file:
            return file.read()
    except FileNotFoundError:
        return ""


class VM:
    """A vmm with a control socket, and the built-in guest without a kernel. Its messages are in the file errors."""

    def __init__(self, kernel, *options, qmp="unix=m.sock"):
        if os.path.exists("out"):
            os.remove("out")
        self.errors = open("errors", "w")
        self.process = subprocess.Popen(
            [VMM, *([f"{kernel}.elf", "--serial", "file=out"] if kernel else []), "--qmp", qmp, "--console", "null", *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.errors.close()

    def ends(self, code):
        check("exit code", self.process.wait(DEADLINE), code)

    @property
    def memory(self):
        """Bytes of memory that are the process's own."""
        with open(f"/proc/{self.process.pid}/status") as file:
            return int(next(line for line in file if line.startswith("RssAnon")).split()[1]) << 10

    def client(self, negotiates=True):
        return Client(self, negotiates)


class Client:
    def __init__(self, machine, negotiates):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(DEADLINE)
        wait_for("the socket", lambda: machine.process.poll() is not None or self.socket.connect_ex("m.sock") == 0)
        self.file = self.socket.makefile("rb")
        self.messages = []
        self.greeting = self.read()
        if negotiates:
            check("negotiation", self.ask("qmp_capabilities"), {})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()

    def read(self):
        line = self.file.readline()
        if not line:
            raise Failure("the machine closed the connection")
        return json.loads(line)

    def send(self, command, arguments=None, **others):
        request = {"execute": command, **({"arguments": arguments} if arguments else {}), **others}
        self.socket.sendall(json.dumps(request).encode())

    def answer(self):
        while True:
            message = self.read()
            if "event" not in message:
                return message
            self.messages.append(message)

    @property
    def events(self):
        return [message["event"] for message in self.messages]

    def ask(self, command, **arguments):
        """What a command returns."""
        self.send(command, {name.replace("_", "-"): value for name, value in arguments.items()})
        answer = self.answer()
        if "return" not in answer:
            raise Failure(f"{command}: {answer}")
        return answer["return"]

    def refusal(self, command, **arguments):
        """The sentence with which it is refused."""
        self.send(command, arguments)
        answer = self.answer()
        if "error" not in answer:
            raise Failure(f"{command}: {answer}")
        return answer["error"]["desc"]

    def event(self, name):
        """The event of that name, which has come or comes."""
        while name not in self.events:
            message = self.read()
            if "event" in message:
                self.messages.append(message)
        return self.messages[self.events.index(name)]


@test
def negotiation_and_errors():
    with VM("IDLE") as machine, machine.client(negotiates=False) as client:
        check("package", client.greeting["QMP"]["version"]["package"].split()[0], "vmm")
        client.send("query-status")
        check("before the negotiation", client.answer()["error"]["class"], "CommandNotFound")
        check("negotiation", client.ask("qmp_capabilities"), {})
        check("again", "already" in client.refusal("qmp_capabilities"), True)
        for identity in 7, "seven", [1, {"a": None}], None:
            client.send("query-status", id=identity)
            check("id", client.answer(), {"return": {"running": True, "status": "running"}, "id": identity})
        client.send("nothing", id=1)
        check("an unknown command", client.answer()["error"]["class"], "CommandNotFound")
        check("an argument too many", client.refusal("query-status", path="x"), "Parameter 'path' is unexpected")
        client.send("query-status", more=1)
        check("a member too many", client.answer()["error"]["desc"], "QMP input member 'more' is unexpected")
        check("no power button", "no power button" in client.refusal("system_powerdown"), True)


@test
def queries():
    with open("disk.img", "wb") as disk:
        disk.truncate(1 << 20)
    with VM("IDLE", "-c", "2", "-d", "disk.img,ro", "--port", "null") as machine, machine.client() as client:
        check("processors", [cpu["cpu-index"] for cpu in client.ask("query-cpus-fast")], [0, 1])
        tasks = f"/proc/{machine.process.pid}/task"
        wait_for("the threads", lambda: all(
            os.path.exists(f"{tasks}/{cpu['thread-id']}") for cpu in client.ask("query-cpus-fast")))
        disk = client.ask("query-block")[0]
        check("disk", (disk["device"], disk["inserted"]["ro"], disk["inserted"]["image"]["virtual-size"]), ("blk0", True, 1 << 20))
        check("streams", [(s["label"], s["filename"]) for s in client.ask("query-chardev")],
              [("console0", "null"), ("port1", "null"), ("serial0", "file:out")])
        check("devices", client.ask("x-query-virtio"),
              [{"path": "/machine/console0", "name": "virtio-serial"}, {"path": "/machine/blk0", "name": "virtio-blk"}])
        status = client.ask("x-query-virtio-status", path="/machine/blk0")
        check("status", (status["device-id"], status["num-vqs"], status["status"]), (2, 1, "0x00"))
        check("queue", client.ask("x-query-virtio-queue-status", path="blk0", queue=0)["vring-num-default"], 256)
        check("no element", client.refusal("x-query-virtio-queue-element", path="blk0", queue=0), "the queue is not ready")
        check("no queue", client.refusal("x-query-virtio-queue-status", path="blk0", queue=1),
              "Parameter 'queue' expects a number from 0 to 0")
        check("no device", "no virtio device 'blk1'" in client.refusal("x-query-virtio-status", path="blk1"), True)
        check("suspend", client.ask("x-vmm-suspend-state")[1]["phase"], "not live")
        check("conformance", [d["device"] for d in client.ask("x-vmm-conformance")["devices"]], ["console0", "blk0"])
        client.ask("x-vmm-console-resize", columns=100, rows=40)
        check("size", client.ask("x-vmm-state", path="console0")["configuration"][:10], "0x64002800")
        os.truncate("disk.img", 2 << 20)
        client.ask("x-vmm-disk-resize")
        check("capacity", client.ask("query-block")[0]["inserted"]["image"]["virtual-size"], 2 << 20)
        names = {command["name"] for command in client.ask("query-commands")}
        check("commands", names >= {"stop", "cont", "quit", "x-query-virtio-queue-status"}, True)


@test
def link():
    with VM("CHATTER", "--net", "null,mac=52:54:00:12:34:56") as machine, machine.client() as client:
        status = lambda: client.ask("x-vmm-state", path="net0")["configuration"][14:16]
        check("up", status(), "01")
        client.ask("set_link", name="net0", up=False)
        check("down", status(), "00")
        client.ask("set_link", name="net0", up=True)
        check("up again", status(), "01")
        check("no network device", "no network device 'console0'" in client.refusal("set_link", name="console0", up=True), True)
        check("no boolean", client.refusal("set_link", name="net0", up=1), "Parameter 'up' expects a boolean")
        frames = {device["device"]: device["frames"] for device in client.ask("x-vmm-statistics")}
        check("frames", frames, {"console0": None,
              "net0": {"received": 0, "droppedReceiving": 0, "transmitted": 0, "droppedTransmitting": 0}})


@test
def traces():
    disk = ["--suspend", "1.4", "-a", "stress=100000", "--snapshot-to", "snapshot"]
    with VM("IDLE") as machine, machine.client() as client:
        check("in the sandbox", "start with --snapshot-to" in client.refusal("x-vmm-trace-start", file="part"), True)
    with VM(None, *disk) as machine, machine.client() as client:
        check("none", "begin one by x-vmm-trace-start" in client.refusal("x-vmm-trace-stop"), True)
        check("elsewhere", "cannot be used" in client.refusal("x-vmm-trace-start", file="/proc/none"), True)
        suspensions = lambda: {d["device"]: d["suspensions"] for d in client.ask("x-vmm-statistics")}["blk0"]
        for file in "first", "second":
            client.ask("x-vmm-trace-start", file=file)
            check("another", "end it first" in client.refusal("x-vmm-trace-start", file="another"), True)
            before = suspensions()
            wait_for("suspensions", lambda: suspensions() > before + 3)
            check("lost events", client.ask("x-vmm-trace-stop"), {"lost-events": 0})
            replay(file)
        # The end of the run ends a trace.
        client.ask("x-vmm-trace-start", file="last")
        client.ask("quit")
        machine.ends(0)
        replay("last")


def replay(file):
    found = subprocess.run([VMM, "check", file], capture_output=True, text=True)
    check("replay", (found.returncode, found.stdout.split(" of ")[0], found.stderr), (0, "drivers broke 0", ""))


@test
def stop_and_go():
    size = lambda: os.path.getsize("out")
    with VM("CHATTER", "-c", "2", "--stall-after", "300ms") as machine, machine.client() as client:
        wait_for("output", lambda: os.path.exists("out") and size() > 0)
        for _ in range(20):
            client.ask("stop")
            check("status", client.ask("query-status"), {"running": False, "status": "paused"})
            check("again", client.ask("stop"), {})
            # The serial port still writes what it has.
            stopped = wait_for("the output to stop", lambda: settled(size))
            client.ask("cont")
            wait_for("the output to go on", lambda: size() > stopped)
        check("events", client.events, ["STOP", "RESUME"] * 20)
        client.ask("stop")
        machine.process.send_signal(signal.SIGQUIT)
        wait_for("the positions", lambda: "vcpu1" in text("errors"))
        check("stalls", "nothing has happened" in text("errors"), False)
        # A stopped machine ends as any other.
        machine.process.send_signal(signal.SIGTERM)
        client.event("SHUTDOWN")
        machine.ends(143)


def settled(size):
    """The size, once it is the same for long enough that a running guest would have written."""
    before = size()
    end = os.times().elapsed + 0.2
    while os.times().elapsed < end:
        if size() != before:
            return 0
    return before


@test
def ends():
    for kernel, events, reason, code in [
            ("POWER_OFF", ["SHUTDOWN"], "guest-shutdown", 0), ("DEBUG_EXIT", ["SHUTDOWN"], "guest-shutdown", 11),
            ("RESET", ["RESET", "SHUTDOWN"], "guest-reset", 32), ("PANIC", ["GUEST_PANICKED", "SHUTDOWN"], "guest-panic", 34)]:
        with VM(kernel, "-S") as machine, machine.client() as client:
            check("status", client.ask("query-status")["status"], "paused")
            check("output of a guest that does not run", text("out"), "")
            client.send("cont")
            check("the reason", client.event("SHUTDOWN")["data"]["reason"], reason)
            check("events", client.events, ["RESUME"] + events)
            machine.ends(code)
    with VM("IDLE") as machine, machine.client() as client:
        client.ask("quit")
        check("the reason", client.event("SHUTDOWN")["data"], {"guest": False, "reason": "host-qmp-quit"})
        machine.ends(0)
        check("the socket", os.path.exists("m.sock"), False)


@test
def nmi():
    # A guest without an interrupt table cannot take one.
    with VM("IDLE") as machine, machine.client() as client:
        client.ask("inject-nmi")
        check("the reason", client.event("SHUTDOWN")["data"]["reason"], "guest-panic")
        machine.ends(33)


@test
def rubbish():
    generator = random.Random(1)
    with VM("IDLE") as machine:
        for junk in [b"\n", b"hello\n", b"]]]\n", b"{\n", b'{"execute": \n', b"{" * 70000 + b"\n", b"[" * 1000 + b"\n",
                     b'{"a":' * 2000 + b"1" + b"}" * 2000 + b"\n", b'{"execute": 1}', b'{"execute": "stop", "arguments": 5}',
                     b'{"execute": "x-query-virtio-status", "arguments": {"path": 1}}', b'{"execute": "\\u0000\xff"}', b"\0" * 5000 + b"\n"]:
            with machine.client() as client:
                client.socket.sendall(junk)
        for _ in range(60):
            with machine.client() as client:
                client.socket.sendall(generator.randbytes(generator.randrange(1, 3000)))
        for junk in b"rubbish\n", b"{" * 70000 + b"\n", b'{"execute": 1.5}':
            with machine.client() as client:
                client.socket.sendall(junk)
                check("an answer", "error" in client.answer(), True)
                check("and then", client.ask("query-status")["running"], True)


@test
def a_client_that_does_not_read():
    with VM("IDLE") as machine:
        with machine.client() as client:
            before = machine.memory
            client.socket.settimeout(1)
            try:
                while True:
                    client.socket.sendall(b'{"execute": "x-vmm-conformance"}' * 100)
            except TimeoutError:
                pass
            check("memory that it costs is bounded", machine.memory - before < 4 << 20, True)
        with machine.client() as client:
            check("the next client", client.ask("query-status")["running"], True)


@test
def clients_in_turn():
    with VM("IDLE") as machine:
        for _ in range(200):
            with machine.client(negotiates=False) as client:
                client.socket.sendall(b'{"execute": "qmp_cap')
        with machine.client() as first:
            second = socket.socket(socket.AF_UNIX)
            second.settimeout(DEADLINE)
            second.connect("m.sock")
            check("the first", first.ask("query-status")["running"], True)
            first.__exit__()
            check("the second", b"QMP" in second.recv(1000), True)
            second.close()
        check("descriptors", len(os.listdir(f"/proc/{machine.process.pid}/fd")) < 60, True)


@test
def at_standard_input_and_output():
    with VM("IDLE", qmp="stdio") as machine:
        requests = b"".join(b'{"execute": "%s"}' % name for name in [b"qmp_capabilities", b"query-status", b"quit"])
        out, _ = machine.process.communicate(requests, DEADLINE)
        lines = [json.loads(line) for line in out.splitlines()]
        check("answers", lines[1:4], [{"return": {}}, {"return": {"running": True, "status": "running"}}, {"return": {}}])
        check("the end", lines[-1]["event"], "SHUTDOWN")
        machine.ends(0)


@test
def from_a_shell():
    def ctl(*words):
        result = subprocess.run([VMM, "ctl", "m.sock", *words], capture_output=True, text=True, timeout=DEADLINE)
        return result.returncode, result.stdout.strip(), result.stderr.strip()

    # Left by a machine that was killed.
    if os.path.exists("m.sock"):
        os.remove("m.sock")
    check("without a machine", ctl("status"),
          (1, "", "vmm: socket m.sock has no machine behind it (No such file or directory); start one with --qmp unix=PATH"))
    with VM("IDLE") as machine:
        wait_for("the machine", lambda: ctl("status") == (0, "running", ""))
        check("stop", ctl("stop"), (0, "", ""))
        check("status", ctl("status"), (0, "paused", ""))
        check("cont", ctl("cont"), (0, "", ""))
        check("another command", json.loads(ctl("x-query-virtio-queue-status", "path=console0", "queue=0")[1])["queue-index"], 0)
        check("a refusal", ctl("system_powerdown")[::2],
              (1, "vmm: the machine at m.sock refuses system_powerdown: this machine has no power button; "
                  "shut the guest down from within, or use quit"))
        check("no argument", ctl("query-status", "path")[::2],
              (1, "vmm: 'path' is no argument of a command; write NAME=VALUE"))
        check("usage", ctl()[0], 64)
        check("quit", ctl("quit"), (0, "", ""))
        machine.ends(0)


@test
def the_client_that_qemu_has():
    try:
        from qemu.qmp import QMPClient
    except ImportError:
        print("skipped - qemu.qmp: Python has no such package; python3 -m pip install qemu.qmp")
        return

    async def session():
        client = QMPClient("test")
        await client.connect("m.sock")
        status = await client.execute("query-status")
        await client.execute("stop")
        event = await asyncio.wait_for(client.events.get(), DEADLINE)
        await client.execute("cont")
        await client.disconnect()
        return status["status"], event["event"]

    with VM("IDLE") as machine:
        with machine.client():
            pass
        check("session", asyncio.run(session()), ("running", "STOP"))


def main():
    build_kernels("IDLE", "CHATTER", "POWER_OFF", "DEBUG_EXIT", "RESET", "PANIC")
    failed = 0
    for function in TESTS:
        try:
            function()
        except (Failure, OSError, KeyError, IndexError, subprocess.SubprocessError) as failure:
            failed += 1
            print(f"not ok - {function.__name__}: {type(failure).__name__} {failure}\n{text('errors')[-600:]}")
    subprocess.run([KVM, "ran", str(len(TESTS)), "tests of control"], check=True)
    print(f"control: {len(TESTS) - failed} tests passed, {failed} failed")
    sys.exit(failed > 0)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        main()
