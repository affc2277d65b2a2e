"""Who uses a database file: every process that has it open says so while it lives.

A file that is replaced under a process takes what that process writes with it. The lock
is the system's, on a file beside the database, and ends with its holder, however that
ends. The database file itself is not locked: to close it would drop SQLite's locks.
"""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..records import StoreBusy, StoreError

SUFFIX = ".in-use"
NOT_OURS = (errno.EACCES, errno.EPERM, errno.EROFS)
"""Whoever may not write beside the file cannot be in the way of who replaces it."""


class Presence:
    """That this process uses a file; the processes that it forks do as well."""

    def __init__(self, file: Path) -> None:
        """Say so.

        Raises:
            StoreBusy: if the file is being replaced.
        """
        self._held = _open(file)
        try:
            _lock(self._held, fcntl.LOCK_SH)
        except StoreBusy:
            self.close()
            raise StoreBusy("the database is being restored") from None

    def close(self) -> None:
        """Say that this process uses it no more."""
        if self._held is not None:
            os.close(self._held)
            self._held = None


@contextmanager
def sole_user(file: Path) -> Iterator[None]:
    """Have nobody else use a file, nor begin to, in the block.

    Raises:
        StoreBusy: if somebody uses it.
        StoreError: if nothing may be written beside it.
    """
    held = _open(file)
    if held is None:
        raise StoreError("nothing may be written beside the database")
    try:
        _lock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)


def _open(file: Path) -> int | None:
    beside = file.with_name(file.name + SUFFIX)
    try:
        return os.open(beside, os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as error:
        if error.errno in NOT_OURS:
            return None
        raise StoreError(f"{beside}: {error.strerror}") from error


def _lock(held: int | None, how: int) -> None:
    if held is None:
        return
    try:
        fcntl.flock(held, how | fcntl.LOCK_NB)
    except OSError as error:
        raise StoreBusy("a server or a command uses the database") from error
