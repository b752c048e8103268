#!/usr/bin/env python3
"""Runs the scripts of the law against a vmm, and prints TAP: each test's name, and the clauses that it sees.

usage: run.py VMM [WORD]    WORD: only the tests with it in their name or among their clauses
"""
import concurrent.futures
import os
import sys

sys.dont_write_bytecode = True

import law  # noqa: E402
from qtest import Ended  # noqa: E402

for name in sorted(os.listdir(os.path.dirname(os.path.abspath(__file__)))):
    if name.startswith("law_") and name.endswith(".py"):
        __import__(name[:-3])


def run(test):
    """The failure of a test as a sentence; nothing if it passes."""
    _, _, function, dialect, packed, options = test
    machine = None
    try:
        machine = law.Machine(sys.argv[1], dialect, packed, options)
        function(machine)
        return ""
    except law.Broken as error:
        return str(error)
    except (Ended, ValueError, AttributeError, KeyError, IndexError) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        if machine:
            machine.close()


def main():
    word = sys.argv[2] if len(sys.argv) == 3 else ""
    tests = [test for test in law.REGISTER if word in test[0] or word in test[1]]
    print(f"TAP version 13\n1..{len(tests)}")
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for number, (test, failure) in enumerate(zip(tests, pool.map(run, tests)), 1):
            print(f"{'not ok' if failure else 'ok'} {number} - {test[0]} [{' '.join(test[1])}]", flush=True)
            if failure:
                failed += 1
                print(f"# {' '.join(test[2].__doc__.split())}\n# {failure}")
    print(f"# {len(tests) - failed} of {len(tests)} tests of the law passed")
    sys.exit(1 if failed or not tests else 0)


main()
