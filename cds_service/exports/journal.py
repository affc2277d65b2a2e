"""The files of an export: what is written so far, and from where to go on.

Rows go into ``OUT.partial``, and ``OUT.state.json`` says up to which byte they count
and what comes next. Rows are on the disk before the state says so, and what the state
does not know is cut off when an export goes on: whenever it is killed, no row is lost
and none is there twice. Complete, the rows get the name OUT in one step. All three
hold patient data, and nobody but their owner may read them.
"""

import fcntl
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, BinaryIO, Generic, TypeVar

from .files import first_cells, write_atomically

FORMAT = 1
_PRIVATE = 0o600


class CannotGoOn(Exception):
    """The unfinished export is not one that can be gone on with; a sentence."""


class InUse(Exception):
    """Another export is writing to the same files."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What an export is of; another one cannot be gone on with."""

    server: str
    query: str
    form: str
    """``csv`` or ``jsonl``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePosition(ABC):
    """How far an export is."""

    offset: int = 0
    """Bytes of rows that count."""

    @property
    @abstractmethod
    def is_complete(self) -> bool:
        """Whether nothing comes after it."""


P = TypeVar("P", bound=FilePosition)


@dataclass(frozen=True, slots=True)
class ExportPosition(FilePosition):
    """How far an export of patients is."""

    today: str
    """The day for which names and addresses are chosen."""
    following: str
    """The address of the next page; empty after the last."""
    rows: int = 0
    pages: int = 0
    duplicates: int = 0
    others: int = 0
    """Entries that are no Patients."""
    unreadable: int = 0
    unreadable_names: tuple[str, ...] = ()
    """The first of them."""
    errors: tuple[str, ...] = ()
    """What the server says went wrong, beside what it found."""
    total: int | None = None
    """How many patients there are, where the server says."""

    @property
    def is_complete(self) -> bool:
        """Whether the last page is there."""
        return not self.following


class ExportFiles(Generic[P]):
    """The files of one export, held against a second one that writes to the same."""

    def __init__(self, out: Path, subject: Subject, kind: type[P]) -> None:
        """*kind* is what says how far it is."""
        self._kind = kind
        self.out = out
        self.partial = out.with_name(f"{out.name}.partial")
        self.state = out.with_name(f"{out.name}.state.json")
        self.subject = subject
        self._rows: BinaryIO | None = None

    @property
    def unfinished(self) -> bool:
        """Whether an export stopped before its end."""
        return self.state.exists()

    def begin(self, position: P, header: str) -> P:
        """Start anew, without what was unfinished, and return where it stands."""
        rows = self._open()
        self.state.unlink(missing_ok=True)
        rows.truncate(0)
        return self.add(header, position)

    def go_on(self) -> P:
        """Return where the export stopped; what came after that is cut off.

        Raises CannotGoOn, and OSError.
        """
        position = self._read_state()
        if position.is_complete and not self.partial.exists() and self.out.exists():
            return position
        if not self.partial.exists():
            raise CannotGoOn(f"{self.partial} is gone")
        rows = self._open()
        if rows.seek(0, os.SEEK_END) < position.offset:
            raise CannotGoOn(f"{self.partial} is not as the export left it")
        rows.truncate(position.offset)
        return position

    def written(self) -> bytes:
        """Return the rows that are there."""
        if not self.partial.exists():
            return b""
        rows = self._open()
        rows.seek(0)
        return rows.read()

    def write(self, text: str) -> None:
        """Add rows that count once a position after them is saved."""
        rows = self._open()
        rows.seek(0, os.SEEK_END)
        rows.write(text.encode())

    def add(self, text: str, position: P) -> P:
        """Add rows for good; *position*, after them, gets its offset."""
        self.write(text)
        rows = self._open()
        rows.flush()
        os.fsync(rows.fileno())
        members = asdict(position) | {"offset": rows.tell()}
        state = {"format": FORMAT, **asdict(self.subject), **members}
        write_atomically(self.state, json.dumps(state, indent=1) + "\n", _PRIVATE)
        return self._kind(**members)

    def finish(self) -> None:
        """Give the rows their name; nothing is unfinished any more."""
        if self.partial.exists():
            os.replace(self.partial, self.out)
            folder = os.open(self.out.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        self.state.unlink(missing_ok=True)

    def discard(self) -> None:
        """Take away what is unfinished."""
        self.state.unlink(missing_ok=True)
        self.partial.unlink(missing_ok=True)

    def close(self) -> None:
        """Let others write."""
        if self._rows is not None:
            self._rows.close()
            self._rows = None

    def _open(self) -> BinaryIO:
        if self._rows is None:
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            rows = os.fdopen(os.open(self.partial, flags, _PRIVATE), "r+b")
            try:
                fcntl.flock(rows, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.fchmod(rows.fileno(), _PRIVATE)
            except BlockingIOError:
                rows.close()
                raise InUse from None
            self._rows = rows
        return self._rows

    def _read_state(self) -> P:
        try:
            state = json.loads(self.state.read_text("utf-8"))
            subject = Subject(**_members(Subject, state))
            if state["format"] != FORMAT:
                raise KeyError("format")
            position = self._kind(**_members(self._kind, state))
        except (ValueError, KeyError, TypeError) as error:
            raise CannotGoOn(f"{self.state} cannot be read") from error
        if subject != self.subject:
            raise CannotGoOn(
                f"the unfinished export is of {subject.query} of {subject.server} as "
                f"{subject.form}, not of what is asked now"
            )
        return position


def go_on_with_patients(
    files: ExportFiles[ExportPosition],
) -> tuple[ExportPosition, list[str]]:
    """Return where an export of patients stopped, and the ids of its rows, in order.

    Raises CannotGoOn, and OSError.
    """
    position = files.go_on()
    if not files.partial.exists():
        return position, []
    ids = _ids(files.written(), files.subject.form)
    if len(ids) != position.rows:
        raise CannotGoOn(f"{files.partial} is not as the export left it")
    return position, ids


def _ids(written: bytes, form: str) -> list[str]:
    text = written.decode("utf-8", "replace")
    if form == "csv":
        return first_cells(text)[1:]
    try:
        return [str(json.loads(line)["id"]) for line in text.split("\n")[:-1]]
    except (ValueError, KeyError, TypeError):
        return []


def _members(kind: type, state: Mapping[str, Any]) -> dict[str, Any]:
    members = {each.name: state[each.name] for each in fields(kind)}
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in members.items()
    }
