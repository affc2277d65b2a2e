"""Files that are written whole or not at all, archives, and tables as CSV.

Source: RFC 4180. No cell of text is taken for a formula.
"""

import csv
import io
import os
import tempfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

DAMAGED_ARCHIVE = (BadZipFile, EOFError, NotImplementedError, zlib.error)
"""What reading a ZIP raises that is damaged, or compressed in a way nobody knows."""


def write_atomically(
    file: Path, text: str | Iterable[str], mode: int | None = None
) -> None:
    """Put *text* into a file as UTF-8; whoever reads it sees the old or the new.

    Without a *mode*, a file that is there keeps its own.

    Raises:
        OSError: if it cannot be written; the old one is then untouched.
    """
    if mode is None:
        mode = file.stat().st_mode & 0o7777 if file.exists() else 0o666 & ~_umask()
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as written:
            written.writelines([text] if isinstance(text, str) else text)
            written.flush()
            os.fsync(written.fileno())
        os.chmod(name, mode)
        os.replace(name, file)
    finally:
        # Once it has taken the other's place, nothing is left under this name.
        with suppress(FileNotFoundError):
            os.unlink(name)


def _umask() -> int:
    """The mask of this process, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


# Tables as CSV

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""With which a spreadsheet takes a cell for a formula."""


def as_csv(rows: Sequence[Mapping[str, Any]], header: Sequence[str] = ()) -> str:
    """Return the rows below their header, which is given for where there are none."""
    columns = list(rows[0]) if rows else list(header)
    return csv_lines([columns, *([row[name] for name in columns] for row in rows)])


def csv_lines(rows: Iterable[Sequence[Any]]) -> str:
    """Return the rows, without a header."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerows([_cell(value) for value in row] for row in rows)
    return out.getvalue()


def first_cells(text: str) -> list[str]:
    """Return the first cell of each row that ``csv_lines`` wrote, as it was before."""
    rows = csv.reader(io.StringIO(text, newline=""))
    return [_before(row[0]) for row in rows if row]


def _cell(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(FORMULA_STARTS):
        return f"'{value}"
    return "" if value is None else value


def _before(cell: str) -> str:
    escaped = cell[:1] == "'" and cell[1:].startswith(FORMULA_STARTS)
    return cell[1:] if escaped else cell
