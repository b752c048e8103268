#!/usr/bin/env python3
"""Breaks the device on purpose, once for each line of mutants.tsv, and shows which scripts of the law notice. All breaks are in one
program, built from a copy of the sources; the environment says which of them is made. Fails if a break is not noticed by a script that
names its clause. Without CLAUSE all lines run, and what was noticed is written to noticed.tsv, for the ledger.

A line is CLAUSES, FILE below Sources, ORIGINAL and BROKEN. ORIGINAL stands once in the file. It is an expression in whose place BROKEN
is evaluated; with "; " in front BROKEN are statements in place of the statement ORIGINAL, none if nothing follows; with "= "
in front it is the text that stands there then, in which MUTATED is whether the break is made. A line with + for the clauses is a further
part of the break in front of it.

usage: mutants.py FOLDER [CLAUSE...]    FOLDER: of the copy and its build
"""
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
CHOICE = """import Glibc

private let chosen = unsafe getenv("VMM_MUTANT").flatMap { unsafe Int(String(cString: $0)) } ?? 0

/// Whether break `number` is made.
public func mutated(_ number: Int) -> Bool { number == chosen }
"""


def lines():
    """The breaks: the clauses of each, and its parts."""
    with open(os.path.join(HERE, "mutants.tsv"), encoding="utf-8") as file:
        found = [line.rstrip("\n").split("\t") for line in file if line.strip() and not line.startswith("#")]
    breaks = []
    for row in found:
        if len(row) != 4:
            sys.exit(f"mutants.tsv: a line has four columns, not {len(row)}: {row}")
        if row[0] != "+":
            breaks.append((row[0].split(), []))
        breaks[-1][1].append(row[1:])
    return breaks


def broken(number, original, text):
    if text.startswith("= "):
        return text[2:].replace("MUTATED", f"mutated({number})")
    if not text.startswith(";"):
        return f"(mutated({number}) ? ({text}) : ({original}))"
    return f"if mutated({number}) {{ {text[1:].strip()} }} else {{ {original} }}"


def copy(folder, breaks):
    """Copies the package, with every break in it."""
    for name in ("Sources", "guest", "Tests/UAPI"):
        shutil.rmtree(os.path.join(folder, name), ignore_errors=True)
        shutil.copytree(os.path.join(ROOT, name), os.path.join(folder, name))
    shutil.copy2(os.path.join(ROOT, "LICENSE"), folder)
    with open(os.path.join(ROOT, "Package.swift"), encoding="utf-8") as file:
        package = file.read()
    # A break may leave what follows without use. The tests are not copied.
    package = re.sub(r"\n    \.treatAllWarnings\(as: \.error\),", "", package)
    package = re.sub(r"\n +// The kernel's UAPI headers.*?\n    \],", "\n    ],", package, flags=re.S)
    write(os.path.join(folder, "Package.swift"), package)
    write(os.path.join(folder, "Sources/Virtio/Mutated.swift"), CHOICE)
    places = {}
    for number, (_, parts) in enumerate(breaks, 1):
        for file, original, text in parts:
            places.setdefault(file, []).append((number, original, text))
    for file, parts in places.items():
        path = os.path.join(folder, "Sources", file)
        with open(path, encoding="utf-8") as stream:
            source = stream.read()
        spots = []
        for number, original, text in parts:
            if source.count(original) != 1:
                sys.exit(f"mutants.tsv, {file}: {original!r} stands there {source.count(original)} times, not once")
            spots.append((source.index(original), original, broken(number, original, text)))
        for start, original, text in sorted(spots, reverse=True):
            if sum(other < start + len(original) and start < other + len(word) for other, word, _ in spots) > 1:
                sys.exit(f"mutants.tsv, {file}: {original!r} overlaps another")
            source = source[:start] + text + source[start + len(original):]
        write(path, source)


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def build(folder):
    swift = os.environ.get("SWIFT", "swift")
    command = [swift, "build", "--package-path", folder, "--product", "vmm"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        errors = [line for line in result.stdout.splitlines() if "error:" in line]
        sys.exit("\n".join(["mutants: the copy does not build:"] + list(dict.fromkeys(errors))[:20]))
    return os.path.join(folder, ".build/debug/vmm")


def failing(program, number, clause):
    """The scripts that fail with break `number`, 0 for none, of those that name the clause; an empty one stands for all."""
    environment = dict(os.environ, VMM_MUTANT=str(number))
    command = [os.path.join(HERE, "run.py"), program, clause]
    output = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False).stdout
    found = re.findall(r"^not ok \d+ - law_(\w+) (\w+)", output, re.M)
    return list(dict.fromkeys(f"{file}: {function}" for file, function in found))


def main():
    folder, wanted, breaks = os.path.abspath(sys.argv[1]), sys.argv[2:], lines()
    os.makedirs(folder, exist_ok=True)
    copy(folder, breaks)
    program = build(folder)
    for clause in wanted or [""]:
        for name in failing(program, 0, clause):
            sys.exit(f"mutants: {name} fails without a break")
    table, unnoticed = {}, 0
    for number, (clauses, parts) in enumerate(breaks, 1):
        for clause in clauses:
            if wanted and clause not in wanted:
                continue
            found = failing(program, number, clause)
            unnoticed += not found
            _, original, text = parts[0]
            print(f"{'ok' if found else 'not ok'} - {clause}: {text} for {original}")
            for name in found:
                print(f"#   {name}", flush=True)
            table.setdefault(clause, {}).update(dict.fromkeys(found))
    print(f"mutants: {len(breaks)} breaks of {len(table)} clauses, {unnoticed} not noticed")
    if unnoticed or not table:
        sys.exit(1)
    if not wanted:
        rows = ["# Written by mutants.py: clauses, and the scripts that fail without them."]
        rows += [f"{clause}\t{'; '.join(names)}" for clause, names in table.items()]
        write(os.path.join(HERE, "noticed.tsv"), "\n".join(rows) + "\n")


main()
