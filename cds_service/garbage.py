"""When Python looks for garbage: not while much is made at once that is here to stay.

It walks all that was made so far, again and again, and finds nothing.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

SELDOM = 50_000
"""Objects that are made between two looks for garbage; Python's own number is 700."""


@contextmanager
def uncollected() -> Iterator[None]:
    """Keep the garbage collector away while something large comes to be.

    A third of the time that it takes to compile a thousand rules, and a seventh of that
    in which a server's modules are imported.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Have the garbage collector come seldom while tests of rules are run.

    There is garbage, but far less than what lives and is walked for it.
    """
    was = gc.get_threshold()
    gc.set_threshold(SELDOM, *was[1:])
    try:
        yield
    finally:
        gc.set_threshold(*was)
