"""A port for who has to be told one before it listens."""

import random
import socket
from contextlib import suppress

CHOICE = random.SystemRandom()


def free_port() -> int:
    """Return one that nobody has, and that the system gives nobody who lets it choose.

    What the system gives, and has back, it may give to another test at once.
    """
    for port in CHOICE.sample(range(20_000, 32_000), 100):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("", port))
            return port
    raise AssertionError("no port is free")
