"""Markdown files as the documentation test needs them: code blocks, code within sentences, tables, links."""
import re


def plain(text):
    """The text with every run of white space as one blank."""
    return " ".join(text.split())


class Document:
    def __init__(self, root, path):
        self.root, self.path = root, path
        self.name = str(path.relative_to(root))
        self.blocks, self.tables = [], []
        text = self._take_blocks(path.read_text())
        self.prose = plain(text)
        self.spans = [plain(span).replace("\\|", "|") for span in re.findall(r"(?<!`)`([^`]+)`", text)]
        self.links = [link for link in re.findall(r"\]\(([^)]+)\)", text) if ":" not in link]

    def _take_blocks(self, text):
        """Keeps the lines of each indented block, and of each fence that names no language; returns the other text."""
        rest, block, fence, blank = [], None, None, True
        for line in text.splitlines() + [""]:
            if line.startswith("```"):
                if fence is None:
                    fence, block = line, []
                else:
                    if fence == "```":
                        self.blocks.append([line.removeprefix("    ") for line in block])
                    fence, block = None, None
            elif fence is not None:
                block.append(line)
            elif line.startswith("    ") and (block is not None or blank):
                block = (block or []) + [line[4:]]
            else:
                if block is not None:
                    self.blocks.append(block)
                    block = None
                rest.append(line)
            blank = not line.strip()
        self._take_tables(rest)
        return "\n".join(rest)

    def _take_tables(self, lines):
        rows = []
        for line in lines + [""]:
            if line.startswith("|"):
                rows.append([cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
            elif rows:
                self.tables.append(rows)
                rows = []

    def table(self, first):
        """The rows of the table whose first column has this title."""
        return next(table[2:] for table in self.tables if table[0][0] == first)


class Command:
    """A command line, and of a transcript (`$ command`) the output that follows it."""

    def __init__(self, document, text, output=None):
        self.document, self.text, self.output = document, text, output


STARTS = re.compile(r"(vmm|vmm-bench|swift run|make|\.ci/\w+|Tests/\S+|guest/\S+|mmdebstrap|mke2fs)( |$)")


def block_commands(document, block):
    """The commands of a block. All its lines are commands with their continuations, or it is a transcript, or it has none."""
    if block[0].startswith("$ "):
        first, *output = block
        return [Command(document, first[2:], output)]
    commands, unknown = [], []
    for line in block:
        if commands and (commands[-1].endswith("\\") or commands[-1].count("'") % 2):
            commands[-1] += "\n" + line
        elif STARTS.match(line):
            commands.append(re.sub(r"\s+# .*", "", line))
        else:
            unknown.append(line)
    if commands and unknown:
        raise ValueError(f"{document.name}: not a command, in a block of commands: {unknown[0]}")
    return [Command(document, text) for text in commands]


def commands(document):
    """Every command of a document once, in its order: first those of blocks, then those within sentences."""
    found = [command for block in document.blocks if block for command in block_commands(document, block)]
    found += [Command(document, span) for span in document.spans if STARTS.match(span + " ") and span != "vmm"
              or span.startswith("-a ")]
    texts = set()
    return [command for command in found if not (command.text in texts or texts.add(command.text))]
