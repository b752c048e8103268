#!/usr/bin/env python3
"""The completions of bash, zsh and fish, each tried at a terminal: what a key Tab makes of the line that was typed.

usage: completions.py VMM
"""
import fcntl
import os
import pathlib
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time

# What is typed before Tab, and what has to be on the screen after it.
CASES = [
    ("vmm --susp", ["--suspend"]),
    ("vmm --suspend d", ["--suspend draft"]),
    ("vmm --suspend ", ["draft", "1.4", "off"]),
    ("vmm --conform ", ["off", "report", "strict"]),
    ("vmm --boot multiboot", ["multiboot2"]),
    ("vmm exp", ["vmm explain"]),
    ("vmm explain 4.2.2.2-1", ["4.2.2.2-14", "4.2.2.2-17"]),
    ("vmm explain V14-DRV-", ["V14-DRV-1", "V14-DRV-7"]),
    ("vmm -k folder/ker", ["folder/kernel.elf"]),
    ("vmm folder/ker", ["folder/kernel.elf"]),
    ("vmm -d folder/di", ["folder/disk.img"]),
    ("vmm check folder/tr", ["folder/trace.json"]),
    ("vmm machine --js", ["machine --json"]),
    ("vmm ctl --", ["--help"]),
]
SECONDS = 20
HERE = pathlib.Path(__file__).resolve().parent


def shells(work, home):
    """The command line of each shell, and what makes it ready."""
    (home / ".zshrc").write_text(f"fpath=({work}/zsh $fpath)\nautoload -Uz compinit\ncompinit -u -D\nPROMPT='ready> '\nunsetopt PROMPT_SP\n")
    (home / ".bashrc").write_text(f"PS1='ready> '\nbind 'set bell-style none'\nbind 'set page-completions off'\nbind 'set enable-bracketed-paste off'\n"
                                  f"bind 'set show-all-if-ambiguous on'\nsource {work}/vmm.bash\n")
    fish = home / ".config/fish"
    (fish / "completions").mkdir(parents=True)
    (fish / "completions/vmm.fish").write_text((work / "vmm.fish").read_text())
    (fish / "config.fish").write_text("function fish_prompt; echo -n 'ready> '; end\nset -g fish_greeting\n")
    return {"bash": ["bash", "--rcfile", str(home / ".bashrc"), "-i"], "zsh": ["zsh", "-i"], "fish": ["fish", "-i"]}


class Terminal:
    def __init__(self, line, folder, environment):
        self.process, self.text = None, ""
        pid, self.descriptor = pty.fork()
        if pid == 0:
            os.chdir(folder)
            os.execvpe(line[0], line, environment)
        self.pid = pid
        fcntl.ioctl(self.descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 150, 0, 0))

    def type(self, text):
        os.write(self.descriptor, text.encode())

    def read(self, is_done):
        """All that is on the screen until it is enough; what a terminal is asked for is answered."""
        deadline = time.monotonic() + SECONDS
        while not is_done(self.shown()) and time.monotonic() < deadline:
            if select.select([self.descriptor], [], [], 0.1)[0]:
                try:
                    data = os.read(self.descriptor, 65536).decode(errors="replace")
                except OSError:
                    break
                self.text += data
                if "\x1b[c" in data or "\x1b[0c" in data:
                    self.type("\x1b[?1;2c")
                if "\x1b[6n" in data:
                    self.type("\x1b[1;1R")
        return is_done(self.shown())

    def shown(self):
        """The text without what moves the cursor and sets colours."""
        return re.sub(r"\x1b(\[[0-9;?>=]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[()][0-9A-B]|[=>78NOM])", "", self.text).replace("\r", "")

    def close(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.descriptor)


def attempt(shell, line, typed, wanted, folder, environment):
    """Types a line and Tab; returns what was shown if it is not what is wanted."""
    terminal = Terminal(line, folder, environment)
    try:
        if not terminal.read(lambda text: "ready> " in text):
            return f"no prompt: {terminal.shown()!r}"
        terminal.text = ""
        terminal.type(typed + "\t")
        # A line is completed in place, so that the rest of a word may be all that is shown of it.
        rest = [word[len(typed):] if word.startswith(typed) else word for word in wanted]
        common = [word.removeprefix(typed.split(" ")[-1]) if word.startswith(typed.split(" ")[-1]) else word for word in rest]

        def is_done(text):
            after = text.split(typed, 1)[-1] if typed in text else text
            return all(word in text or short in after for word, short in zip(wanted, common))

        if terminal.read(is_done):
            return None
        # Readline lists the alternatives after a second Tab.
        terminal.type("\t")
        return None if terminal.read(is_done) else terminal.shown()
    finally:
        terminal.close()


def main():
    vmm, failures, count = pathlib.Path(sys.argv[1]).resolve(), [], 0
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        home = work / "home"
        for folder in home, work / "zsh", work / "bin", work / "place/folder":
            folder.mkdir(parents=True)
        for name in "kernel.elf", "disk.img", "trace.json":
            (work / "place/folder" / name).write_text("")
        (work / "bin/vmm").symlink_to(vmm)
        for shell, file in (("bash", "vmm.bash"), ("zsh", "zsh/_vmm"), ("fish", "vmm.fish")):
            script = subprocess.run([HERE / "completion.sh", vmm, shell], capture_output=True, text=True, check=True)
            (work / file).write_text(script.stdout)
        environment = {"PATH": f"{work / 'bin'}:{os.environ['PATH']}", "HOME": str(home), "TERM": "xterm", "LANG": "C.UTF-8",
                       "ZDOTDIR": str(home), "XDG_CONFIG_HOME": str(home / ".config")}
        for shell, line in shells(work, home).items():
            for typed, wanted in CASES:
                wrong = attempt(shell, line, typed, wanted, work / "place", environment)
                count += 1
                if wrong is not None:
                    failures.append(f"{shell}: {typed!r} and Tab: not all of {wanted} in {wrong[-400:]!r}")
    for failure in failures:
        print(f"not ok - {failure}")
    print(f"completions: {count - len(failures)} of {count} lines")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
