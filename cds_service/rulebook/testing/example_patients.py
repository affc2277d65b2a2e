"""The patient of a rule test: a few lines of YAML as FHIR resources and alerts."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone, tzinfo
from typing import Any

from ...fhir.chart import SOURCES, Chart, Resource, Source, SourceState
from ...fhir.code_systems import canonical_system
from ...wearables.clock import tells_clock
from ...wearables.metrics import Catalogue
from ...wearables.records import AlertType, PatientKey, WearableAlert
from ...wearables.worn import Wearables
from .notation import SeriesValue, length_of, moment, parse_series
from .worn_patients import SOURCE, WornWriter

PATIENT = "example"
"""The id of every test's patient."""

_STATUS = "http://terminology.hl7.org/CodeSystem/condition-"
_ALERT_LASTS = "15 minutes"


@dataclass(frozen=True, slots=True)
class PatientWriter:
    """Writes one patient of a test as FHIR and as wearable alerts."""

    written: Mapping[str, Any]
    """The patient as the test has it, of a shape that has been checked."""
    now: datetime
    zone: tzinfo
    bundle: Sequence[Resource] = ()
    """Whole resources that the test takes from a file."""
    medications: dict[str, Resource] = field(default_factory=dict)

    def chart(self) -> Chart:
        """The chart, with every source loaded but those that the test says are not."""
        resources = [
            *self.bundle,
            *self._conditions(),
            *self._medications("medications"),
            *self._observations(),
        ]
        sources = {
            name: self._source(name, resource_type, resources)
            for name, resource_type in SOURCES.items()
            if name != "patient"
        }
        if "draft_orders" in self.written:
            drafts = tuple(self._medications("draft_orders", "draft"))
            sources["draft_orders"] = Source(
                "draft_orders", SourceState.LOADED, drafts, origin="context"
            )
        unread = "Patient" in self._not_loaded
        return Chart(
            patient_id=PATIENT,
            patient=None if unread else self._person(),
            sources=sources,
            medications=self.medications,
            context={"patientId": PATIENT},
        )

    @property
    def _not_loaded(self) -> Sequence[str]:
        return self.written.get("not_loaded") or ()

    def _each(self, key: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
        return enumerate(self.written.get(key) or (), start=1)

    def _source(
        self, name: str, resource_type: str, resources: Iterable[Resource]
    ) -> Source:
        if resource_type in self._not_loaded:
            return Source(name, SourceState.MISSING, why="not loaded in this test")
        own = (each for each in resources if each.get("resourceType") == resource_type)
        return Source(name, SourceState.LOADED, tuple(own), origin="prefetch")

    def _person(self) -> Resource:
        given = [each for each in self.bundle if each.get("resourceType") == "Patient"]
        person = {
            "gender": self.written.get("sex"),
            "birthDate": _text(self.written.get("born")),
            "deceasedDateTime": _text(self.written.get("died")),
        }
        base = given[0] if given else {"resourceType": "Patient"}
        return {**base, **_without_none(person), "id": PATIENT}

    def _conditions(self) -> Iterator[Resource]:
        for number, each in self._each("conditions"):
            yield _resource(
                "Condition",
                number,
                clinicalStatus=_clinical(each.get("clinical", "active")),
                category=_categories(each.get("category")),
                verificationStatus=_status(
                    "ver-status", each.get("verification", "confirmed")
                ),
                code=_concept(each),
                onsetDateTime=self._when(each.get("onset")),
                abatementDateTime=self._when(each.get("abated")),
                recordedDate=self._when(each.get("recorded")),
            )

    def _medications(self, key: str, status: str = "active") -> Iterator[Resource]:
        for number, each in self._each(key):
            status_of = each.get("status", status)
            drug = self._drug(each, f"{key}-{number}")
            started = self._when(each.get("started"))
            ended = self._when(each.get("ended"))
            if each.get("as") == "statement":
                period = _without_none({"start": started, "end": ended})
                yield _resource(
                    "MedicationStatement",
                    number,
                    status=status_of,
                    effectivePeriod=period or None,
                    **drug,
                )
            else:
                yield _resource(
                    "MedicationRequest",
                    number,
                    status=status_of,
                    intent=each.get("intent", "order"),
                    doNotPerform=each.get("do_not_perform"),
                    reportedBoolean=each.get("reported"),
                    authoredOn=started,
                    dosageInstruction=_until(ended),
                    **drug,
                )

    def _drug(self, each: Mapping[str, Any], id: str) -> dict[str, Any]:
        if not (each.get("by_reference") or "form" in each):
            return {"medicationCodeableConcept": _concept(each)}
        form = {"text": each["form"]} if "form" in each else None
        self.medications[f"Medication/{id}"] = _without_none(
            {
                "resourceType": "Medication",
                "id": id,
                "code": _concept(each),
                "form": form,
            }
        )
        return {"medicationReference": {"reference": f"Medication/{id}"}}

    def _observations(self) -> Iterator[Resource]:
        number = 0
        for _, each in self._each("observations"):
            readings = parse_series(_text(each.get("values")) or "_")
            every = length_of(each.get("every", "1 day"))
            last = moment(each.get("ends", each.get("at", "now")), self.now, self.zone)
            for index, reading in enumerate(readings):
                if reading is None:
                    continue
                number += 1
                at = last - every * (len(readings) - 1 - index)
                yield _resource(
                    "Observation",
                    number,
                    status=each.get("status", "final"),
                    effectiveDateTime=_iso(at),
                    **_measured(each, reading),
                )

    def wearables(self, catalogue: Catalogue) -> Wearables:
        """What wearables told; None of what the test says is unread."""
        alerts = self.alerts(catalogue.alert_types)
        if "wearable_readings" in self._not_loaded:
            return Wearables(alerts, None, None, None)
        written = self.written.get("wearables") or {}
        worn = WornWriter(written, self.now, self.zone, catalogue)
        return Wearables(
            alerts, worn.days(), tuple(worn.streams()), tuple(worn.tallies())
        )

    def alerts(
        self, alert_types: Mapping[str, AlertType]
    ) -> tuple[WearableAlert, ...] | None:
        """The wearable alerts; None where the test says that they are unread."""
        if "wearable_alerts" in self._not_loaded:
            return None
        return tuple(
            self._alert(number, each, alert_types.get(each["type"]))
            for number, each in self._each("wearable_alerts")
        )

    def _alert(
        self, number: int, each: Mapping[str, Any], alert_type: AlertType | None
    ) -> WearableAlert:
        start = moment(each["at"], self.now, self.zone)
        status = each.get("status", "closed")
        end = None
        if "ended" in each:
            end = moment(each["ended"], self.now, self.zone)
        elif status != "open":
            end = start + length_of(each.get("for", _ALERT_LASTS))
        return WearableAlert(
            id=f"alert-{number}",
            patient=PatientKey("default", "-", PATIENT),
            type=each["type"],
            start=start,
            opened=start.astimezone(timezone.utc),
            end=end,
            metric=alert_type.metric if alert_type else "",
            value=each.get("value"),
            unit=each.get("unit", alert_type.unit if alert_type else ""),
            stat=each.get("stat", ""),
            threshold=each.get("threshold"),
            median=each.get("median"),
            status=status,
            device=each.get("device", ""),
            source=SOURCE,
            coverage=each.get("coverage"),
            n=each.get("n"),
            local=tells_clock(str(each["at"])),
        )

    def _when(self, text: Any) -> str | None:
        """A FHIR date or time; dates and parts of dates stay as they are written."""
        if text is None:
            return None
        words = str(text)
        if words == "now" or words.endswith(" ago") or "T" in words:
            return _iso(moment(words, self.now, self.zone))
        return words


def _until(ended: str | None) -> list[Any] | None:
    """The dosage of an order that says until when it is meant."""
    bounds = {"boundsPeriod": {"end": ended}}
    return [{"timing": {"repeat": bounds}}] if ended else None


def _measured(each: Mapping[str, Any], reading: SeriesValue) -> dict[str, Any]:
    """Code and value, as a component where the test names a panel."""
    unit = each.get("unit")
    quantity = _without_none(
        {
            "value": reading.value,
            "comparator": reading.comparator or None,
            "unit": unit,
            "system": "http://unitsofmeasure.org",
            "code": unit,
        }
    )
    single = {"code": _concept(each), "valueQuantity": quantity}
    if "panel" not in each:
        return single
    return {"code": _concept({"code": each["panel"]}), "component": [single]}


def _status(kind: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": _STATUS + kind, "code": code}]}


def _clinical(code: str) -> dict[str, Any] | None:
    return None if code == "none" else _status("clinical", code)


def _categories(code: str | None) -> list[Any] | None:
    return [_status("category", code)] if code else None


def _concept(each: Mapping[str, Any]) -> dict[str, Any]:
    """A CodeableConcept of ``code: system|code`` and ``name``."""
    name = each.get("name")
    if "code" not in each:
        return {"text": name}
    system, _, code = each["code"].partition("|")
    coding = {"system": canonical_system(system), "code": code, "display": name}
    return _without_none({"coding": [_without_none(coding)], "text": name})


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
