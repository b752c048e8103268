#!/usr/bin/env python3
# Every message of vmm to its user, listed from the source: file, line, text. Fails if an error does not say what to do next, if a
# message prints a value as Swift writes it, or if it ends with a full stop where vmm's sentences have none.
#
# usage: messages.py [--list]

import os
import re
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "Sources")
# What is said where: the calls whose text goes to the user, and the switches over errors, whose cases are sentences.
CALLS = r'Log\.say\(|OptionError\(|ValidationError\(|QTestRefusal\(|\bstop\(|\breject\(|\.badTrace\(|\.host\(|malformed\('
CASES = r'case \.\w+[^:]*:\s*(?:\w+\s*\?\s*)?(?=")'
STRING = r'"""\n(.*?)"""|"((?:\\\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)|\\.|[^"\\\n])*)"'
ERRORS = "MachineError.swift", "LoaderError.swift", "RAM.swift"
# A next step: behind a semicolon, or the sentence is one.
NEXT = re.compile(r"; |^(Name|Give|A machine|With|write|name|use) ")


def messages(path):
    text = open(path, encoding="utf-8").read()
    # What to do about other errors than the limits of the host.
    text = re.sub(r'\\\(remedy\(number, else: "([^"]*)"\)\)', r"; \1", text)
    text = re.sub(r'\+ remedy\(number, else: "([^"]*)"\)', r'+ "; \1"', text)
    marks = re.compile(CALLS + ("|" + CASES if path.endswith(ERRORS) else ""))
    for mark in marks.finditer(text):
        rest = text[mark.end():mark.end() + 1200]
        parts, end = [], 0
        # A sentence may be the sum of some strings.
        for string in re.finditer(STRING, rest, re.S):
            between = rest[end:string.start()]
            if (parts and not re.fullmatch(r"\s*\+?\s*", between)) or re.search(r"\n\s*(case|let|var|func|guard|})", between):
                break
            parts.append(re.sub(r"\\\n\s*", "", (string[1] or string[2] or "")).strip("\n"))
            end = string.end()
        if parts:
            yield text.count("\n", 0, mark.start()) + 1, mark[0], " ".join("".join(parts).split())


def main():
    wrong = count = 0
    for folder, _, names in sorted(os.walk(ROOT)):
        for name in sorted(names):
            if not name.endswith(".swift") or "vmm-bench" in folder:
                continue
            path = os.path.join(folder, name)
            for line, mark, text in messages(path):
                count += 1
                where = f"{os.path.relpath(path, ROOT)}:{line}"
                problems = []
                if "String(describing:" in text or "String(reflecting:" in text:
                    problems.append("prints a value as Swift writes it")
                if name in ERRORS and mark.startswith("case") and not NEXT.search(text) and "problem" not in text and not text.startswith(r"\("):
                    problems.append("does not say what to do next")
                if mark.startswith(("Log", "Option")) and text.endswith(".") and not text.endswith("..."):
                    problems.append("ends with a full stop")
                wrong += len(problems)
                if problems or "--list" in sys.argv:
                    print(f"{where}: {text}" + "".join(f"\n    not ok - {problem}" for problem in problems))
    print(f"messages: {count}, {wrong} not ok")
    return 1 if wrong or count < 100 else 0


sys.exit(main())
