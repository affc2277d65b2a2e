"""A rules folder over time: whether it changed, and whether it came to rest.

Beside load.py the only module of this room that looks at files. A folder is asked again
and again instead of waiting for messages of the system: those do not come over network
file systems, nor when a container's volume is exchanged below its mount point.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from .load import is_passing

QUIET = 1.0
"""Seconds without a change after which nobody is taken to be writing any more."""

Fingerprint = Mapping[str, tuple[int, ...]]
"""Each file that counts: its size, times, place on the disk and rights."""


class Watch:
    """Says when a folder is worth reading."""

    def __init__(self, folder: Path, quiet: float = QUIET) -> None:
        self._folder = folder
        self._quiet = quiet
        self._taken: Fingerprint | None = None
        self._seen: Fingerprint | None = None
        self._seen_at = 0.0

    def look(self, moment: float) -> Fingerprint | None:
        """Return how the folder stands, if that is new and has lasted for a while.

        *moment* is in seconds of a clock that is never set back.
        """
        seen = take_fingerprint(self._folder)
        if seen != self._seen:
            self._seen, self._seen_at = seen, moment
        at_rest = moment - self._seen_at >= self._quiet
        return seen if at_rest and seen != self._taken else None

    def is_still(self, fingerprint: Fingerprint) -> bool:
        """Return whether nothing changed since, such as while the files were read."""
        return take_fingerprint(self._folder) == fingerprint

    def take(self, fingerprint: Fingerprint) -> None:
        """Count this as known: only another state is worth reading."""
        self._taken = fingerprint

    def forget(self) -> None:
        """Count nothing as known."""
        self._taken = None


def take_fingerprint(folder: Path) -> Fingerprint:
    """Return how the files that count stand below *folder*.

    Empty where there is none.
    """
    found: dict[str, tuple[int, ...]] = {}
    for here, folders, files in os.walk(folder):
        folders[:] = [each for each in folders if not is_passing(each)]
        for name in folders:
            path = os.path.join(here, name)
            # What comes and goes within shows by itself, a folder's rights do not.
            found[path] = _stand(path)[-1:]
        for name in files:
            if not is_passing(name):
                path = os.path.join(here, name)
                found[path] = _stand(path)
    return found


def _stand(path: str) -> tuple[int, ...]:
    try:
        at = os.stat(path)
    except OSError:
        return ()
    return (at.st_size, at.st_mtime_ns, at.st_ctime_ns, at.st_ino, at.st_mode)
