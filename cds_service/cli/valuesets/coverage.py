"""``cds-service valueset coverage``: what the value sets make of real records."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from ...ehr.fixture_server import load_records
from ...ehr.fixtures import fill_prefetch
from ...fhir.chart import Chart
from ...fhir.gather import gather
from ...protocol.errors import CdsError
from ...protocol.formats import mend
from ...protocol.requests import parse_request
from ...rulebook.compile import derive_queries
from ...rulebook.describe import Recognition, RecordEntry, Survey, Surveyor
from ...rulebook.engine import Selector
from ..rules.compiled import CouldNotRun, compile_folder
from . import counted, form_option, rules_option

_QUERIES = derive_queries([Selector("condition"), Selector("medication")], {}, {})
_SHOWN = {
    Recognition.UNRECOGNISED: "recognised by no set: `absent` stays unknown",
    Recognition.BY_NAME: "recognised by name only",
    Recognition.IN_NO_SET: "in no set, as the code says",
    Recognition.LEFT_OUT: "recognised, and excluded by its dose form or code",
}


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--top",
    default=20,
    show_default=True,
    type=click.IntRange(min=1),
    help="Lines of each list; json has all.",
)
@rules_option
@form_option("text", "json")
@click.pass_context
def coverage(
    context: click.Context, folder: Path, top: int, rules: Path | None, form: str
) -> None:
    """Count the medicines and problems that no value set recognises, or only by name.

    FOLDER holds charts as FHIR Bundles (*.json, also in folders below). Codes and names
    are printed, and nothing else of a patient. Exit code 0: all read; 1: some files
    cannot be read as a chart and are named; 2: there is none, or the rules have errors.
    """
    compiled = compile_folder(rules)
    files = sorted(each for each in folder.rglob("*.json") if each.is_file())
    if not files:
        raise CouldNotRun(f"there is no JSON file in {folder}")
    surveyor, survey = (
        Surveyor(compiled.rulebook.valuesets, compiled.rulebook.lexicon),
        Survey(),
    )
    broken: dict[str, str] = {}
    charts = 0
    for file in files:
        try:
            for chart in _charts(file):
                surveyor.take(chart, survey)
                charts += 1
        except _NoChart as error:
            broken[file.relative_to(folder).as_posix()] = str(error)
    if form == "json":
        click.echo(_as_json(survey, charts, broken))
    else:
        _print(survey, charts, broken, top)
    context.exit(1 if broken else 0)


class _NoChart(Exception):
    """A file is no chart; says why, without anything of a patient."""


def _charts(file: Path) -> Iterator[Chart]:
    try:
        bundle = json.loads(mend(file.read_bytes())[0])
    except (ValueError, RecursionError) as error:
        raise _NoChart("it is not JSON") from error
    except OSError as error:
        raise _NoChart(f"it cannot be read: {error.strerror}") from error
    if not _is_bundle(bundle):
        raise _NoChart("it is not a FHIR Bundle of resources")
    patients = sorted(load_records([bundle]).of("Patient"))
    if not patients:
        raise _NoChart("it has no Patient")
    for patient in patients:
        context = {"userId": "Practitioner/coverage", "patientId": patient}
        templates = {query.key: query.template for query in _QUERIES}
        body = {
            "hook": "patient-view",
            "hookInstance": "00000000-0000-4000-8000-000000000000",
            "context": context,
            "prefetch": fill_prefetch(templates, bundle, context),
        }
        try:
            yield gather(_QUERIES, parse_request(body), None, 1.0)
        except CdsError as error:
            raise _NoChart("its patient cannot be read") from error


def _is_bundle(bundle: Any) -> bool:
    if not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle":
        return False
    entries = bundle.get("entry", [])
    return isinstance(entries, list) and all(_is_entry(each) for each in entries)


def _is_entry(entry: Any) -> bool:
    if not isinstance(entry, dict) or not isinstance(entry.get("fullUrl", ""), str):
        return False
    resource = entry.get("resource", {"resourceType": ""})
    return (
        isinstance(resource, dict)
        and isinstance(resource.get("resourceType"), str)
        and isinstance(resource.get("id", ""), str)
    )


def _lists(survey: Survey) -> dict[str, Mapping[Recognition, Counter[RecordEntry]]]:
    return {"medicines": survey.medicines, "problems": survey.problems}


def _ranked(counter: Counter[RecordEntry]) -> list[tuple[RecordEntry, int]]:
    return sorted(counter.items(), key=lambda each: (-each[1], each[0]))


def _print(survey: Survey, charts: int, broken: Mapping[str, str], top: int) -> None:
    for kind, verdicts in _lists(survey).items():
        sums = {verdict: each.total() for verdict, each in verdicts.items()}
        click.echo(
            f"{kind}: {sum(sums.values()):,}, {sums[Recognition.BY_CODE]:,} by code"
        )
        for verdict, said in _SHOWN.items():
            ranked = _ranked(verdicts[verdict])
            if ranked:
                click.echo(f"\n  {sums[verdict]:,} {said}")
            for entry, count in ranked[:top]:
                sets = f"  ({', '.join(entry.sets)})" if entry.sets else ""
                name = entry.name or "without a name"
                click.echo(f"  {count:6,}  {name}  {entry.code}".rstrip() + sets)
            if len(ranked) > top:
                click.echo(f"          and {counted(len(ranked) - top, 'other')}")
        click.echo()
    click.echo(f"{counted(charts, 'chart')} read")
    for name, why in broken.items():
        click.echo(f"{name}: {why}; left out", err=True)


def _as_json(survey: Survey, charts: int, broken: Mapping[str, str]) -> str:
    written: dict[str, Any] = {"charts": charts, "left_out": dict(broken)}
    for kind, verdicts in _lists(survey).items():
        written[kind] = {
            verdict.value: [
                {
                    "count": count,
                    "name": entry.name,
                    "code": entry.code,
                    "valuesets": list(entry.sets),
                }
                for entry, count in _ranked(counter)
            ]
            for verdict, counter in verdicts.items()
        }
    return json.dumps(written, indent=2, ensure_ascii=False)
