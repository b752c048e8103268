"""A probe is a function that does something to a freshly reset board and returns what it saw, as a value, not as a
verdict. Its name is the function's; its clauses are those of VIRTIO 1.4 that say what a driver may expect."""

ALL = []


class Probe:
    def __init__(self, function, clauses):
        self.name, self.function, self.clauses = function.__name__.replace("_", "-"), function, clauses


def probe(*clauses):
    """Makes a function a probe."""
    def register(function):
        ALL.append(Probe(function, clauses))
        return function
    return register


def listing(values):
    """Values in one word each."""
    return " ".join(f"{value:#x}" if isinstance(value, int) else str(value) for value in values)


# Importing a module registers its probes, in this order.
from probes import registers, status, queues, split, indirect, broken, packed, block, framing, console
