#!/usr/bin/env python3
"""Counts the key words of the specification's normative blocks, and writes Tests/law/counts.tsv: a section's number, whom it
concerns, its heading, and its key words in order. The numbers are those of the ids of `vmm explain`.

usage: count.py GIT-DIRECTORY [--text SECTION]    of oasis-tcs/virtio-spec; --text prints each key word with its sentence
"""
import re
import subprocess
import sys

TAG = "v1.4-cs01"
LEVELS = ["chapter", "section", "subsection", "subsubsection", "paragraph", "subparagraph"]
WORDS = re.compile(r"\b(MUST|SHOULD|SHALL|MAY)(\s+(?:NOT|not))?\b")

# The chapters and sections that concern a virtio-mmio board with these device types.
CONCERNED = re.compile(r"(2\.[1-9]|2\.10|3|4\.2|5\.[1-4]|6)(\.|$)")


def show(directory, name):
    return subprocess.run(["git", "-C", directory, "show", f"{TAG}:{name}"], check=True, capture_output=True,
                          text=True).stdout


def expand(directory, name):
    """A file's text with what it inputs, without comments."""
    text = re.sub(r"(?<!\\)%.*", "", show(directory, name))
    return re.sub(r"\\input\{([^}]*)\}", lambda match: expand(directory, match[1]) if match[1].endswith(".tex") else "", text)


def argument(text, at):
    """The braced argument at or after `at`, and where it ends."""
    at = text.index("{", at)
    depth, start = 0, at
    while True:
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        at += 1
        if depth == 0:
            return text[start + 1:at - 1], at


HEADING = re.compile(r"\\(device|driver)normative\s*\{|\\(chapter|section|subsection|subsubsection|paragraph|subparagraph)\s*\{")


def headings(text):
    """Number, target ("device", "driver" or ""), title, and body of each section."""
    numbers, found, at = [0] * len(LEVELS), [], 0
    numbers[0] = 1  # the introduction
    while match := HEADING.search(text, at):
        if match[1]:
            level, end = argument(text, match.start())
            level = level.strip().lstrip("\\")
            title, end = argument(text, end)
            _, end = argument(text, end)
        else:
            level = match[2]
            title, end = argument(text, match.start())
        depth = LEVELS.index(level)
        numbers[depth] += 1
        numbers[depth + 1:] = [0] * (len(LEVELS) - depth - 1)
        title = " ".join(re.sub(r"\\field\{([^}]*)\}", r"\1", title).split())
        found.append([".".join(map(str, numbers[:depth + 1])), match[1] or "", title, end, len(text)])
        if len(found) > 1:
            found[-2][4] = match.start()
        at = end
    return [(number, target, title, text[start:end]) for number, target, title, start, end in found]


def words(body):
    body = re.sub(r"\\begin\{note\}.*?\\end\{note\}|\\footnote\{[^}]*\}", lambda match: " " * len(match[0]), body, flags=re.S)
    return [(" ".join(match[0].split()).upper(), match.start()) for match in WORDS.finditer(body)]


def main():
    sections = headings(expand(sys.argv[1], "content.tex"))
    if len(sys.argv) == 4:
        for number, target, title, body in sections:
            if target and number == sys.argv[3] or sys.argv[3] == "all" and target and CONCERNED.match(number):
                print(number, target, title)
                for count, (word, at) in enumerate(words(body), 1):
                    around = " ".join(body[max(0, at - 160):at + 220].split())
                    print(f"  {number}-{count} {word}: ...{around}...")
        return
    print("# section\ttarget\tkey words, in order")
    for number, target, title, body in sections:
        if CONCERNED.match(number) and (target and "Legacy" not in title):
            print(f"{number}\t{target}\t{', '.join(word for word, _ in words(body))}")


main()
