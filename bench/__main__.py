"""``make bench``: every measurement, or those that are named.

``python -m bench engine`` measures the rules alone, without a server.
"""

import sys
from importlib import import_module

PARTS = (
    "engine",
    "calls",
    "referring",
    "pages",
    "fhir",
    "reload",
    "mutation",
    "trust",
    "years",
    "store",
    "samples",
    "readings",
    "detection",
    "telling",
    "timeline",
    "backlog",
    "messages",
    "start",
    "sockets",
)
"""Each is a module here with a ``main`` that measures and prints."""


def main() -> None:
    """Run the parts that were named, or all."""
    named = sys.argv[1:] or list(PARTS)
    unknown = [each for each in named if each not in PARTS]
    if unknown:
        sys.exit(f"there is no {unknown[0]}; parts are: {', '.join(PARTS)}")
    for each in named:
        print(f"== {each}")
        import_module(f"bench.{each}").main()
        print()


if __name__ == "__main__":
    main()
