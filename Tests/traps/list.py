#!/usr/bin/env python3
"""Lists each place of VirtioABI, Virtio and Machine where the program can trap, from the compiler's unoptimised SIL.

SIL names each check of the compiler (cond_fail, a failed assertion inlined from the standard library, a forced
conversion) and each call of a standard function that checks its arguments, with the line of the source.
list.py           one line a place: file, line and column, function, kind, the source's text
list.py --check   fails for a function whose places are not those of its row in places.tsv, for a row with no function, and
                  for a file with no row in reasons.tsv
list.py --record  writes places.tsv anew: for one who has read what changed, and has written the reason
list.py --table   the counts, as rows of a table

reasons.tsv has for each file why none of its places can trap; `file<tab>function<tab>reason` is for one function.
"""
import collections, concurrent.futures, hashlib, os, pathlib, re, subprocess, sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILD = pathlib.Path(os.environ.get("BUILD", ROOT / ".build"))
MODULES = ("VirtioABI", "Virtio", "Machine")

# What the standard library says as it traps: these are inlined into the caller.
MESSAGES = [("conversion", r"Not enough bits|Negative value is not|would be less than|would be greater than|cannot be converted|Unexpected"),
            ("range", r"lowerBound <= upperBound|upperBound < lowerBound|Range"), ("division", r"Division|Remainder"), ("shift", r"shift")]
# Functions of the standard library that check an argument.
CALLEES = [
    ("forced unwrap", r"_diagnoseUnexpectedNilOptional"), ("try!", r"swift_unexpectedError"),
    ("conversion", r"^(FixedWidthInteger|UInt\d*|Int\d*)\.init(<A>)?\(_:\)$|BinaryInteger\.init!alloc"),
    ("subscript", r"^(specialized )?(Array|ArraySlice|ContiguousArray|Span|MutableSpan|Slice|InlineArray|MutableCollection|Collection"
                  r"|Unsafe\w*BufferPointer|String|Substring)(<>|<A>)?\.subscript\.|_checkIndex"),
    ("range", r"^static Comparable\.(\.\.<|\.\.\.)|\.\.\. infix|\.\.< infix"),
    ("slice", r"\.(remove(First|Last|Subrange)|replaceSubrange|remove|insert|prefix|suffix|dropFirst|dropLast|extracting|swapAt|index)"
              r"(<A>)?\((?!while|where|contentsOf)"),
    ("size", r"init\(repeating:count:\)|\.allocate\(|uniqueKeysWithValues|unsafeUninitializedCapacity|^repeatElement"),
    ("memory", r"copyMemory|copyBytes|copyElements|loadUnaligned|\.load<|storeBytes|\.(initialize|update|assign)\((from|repeating)"),
    ("arithmetic", r"#\w+\.\"[-+*/%]=?\"|quotientAndRemainder|isMultiple|\.advanced|distance\(to|dividingFullWidth|^abs<|^stride|static Duration"
                   r"|Duration\.|Instant\.[-+]"),
]
MESSAGES, CALLEES = ([(kind, re.compile(pattern)) for kind, pattern in table] for table in (MESSAGES, CALLEES))
LOCATION = re.compile(r'loc (?:\* )?"(Sources/(?:%s)/[^"]*)":(\d+):(\d+)' % "|".join(MODULES))
FUNCTION = re.compile(r"^sil .*@(\S+) :")


def flags():
    maps = [f"-Xcc=-fmodule-map-file={ROOT}/Sources/{name}/module.modulemap" for name in ("CKVM", "CLinux")]
    return ["-Onone", "-wmo", "-swift-version", "6", "-package-name", "vmm", "-parse-as-library", "-I", f"{BUILD}/debug/Modules",
            "-Xllvm", "-sil-print-debuginfo"] + [word for option in maps for word in option.split("=", 1)]


def sil(module):
    """The module's SIL. The build before has made the modules that it imports."""
    sources = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "Sources" / module).rglob("*.swift"))
    output = BUILD / "traps" / f"{module}.sil"
    output.parent.mkdir(parents=True, exist_ok=True)
    newest = max((ROOT / source).stat().st_mtime for source in sources)
    if not output.exists() or output.stat().st_mtime < newest:
        command = [os.environ.get("SWIFTC", "swiftc"), "-emit-sil", "-module-name", module, *flags(), *sources, "-o", str(output) + ".new"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"list.py: swiftc made no SIL of {module}; run `make build` first:\n" + "\n".join(
                line for line in done.stderr.splitlines() if "error:" in line)[:2000])
        os.replace(str(output) + ".new", output)
    return output


