"""One export of demographics from its first page, or where it stopped, to its file."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any

from ..fhir.demographics import COLUMNS, Demographics, NoPatientId, read_demographics
from ..fhir.foreign_text import outcome_text
from ..fhir.queries import with_count
from ..fhir.rows import is_resource
from .csv_text import csv_lines
from .fhir_server import GONE, FhirServer, ServerFailure
from .patients_files import ExportFiles, Position

NAMED = 50
"""So many entries that could not be read are named, the rest only counted."""
BARREN = 200
"""Pages in a row without a new patient, after which a server is taken to go round."""

_NOT_THE_SIZE = (401, 403, 404, 408, 425, 429)

Say = Callable[[Position], None]


@dataclass(frozen=True, slots=True)
class PageContent:
    """What one page brings that was not there before."""

    rows: tuple[Demographics, ...] = ()
    duplicates: int = 0
    others: int = 0
    unreadable: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()


def read_page(page: Mapping[str, Any], seen: set[str], today: date) -> PageContent:
    """The rows of a page for patients not in *seen*, to which theirs are added."""
    rows: list[Demographics] = []
    unreadable: list[str] = []
    errors: list[str] = []
    duplicates = others = 0
    for place, entry in enumerate(page.get("entry") or (), 1):
        resource = entry.get("resource") if isinstance(entry, Mapping) else None
        if not isinstance(resource, Mapping) or "resourceType" not in resource:
            unreadable.append(_name(entry, place))
        elif not is_resource(resource, "Patient") or not _matches(entry):
            others += 1
            errors += _errors(resource)
        else:
            try:
                row = read_demographics(resource, today)
            except NoPatientId:
                unreadable.append(_name(entry, place))
                continue
            if row.id in seen:
                duplicates += 1
                continue
            seen.add(row.id)
            rows.append(row)
    return PageContent(
        tuple(rows), duplicates, others, tuple(unreadable), tuple(errors)
    )


def start_of(server: FhirServer, query: str, count: int, today: date) -> Position:
    """Where an export begins."""
    return Position(today.isoformat(), f"{server.base}/{with_count(query, count)}")


def export(
    server: FhirServer,
    files: ExportFiles,
    position: Position,
    seen: set[str],
    query: str,
    form: str,
    say: Say = lambda position: None,
) -> Position:
    """Writes what is left of an export and says after each page where it is.

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
    """What stands before the first row."""
    return csv_lines([COLUMNS]) if form == "csv" else ""


def written(rows: Sequence[Demographics], form: str) -> str:
    """The rows as text."""
    members = [asdict(row) for row in rows]
    if form == "csv":
        return csv_lines([list(each.values()) for each in members])
    return "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in members)


def complaints(position: Position) -> Iterator[str]:
    """A sentence for each reason why a whole export may not be all there is."""
    if position.unreadable:
        names = ", ".join(position.unreadable_names)
        more = position.unreadable - len(position.unreadable_names)
        rest = f" and {more} more" if more else ""
        yield (
            f"{_counted(position.unreadable, 'entry', 'entries')} could not be read "
            f"and are not in the file: {names}{rest}."
        )
    for each in dict.fromkeys(position.errors):
        yield f"The server says that something went wrong: {each}."
    if position.total is not None:
        found = position.rows + position.unreadable
        if found < position.total:
            yield (
                f"The server says that there are {position.total} patients, and "
                f"{found} came."
            )


def _counted(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _other_start(
    server: FhirServer,
    query: str,
    position: Position,
    first: Position,
    failure: ServerFailure,
) -> Position | None:
    """Where to begin instead, if the page that failed was the first to be asked for."""
    if position is not first:
        return None
    plain = f"{server.base}/{query}"
    if position.pages:
        accepted = failure.status in GONE
    else:
        # As elsewhere, a server that refuses our page size is asked without one.
        accepted = 400 <= failure.status < 500 and failure.status not in _NOT_THE_SIZE
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
    position: Position, page: Mapping[str, Any], content: PageContent, following: str
) -> Position:
    names = (*position.unreadable_names, *content.unreadable)[:NAMED]
    total = page.get("total")
    known = isinstance(total, int) and not isinstance(total, bool)
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
        total=total if known else position.total,
    )


def _matches(entry: Any) -> bool:
    search = entry.get("search")
    mode = search.get("mode") if isinstance(search, Mapping) else None
    return mode not in ("include", "outcome")


def _errors(resource: Mapping[str, Any]) -> Iterable[str]:
    issues = resource.get("issue")
    severities = [
        each.get("severity")
        for each in (issues if isinstance(issues, list) else ())
        if isinstance(each, Mapping)
    ]
    if "error" in severities or "fatal" in severities:
        yield outcome_text(resource) or "no reason given"


def _name(entry: Any, place: int) -> str:
    """The id of an entry that could not be read, as far as one can be told."""
    url = entry.get("fullUrl") if isinstance(entry, Mapping) else None
    last = url.rstrip("/").rpartition("/")[2] if isinstance(url, str) else ""
    printable = "".join(each for each in last if each.isprintable())[:80]
    return printable or f"entry {place} of a page, which has no id"
