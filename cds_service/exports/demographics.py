"""One export of demographics from its first page, or where it stopped, to its file."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any

from ..fhir.demographics import COLUMNS, Demographics, NoPatientId, read_demographics
from ..fhir.entries import total_of
from ..fhir.questions import with_count
from .entries import (
    BARREN,
    NAMED,
    Role,
    SearchTally,
    entries_of,
    errors_of,
    refuses_size,
)
from .files import csv_lines
from .journal import ExportFiles, ExportPosition
from .server import GONE, FhirServer, ServerFailure

Say = Callable[[ExportPosition], None]


@dataclass(frozen=True, slots=True)
class PageContent:
    """What one page brings that was not there before."""

    rows: tuple[Demographics, ...] = ()
    duplicates: int = 0
    others: int = 0
    unreadable: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()


def read_page(page: Mapping[str, Any], seen: set[str], today: date) -> PageContent:
    """Return the rows of a page for patients not in *seen*, which learns theirs."""
    rows: list[Demographics] = []
    unreadable: list[str] = []
    errors: list[str] = []
    duplicates = others = 0
    for entry in entries_of(page, "Patient"):
        if entry.role is Role.UNREADABLE:
            unreadable.append(entry.name)
        elif entry.role is Role.OTHER:
            others += 1
            errors += errors_of(entry.resource)
        else:
            try:
                row = read_demographics(entry.resource, today)
            except NoPatientId:
                unreadable.append(entry.name)
                continue
            if row.id in seen:
                duplicates += 1
                continue
            seen.add(row.id)
            rows.append(row)
    return PageContent(
        tuple(rows), duplicates, others, tuple(unreadable), tuple(errors)
    )


def start_of(server: FhirServer, query: str, count: int, today: date) -> ExportPosition:
    """Return where an export begins."""
    return ExportPosition(
        today.isoformat(), f"{server.base}/{with_count(query, count)}"
    )


def export(
    server: FhirServer,
    files: ExportFiles[ExportPosition],
    position: ExportPosition,
    seen: set[str],
    query: str,
    form: str,
    say: Say = lambda position: None,
) -> ExportPosition:
    """Write what is left of an export and say after each page where it is.

    A server that has forgotten the page where an export stopped is read from the start,
    and whoever is there already is left out. Raises ServerFailure.
    """
    first, restarted, barren = position, False, 0
    while position.following:
        try:
            page = server.page(position.following)
        except ServerFailure as failure:
            again = _other_start(server, query, position, first, failure)
            if restarted or again is None:
                raise
            position, restarted, barren = again, True, -position.pages
            continue
        following = server.following(page, position.following)
        content = read_page(page, seen, date.fromisoformat(position.today))
        barren = 0 if content.rows else barren + 1
        if following and barren >= BARREN:
            message = f"The last {BARREN} pages brought no patient that is new."
            raise ServerFailure(message)
        position = files.add(
            written(content.rows, form), _after(position, page, content, following)
        )
        say(position)
    return position


def header(form: str) -> str:
    """Return what stands before the first row."""
    return csv_lines([COLUMNS]) if form == "csv" else ""


def written(rows: Sequence[Demographics], form: str) -> str:
    """Return the rows as text."""
    members = [asdict(row) for row in rows]
    if form == "csv":
        return csv_lines([list(each.values()) for each in members])
    return "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in members)


def tally(position: ExportPosition) -> SearchTally:
    """Return what came of a whole export."""
    return SearchTally(
        position.rows,
        position.total,
        position.unreadable,
        position.unreadable_names,
        position.errors,
    )


def _other_start(
    server: FhirServer,
    query: str,
    position: ExportPosition,
    first: ExportPosition,
    failure: ServerFailure,
) -> ExportPosition | None:
    """Return where to begin instead, if the first page that was asked for failed."""
    if position is not first:
        return None
    plain = f"{server.base}/{query}"
    if position.pages:
        accepted = failure.status in GONE
    else:
        # As elsewhere, a server that refuses our page size is asked without one.
        accepted = refuses_size(failure)
    if not accepted or plain == position.following:
        return None
    return replace(
        position,
        following=plain,
        duplicates=0,
        others=0,
        unreadable=0,
        unreadable_names=(),
        errors=(),
    )


def _after(
    position: ExportPosition,
    page: Mapping[str, Any],
    content: PageContent,
    following: str,
) -> ExportPosition:
    names = (*position.unreadable_names, *content.unreadable)[:NAMED]
    total = total_of(page)
    return replace(
        position,
        following=following,
        rows=position.rows + len(content.rows),
        pages=position.pages + 1,
        duplicates=position.duplicates + content.duplicates,
        others=position.others + content.others,
        unreadable=position.unreadable + len(content.unreadable),
        unreadable_names=names,
        errors=tuple(dict.fromkeys((*position.errors, *content.errors)))[:NAMED],
        total=position.total if total is None else total,
    )
