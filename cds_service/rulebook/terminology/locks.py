"""``valuesets.lock``: what every value set held when somebody last looked at it.

A text of sections, one a value set, with one line for each thing that decides what the
set matches. It is compared with what the sets hold now, so that a new release of a
terminology, or a hand that slipped, shows as codes that came and went.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ...fhir.code_systems import short_name, written_code
from ..language.diagnostics import Finding, Findings, Level, quote
from .files import LOCK
from .valuesets import ValueSet

REWRITE = (
    "`cds-service valueset outdated` shows what changed, "
    "`cds-service valueset lock` accepts it"
)


@dataclass(frozen=True, slots=True)
class Locked:
    """What a value set held."""

    name: str
    version: str
    sha256: str
    entries: frozenset[str]
    """Lines such as ``rxnorm|6918``, ``icd10cm|I48*`` and ``! form|ophthalmic``."""
    line: int = 1
    """Of its section in the lock."""


@dataclass(frozen=True, slots=True)
class LockChange:
    """What came to a value set and what went."""

    name: str
    added: tuple[str, ...]
    removed: tuple[str, ...]


def entries_of(valueset: ValueSet) -> frozenset[str]:
    """Everything that decides what a value set matches, a line each."""
    return frozenset(_entries(valueset))


def _entries(valueset: ValueSet) -> Iterator[str]:
    yield from _coded("", valueset.codes, "")
    yield from _coded("", valueset.prefixes, "*")
    yield from (f"name|{name}" for name in valueset.names)
    yield from _coded("! ", valueset.excluded_codes, "")
    yield from _coded("! ", valueset.excluded_prefixes, "*")
    yield from (f"! form|{form}" for form in valueset.excluded_forms)
    yield from (f"! name|{name}" for name in valueset.excluded_names)
    yield from (f"! word|{word}" for word in valueset.excluded_words)
    yield from (f"results|{said}" for said in valueset.measure.said())
    for system, code in valueset.panels:
        yield f"panel {short_name(system)}|{code}"


def _coded(
    before: str, coded: Mapping[str, frozenset[str] | tuple[str, ...]], after: str
) -> Iterator[str]:
    for system, codes in coded.items():
        name = short_name(system)
        for code in codes:
            yield f"{before}{name}|{written_code(system, code)}{after}"


def digest_of_entries(entries: frozenset[str]) -> str:
    """SHA-256 over the sorted lines."""
    return hashlib.sha256("\n".join(sorted(entries)).encode()).hexdigest()


def counts_of(entries: frozenset[str]) -> Mapping[str, int]:
    """Return how many codes and prefixes are included, by system."""
    counts: dict[str, int] = {}
    for entry in entries:
        if not entry.startswith(("! ", "name|", "panel ", "results|")):
            system = entry.rpartition("|")[0]
            counts[system] = counts.get(system, 0) + 1
    return dict(sorted(counts.items()))


def write_lock(valuesets: Mapping[str, ValueSet]) -> Iterator[str]:
    """The lines of a lock of *valuesets*, each with its line break."""
    yield "# What the value sets held when they were last accepted.\n"
    yield "# Written by `cds-service valueset lock`; not to be edited.\n"
    yield "format\t1\n"
    releases = {each.known.release for each in valuesets.values()} - {""}
    for release in sorted(releases):
        yield f"release\trxnorm\t{release}\n"
    for name in sorted(valuesets):
        entries = entries_of(valuesets[name])
        yield f"\n[{name}]\n"
        yield f"version\t{valuesets[name].version}\n"
        yield f"sha256\t{digest_of_entries(entries)}\n"
        for system, count in counts_of(entries).items():
            yield f"count\t{system}\t{count}\n"
        yield from (f"{entry}\n" for entry in sorted(entries))


def read_lock(text: str, findings: Findings) -> Mapping[str, Locked] | None:
    """The value sets of a lock; None, with a finding, if the text is not one."""
    lines = text.splitlines()
    if "format\t1" not in lines[:10]:
        _complain(1, "this is not a lock of format 1", findings)
        return None
    sections: dict[str, tuple[int, list[str]]] = {}
    into: list[str] = []
    for number, line in enumerate(lines, start=1):
        if line.startswith("[") and line.endswith("]"):
            name, into = line[1:-1], []
            if name in sections:
                _complain(number, f"{quote(name)} is listed twice", findings)
                return None
            sections[name] = (number, into)
        elif line:
            into.append(line)
    locked = {}
    for name, (number, body) in sections.items():
        found = _locked(name, number, body)
        if digest_of_entries(found.entries) != found.sha256:
            message = f"the lines of {quote(name)} do not match its digest"
            _complain(number, message, findings)
            return None
        locked[name] = found
    return locked


def _locked(name: str, line: int, body: list[str]) -> Locked:
    head = dict(each.split("\t", 1) for each in body if "\t" in each)
    entries = frozenset(each for each in body if "\t" not in each)
    version, sha256 = head.get("version", ""), head.get("sha256", "")
    return Locked(name, version, sha256, entries, line)


def _complain(line: int, message: str, findings: Findings) -> None:
    help = "write it again with `cds-service valueset lock`"
    findings.error_at(LOCK, line, 1, "CDS218", message, help)


def changes(
    before: Mapping[str, frozenset[str]], after: Mapping[str, frozenset[str]]
) -> tuple[LockChange, ...]:
    """Return what changed in each value set, by name; also sets on one side only."""
    none = frozenset[str]()
    found = []
    for name in sorted({*before, *after}):
        old, new = before.get(name, none), after.get(name, none)
        if old != new:
            change = LockChange(
                name, tuple(sorted(new - old)), tuple(sorted(old - new))
            )
            found.append(change)
    return tuple(found)


def check_lock(
    valuesets: Mapping[str, ValueSet], files: Mapping[str, str], findings: Findings
) -> None:
    """Warn of sets that differ from the lock among *files*; there need not be one."""
    if LOCK not in files:
        return
    locked = read_lock(files[LOCK], findings)
    if locked is None:
        return
    held = {name: entries_of(each) for name, each in valuesets.items()}
    before = {name: each.entries for name, each in locked.items()}
    for change in changes(before, held):
        known = change.name in before and change.name in held
        line = locked[change.name].line if change.name in locked else 1
        if known:
            message = (
                f"the value set {quote(change.name)} has changed since it was locked: "
                f"{len(change.added)} added, {len(change.removed)} removed"
            )
        else:
            where = (
                "is not in the lock" if change.name in held else "is in the lock only"
            )
            message = f"the value set {quote(change.name)} {where}"
        code = "CDS219" if known else "CDS220"
        findings.add(Finding(LOCK, line, 1, code, Level.WARNING, message, REWRITE))