def enclosing(comment):
    """`closure #1 in Machine.run(_:)` is the place `Machine.run(_:)`."""
    name = re.sub(r"^.*(closure|argument|local function) #?\d+[^:]*? (in|of) ", "", comment)
    name = re.sub(r"^(specialized|implicit|static|one-time initialization function for|variable initialization expression of) ", "", name)
    return re.sub(r"<[A-Za-z0-9_, ]*>", "", name)


def places(module):
    """(file, line, column, function, kind) of each check in the module's SIL."""
    found, comment, callee, literal, function = set(), "", "", "", ""
    for line in open(sil(module)):
        text = line.strip()
        if text.startswith("// function_ref "):
            callee = text[16:]
        elif line.startswith("// "):
            comment = comment or line[3:].strip()
        elif line.startswith("sil "):
            function, comment = enclosing(comment.partition(', loc ')[0]), ""
        elif not text:
            comment = "" if not text and not line.startswith(" ") else comment
        else:
            kind = None
            if "string_literal" in text:
                literal = (literal + text.partition('"')[2].partition('"')[0])[-400:]
            if "cond_fail" in text:
                message = text.partition('"')[2].partition('"')[0]
                kind = "arithmetic" if "overflow" in message else "subscript" if "ndex" in message else message
            elif text.startswith("unconditional_checked_cast"):
                kind = "as!"
            elif "function_ref @" in text or "witness_method" in text:
                name = callee if "function_ref" in text else (re.search(r"#\S+", text) or [""])[0]
                if "_assertionFailure" in name or "_fatalErrorMessage" in name:
                    kind = next((kind for kind, pattern in MESSAGES if pattern.search(literal)), "precondition")
                    literal = ""
                else:
                    kind = next((kind for kind, pattern in CALLEES if pattern.search(name)), None)
                callee = ""
            where = LOCATION.search(text) if kind else None
            if where:
                found.add((where[1], int(where[2]), int(where[3]), function, kind))
    return found


def table(name):
    rows = (HERE / name).read_text().splitlines() if (HERE / name).exists() else []
    return [row.split("\t") for row in rows if row and not row.startswith("#")]


def functions(found):
    """For each function its number of places, and a digest of their kinds and their lines' text: it survives moved lines."""
    lines, texts = {}, collections.defaultdict(list)
    for file, line, column, function, kind in found:
        text = lines.setdefault(file, (ROOT / file).read_text().splitlines())[line - 1]
        texts[file.removeprefix("Sources/"), function].append(kind + " ".join(text.partition(" // ")[0].split()))
    return {key: f"{len(value)} {hashlib.sha256(chr(10).join(sorted(value)).encode()).hexdigest()[:8]}" for key, value in texts.items()}


def check(found):
    now, known = functions(found), {(file, function): digest for file, function, digest in table("places.tsv")}
    reasons = {tuple(row[:-1]): row[-1] for row in table("reasons.tsv")}
    problems = [f"{file}: {function}: its places are not those that were read ({now[file, function]}); list.py prints them"
                for file, function in now if known.get((file, function)) != now[file, function]]
    problems += [f"{file}: {function}: places.tsv has it, and it has no place that can trap" for file, function in known.keys() - now.keys()]
    files = {file for file, _ in now}
    problems += [f"{file}: reasons.tsv has no reason for it" for file in files if (file,) not in reasons]
    problems += [f"{' '.join(key)}: reasons.tsv has a reason, and there is no such place" for key in reasons
                 if (key not in now if len(key) == 2 else key[0] not in files)]
    print("\n".join(sorted(problems)) or f"{len(found)} places in {len(now)} functions of {len(files)} files have their reasons")
    return 1 if problems else 0


def main(option):
    with concurrent.futures.ThreadPoolExecutor() as pool:
        found = sorted(place for part in pool.map(places, MODULES) for place in part)
    if option == "--check":
        sys.exit(check(found))
    if option == "--record":
        rows = sorted("\t".join([*key, digest]) for key, digest in functions(found).items())
        (HERE / "places.tsv").write_text("# Written by list.py --record: file, function, places and their digest.\n" + "\n".join(rows) + "\n")
    elif option == "--table":
        counts = collections.Counter((place[4], place[0].split("/")[1]) for place in found)
        for kind in sorted({kind for kind, _ in counts}, key=lambda kind: -sum(counts[kind, module] for module in MODULES)):
            print(f"| {kind} | " + " | ".join(str(counts[kind, module]) for module in MODULES) + " |")
    else:
        lines = {}
        for file, line, column, function, kind in found:
            text = lines.setdefault(file, (ROOT / file).read_text().splitlines())[line - 1].strip()
            print(f"{file.removeprefix('Sources/')}:{line}:{column}\t{function}\t{kind}\t{text}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "")
