"""Patients out of files: FHIR Bundles, and wearable alerts as they are sent."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from ...ehr.fixtures import doubted, resolve_times
from ...fhir.chart import Chart, Policy, SourceQuery
from ...fhir.gather import gather
from ...fhir.subjects import bundle_resources
from ...protocol.errors import CdsError
from ...protocol.formats import mend
from ...protocol.requests import parse_request
from ...rulebook.engine import ServiceRules
from ...rulebook.language import suggest
from ...wearables.adapters.alerts import parse_alerts
from ...wearables.records import AlertType, WearableAlert


class FileSender:
    """Whoever sent alerts that are read from a file."""

    id, tenant, fhir_base, time_zone = "file", "default", "-", ""


def read_moment(text: str | None) -> datetime:
    """Return the moment that was named, or this one."""
    if text is None:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise click.UsageError("--now is written 2026-11-22T12:00:00Z") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def read_json(file: Path, now: datetime) -> Any:
    """Return the content of a JSON file, times such as ``@now-6h`` from *now*."""
    try:
        content = json.loads(mend(file.read_bytes())[0])
    except (ValueError, RecursionError) as error:
        raise click.ClickException(f"{file} is not JSON: {error}") from error
    except OSError as error:
        reason = error.strerror or "not a file"
        raise click.ClickException(f"{file} cannot be read: {reason}") from error
    try:
        return resolve_times(content, now)
    except ValueError:
        return content  # a text that begins with @ and means no time


def choose_patient(bundle: Any, wanted: str | None) -> str:
    """Return the id of the Bundle's patient; of several, the one that is *wanted*.

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
    """Return the chart of a patient whose whole record the Bundle is.

    Nothing is sorted out beforehand: what is about somebody else, or cannot be used, is
    counted as it would be in a call, and what the Bundle says that it lacks is lacking
    in every part of the chart.
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
        "prefetch": {
            query.key: doubted(_answer(query, chart, patient), bundle)
            for query in queries
        },
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
    """Return what an EHR that held these resources would answer."""
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
    """Return the patient's alerts in a file; none without one."""
    if file is None:
        return ()
    try:
        accepted, rejected = parse_alerts(
            read_json(file, now), FileSender(), types, now
        )
    except CdsError as error:
        raise click.ClickException(f"{file}: {error}") from error
    for each in rejected:
        click.echo(f"alert {each.index} cannot be used", err=True)
    return tuple(each for each in accepted if each.patient.patient_id == patient)


REQUEST, CHART, ALERTS = "request.json", "chart.json", "alerts.json"
# The patients of a corpus: Bundles and fixture cases, in an order that stays

BESIDE = ".alerts.json"
"""How the alerts of ``jane.json`` are called: ``jane.alerts.json``."""


class NoPatient(click.ClickException):
    """A file is no patient's; says why in one sentence."""


@dataclass(frozen=True, slots=True)
class Patient:
    """What files hold about one patient."""

    name: str
    """The file or case, as a person would name it."""
    patient_id: str
    bundle: Mapping[str, Any]
    request: Mapping[str, Any] | None
    """The hook request of a fixture case that says what was prefetched."""
    alerts: Any
    """The body of a delivery to the webhook; None where there is none."""

    def chart(self, service: ServiceRules) -> Chart:
        """Return the patient's chart as *service* would have gathered it.

        Raises:
            Unreadable: if the call would have been refused.
        """
        try:
            if self.request is not None:
                request = parse_request(self.request)
                return gather(service.queries, request, None, 1.0)
            hook = service.service.hook
            return read_chart(service.queries, self.bundle, self.patient_id, hook)
        except (CdsError, click.ClickException) as error:
            raise NoPatient(str(error)) from error

    def wearable_alerts(
        self, types: Mapping[str, AlertType], now: datetime
    ) -> tuple[WearableAlert, ...]:
        """Return the patient's alerts.

        Raises:
            Unreadable: if one cannot be used.
        """
        if self.alerts is None:
            return ()
        try:
            accepted, rejected = parse_alerts(self.alerts, FileSender(), types, now)
        except CdsError as error:
            raise NoPatient(f"the alerts cannot be used: {error}") from error
        for each in rejected:
            raise NoPatient(f"alert {each.index} cannot be used")
        return tuple(
            each for each in accepted if each.patient.patient_id == self.patient_id
        )


