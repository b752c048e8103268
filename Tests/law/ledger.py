#!/usr/bin/env python3
"""Writes the ledger of VIRTIO 1.4, Sources/Virtio/Documentation.docc/SpecificationLedger.md: each clause that concerns this board, with
its level, where it is implemented and the tests that show it. From the clauses of `vmm explain`, the key words counted in the
specification (counts.tsv), the run of run.py, what mutants.py and `make test-linux` left (noticed.tsv, met.tsv), and the unit tests'
sources. Fails if a key word of the text is neither a clause of
`vmm explain` nor in notoffered.tsv, if one is both, or if a level or target differs.

usage: ledger.py VMM TAP [--check | --json]    TAP: what run.py printed. --check: fails if the page is stale; --json: prints it as JSON
"""
import json
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PAGE = os.path.join(ROOT, "Sources/Virtio/Documentation.docc/SpecificationLedger.md")

# The clauses of SUSPEND in 1.4 by their section and key word. One key word may be several requirements.
SUSPEND = {"3.4.1": ["V14-DRV-1", "V14-DRV-2", "V14-DRV-3", "V14-DRV-4", "V14-DRV-5", "V14-DRV-6"],
           "3.4.2": ["V14-DEV-1", "V14-DEV-2", "V14-DEV-3 V14-DEV-4 V14-DEV-5", "V14-DEV-6", "V14-DEV-7", "V14-DEV-8", "V14-DEV-9",
                     "V14-DEV-10 V14-DEV-11 V14-DEV-12"]}
TITLES = {"2.1": "Device status", "2.2": "Feature bits", "2.4": "Device reset", "2.5": "Configuration space",
          "2.6": "Virtqueue reset", "2.7": "Split virtqueues", "2.8": "Packed virtqueues", "2.10": "Shared memory regions",
          "3.1": "Device initialization", "3.2": "Device operation", "3.3": "Device cleanup", "3.4": "Device suspend",
          "4.2": "Virtio over MMIO", "5.1": "Network device", "5.2": "Block device", "5.3": "Console device",
          "5.4": "Entropy device", "6": "Reserved feature bits"}


def rows(name):
    with open(os.path.join(HERE, name), encoding="utf-8") as file:
        return [line.rstrip("\n").split("\t") for line in file if line.strip() and not line.startswith("#")]


def source(name):
    with open(os.path.join(ROOT, name), encoding="utf-8") as file:
        return file.read()


def sources(folder):
    for directory, _, names in sorted(os.walk(os.path.join(ROOT, folder))):
        for name in sorted(names):
            if name.endswith(".swift"):
                path = os.path.join(directory, name)
                with open(path, encoding="utf-8") as file:
                    yield os.path.relpath(path, os.path.join(ROOT, folder)), file.read()


def counted():
    """Level and target of each key word of the text, by id."""
    return {f"{section}-{number}": (word, target) for section, target, words in rows("counts.tsv")
            for number, word in enumerate(words.split(", "), 1)}


def not_offered():
    """The reason, by id."""
    found = {}
    for ids, reason in rows("notoffered.tsv"):
        for name in ids.split():
            section, _, number = name.rpartition("-")
            first, _, last = number.partition("..")
            for n in range(int(first), int(last or first) + 1):
                found[f"{section}-{n}"] = reason
    return found


def scripts(tap):
    """The scripts that passed, by clause. A script that runs in several variants has one name."""
    found = {}
    with open(tap, encoding="utf-8") as file:
        for line in file:
            if match := re.match(r"ok \d+ - (law_\w+ \w+).*\[(.*)\]", line):
                for clause in match[2].split():
                    found.setdefault(clause, {}).setdefault(match[1].replace("law_", "").replace(" ", ": "))
            elif line.startswith("not ok"):
                sys.exit(f"ledger: a test of the law failed: {line.strip()}")
    return {clause: list(names) for clause, names in found.items()}


def aliases():
    """The clauses of each name of SUSPEND's requirements (B-1, MM-1)."""
    text = source("Sources/Virtio/Conformance/ClauseNames.swift")
    return {match[1]: re.findall(r'"([^"]+)"', match[2]) for match in re.finditer(r'Alias\("([^"]+)", ([^)]*)\)', text)}


def noticed(shown):
    """The scripts that failed when the clause was broken (mutants.py), by clause. A script may have been renamed since."""
    found = {clause: names.split("; ") for clause, names in rows("noticed.tsv")}
    for clause, names in found.items():
        for name in names:
            if name not in shown.get(clause, []):
                sys.exit(f"ledger: noticed.tsv has {name} for {clause}, which no script of that name sees; run make law-mutants")
    return found


