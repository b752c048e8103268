"""What the documents say of vmm, against what vmm says of itself."""
import json
import re
import subprocess

from documents import plain

# Options of other programs that the documents name.
FOREIGN = {"--disk-options", "--wait", "--packed", "--runs"}


def explain(vmm, *words):
    return subprocess.run([vmm, "explain", *words], capture_output=True, text=True, timeout=60).stdout


def help_of(vmm, command):
    return subprocess.run([vmm, "help", command], capture_output=True, text=True, check=True, timeout=60).stdout


def same(what, documented, actual):
    """One sentence for each difference."""
    documented, actual = set(documented), set(actual)
    return [f"{what}: the document has {word}, vmm has not" for word in sorted(documented - actual)] + \
        [f"{what}: vmm has {word}, the document has not" for word in sorted(actual - documented)]


def options(text):
    """The options of a help text: for each the set of its names, and the set of its values if it lists them."""
    found = []
    for entry in re.split(r"\n(?=  -)", text.partition("\nUSAGE:")[2])[1:]:
        names = re.match(r"  ((?:-\w, )?(?:--)?[\w-]+)", entry)[1].split(", ")
        values = re.search(r"\(values: ([^;)]+)", plain(entry))
        found.append((set(names), set(values[1].split(", ")) if values else None))
    return found


def flags(readme, vmm):
    known = [option for option in options(help_of(vmm, "run")) if not option[0] & {"--version", "--help"}]
    wrong, met = [], []
    for row in readme.table("flag"):
        for span in re.findall(r"`(-[^`]+)`", row[0]):
            name, values = re.match(r"([\w-]+)\[?[ =]?([^]]*)", span).groups()
            option = next((option for option in known if name in option[0]), None)
            if option is None:
                wrong.append(f"flags: vmm has no {name}")
                continue
            met.append(option)
            if option[1]:
                wrong += same(f"values of {name}", values.split("|"), option[1])
    return wrong + [f"flags: the document lacks {min(option[0])}" for option in known if option not in met]


def exit_codes(readme, vmm):
    def codes(text):
        return re.findall(r"(?:: |[,;] )(\d+(?:\+n)?) (?=[a-z`])", text[text.index("Exit codes:"):].split(". ")[0])

    text = plain(help_of(vmm, "run"))
    wrong = same("exit codes", codes(readme.prose), codes(text))
    for place in readme.prose, text:
        if "(v<<1)|1" not in place.replace(" ", ""):
            wrong.append("exit codes: that of debug-exit is missing")
    return wrong


def disk_options(readme, vmm):
    text = plain(help_of(vmm, "run"))
    names = re.search(r"Features: ([\w, ]+)\.", text)[1].split(", ")
    rows = readme.table("disk option")
    documented = [span for row in rows for span in re.findall(r"`([^`]+)`", row[0])]
    actual = re.findall(r"\[,([^][]+(?:\[[^][]+\])?)\]", text[text.index("PATH[,"):].split(" ")[0])
    features = next(row[1] for row in rows if row[0].startswith("`features="))
    return same("disk options", [word.split("=+")[0] for word in documented], [word.split("=+")[0] for word in actual]) \
        + same("features", re.findall(r"`(\w+)`", features), names)


def mentions(document, vmm):
    """Options, paths and links within sentences."""
    known = set(FOREIGN)
    for command in "run", "explain", "check", "trace-view", "sweep", "sweep-merge":
        known.update(*(names for names, _ in options(help_of(vmm, command))))
    wrong = [f"no program here has {span}" for span in document.spans
             if span.startswith("--") and re.match(r"[\w-]+", span)[0] not in known]
    for path in document.spans:
        folders = {"Documentation.docc": "Sources/Virtio"}
        if re.fullmatch(r"(Sources|Tests|guest|Documentation\.docc)/[\w/.+-]*", path):
            if not (document.root / folders.get(path.split("/")[0], "") / path).exists():
                wrong.append(f"there is no {path}")
    for link in document.links:
        if not any((document.path.parent / folder / link).exists() for folder in (".", "Resources")):
            wrong.append(f"there is no {link}")
    return wrong


