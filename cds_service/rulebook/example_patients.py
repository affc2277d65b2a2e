"""The patient of a rule test: a few lines of YAML as FHIR resources and alerts."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone, tzinfo
from typing import Any

from ..fhir.chart import SOURCES, Chart, Resource, Source, SourceState
from ..wearables.records import PatientKey, WearableAlert
from .notation import length_of, moment, parse_series
from .rules import AlertType
from .terminology import canonical_system

PATIENT = "example"
"""The id of every test's patient."""

_STATUS = "http://terminology.hl7.org/CodeSystem/condition-"
_DEFAULT_ALERT = "15 minutes"


def build_chart(patient: Mapping[str, Any], now: datetime, zone: tzinfo) -> Chart:
    """The chart of a test's patient, every source loaded but those it says are not."""
    medications: dict[str, Resource] = {}
    resources: list[Resource] = [
        *_conditions(patient, now, zone),
        *_medications(patient, now, zone, medications),
        *_observations(patient, now, zone),
        *(patient.get("resources") or ()),
    ]
    return Chart(
        patient_id=PATIENT,
        patient=_person(patient, now, zone),
        sources={
            name: _source(name, resource_type, resources, patient)
            for name, resource_type in SOURCES.items()
            if name != "patient"
        },
        medications=medications,
        context={"patientId": PATIENT},
    )


def _source(
    name: str, resource_type: str, resources: Iterable[Resource], patient: Any
) -> Source:
    own = tuple(each for each in resources if each.get("resourceType") == resource_type)
    if resource_type in (patient.get("not_loaded") or ()):
        return Source(name, SourceState.MISSING, why="not loaded in this test")
    if resource_type in (patient.get("partly_loaded") or ()):
        return Source(name, SourceState.PARTIAL, own, why="cut short in this test")
    return Source(name, SourceState.LOADED, own, origin="prefetch")


def _person(patient: Mapping[str, Any], now: datetime, zone: tzinfo) -> Resource:
    died = patient.get("died")
    return _without_none(
        {
            "resourceType": "Patient",
            "id": PATIENT,
            "gender": patient.get("sex"),
            "birthDate": _text(patient.get("born")),
            "deceasedBoolean": died if isinstance(died, bool) else None,
            "deceasedDateTime": None if isinstance(died, bool) else _text(died),
        }
    )


def _conditions(
    patient: Mapping[str, Any], now: datetime, zone: tzinfo
) -> Iterator[Resource]:
    for number, each in enumerate(patient.get("conditions") or (), start=1):
        clinical = each.get("clinical", "active")
        verification = each.get("verification", "confirmed")
        yield _resource(
            "Condition",
            number,
            clinicalStatus=_status("clinical", clinical),
            verificationStatus=_status("ver-status", verification),
            code=_concept(each),
            onsetDateTime=_when(each.get("onset"), now, zone),
            abatementDateTime=_when(each.get("abated"), now, zone),
        )


def _status(kind: str, code: str | None) -> Any:
    return {"coding": [{"system": _STATUS + kind, "code": code}]} if code else None


def _medications(
    patient: Mapping[str, Any],
    now: datetime,
    zone: tzinfo,
    medications: dict[str, Resource],
) -> Iterator[Resource]:
    for number, each in enumerate(patient.get("medications") or (), start=1):
        drug = _drug(each, number, medications)
        started = _when(each.get("started"), now, zone)
        ended = _when(each.get("ended"), now, zone)
        if each.get("as") == "statement":
            period = _without_none({"start": started, "end": ended})
            yield _resource(
                "MedicationStatement",
                number,
                status=each.get("status", "active"),
                effectivePeriod=period or None,
                **drug,
            )
        else:
            yield _resource(
                "MedicationRequest",
                number,
                status=each.get("status", "active"),
                intent=each.get("intent", "order"),
                doNotPerform=each.get("do_not_perform"),
                authoredOn=started,
                **drug,
            )


