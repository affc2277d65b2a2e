"""``cds-service new-detector``: a first detector and its tests."""

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from ...rulebook.authoring import (
    DetectorAnswers,
    Slip,
    choose_metric,
    choose_raised,
    detector_cases,
    detector_text,
    modeline,
    read_length,
    schema_folder,
    with_modeline,
)
from ...rulebook.compile import DETECTORS, compile_rulebook
from ...rulebook.language import Level
from ...rulebook.load import InvalidRulebook, read_folder
from ...rulebook.testing import DetectorRunner, read_detector_examples
from ...wearables.metrics import Catalogue
from .new import COMPARISONS, is_name, limit_options, write


@click.command("new-detector")
@click.argument("name")
@click.option("--metric", required=True, help="The metric, such as heart-rate.")
@limit_options("An episode opens where readings are {} this.")
@click.option(
    "--for",
    "hold",
    required=True,
    metavar="DURATION",
    help="For how long it must be beyond the limit, such as 10 minutes.",
)
@click.option(
    "--raises", default="", metavar="TYPE", help="The type of alert that it raises."
)
@click.option("--at-rest", is_flag=True, help="Only readings at rest count.")
@click.option(
    "--rules",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="The rules folder; by default the one named by CDS_RULES, or ./rules.",
)
def new_detector(
    name: str,
    metric: str,
    hold: str,
    raises: str,
    at_rest: bool,
    rules: Path | None,
    **limits: Any,
) -> None:
    """Write a new detector of readings beyond a limit, and its tests.

    It is a draft: nothing is detected until its status is changed. All of its numbers
    but the limit are a first guess. Exit code 0: written; 1: it could not be; 2: the
    options make no detector.
    """
    root = rules or Path(os.environ.get("CDS_RULES") or "rules")
    if not root.is_dir():
        raise click.UsageError(f"there is no {root}; name --rules, or set CDS_RULES")
    try:
        files = dict(read_folder(root))
    except InvalidRulebook as error:
        raise click.ClickException(str(error)) from error
    rulebook = compile_rulebook(files).rulebook
    if rulebook is None:
        said = f"the rules have errors; `cds-service check {root}` shows them"
        raise click.ClickException(said)
    try:
        answers = from_options(
            rulebook.catalogue, name, metric, hold, raises, at_rest, limits
        )
        made = texts(answers, files)
    except Slip as error:
        raise click.UsageError(str(error)) from error
    for file in made:
        if (root / file).exists():
            raise click.ClickException(f"{root / file} already exists")
    prove(made, files)
    for file, text in made.items():
        write(root / file, text)
    shown = root / next(iter(made))
    click.echo(
        "\nThe detector is a draft. Write the evidence for its numbers, then run:\n\n"
        f"  cds-service check {shown}\n  cds-service test {shown} --mutate"
    )


def from_options(
    catalogue: Catalogue,
    name: str,
    metric: str,
    hold: str,
    raises: str,
    at_rest: bool,
    limits: Mapping[str, Any],
) -> DetectorAnswers:
    """Return what the options say that the detector is.

    Raises:
        Slip: if one of them cannot be.
    """
    if not is_name(name):
        raise Slip(f"{name} is not a valid name; use small letters, digits and hyphens")
    chosen = choose_metric(catalogue, metric)
    comparison, limit = _limit(limits)
    raised = choose_raised(catalogue, chosen, raises, comparison in RISING)
    length = read_length(hold)
    return DetectorAnswers(name, chosen, raised, comparison, limit, length, at_rest)


RISING = ("above", "at_least")


def _limit(limits: Mapping[str, Any]) -> tuple[str, float]:
    given = [(each, limits[each]) for each in COMPARISONS if limits[each]]
    if len(given) != 1:
        raise Slip("name one limit: --above, --at-least, --below or --at-most")
    comparison, number = given[0]
    try:
        return comparison, float(number)
    except ValueError:
        raise Slip(f"{number} is not a number") from None


def texts(answers: DetectorAnswers, files: Mapping[str, str]) -> dict[str, str]:
    """Return the new files, by their path in the rules folder."""
    noon = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
    begins = noon.isoformat().replace("+00:00", "Z")
    stem = f"{DETECTORS}{answers.name}"
    made = {
        f"{stem}.yaml": detector_text(answers),
        f"{stem}.test.yaml": detector_cases(answers, begins),
    }
    schemas = next((e for e in map(schema_folder, files, files.values()) if e), None)
    if schemas is None:
        return made
    return {
        file: with_modeline(text, modeline(file, schemas))
        for file, text in made.items()
    }


def prove(made: Mapping[str, str], files: Mapping[str, str]) -> None:
    """Check the new files and run their tests, before they are written.

    Raises:
        click.ClickException: if any fails; with what was found.
    """
    together = {**files, **made}
    tests, mistakes = read_detector_examples(made)
    found = [
        f"{each.file}:{each.line}:{each.column}: {each.message}"
        for each in (*compile_rulebook(together).findings, *mistakes)
        if each.level is Level.ERROR
    ]
    runner = DetectorRunner(together)
    for test in () if found else tests:
        for example in test.examples:
            found += (f"{example.name}: {e}" for e in runner.problems(example))
    if found:
        raise click.ClickException(
            "with these options, the detector would not pass its tests:\n"
            + "\n".join(found)
        )
