#!/usr/bin/env python3
"""Reads a report in JUnit's XML by junitparser; where that is missing, says so, and checks the structure by xml.etree.

usage: junit.py FILE TESTS FAILURES SKIPPED
"""
import sys
import xml.etree.ElementTree as tree

path, *counts = sys.argv[1:]
counts = [int(count) for count in counts]
root = tree.parse(path).getroot()
assert root.tag == "testsuites" and [suite.tag for suite in root] == ["testsuite"], root
for element in root, root[0]:
    assert [int(element.get(name)) for name in ("tests", "failures", "skipped")] == counts, element.attrib
    float(element.get("time"))
cases = list(root[0])
assert all(case.tag == "testcase" and case.get("name") and case.get("classname") for case in cases)
kinds = [[child.tag for child in case] for case in cases]
assert [len(cases), kinds.count(["failure"]), kinds.count(["skipped"])] == counts, kinds
try:
    import junitparser
except ImportError as error:
    print(f"sweep: junitparser is not here ({error}): the structure is checked by xml.etree alone")
    sys.exit()
suites = junitparser.JUnitXml.fromfile(path)
assert [suites.tests, suites.failures, suites.skipped] == counts, suites
for suite in suites:
    for case in suite:
        for result in case.result:
            assert isinstance(result, junitparser.Skipped) or result.message in result.text, case
print(f"junitparser reads {suites.tests} tests")