def _drug(
    each: Mapping[str, Any], number: int, medications: dict[str, Resource]
) -> dict[str, Any]:
    if not each.get("by_reference"):
        return {"medicationCodeableConcept": _concept(each)}
    reference = f"Medication/m{number}"
    medications[reference] = {
        "resourceType": "Medication",
        "id": f"m{number}",
        "code": _concept(each),
    }
    return {"medicationReference": {"reference": reference}}


def _observations(
    patient: Mapping[str, Any], now: datetime, zone: tzinfo
) -> Iterator[Resource]:
    number = 0
    for each in patient.get("observations") or ():
        points = parse_series(_text(each["values"]) or "")
        every = length_of(each.get("every", "1 day"))
        last = moment(each.get("ends", "0 minutes ago"), now, zone)
        for index, value in enumerate(points):
            if value is None:
                continue
            number += 1
            at = last - every * (len(points) - 1 - index)
            yield _resource(
                "Observation",
                number,
                status=each.get("status", "final"),
                code=_concept(each),
                effectiveDateTime=_iso(at),
                valueQuantity=_quantity(value, each),
            )


def _quantity(value: float, each: Mapping[str, Any]) -> dict[str, Any]:
    unit = each.get("unit")
    return _without_none(
        {
            "value": value,
            "comparator": each.get("comparator"),
            "unit": unit,
            "system": "http://unitsofmeasure.org",
            "code": unit,
        }
    )


def build_alerts(
    patient: Mapping[str, Any],
    now: datetime,
    zone: tzinfo,
    alert_types: Mapping[str, AlertType],
) -> tuple[WearableAlert, ...] | None:
    """The wearable alerts of a test's patient; None where it says they are unread."""
    if "WearableAlert" in (patient.get("not_loaded") or ()):
        return None
    written: Sequence[Mapping[str, Any]] = patient.get("wearable_alerts") or ()
    return tuple(
        _alert(number, each, now, zone, alert_types.get(each["type"]))
        for number, each in enumerate(written, start=1)
    )


def _alert(
    number: int,
    each: Mapping[str, Any],
    now: datetime,
    zone: tzinfo,
    alert_type: AlertType | None,
) -> WearableAlert:
    start = moment(each.get("at", "1 hour ago"), now, zone)
    status = each.get("status", "closed")
    end = (
        None if status == "open" else start + length_of(each.get("for", _DEFAULT_ALERT))
    )
    return WearableAlert(
        id=f"alert-{number}",
        patient=PatientKey("default", "-", PATIENT),
        type=each["type"],
        start=start,
        opened=start.astimezone(timezone.utc),
        end=end,
        metric=alert_type.metric if alert_type else "",
        value=each.get("value"),
        unit=alert_type.unit if alert_type else "",
        stat=each.get("stat", ""),
        threshold=each.get("threshold"),
        status=status,
        device=each.get("device", ""),
        source="test",
        coverage=each.get("coverage"),
    )


def _when(text: Any, now: datetime, zone: tzinfo) -> str | None:
    """A FHIR date or time; partial dates stay as they are written."""
    if text is None:
        return None
    words = str(text)
    if words.endswith(" ago") or "T" in words:
        return _iso(moment(words, now, zone))
    return words


def _concept(each: Mapping[str, Any]) -> dict[str, Any]:
    """A CodeableConcept of ``code: system|code`` and ``name``."""
    written = each.get("code")
    codes = written if isinstance(written, list) else [written] if written else []
    codings = []
    for code in codes:
        system, _, value = code.partition("|")
        coding = {"system": canonical_system(system), "code": value}
        codings.append(_without_none({**coding, "display": each.get("name")}))
    return _without_none({"coding": codings or None, "text": each.get("name")})


def _resource(resource_type: str, number: int, **members: Any) -> Resource:
    return _without_none(
        {
            "resourceType": resource_type,
            "id": f"{resource_type.lower()}-{number}",
            "subject": {"reference": f"Patient/{PATIENT}"},
            **members,
        }
    )


def _iso(at: datetime) -> str:
    return at.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _without_none(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
