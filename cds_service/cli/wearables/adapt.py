"""``cds-service adapt``: what is read of wearable data in somebody's format."""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import click

from ...exports.phones import DAMAGED, EXPORTS
from ...protocol.errors import Unprocessable
from ...protocol.formats import mend
from ...wearables.adapters.registry import FORMATS
from ...wearables.adapters.written import item_as_json
from ...wearables.clock import find_zone
from ...wearables.metrics import Catalogue
from ...wearables.samples import Item, LeftOut
from ..rules.compiled import compile_folder
from ..valuesets import rules_option


@dataclass(frozen=True, slots=True)
class SenderOfFile:
    """Whoever would send the file."""

    time_zone: str
    fhir_base: str
    id: str = "file"
    tenant: str = "default"


def check_zone(context: click.Context, parameter: click.Parameter, name: str) -> str:
    if name and find_zone(name) is None:
        raise click.BadParameter(f"there is no time zone {name}")
    return name


@click.command()
@click.argument("format", type=click.Choice([*FORMATS, *EXPORTS]))
@click.argument("file", type=click.Path(exists=True, allow_dash=True, path_type=Path))
@rules_option
@click.option(
    "--time-zone",
    default="",
    callback=check_zone,
    metavar="ZONE",
    help="Time zone of all wearers of the source, as in the clients file.",
)
@click.option(
    "--fhir-base",
    default="-",
    show_default=True,
    metavar="URL",
    help="The FHIR server that the source's patient ids belong to.",
)
@click.option(
    "--left-out",
    type=click.File("w", encoding="utf-8", lazy=False),
    metavar="FILE",
    help="Write what was left out as JSON lines, instead of a summary.",
)
def adapt(
    format: str,
    file: Path,
    rules: Path | None,
    time_zone: str,
    fhir_base: str,
    left_out: TextIO | None,
) -> None:
    """Show how the server reads FILE, wearable data in a format, as JSON lines.

    FILE may be - for standard input. Nothing is stored and nothing sent. A line is a
    sample, a notice or a removal; samples and removals are items of the format samples.
    What is left out is listed on standard error, with its place and the reason, and
    counted at the end.

    Exit code 0: nothing needs to be corrected; 1: something does, or FILE has another
    format; 2: the command was not understood, or the rules have errors.
    """
    catalogue = compile_folder(rules).rulebook.catalogue
    sender = SenderOfFile(time_zone, fhir_base.rstrip("/"))
    counts, left = Counter[str](), Counter[str]()
    rejected = False
    try:
        for item in read_items(format, file, sender, catalogue):
            if isinstance(item, LeftOut):
                left[item.reason] += 1
                rejected = rejected or item.rejected
                _tell(item, left_out)
            else:
                counts[type(item).__name__.lower()] += 1
                click.echo(json.dumps(item_as_json(item), ensure_ascii=False))
    finally:
        click.echo(_summary(counts, left), err=True)
    if rejected:
        sys.exit(1)


def read_items(
    format: str, file: Path, sender: SenderOfFile, catalogue: Catalogue
) -> Iterator[Item]:
    """Yield what the file says. Raises ClickException if it is none of the format."""
    try:
        if format in EXPORTS:
            yield from EXPORTS[format](file, catalogue, lambda share: None, 0)
        else:
            known, raw = FORMATS[format], _content(file)
            body = known.parse(raw) if known.parse else json.loads(mend(raw)[0])
            yield from known.adapt(body, sender, catalogue)
    except Unprocessable as error:
        problem = error.problems[0]
        text = f"{problem.expression}: {problem.text}"
        raise click.ClickException(f"{file} is not {format}: {text}") from error
    except DAMAGED as error:
        raise click.ClickException(f"{file}: {error}") from error
    except (ValueError, RecursionError) as error:
        raise click.ClickException(f"{file} is not JSON: {error}") from error


def _content(file: Path) -> bytes:
    if str(file) == "-":
        return sys.stdin.buffer.read()
    return file.read_bytes()


def _tell(item: LeftOut, left_out: TextIO | None) -> None:
    if left_out is not None:
        left_out.write(json.dumps(item_as_json(item), ensure_ascii=False) + "\n")
        return
    place = item.problem.expression
    click.echo(f"{place}: {item.reason}: {item.problem.text}", err=True)


def _summary(counts: Counter[str], left: Counter[str]) -> str:
    """How many there were of each, in a line."""
    told = [
        f"{counts[each]:,} {each if counts[each] == 1 else each + 's'}"
        for each in ("sample", "notice", "removal")
        if counts[each] or each == "sample"
    ]
    reasons = ", ".join(f"{number:,} {reason}" for reason, number in left.items())
    told.append(f"{left.total():,} left out" + (f" ({reasons})" if reasons else ""))
    return ", ".join(told)
