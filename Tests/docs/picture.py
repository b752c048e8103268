#!/usr/bin/env python3
"""Makes the picture of a terminal session: runs the commands, and draws what they print.

usage: picture.py VMM > session.svg
"""
import html
import subprocess
import sys

COLUMNS, CHARACTER, LINE = 100, 7.83, 18
# A command as it is typed, and of what it prints the first and last lines that are shown.
SESSION = [
    ("vmm --suspend draft", 6, 3),
    ("vmm machine", 4, 0),
    ("vmm explain 4.2.2.2-17", 6, 0),
]


def session(vmm):
    """The lines, each with its colour."""
    for command, first, last in SESSION:
        yield "#8be9fd", "$ " + command
        run = subprocess.run([vmm, *command.split()[1:]], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True)
        lines = run.stdout.splitlines()
        cut = len(lines) > first + last
        for line in lines[:first] + ["..."] * cut + (lines[len(lines) - last:] if cut and last else []):
            while line:
                yield "#f8f8f2", line[:COLUMNS]
                line = line[COLUMNS:]


def main():
    lines = list(session(sys.argv[1]))
    width, height = COLUMNS * CHARACTER + 40, len(lines) * LINE + 52
    print(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" role="img" aria-label="a terminal session">')
    print(f'<rect width="{width:.0f}" height="{height}" rx="8" fill="#282a36"/>')
    for index, colour in enumerate(["#ff5555", "#f1fa8c", "#50fa7b"]):
        print(f'<circle cx="{20 + 18 * index}" cy="18" r="6" fill="{colour}"/>')
    print('<g font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="13">')
    for index, (colour, line) in enumerate(lines):
        print(f'<text x="20" y="{50 + index * LINE}" fill="{colour}">{html.escape(line).replace(" ", "&#160;")}</text>')
    print("</g>\n</svg>")


main()