def unit_tests(checks):
    """The unit tests, by clause: those whose trait names it, or that use the case of its check, or that name its id."""
    names, found = aliases(), {}
    for path, text in sources("Tests/VirtioTests"):
        suite = os.path.splitext(os.path.basename(path))[0]
        for match in re.finditer(r"\.covers\(([^)]*)\)", text):
            for name in re.findall(r'"([^"]+)"', match[1]):
                for clause in names.get(name, [name]):
                    found.setdefault(clause, {}).setdefault(suite)
        if path.startswith("Conformance/") or "Conformance" in suite:
            for case, clause in checks.items():
                if re.search(rf"\.{case}\b", text):
                    found.setdefault(clause, {}).setdefault(suite)
        if suite not in ("DocumentationTests", "ClauseTests"):
            for clause in re.findall(r'[("]([2-6](?:\.\d+)+-\d+[a-z]?)\b', text):
                found.setdefault(clause, {}).setdefault(suite)
    return {clause: list(suites) for clause, suites in found.items()}


def checks():
    """The clause of each case of `Check`."""
    found = {}
    for _, text in list(sources("Sources/Virtio/Conformance")) + list(sources("Sources/Virtio/Devices")):
        for match in re.finditer(r'case \.(\w+):\s+Clause\(\s*"([^"]+)"', text):
            found[match[1]] = match[2]
    return found


def place(clause, places):
    """The row of places.tsv with the longest beginning of the id."""
    return max((row for row in places if clause["id"] == row[0] or re.match(re.escape(row[0]) + r"[.-]", clause["id"])),
               key=lambda row: len(row[0]), default=None)


def gather(program, tap):
    """All clauses of the ledger, in the order of the specification, and what is not offered."""
    clauses = json.loads(subprocess.run([program, "explain", "--list", "--json"], check=True, capture_output=True).stdout)
    by_check, shown, places = checks(), scripts(tap), rows("places.tsv")
    broken, met = noticed(shown), dict(rows("met.tsv"))
    tested, cases = unit_tests(by_check), {clause: case for case, clause in by_check.items()}
    text, absent, faults = counted(), not_offered(), []
    known = {clause["id"] for clause in clauses}
    for row in places:
        if not os.path.exists(os.path.join(ROOT, "Sources/Virtio", row[1])):
            faults.append(f"places.tsv names {row[1]}, which does not exist")
    for name in shown:
        if name not in known:
            faults.append(f"a script names {name}, which is no clause")
    for section, parts in SUSPEND.items():
        for number, names in enumerate(parts, 1):
            for name in names.split():
                clause = next(clause for clause in clauses if clause["id"] == name)
                compare(f"{section}-{number}", name, clause, text, faults)
                text.setdefault(name, None)
    numbered = {}
    for clause in clauses:
        if match := re.match(r"([2-6][\d.]*-[1-9]\d*)[a-z]?$", clause["id"]):
            numbered.setdefault(match[1], clause["id"])
            compare(match[1], clause["id"], clause, text, faults)
            if match[1] in absent:
                faults.append(f"{clause['id']} is a clause, and in notoffered.tsv")
    for name, key in text.items():
        if key and name not in numbered and name not in absent and name.rpartition("-")[0] not in SUSPEND:
            faults.append(f"{name} ({key[0]}, {key[1]}) is neither a clause of vmm explain nor in notoffered.tsv")
    for name in absent:
        if name not in text:
            faults.append(f"notoffered.tsv names {name}, which the specification does not have")
    if faults:
        sys.exit("ledger: " + "\nledger: ".join(faults))
    for clause in clauses:
        row = place(clause, places)
        case = cases.get(clause["id"])
        clause["implemented"] = f"check `{case}`" if case else f"`{row[1]}`" if row and clause["target"] != "driver" else ""
        clause["scripts"] = shown.get(clause["id"], [])
        clause["tests"] = tested.get(clause["id"], [])
        clause["failsWithout"] = broken.get(clause["id"], [])
        clause["foreign"] = met.get(clause["id"], "").split() if clause["checked"] else row[2].split() if row else []
    return clauses, absent


def compare(key, name, clause, text, faults):
    """Notes a key word that does not exist, or has another level or target."""
    if key not in text:
        faults.append(f"{name}: the specification has no {key}")
    elif (clause["level"], clause["target"]) != (text[key][0].replace("SHALL", "MUST"), text[key][1]):
        faults.append(f"{name} is {clause['level']} for the {clause['target']}; the text says {text[key][0]} for the {text[key][1]}")