def violations(document, vmm):
    """Reports that a document shows: the clause and its sentence as vmm has them."""
    wrong = []
    text = plain("\n".join(line for block in document.blocks for line in block))
    for clause, kind, sentence, again in re.findall(
            r"the driver broke (\S+) \((\S.*?)\): (.*?) \[.*?\]; see vmm explain (\S+)", text):
        told = plain(explain(vmm, clause))
        if again != clause or kind not in told or sentence not in told:
            wrong.append(f"of {clause} ({kind}) vmm says otherwise: {told}")
    return wrong


def state_members(document, vmm):
    """The members of `x-state`, of every device."""
    given = "".join(f"x-state {name}\n" for name in ("console0", "blk0", "rng0"))
    answers = subprocess.run([vmm, "--qtest", "stdio"], input=given, capture_output=True, text=True, check=True, timeout=60)
    actual = set()

    def walk(value):
        if isinstance(value, dict):
            actual.update(value)
            value = list(value.values())
        for item in value if isinstance(value, list) else ():
            walk(item)

    for answer in answers.stdout.splitlines():
        walk(json.loads(answer.removeprefix("OK ")))
    rows = document.table("member")
    wrong = [f"x-state has no {name}" for row in rows for name in re.findall(r"`(\w+)`", row[0]) if name not in actual]
    text = "".join("".join(row) for row in rows)
    return wrong + [f"x-state has {name}, which the table lacks" for name in sorted(actual) if f"`{name}`" not in text]


def first_host(root):
    """The code of "Your first host" is its file, all but the comment at the top."""
    text = (root / "Sources/Virtio/Documentation.docc/FirstHost.md").read_text()
    shown = re.findall(r"^```swift\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    file = (root / "Tests/Embedding/Sources/embedding/Embedding.swift").read_text()
    code = [line for line in file[file.index("import "):].splitlines() if line]
    return [] if [line for part in shown for line in part.splitlines() if line] == code else \
        ["FirstHost.md: its code is not that of Tests/Embedding/Sources/embedding/Embedding.swift"]


def dependencies(readme):
    """The modules of others that the sources import."""
    sources = readme.root / "Sources"
    imported = {name for path in sources.rglob("*.swift")
                for name in re.findall(r"^import (\w+)", path.read_text(), re.MULTILINE)}
    own = {path.name for path in sources.iterdir()} | {"TestGuest"}
    section = readme.prose[readme.prose.index("## Dependencies"):].replace("swift-argument-parser", "ArgumentParser")
    return [f"Dependencies lacks {name}" for name in sorted(imported - own) if name not in section.replace(",", "").split()]


def numbers(documents, vmm):
    """Counts that a document gives, and where they come from."""
    root = documents["README.md"].root
    book = "Sources/Virtio/Documentation.docc/"
    grid = (root / "Tests/grid/run.sh").read_text().split("<<END\n")[1].split("\nEND\n")[0]
    example = (root / "Tests/qtest/suspend_disk.py").read_text()
    checked = [line.split("\t")[2] for line in explain(vmm, "--list").splitlines() if line.startswith("*")]
    advice = checked.count("advice")
    clauses = len(checked) - advice
    fuzz = (root / "Tests/Fuzz/Sources/FuzzTargets/Target.swift").read_text()
    targets = re.findall(r'^    case (?:\w+ = "(.+)"|(\w+))$', fuzz, re.MULTILINE)
    wrong = []
    for name, pattern, actual in (
            ("README.md", r"against (\d+) clauses", clauses),
            ("README.md", r"and (\d+) rules of its own", advice),
            (book + "DriverConformance.md", r"against (\d+) clauses", clauses),
            (book + "DriverConformance.md", r"against (\d+) rules of its own", advice),
            (book + "CommandLine.md", r"runs (\d+) combinations", len(grid.splitlines())),
            ("README.md", r"in (\d+) lines of Python", len(example.splitlines())),
            (book + "QTest.md", r"driver of (\d+) lines in Python", len(example.splitlines()))):
        told = re.search(pattern, documents[name].prose)
        if told is None or int(told[1]) != actual:
            wrong.append(f"{name}: \"{told[0] if told else pattern}\" should have {actual}")
    told = re.search(r"`make fuzz-(\S+)` \(or ([^)]*)\)", documents[book + "Contributing.md"].prose)
    return wrong + same("Contributing.md: fuzz targets", [told[1], *re.findall(r"`(\S+)`", told[2])], map("".join, targets))
