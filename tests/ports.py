"""A port for who has to be told one before it listens."""

import os
import random
import socket
from contextlib import suppress

FIRST, SHARE, SHARES = 20_000, 1_500, 8
"""The system gives none of these to who lets it choose."""


def _ours() -> list[int]:
    """The ports of this process of the run, of which no other takes one."""
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = FIRST + number % SHARES * SHARE
    # Another run on this machine begins elsewhere.
    return random.SystemRandom().sample(range(first, first + SHARE), SHARE)


LEFT = _ours()


def free_port() -> int:
    """Return one that nobody has, that no other test is given, and that stays free.

    What the system gives, and has back, it may give to another test at once.
    """
    while LEFT:
        port = LEFT.pop()
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("", port))
            return port
    raise AssertionError("no port is free")
