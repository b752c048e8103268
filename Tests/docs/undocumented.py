#!/usr/bin/env python3
"""Fails if a public symbol of a library has no comment, and names it, by the symbol graphs of its modules.

usage: undocumented.py GRAPHS
"""
import json
import pathlib
import sys


def undocumented(graph):
    for symbol in json.loads(graph.read_text())["symbols"]:
        # Those without a place are the compiler's own, such as == of an enumeration.
        if "location" in symbol and "docComment" not in symbol and "::SYNTHESIZED::" not in symbol["identifier"]["precise"]:
            yield ".".join(symbol["pathComponents"])


def main():
    count = 0
    for graph in sorted(pathlib.Path(sys.argv[1]).glob("*/*.symbols.json")):
        for name in sorted(undocumented(graph)):
            print(f"not ok - {graph.parent.name}.{name} is public and has no comment")
            count += 1
    return count > 0


if __name__ == "__main__":
    sys.exit(main())
