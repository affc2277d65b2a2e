"""An EHR fills what discovery advertises, and no more: does that suffice?"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from cds_service.ehr.fixture_server import load_records, serve_records
from cds_service.ehr.fixtures import fill_prefetch
from cds_service.fhir.chart import Chart, SourceState
from cds_service.fhir.client import FhirPool, open_reader
from cds_service.fhir.gather import gather
from cds_service.http.addresses import ListedServer
from cds_service.protocol.requests import parse_request
from cds_service.protocol.services import discovery
from cds_service.rulebook.cards.cards import draft_cards, identify
from cds_service.rulebook.engine.evaluate import Evaluation, Outcome, evaluate
from cds_service.rulebook.engine.rulebook import Rulebook, ServiceRules
from cds_service.rulebook.load import check_folder
from cds_service.wearables.worn import Wearables

NOW = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)
RULES = Path(__file__).parent.parent / "rules"
LOINC, RXNORM = "http://loinc.org", "http://www.nlm.nih.gov/research/umls/rxnorm"
PATIENT = {"resourceType": "Patient", "id": "p1", "birthDate": "1958-03-14"}
SUBJECT = {"subject": {"reference": "Patient/p1"}}


@cache
def shipped() -> Rulebook:
    return check_folder(RULES).rulebook


@pytest.fixture(scope="module")
def including(tmp_path_factory: pytest.TempPathFactory) -> Rulebook:
    """The shipped rules, by a service that asks for Medications too."""
    rules = copytree(RULES, tmp_path_factory.mktemp("including") / "rules")
    text = (RULES / "services.yaml").read_text("utf-8")
    text = text.replace("include_medications: false", "include_medications: true")
    (rules / "services.yaml").write_text(text)
    return check_folder(rules).rulebook


@pytest.fixture
def fetch() -> Any:
    """Reads a chart from a FHIR server that holds it."""
    pool = FhirPool()

    def run(service: ServiceRules, chart: Mapping[str, Any]) -> Chart:
        with serve_records(load_records([chart])) as server:
            listed = [ListedServer(server.base)]
            request = ask({}, fhirServer=server.base)
            reader = open_reader(request, listed, listed, pool)
            return gather(service.queries, request, reader, 30.0)

    yield run
    pool.close()


def ask(prefetch: Mapping[str, Any], **more: str) -> Any:
    body = {
        "hook": "patient-view",
        "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        "context": {"userId": "Practitioner/1", "patientId": "p1"},
        "prefetch": prefetch,
    }
    return parse_request({**body, **more}, https_only=False)


def send(service: ServiceRules, chart: Mapping[str, Any]) -> Chart:
    """What an EHR sends that fills every template from the chart it holds."""
    templates = service.service.prefetch or {}
    prefetch = fill_prefetch(templates, chart, {"patientId": "p1"})
    return gather(service.queries, ask(prefetch), None, 30.0)


def bundle(*resources: Mapping[str, Any]) -> dict[str, Any]:
    entries = [{"resource": each} for each in (PATIENT, *resources)]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


def service_of(rulebook: Rulebook) -> ServiceRules:
    return rulebook.services["wearable-review", "patient-view"]


def fired(service: ServiceRules, chart: Chart) -> list[str]:
    """The rules whose cards are shown, and ``unchecked`` for what was not checked."""
    evaluations = evaluate(service, chart, Wearables(), NOW)
    return [
        each.card.extension.get("org.cds-service.rule", {"id": "unchecked"})["id"]
        for each in identify(draft_cards(evaluations, service.service), "seed")
    ]


# A medicine by reference.


def by_reference(**reference: str) -> dict[str, Any]:
    """On atenolol by an order that refers to a Medication, and a fast pulse."""
    coding = {"system": RXNORM, "code": "1202", "display": "atenolol"}
    medication = {
        "resourceType": "Medication",
        "id": "d1",
        "code": {"coding": [coding]},
    }
    order = {
        "resourceType": "MedicationRequest",
        "id": "m1",
        "status": "active",
        "intent": "order",
        "authoredOn": "2026-01-01",
        "medicationReference": {"reference": "Medication/d1", **reference},
        **SUBJECT,
    }
    pulses = [
        {
            "resourceType": "Observation",
            "id": f"o{day}",
            "status": "final",
            "code": {"coding": [{"system": LOINC, "code": "40443-4"}]},
            "effectiveDateTime": f"2026-11-{day}T07:00:00Z",
            "valueQuantity": quantity(112, "/min"),
            **SUBJECT,
        }
        for day in (20, 21, 22)
    ]
    return bundle(medication, order, *pulses)


RULE = "beta-blocker-resting-tachycardia"


def test_a_prefetch_that_brings_medications_along_suffices(including: Rulebook) -> None:
    service = service_of(including)

    chart = send(service, by_reference())

    assert "Medication/d1" in chart.medications
    assert fired(service, chart) == [RULE]


def test_a_prefetch_that_does_not_is_told_of_and_never_passed_over() -> None:
    service = service_of(shipped())

    assert fired(service, send(service, by_reference())) == ["unchecked"]


def test_without_medications_a_display_or_the_fhir_server_suffices(
    fetch: Callable[..., Chart],
) -> None:
    """As discovery says."""
    service = service_of(shipped())

    assert fired(service, send(service, by_reference(display="atenolol"))) == [RULE]
    assert fired(service, fetch(service, by_reference())) == [RULE]


def test_what_is_asked_for_is_in_the_templates_and_in_words(
    including: Rulebook,
) -> None:
    for rulebook, asked in ((including, True), (shipped(), False)):
        found = discovery([service_of(rulebook).service])["services"][0]
        templates = " ".join(found["prefetch"].values())

        assert ("_include=MedicationRequest:medication" in templates) is asked
        assert ("_include=MedicationStatement:medication" in templates) is asked
        assert ("(_include)" in found["usageRequirements"]) is asked
        assert "medicationReference" in found["usageRequirements"]
        assert found["usageRequirements"].startswith("Decision support for")


def test_medications_that_come_along_are_not_asked_for_once_more(
    including: Rulebook,
) -> None:
    service, pool = service_of(including), FhirPool()
    with serve_records(load_records([by_reference()])) as server:
        listed = [ListedServer(server.base)]
        request = ask({}, fhirServer=server.base)
        reader = open_reader(request, listed, listed, pool)
        chart = gather(service.queries, request, reader, 30.0)
    pool.close()

    assert fired(service, chart) == [RULE]
    assert not any(each.startswith("Medication?") for each in server.seen)


# Panels.


def quantity(value: float, unit: str) -> dict[str, Any]:
    ucum = {"system": "http://unitsofmeasure.org", "code": unit}
    return {"value": value, "unit": unit, **ucum}


def blood_pressures(panel: str) -> dict[str, Any]:
    """Twice 196 over 118, as components of a panel, in known hypertension."""
    code = {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "I10"}]}
    problem = {"resourceType": "Condition", "id": "c1", "code": code, **SUBJECT}
    active = {"clinicalStatus": {"coding": [{"code": "active"}]}}
    parts = [
        {
            "code": {"coding": [{"system": LOINC, "code": part}]},
            "valueQuantity": quantity(value, "mm[Hg]"),
        }
        for part, value in (("8462-4", 118), ("8480-6", 196))
    ]
    readings = [
        {
            "resourceType": "Observation",
            "id": f"bp{hour}",
            "status": "final",
            "code": {"coding": [{"system": LOINC, "code": panel}], "text": "BP"},
            "effectiveDateTime": f"2026-11-22T{hour}:00:00Z",
            "component": parts,
            **SUBJECT,
        }
        for hour in (10, 12)
    ]
    return bundle(problem | active, *readings)


@pytest.mark.parametrize("panel", ["55284-4", "85354-9"])
def test_blood_pressure_is_read_under_every_panel_prefetched_and_fetched(
    fetch: Callable[..., Chart], panel: str
) -> None:
    """55284-4 is what synthetic charts have, and servers of before US Core."""
    service = service_of(shipped())
    chart = blood_pressures(panel)

    for came in (send(service, chart), fetch(service, chart)):
        source = came.sources["observations"]
        assert source.state is SourceState.LOADED
        assert {each["id"] for each in source.resources} == {"bp10", "bp12"}
        found = {each.rule.id: each.outcome for each in evaluate_all(service, came)}
        assert found["blood-pressure-out-of-range"] is Outcome.FIRES


def evaluate_all(service: ServiceRules, chart: Chart) -> tuple[Evaluation, ...]:
    """What every rule says, those too that are watched and not shown."""
    return evaluate(service, chart, Wearables(), NOW).items


def test_every_code_and_panel_that_a_rule_reads_by_is_in_the_query() -> None:
    book = shipped()
    for service in book.services.values():
        asked = " ".join((service.service.prefetch or {}).values())
        read = {
            service.program.selectors.all[slot].valueset
            for rule in service.rules
            for fact in rule.facts.values()
            for slot in fact.slots
            if service.program.selectors.all[slot].kind == "observation"
        }
        assert read >= {"heart-rate", "systolic-blood-pressure"}
        for name in read:
            valueset = book.valuesets[name]
            codes = {code for held in valueset.codes.values() for code in held}
            panels = {code for _, code in valueset.panels}
            assert all(f"{LOINC}|{code}" in asked for code in codes | panels), name
