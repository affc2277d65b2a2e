"""``cds-service test --watch``: tests run again when a file changes."""

import time
from collections.abc import Callable, Container, Mapping
from pathlib import Path

import click

from ...rulebook.load import read_files
from ...rulebook.testing import TEST_SUFFIX, fhir_files, read_examples
from ...rulebook.watch import Fingerprint, take_fingerprint
from .check import rules_folder

_EVERY = 0.3
"""Seconds between two looks."""

RunTests = Callable[[tuple[Path, ...], Container[str] | None], object]


def watch_folders(asked: tuple[Path, ...], run: RunTests) -> None:
    """Run the tests, and again what each change can affect, until Ctrl-C.

    A file that is only half written gives its error; then the next change is awaited.
    """
    folders = tuple(dict.fromkeys(rules_folder(path) for path in asked))
    try:
        seen = _look(folders)
        run(asked, None)
        while True:
            click.echo("waiting for a change; Ctrl-C ends", err=True)
            changed, seen = _wait(folders, seen)
            run(asked, affected(folders, changed))
    except KeyboardInterrupt:
        click.echo(err=True)


def _look(folders: tuple[Path, ...]) -> Fingerprint:
    found: dict[str, tuple[int, ...]] = {}
    for folder in folders:
        found.update(take_fingerprint(folder))
    return found


def _wait(
    folders: tuple[Path, ...], before: Fingerprint
) -> tuple[frozenset[str], Fingerprint]:
    """The files that changed, and how all stand, once they have come to rest."""
    seen = before
    while True:
        time.sleep(_EVERY)
        now = _look(folders)
        if now != before and now == seen:
            return changes(before, now), now
        seen = now


def changes(before: Fingerprint, now: Fingerprint) -> frozenset[str]:
    """The files that are new, gone or different."""
    return frozenset(
        name for name in {*before, *now} if before.get(name) != now.get(name)
    )


def affected(
    folders: tuple[Path, ...], changed: frozenset[str]
) -> frozenset[str] | None:
    """The test files whose outcome a change may change; None for all.

    Tests affect themselves, a rule its tests, a patient the tests that name it. What
    rules share may affect all.
    """
    found: set[str] = set()
    for folder in folders:
        files, _ = read_files(folder)
        for name in changed:
            if Path(name).is_relative_to(folder):
                own = _tests_of(Path(name).relative_to(folder).as_posix(), files)
                if own is None:
                    return None
                found.update(str(folder / each) for each in own)
    return frozenset(found)


def _tests_of(name: str, files: Mapping[str, str]) -> set[str] | None:
    """The test files in a folder that one of its files may affect; None for all."""
    if name.endswith(TEST_SUFFIX):
        return {name}
    if name.endswith(".json"):
        tests = {test: text for test, text in files.items() if "fhir:" in text}
        return {test for test in tests if name in fhir_files({test: tests[test]})}
    stem = name.rpartition("/")[2].removesuffix(".yaml")
    tests_read, _ = read_examples(files)
    of_rule = {each.document.file for each in tests_read if each.rule == stem}
    return of_rule or None
