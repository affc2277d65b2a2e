"""The files of an export: what is written so far, and from where to go on.

Rows go into ``OUT.partial``, and ``OUT.state.json`` says up to which byte they count
and which page comes next. A page is on the disk before the state says so, and what the
state does not know is cut off when an export goes on: whenever it is killed, no row is
lost and none is there twice. Complete, the rows get the name OUT in one step. All three
hold patient data, and nobody but their owner may read them.
"""

import fcntl
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, BinaryIO

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


@dataclass(frozen=True, slots=True)
class ExportPosition:
    """How far an export is."""

    today: str
    """The day for which names and addresses are chosen."""
    following: str
    """The address of the next page; empty after the last."""
    offset: int = 0
    """Bytes of rows that count."""
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


class ExportFiles:
    """The files of one export, held against a second one that writes to the same."""

    def __init__(self, out: Path, subject: Subject) -> None:
        self.out = out
        self.partial = out.with_name(f"{out.name}.partial")
        self.state = out.with_name(f"{out.name}.state.json")
        self.subject = subject
        self._rows: BinaryIO | None = None

    @property
    def unfinished(self) -> bool:
        """Whether an export stopped before its end."""
        return self.state.exists()

    def begin(self, position: ExportPosition, header: str) -> ExportPosition:
        """Start anew, without what was unfinished, and return where it stands."""
        rows = self._open()
        self.state.unlink(missing_ok=True)
        rows.truncate(0)
        return self.add(header, position)

    def go_on(self) -> tuple[ExportPosition, list[str]]:
        """Return where the export stopped, and the ids of its rows, in order.

        Raises CannotGoOn, and OSError.
        """
        position = self._read_state()
        if not position.following and not self.partial.exists() and self.out.exists():
            return position, []
        if not self.partial.exists():
            raise CannotGoOn(f"{self.partial} is gone")
        rows = self._open()
        rows.seek(0)
        written = rows.read(position.offset)
        ids = self._ids(written)
        if len(written) < position.offset or len(ids) != position.rows:
            raise CannotGoOn(f"{self.partial} is not as the export left it")
        rows.truncate(position.offset)
        return position, ids

    def add(self, text: str, position: ExportPosition) -> ExportPosition:
        """Add what a page gave, for good; *position*, after it, gets its offset."""
        rows = self._open()
        rows.seek(0, os.SEEK_END)
        rows.write(text.encode())
        rows.flush()
        os.fsync(rows.fileno())
        members = asdict(position) | {"offset": rows.tell()}
        state = {"format": FORMAT, **asdict(self.subject), **members}
        write_atomically(self.state, json.dumps(state, indent=1) + "\n", _PRIVATE)
        return ExportPosition(**members)

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

    def _ids(self, written: bytes) -> list[str]:
        text = written.decode("utf-8", "replace")
        if self.subject.form == "csv":
            return first_cells(text)[1:]
        try:
            return [str(json.loads(line)["id"]) for line in text.split("\n")[:-1]]
        except (ValueError, KeyError, TypeError):
            return []

    def _read_state(self) -> ExportPosition:
        try:
            state = json.loads(self.state.read_text("utf-8"))
            subject = Subject(**_members(Subject, state))
            if state["format"] != FORMAT:
                raise KeyError("format")
            position = ExportPosition(**_members(ExportPosition, state))
        except (ValueError, KeyError, TypeError) as error:
            raise CannotGoOn(f"{self.state} cannot be read") from error
        if subject != self.subject:
            raise CannotGoOn(
                f"the unfinished export is of {subject.query} of {subject.server} as "
                f"{subject.form}, not of what is asked now"
            )
        return position


def _members(kind: type, state: Mapping[str, Any]) -> dict[str, Any]:
    members = {each.name: state[each.name] for each in fields(kind)}
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in members.items()
    }
