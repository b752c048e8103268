"""A probe is a function that exercises a freshly reset board and returns the values that it observed, not a verdict.
Its name is the function's; its clauses are those of VIRTIO 1.4 that specify the result."""

ALL = []


class Probe:
    def __init__(self, function, clauses):
        self.name, self.function, self.clauses = function.__name__.replace("_", "-"), function, clauses


def probe(*clauses):
    """Registers a function as a probe."""
    def register(function):
        ALL.append(Probe(function, clauses))
        return function
    return register


def listing(values):
    """The values separated by spaces, integers in hexadecimal."""
    return " ".join(f"{value:#x}" if isinstance(value, int) else str(value) for value in values)


# Importing a module registers its probes, in this order.
from probes import registers, status, queues, split, indirect, broken, packed, block, framing, console
