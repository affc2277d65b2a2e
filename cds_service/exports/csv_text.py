"""Tables as CSV (RFC 4180) in which no cell of text is taken for a formula."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""With which a spreadsheet takes a cell for a formula."""


def as_csv(rows: Sequence[Mapping[str, Any]], header: Sequence[str] = ()) -> str:
    """The rows below their header, which is given for where there are none."""
    columns = list(rows[0]) if rows else list(header)
    return csv_lines([columns, *([row[name] for name in columns] for row in rows)])


def csv_lines(rows: Iterable[Sequence[Any]]) -> str:
    """The rows, without a header."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerows([_cell(value) for value in row] for row in rows)
    return out.getvalue()


def first_cells(text: str) -> list[str]:
    """The first cell of each row that ``csv_lines`` wrote, as it was before."""
    rows = csv.reader(io.StringIO(text, newline=""))
    return [_before(row[0]) for row in rows if row]


def _cell(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(FORMULA_STARTS):
        return f"'{value}"
    return "" if value is None else value


def _before(cell: str) -> str:
    escaped = cell[:1] == "'" and cell[1:].startswith(FORMULA_STARTS)
    return cell[1:] if escaped else cell
