"""The files of an SQLite database, by device and inode: whether they are still ours.

A commit into files that were removed or replaced succeeds, and nobody ever sees what is
in it. So what was committed is acknowledged only where the names still lead to what
this process has open. A file that is gone does not come back: what has another inode
was never read here.

The files are never opened for this. Closing one would drop the locks that SQLite holds
on it for the whole process.

Source: https://www.sqlite.org/howtocorrupt.html, 2.2 and 4.2.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from ..records import StoreError, StoreLost

Place = tuple[int, int]
"""Device and inode."""
WAL, SHM = "-wal", "-shm"
"""Beside the file: what was committed lately, and where in it."""
KIND, KIND_OF_DISK = "files", "disk"
"""Of faults: the files are not ours any more, or it cannot be seen what they are."""


@dataclass(frozen=True, slots=True)
class Room:
    """Bytes that the files take, and that are left for more."""

    free: int
    wal: int
    """What was committed lately."""
    taken: int = 0
    """All three files."""


class Files:
    """The database file and the two beside it."""

    def __init__(self, file: Path, place: Place | None = None) -> None:
        """Take the file.

        Args:
            place: Where it was when the server began; None where that is now.
        """
        self.file = file
        self.place = place
        self._paths = [str(file), *(f"{file}{each}" for each in (WAL, SHM))]
        self._places: list[Place | None] = [place, None, None]
        self.are_known = False
        self._lost = ""

    def look(self) -> list[Place | None]:
        """Return where each is at this moment; None for one that is not there.

        Raises:
            StoreError: if that cannot be seen.
        """
        return [_place(each) for each in self._paths]

    def expect(self, places: list[Place | None]) -> None:
        """Return unless it is known where the database file has to be, and it is not.

        Raises:
            StoreLost: if it is another than it was.
        """
        self.refuse()
        if self.place is not None and self.place != places[0]:
            self._lose(0, places[0])

    def take(self, places: list[Place | None]) -> None:
        """Take these as the ones that this process has open.

        Raises:
            StoreLost: if the database file is another than it was.
        """
        self.expect(places)
        self.place = places[0]
        self._places = list(places)
        self.are_known = True

    def forget(self) -> None:
        """Hold none of them open any more; the database file stays the one it is."""
        self.are_known = False

    @property
    def without_wal_alone(self) -> bool:
        """Whether the database file is ours still, and one beside it is not."""
        return bool(self._lost) and _place(self._paths[0]) == self.place

    def refuse(self) -> None:
        """Return unless a file was missed before.

        Raises:
            StoreLost: if one was.
        """
        if self._lost:
            raise StoreLost(self._lost, KIND)

    def check(self) -> None:
        """Return if each file is where it was.

        Raises:
            StoreLost: if one is not, now and ever after.
            StoreError: if that cannot be seen.
        """
        self.refuse()
        for index, path in enumerate(self._paths):
            known, found = self._places[index], _place(path)
            if known is None:
                self._places[index] = found
            elif known != found:
                self._lose(index, found)

    def measure(self) -> Room:
        """Return how much room there is.

        Raises:
            StoreError: if that cannot be seen.
        """
        try:
            disk = os.statvfs(self.file.parent)
            sizes = [_size(each) for each in self._paths]
        except OSError as error:
            raise StoreError(f"{self.file}: {error.strerror}", KIND_OF_DISK) from error
        return Room(disk.f_bavail * disk.f_frsize, sizes[1], sum(sizes))

    def lose(self, why: str) -> None:
        """Refuse everything from now on."""
        self._lost = self._lost or why

    def _lose(self, index: int, found: Place | None) -> None:
        what = "was removed" if found is None else "was replaced by another"
        self._lost = f"{self._paths[index]} {what} while it was in use; start anew"
        raise StoreLost(self._lost, KIND)


def _place(path: str) -> Place | None:
    try:
        at = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}", KIND_OF_DISK) from error
    return at.st_dev, at.st_ino


def _size(path: str) -> int:
    """Bytes; 0 for what is not there."""
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0
