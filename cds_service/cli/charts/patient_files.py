"""One patient out of files: a FHIR Bundle, and wearable alerts as they are sent."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from ...ehr.fixtures import resolve_times
from ...fhir.chart import Chart, Policy, SourceQuery
from ...fhir.gather import gather
from ...fhir.subjects import bundle_resources
from ...protocol.errors import CdsError
from ...protocol.formats import mend
from ...protocol.requests import parse_request
from ...rulebook.language import suggest
from ...wearables.adapters.alerts import parse_alerts
from ...wearables.records import AlertType, WearableAlert


class Sender:
    """Whoever sent alerts that are read from a file."""

    id, tenant, fhir_base, time_zone = "file", "default", "-", ""


def read_moment(text: str | None) -> datetime:
    """The moment that was named, or this one."""
    if text is None:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise click.UsageError("--now is written 2026-11-22T12:00:00Z") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def read_json(file: Path, now: datetime) -> Any:
    """The content of a JSON file, times such as ``@now-6h`` counted from *now*."""
    try:
        content = json.loads(mend(file.read_bytes())[0])
    except (ValueError, RecursionError) as error:
        raise click.ClickException(f"{file} is no JSON: {error}") from error
    except OSError as error:
        reason = error.strerror or "not a file"
        raise click.ClickException(f"{file} cannot be read: {reason}") from error
    try:
        return resolve_times(content, now)
    except ValueError:
        return content  # a text that begins with @ and means no time


def choose_patient(bundle: Any, wanted: str | None) -> str:
    """The id of the Bundle's patient; of several, the one that is *wanted*.

    Raises:
        click.ClickException: if there is none, or it is not said which.
    """
    found = (each.get("id") for _, each in bundle_resources([bundle], "Patient"))
    known = list(dict.fromkeys(each for each in found if isinstance(each, str)))
    if wanted is not None and wanted not in known:
        help = suggest(wanted, known)
        raise click.ClickException(
            f"the Bundle has no Patient {wanted}; {help}".rstrip("; ")
        )
    if not known:
        raise click.ClickException("the Bundle has no Patient with an id")
    if wanted is None and len(known) > 1:
        raise click.ClickException(
            f"the Bundle has {len(known)} patients; name one with --id: "
            + ", ".join(known[:10])
        )
    return wanted or known[0]


def read_chart(
    queries: Sequence[SourceQuery], bundle: Any, patient: str, hook: str
) -> Chart:
    """The chart of a patient whose whole record the Bundle is.

    Nothing is sorted out beforehand: what is about somebody else, or cannot be used, is
    counted as it would be in a call.
    """
    entries = list(bundle_resources([bundle]))
    drafts = hook != "patient-view"
    context: dict[str, Any] = {"userId": "Practitioner/-", "patientId": patient}
    if drafts:
        context["draftOrders"] = _page([each for each in entries if _is_draft(each)])
    chart = [each for each in entries if not (drafts and _is_draft(each))]
    body = {
        "hook": "order-sign" if drafts else "patient-view",
        "hookInstance": "00000000-0000-4000-8000-000000000000",
        "context": context,
        "prefetch": {query.key: _answer(query, chart, patient) for query in queries},
    }
    optional = [
        query if query.policy is Policy.SKIP else replace(query, policy=Policy.OPTIONAL)
        for query in queries
    ]
    try:
        return gather(optional, parse_request(body), None, 1.0)
    except CdsError as error:
        raise click.ClickException(str(error)) from error


Entry = tuple[str, Mapping[str, Any]]


def _is_draft(entry: Entry) -> bool:
    kind, status = entry[1].get("resourceType"), entry[1].get("status")
    return kind == "MedicationRequest" and status == "draft"


def _answer(query: SourceQuery, entries: Sequence[Entry], patient: str) -> Any:
    """What an EHR that held these resources would answer."""
    if query.source == "patient":
        return next(
            (
                each
                for _, each in entries
                if each.get("resourceType") == "Patient" and each.get("id") == patient
            ),
            None,
        )
    kind = query.resource_type
    beside = ("Patient", "Medication")
    wanted = [
        each for each in entries if each[1].get("resourceType") in (kind, *beside)
    ]
    return _page(wanted, kind)


def _page(entries: Sequence[Entry], kind: str = "MedicationRequest") -> dict[str, Any]:
    return {
        "resourceType": "Bundle",
        "type": "searchset",
        "entry": [
            {
                **({"fullUrl": url} if url else {}),
                "resource": resource,
                "search": {
                    "mode": (
                        "match" if resource.get("resourceType") == kind else "include"
                    )
                },
            }
            for url, resource in entries
        ],
    }


def read_alerts(
    file: Path | None, patient: str, types: Mapping[str, AlertType], now: datetime
) -> tuple[WearableAlert, ...]:
    """The patient's alerts in a file; none without one."""
    if file is None:
        return ()
    try:
        accepted, rejected = parse_alerts(read_json(file, now), Sender(), types, now)
    except CdsError as error:
        raise click.ClickException(f"{file}: {error}") from error
    for each in rejected:
        click.echo(f"alert {each.index} cannot be used", err=True)
    return tuple(each for each in accepted if each.patient.patient_id == patient)
