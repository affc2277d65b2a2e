"""The patients of a corpus: FHIR Bundles and fixture cases, in an order that stays."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from ...fhir.chart import Chart
from ...fhir.gather import gather
from ...fhir.subjects import bundle_resources
from ...protocol.errors import CdsError
from ...protocol.requests import parse_request
from ...rulebook.engine import ServiceRules
from ...wearables.adapters.alerts import parse_alerts
from ...wearables.records import AlertType, WearableAlert
from .patient_files import Sender, read_chart, read_json

REQUEST, CHART, ALERTS = "request.json", "chart.json", "alerts.json"
BESIDE = ".alerts.json"
"""How the alerts of ``jane.json`` are called: ``jane.alerts.json``."""


class Unreadable(click.ClickException):
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
        """The patient's chart as *service* would have gathered it.

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
            raise Unreadable(str(error)) from error

    def wearable_alerts(
        self, types: Mapping[str, AlertType], now: datetime
    ) -> tuple[WearableAlert, ...]:
        """The patient's alerts.

        Raises:
            Unreadable: if one cannot be used.
        """
        if self.alerts is None:
            return ()
        try:
            accepted, rejected = parse_alerts(self.alerts, Sender(), types, now)
        except CdsError as error:
            raise Unreadable(f"the alerts cannot be used: {error}") from error
        for each in rejected:
            raise Unreadable(f"alert {each.index} cannot be used")
        return tuple(
            each for each in accepted if each.patient.patient_id == self.patient_id
        )


def find_patients(corpus: Path) -> list[Path]:
    """The Bundles and fixture cases at or below a path, in an order that stays."""
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
    """Whether a link leads to a folder that it lies in."""
    return path.is_symlink() and path.absolute().is_relative_to(path.resolve())


def read_patients(path: Path, name: str, now: datetime) -> Iterator[Patient]:
    """Every patient in a Bundle's file, or the one of a fixture case.

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
        raise Unreadable("the Bundle has no Patient with an id")
    for patient_id in named:
        shown = name if len(named) == 1 else f"{name}#{patient_id}"
        yield Patient(shown, patient_id, bundle, None, alerts)


def _read_case(folder: Path, name: str, now: datetime) -> Patient:
    request = _read(folder / REQUEST, now)
    context = request.get("context") if isinstance(request, dict) else None
    patient_id = context.get("patientId") if isinstance(context, dict) else None
    if not isinstance(request, dict) or not isinstance(patient_id, str):
        raise Unreadable(f"{REQUEST} names no patient")
    held, sent = folder / CHART, folder / ALERTS
    bundle = _read_bundle(held, now) if held.is_file() else {}
    alerts = _read(sent, now) if sent.is_file() else None
    prefetched = request if "prefetch" in request else None
    return Patient(name, patient_id, bundle, prefetched, alerts)


def _read_bundle(file: Path, now: datetime) -> dict[str, Any]:
    bundle = _read(file, now)
    if not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle":
        raise Unreadable(f"{file.name} is no FHIR Bundle")
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
        raise Unreadable(error.message.replace(str(file), file.name)) from error
    except RecursionError as error:
        raise Unreadable(f"{file.name} is nested too deeply") from error