def find_patients(corpus: Path) -> list[Path]:
    """Return the Bundles and cases at or below a path, in an order that stays."""
    if corpus.is_file() or (corpus / REQUEST).is_file():
        return [corpus]
    found: list[Path] = []
    try:
        within = sorted(corpus.iterdir())
    except OSError:
        return [corpus]  # named as what cannot be read when its turn comes
    for each in within:
        if each.name.startswith(".") or _leads_back(each):
            continue
        if each.is_dir():
            found += find_patients(each)
        elif each.suffix == ".json" and not each.name.endswith(BESIDE):
            found.append(each)
    return found


def _leads_back(path: Path) -> bool:
    """Return whether a link leads to a folder that it lies in."""
    return path.is_symlink() and path.absolute().is_relative_to(path.resolve())


def read_patients(path: Path, name: str, now: datetime) -> Iterator[Patient]:
    """Yield every patient in a Bundle's file, or the one of a fixture case.

    Raises:
        Unreadable: if there is none, or a file is not what it should be.
    """
    if path.is_dir():
        yield _read_case(path, name, now)
        return
    bundle = _read_bundle(path, now)
    beside = path.with_name(path.name.removesuffix(".json") + BESIDE)
    alerts = _read(beside, now) if beside.is_file() else None
    named = dict.fromkeys(
        each["id"]
        for _, each in bundle_resources([bundle], "Patient")
        if isinstance(each.get("id"), str)
    )
    if not named:
        raise NoPatient("the Bundle has no Patient with an id")
    for patient_id in named:
        shown = name if len(named) == 1 else f"{name}#{patient_id}"
        yield Patient(shown, patient_id, bundle, None, alerts)


def _read_case(folder: Path, name: str, now: datetime) -> Patient:
    request = _read(folder / REQUEST, now)
    context = request.get("context") if isinstance(request, dict) else None
    patient_id = context.get("patientId") if isinstance(context, dict) else None
    if not isinstance(request, dict) or not isinstance(patient_id, str):
        raise NoPatient(f"{REQUEST} names no patient")
    held, sent = folder / CHART, folder / ALERTS
    bundle = _read_bundle(held, now) if held.is_file() else {}
    alerts = _read(sent, now) if sent.is_file() else None
    prefetched = request if "prefetch" in request else None
    return Patient(name, patient_id, bundle, prefetched, alerts)


def _read_bundle(file: Path, now: datetime) -> dict[str, Any]:
    bundle = _read(file, now)
    if not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle":
        raise NoPatient(f"{file.name} is not a FHIR Bundle")
    entries = bundle.get("entry")
    if isinstance(entries, list):
        bundle["entry"] = [_with_id(each) for each in entries]
    return bundle


def _with_id(entry: Any) -> Any:
    """An entry whose Patient has the id that a server would give it."""
    resource = entry.get("resource") if isinstance(entry, dict) else None
    url = entry.get("fullUrl") if isinstance(entry, dict) else None
    if not isinstance(resource, dict) or not isinstance(url, str):
        return entry
    if resource.get("resourceType") != "Patient" or resource.get("id"):
        return entry
    tail = url.replace(":", "/").rpartition("/")[2]
    return {**entry, "resource": {**resource, "id": tail}}


def _read(file: Path, now: datetime) -> Any:
    try:
        return read_json(file, now)
    except click.ClickException as error:
        raise NoPatient(error.message.replace(str(file), file.name)) from error
    except RecursionError as error:
        raise NoPatient(f"{file.name} is nested too deeply") from error
