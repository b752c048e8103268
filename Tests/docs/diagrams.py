#!/usr/bin/env python3
"""Draws the diagrams of the documentation, each for a light and for a dark page, into its resources. What they say is taken from the
sources where these have it, and the script fails if they say otherwise: the modules and their imports from Package.swift, the phases of
a device from Lifecycle.swift, the values of Status from `vmm explain suspend`, the states of a machine from Machine+Control.swift.

usage: diagrams.py VMM [--check]     --check writes nothing, and fails if a file would change
"""
import html
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
RESOURCES = ROOT / "Sources/Virtio/Documentation.docc/Resources"
FONT = "-apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif"
# text, lines, the page, what boxes are filled with
THEMES = {
    "": ("#1d1d1f", "#5c5c63", "#ffffff", {"plain": "#f2f2f4", "good": "#d9efdc", "wait": "#fbeecb", "still": "#d8e1f3", "bad": "#f8d9d6"}),
    "~dark": ("#f5f5f7", "#a1a1a8", "#000000", {"plain": "#2c2c2f", "good": "#1f4a2a", "wait": "#55430f", "still": "#27406e", "bad": "#662a26"}),
}


class Picture:
    """An SVG picture. A colour of the theme is written {text}, {line} or {kind of a box} until the theme is chosen."""

    def __init__(self, title, width, height):
        self.title, self.width, self.height, self.parts = title, width, height, []

    def text(self, x, y, text, size=14, anchor="middle", weight="normal", over=False):
        """A text; one that is drawn over a line has a rim in the colour of the page."""
        halo = ' stroke="{page}" stroke-width="4" paint-order="stroke"' if over else ""
        self.parts.append(f'<text x="{x}" y="{y}" font-size="{size}" text-anchor="{anchor}" font-weight="{weight}" '
                          f'fill="{{text}}"{halo}>{html.escape(text)}</text>')

    def box(self, x, y, width, height, title, notes=(), kind="plain"):
        self.parts.append(f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="7" fill="{{{kind}}}" stroke="{{line}}"/>')
        top = y + height / 2 + 5 - 8.5 * len(notes)
        self.text(x + width / 2, top, title, 15, weight="bold")
        for index, note in enumerate(notes):
            self.text(x + width / 2, top + 18 + 17 * index, note, 13)

    def arrow(self, points, label="", at=None, anchor="middle", dashed=False, head=True):
        path = "M" + " L".join(f"{x} {y}" for x, y in points)
        self.parts.append(f'<path d="{path}" fill="none" stroke="{{line}}" stroke-width="1.5"'
                          + (' stroke-dasharray="5 4"' if dashed else "") + (' marker-end="url(#head)"' if head else "") + "/>")
        for index, line in enumerate(label.split("\n") if label else ()):
            self.text(at[0], at[1] + 16 * index, line, 13, anchor, over=True)

    def drawn(self, name, theme):
        text, line, page, fills = THEMES[theme]
        colours = {"text": text, "line": line, "page": page, **fills}
        body = "\n".join(re.sub(r"\{(\w+)\}", lambda match: colours[match[1]], part) for part in self.parts)
        return (f'<svg id="{name}" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" width="{self.width}" '
                f'height="{self.height}" role="img" aria-label="{html.escape(self.title)}" font-family="{FONT}">\n'
                f'<defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" orient="auto">'
                f'<path d="M0 0 L10 5 L0 10 z" fill="{line}"/></marker></defs>\n{body}\n</svg>\n')


def source(path):
    return (ROOT / path).read_text()


def demand(what, drawn, actual):
    if set(drawn) != set(actual):
        sys.exit(f"diagrams.py: {what}: drawn are {sorted(drawn)}, there are {sorted(actual)}")


def house(vmm):
    """The modules and what each imports."""
    targets = {name: set(re.findall(r'"(\w+)"', imports)) - {"ArgumentParser"} for name, imports in
               re.findall(r'\.(?:target|executableTarget)\(\s*name: "(vmm|Machine|KVM|Virtio)",\s+dependencies: \[((?:[^]])*)\]',
                          re.sub(r"\.product\([^)]*\),?", "", source("Package.swift")))}
    boxes = {
        "vmm": (170, 10, 220, 56, ["flags, exit codes, messages"]),
        "Machine": (120, 116, 320, 74, ["threads, locks, files, the terminal,", "loaders, the board, what backs a device"]),
        "KVM": (10, 250, 180, 74, ["a typed wrapper", "of /dev/kvm"]),
        "Virtio": (260, 250, 290, 74, ["the device model: registers, lifecycle,", "rings, devices. Calls in, values out"]),
        "VirtioABI": (260, 384, 290, 56, ["the specification's numbers"]),
        "CKVM": (10, 384, 180, 56, ["what Swift cannot import"]),
    }
    arrows = {("vmm", "Machine"): [(280, 66), (280, 114)], ("Machine", "KVM"): [(170, 190), (100, 248)],
              ("Machine", "Virtio"): [(380, 190), (405, 248)], ("Virtio", "VirtioABI"): [(405, 324), (405, 382)],
              ("KVM", "CKVM"): [(100, 324), (100, 382)]}
    # Whatever a module imports beside these, it reaches on the drawn way too.
    aside = {("vmm", "Virtio"), ("vmm", "VirtioABI"), ("Machine", "VirtioABI"), ("Machine", "CLinux"), ("Machine", "TestGuest")}
    demand("imports", set(arrows) | aside, {(name, other) for name, others in targets.items() for other in others})
    picture = Picture("The modules of vmm and what each imports", 560, 478)
    for name, (x, y, width, height, notes) in boxes.items():
        picture.box(x, y, width, height, name, notes, "good" if name in ("Virtio", "VirtioABI") else "plain")
    for points in arrows.values():
        picture.arrow(points)
    picture.text(225, 292, "no", 13)
    picture.arrow([(192, 300), (258, 300)], dashed=True, head=False)
    picture.text(280, 466, "Green: no thread, no lock, no clock, no file; compiles as Embedded Swift.", 13)
    return picture


def values(vmm, dialect):
    """The values of Status that `vmm explain suspend` has for a dialect: what suspends, resumes, and is read when running and suspended."""
    text = subprocess.run([vmm, "explain", "suspend"], capture_output=True, text=True, check=True).stdout
    text = text[text.index(f"  {dialect}, "):]
    writes, reads = re.findall(r"write (0x\w+)", text), re.findall(r"read  (0x\w+)", text)
    return writes[0], writes[1], reads[0], reads[1]


def lifecycle(vmm, dialect, name):
    """The phases of a device and what leads from one to another."""
    phases = re.search(r"enum Phase.*?\n    }", source("Sources/Virtio/Lifecycle/Lifecycle.swift"), re.DOTALL)[0]
    demand("phases", ["notLive", "running", "suspending", "suspended", "resuming", "dead", "resetting"], re.findall(r"case (\w+)", phases))
    suspend, resume, running, suspended = values(vmm, name)
    draft = dialect == "draft"
    picture = Picture(f"The phases of a device with SUSPEND, {name}", 560, 520)
    picture.box(10, 10, 180, 58, "not live", ["after a reset"])
    picture.box(10, 140, 180, 74, "running", [f"Status reads {running}"], "good")
    picture.box(370, 140, 180, 74, "suspending", [f"reads {running}", "requests drain"], "wait")
    picture.box(370, 310, 180, 74, "suspended", [f"reads {suspended}"], "still")
    picture.box(10, 310, 180, 74, "resuming", [f"reads {suspended}", "the backend gets ready"], "wait")
    picture.box(370, 10, 180, 58, "needs a reset", ["DEVICE_NEEDS_RESET"], "bad")
    picture.arrow([(70, 68), (70, 138)], "DRIVER_OK", (76, 108), "start")
    picture.arrow([(190, 162), (368, 162)], f"write {suspend}", (280, 154))
    picture.arrow([(460, 214), (460, 308)], "nothing is in flight," if draft else "nothing is in flight", (454, 256), "end")
    if draft:
        picture.text(454, 272, "or the drain deadline", 13, "end")
        picture.arrow([(370, 194), (192, 194)], f"write {resume}: abort", (280, 210), dashed=True)
    else:
        picture.arrow([(520, 140), (520, 70)], "drain deadline", (514, 108), "end")
    picture.arrow([(370, 334), (192, 334)], f"write {resume}", (280, 326))
    if draft:
        picture.arrow([(190, 364), (368, 364)], f"write {suspend}: abort", (280, 381), dashed=True)
    picture.arrow([(100, 310), (100, 216)], "the backend is ready:\nwhat was deferred is delivered", (106, 256), "start")
    notes = ["A write of 0 resets from every phase. An error that only a reset mends leads to the",
             "red box: while suspended at the resume, otherwise at once." if draft else
             f"red box at once; a suspended device keeps {suspended} in Status, and sends no interrupt.",
             "Neither a write nor a read of Status waits. During a change it shows the old value;",
             "so it does during a reset in version 3 of virtio-mmio."]
    if not draft:
        notes.append(f"{suspend} suspends a running device and resumes a suspended one: write it once.")
    for index, note in enumerate(notes):
        picture.text(10, 424 + 20 * index, note, 12, "start")
    return picture


def request(vmm):
    """A request's way: who does what, from the notification to the interrupt."""
    lanes = [("driver", 60), ("vCPU thread", 190), ("device, locked", 330), ("worker thread", 480), ("host file", 610)]
    picture = Picture("The way of a request through vmm", 670, 520)
    for name, x in lanes:
        picture.box(x - 58, 8, 116, 32, name, kind="good" if "device" in name else "plain")
        picture.arrow([(x, 40), (x, 506)], head=False, dashed=True)
    column = dict(lanes)
    steps = [
        ("driver", "vCPU thread", "QueueNotify"),
        ("vCPU thread", "worker thread", "ioeventfd, or the exit: wake"),
        ("worker thread", "device, locked", "take"),
        ("device, locked", "driver", "read the ring: pop, validate, park"),
        ("device, locked", "worker thread", "Work"),
        ("worker thread", "host file", "preadv"),
        ("host file", "driver", "data, straight between file and guest memory"),
        ("worker thread", "device, locked", "finish"),
        ("device, locked", "driver", "status byte, used entry, used index"),
        ("device, locked", "driver", "interrupt line = InterruptStatus"),
        ("driver", "device, locked", "InterruptACK: the line goes down"),
    ]
    for index, (start, end, label) in enumerate(steps):
        y, x, z = 74 + 40 * index, column[start], column[end]
        picture.arrow([(x, y), (z - 2 if z > x else z + 2, y)], label, ((x + z) / 2, y - 6))
    return picture


def machine(vmm):
    """The states of a machine, and what ends a run."""
    states = re.search(r"enum RunState.*?\n    }", source("Sources/Machine/Control/Machine+Control.swift"), re.DOTALL)[0]
    demand("states of a machine", ["running", "paused", "shutdown"], re.findall(r"case (\w+)", states))
    text = " ".join(subprocess.run([vmm, "help", "run"], capture_output=True, text=True, check=True).stdout.split())
    for code, meaning in (("32", "the guest reset"), ("33", "the guest crashed"), ("34", "it panicked"), ("124", "timeout"),
                          ("65", "a driver broke a clause"), ("128+n", "stopped by signal")):
        if f"{code} {meaning}" not in text:
            sys.exit(f"diagrams.py: exit code {code}: vmm help run does not say: {meaning}")
    picture = Picture("The states of a machine", 560, 420)
    picture.box(10, 10, 250, 74, "made", ["memory, slots, kernel loaded;", "then the sandbox is entered"])
    picture.box(10, 150, 180, 58, "running", ["vCPUs in KVM_RUN"], "good")
    picture.box(370, 150, 180, 58, "paused", ["requests finish"], "still")
    picture.box(370, 10, 180, 74, "a snapshot", ["on disk; restored", "as often as wanted"])
    picture.box(10, 290, 540, 122, "shutdown", [
        "0 powered off, quit · 32 reset · 33 crashed · 34 panicked", "65 a clause broken under --conform strict · 124 timeout",
        "128+n signal · 2v+1 debug-exit", "the terminal is restored, outputs are written out"], "bad")
    picture.arrow([(60, 84), (60, 148)])
    picture.arrow([(190, 168), (368, 168)], "stop, or -S", (280, 160))
    picture.arrow([(370, 192), (192, 192)], "cont", (280, 208))
    picture.arrow([(150, 148), (150, 126), (352, 126), (352, 60), (368, 60)], "stands still for\na snapshot, goes on", (344, 100), "end")
    picture.arrow([(490, 84), (490, 148)], "--restore", (484, 122), "end")
    picture.arrow([(100, 208), (100, 288)], "the guest ends, a signal,\nCtrl-A x, the timeout", (108, 242), "start")
    picture.arrow([(460, 208), (460, 288)], "quit, a signal", (452, 252), "end")
    return picture


PICTURES = {
    "house": house,
    "lifecycle-draft": lambda vmm: lifecycle(vmm, "draft", "draft"),
    "lifecycle-ratified": lambda vmm: lifecycle(vmm, "ratified", "VIRTIO 1.4"),
    "request": request,
    "machine-states": machine,
}


def main():
    vmm, stale = pathlib.Path(sys.argv[1]).resolve(), []
    for name, make in PICTURES.items():
        picture = make(vmm)
        for theme in THEMES:
            path, text = RESOURCES / f"{name}{theme}.svg", picture.drawn(name, theme)
            if "--check" not in sys.argv:
                path.write_text(text)
            elif not path.exists() or path.read_text() != text:
                stale.append(path.name)
    if stale:
        sys.exit(f"not ok - make picture changes {', '.join(stale)}")


if __name__ == "__main__":
    main()
