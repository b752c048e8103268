#!/usr/bin/env python3
"""Public symbols without a comment, counted in the symbol graphs of each module. Fails if a module has more of them than `undocumented`
says, or fewer: then that number must be lowered.

usage: undocumented.py GRAPHS [--list]
"""
import json
import pathlib
import sys

KNOWN = dict(line.split() for line in (pathlib.Path(__file__).parent / "undocumented").read_text().splitlines())


def undocumented(graph):
    for symbol in json.loads(graph.read_text())["symbols"]:
        # Those without a place are the compiler's own, such as == of an enumeration.
        if "location" in symbol and "docComment" not in symbol and "::SYNTHESIZED::" not in symbol["identifier"]["precise"]:
            yield ".".join(symbol["pathComponents"])


def main():
    wrong = 0
    for module, known in KNOWN.items():
        names = sorted(undocumented(pathlib.Path(sys.argv[1]) / module / f"{module}.symbols.json"))
        if "--list" in sys.argv:
            print("\n".join(f"{module}.{name}" for name in names))
        print(f"{module}: {len(names)} public symbols without a comment")
        if len(names) != int(known):
            wrong += 1
            print(f"not ok - Tests/docs/undocumented says {known}; " +
                  ("write comments for the new ones, --list names them" if len(names) > int(known) else "lower it"))
    return wrong > 0


if __name__ == "__main__":
    sys.exit(main())