def order(name):
    return [(int(part), "") if part.isdigit() else (int(re.match(r"\d+", part)[0]), part) for part in re.split(r"[.-]", name)]


def page(clauses, absent):
    ledger = sorted((clause for clause in clauses if re.match(r"[2-6]", clause["id"])), key=lambda clause: order(clause["id"]))
    device = [clause for clause in ledger if clause["target"] != "driver"]
    bare = [clause["id"] for clause in device if not clause["scripts"] and not clause["tests"]]
    checked = sum(clause["checked"] for clause in ledger)
    lines = [
        "# The ledger of VIRTIO 1.4", "",
        "Every clause of the specification that concerns virtio-mmio and these devices: what it asks for, where it is, and what shows it.", "",
        "## Overview", "",
        "Generated by `Tests/law/ledger.py` from the sources and from a run of `make test-law`, which fails if this page is stale. An id is a",
        "section and the number of its key word; -0 is stated without one. SUSPEND's clauses are in <doc:SuspendRequirements>; section 3.4",
        "is theirs.", "",
        f"- {len(ledger)} clauses: {len(device)} on devices, {len(ledger) - len(device)} on drivers, of which {checked} are checked in drivers.",
        f"- {len(absent)} further key words of these sections belong to features that are not offered, or are said with another: at the end.",
        f"- {sum(bool(clause['scripts']) for clause in device)} clauses on devices are seen from outside, by a script of `Tests/law`; for "
        f"{sum(bool(clause['failsWithout']) for clause in device)} of them", "  a device that breaks the clause on purpose was made, and the script fails.", "",
        "*Where*: a file of `Sources/Virtio`, or the conformance check for what a driver has to keep. *Shown by*: `file: function` is a script",
        "of `Tests/law`; other names are files of `Tests/VirtioTests`. *Fails without*: those scripts that fail when the device breaks the",
        "clause, as `make law-mutants` makes it do. *Met by*: L, stock Linux drivers of `make test-linux`; S, Linux with this project's transport",
        "for SUSPEND; Q, QEMU's devices, which `make cross-check` puts beside these. For a checked clause the letter says that the clause was",
        "put to the test there, for the others that their section is exercised.", ""]
    lines += ["## Clauses on devices without a test of their own", ""]
    lines += [("- " + ", ".join(f"`{name}`" for name in bare)) if bare else "None.", ""]
    for section, title in TITLES.items():
        part = [clause for clause in ledger if re.match(re.escape(section) + r"[.-]", clause["id"])]
        if not part:
            continue
        lines += [f"## {title} ({section})", "", "| id | on | level | clause | where | shown by | fails without | met by |", "|---|---|---|---|---|---|---|---|"]
        for clause in part:
            shown = "; ".join([f"`{name}`" for name in clause["scripts"]] + clause["tests"])
            lines.append(f"| {clause['id']} | {clause['target']} | {clause['level']} | {clause['sentence']} | {clause['implemented']} | "
                         f"{shown} | {'; '.join(f'`{name}`' for name in clause['failsWithout'])} | {' '.join(clause['foreign'])} |")
        lines.append("")
    lines += ["## Device suspend (3.4)", "", "| id | requirements |", "|---|---|"]
    lines += [f"| {section}-{number} | {names.replace(' ', ', ')} |" for section, parts in SUSPEND.items()
              for number, names in enumerate(parts, 1)]
    lines += ["", "## Not offered", "", "| ids | why |", "|---|---|"]
    lines += [f"| {ids.replace(' ', ', ')} | {reason} |" for ids, reason in rows("notoffered.tsv")]
    return "\n".join(lines) + "\n"


def main():
    clauses, absent = gather(sys.argv[1], sys.argv[2])
    option = sys.argv[3] if len(sys.argv) == 4 else ""
    if option == "--json":
        print(json.dumps({"clauses": clauses, "notOffered": absent}, indent=1))
        return
    text = page(clauses, absent)
    if option == "--check":
        with open(PAGE, encoding="utf-8") as file:
            if file.read() != text:
                sys.exit("ledger: SpecificationLedger.md is stale; run make ledger")
    else:
        with open(PAGE, "w", encoding="utf-8") as file:
            file.write(text)
    print(f"ledger: {len(clauses)} clauses, {len(absent)} key words of what is not offered, none missing")


main()
