"""Servers of every temperament hand out patients that others wrote: the same cards.

The bundles are read where ``CDS_SAMPLE_DATA`` names them, and are no part of this
project. What each server does was seen on a real one.
"""

import json
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode

import pytest

from cds_service.ehr.fixture_server import Records
from cds_service.ehr.fixture_server import answer as answer_from
from cds_service.ehr.fixtures import fill_prefetch, load_records
from cds_service.fhir.chart import SOURCES, Chart, SourceState
from cds_service.fhir.client import FhirLimits, FhirPool, open_reader
from cds_service.fhir.gather import gather
from cds_service.http.addresses import ListedServer
from cds_service.protocol.cards import as_json
from cds_service.protocol.requests import parse_request
from cds_service.rulebook.cards.cards import draft_cards, identify
from cds_service.rulebook.engine.evaluate import Outcome, ask_all, evaluate, open_case
from cds_service.rulebook.engine.rulebook import Rulebook, ServiceRules
from cds_service.rulebook.load import check_folder
from cds_service.wearables.records import PatientKey, WearableAlert
from cds_service.wearables.worn import Wearables

FOLDER = Path(os.environ.get("CDS_SAMPLE_DATA") or "/nowhere")
BUNDLES = sorted(FOLDER.glob("*/*.json"))
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
RULES = Path(__file__).parent.parent / "rules"
PAGE = 3
"""Servers have 20 by default, but what is asked for here is seldom more."""
VALUES = {
    "low-heart-rate": 38.0,
    "low-respiratory-rate": 7.0,
    "low-glucose": 50.0,
    "high-blood-pressure": 190.0,
}

BRINGS_ALONG = {
    "medication-requests": "&_include=MedicationRequest:medication",
    "medication-statements": "&_include=MedicationStatement:medication",
}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.no_cover,
    pytest.mark.skipif(
        not BUNDLES, reason="set CDS_SAMPLE_DATA to a folder of FHIR bundles"
    ),
]


Reply = tuple[int, Any]


@dataclass
class Asked:
    """One GET, taken apart, and the server that it came to."""

    kind: str
    """``Condition``; ``Patient/1`` for a read."""
    query: list[tuple[str, str]]
    server: "Server"

    def of(self, name: str) -> str | None:
        return dict(self.query).get(name)

    def without(self, *names: str) -> "Asked":
        kept = [each for each in self.query if each[0] not in names]
        return Asked(self.kind, kept, self.server)

    def plain(self) -> Reply:
        """What a well-behaved server answers, a few to a page."""
        size = min(int(self.of("_count") or PAGE), PAGE)
        kept = [*self.without("_count").query, ("_count", str(size))]
        target = f"{self.kind}?{urlencode(kept)}" if "/" not in self.kind else self.kind
        return answer_from(self.server.records, target, self.server.base)


Temperament = Callable[[Asked], Reply]


@dataclass
class Server:
    """A FHIR server with a temperament."""

    records: Records
    temper: Temperament
    base: str = ""
    links: dict[str, str] = field(default_factory=dict)
    """What opaque links stand for."""


def well_behaved(asked: Asked) -> Reply:
    return asked.plain()


def links_opaquely(asked: Asked) -> Reply:
    """HAPI: the next page is a number of the server's own, below the base itself."""
    links = asked.server.links
    if asked.of("_getpages"):
        target = links[asked.of("_getpages") or ""]
        kind, _, query = target.partition("?")
        asked = Asked(kind, parse_qsl(query), asked.server)
    status, body = asked.plain()
    for link in body.get("link", ()):
        number = f"{len(links):08x}"
        links[number] = link["url"].rpartition("/")[2]
        link["url"] = f"{asked.server.base}?_getpages={number}&_bundletype=searchset"
    return status, body


def forgets_the_patient(asked: Asked) -> Reply:
    """fhirkit: page 2 is of everybody."""
    if asked.of("_offset"):
        asked = asked.without("patient")
    status, body = asked.plain()
    for link in body.get("link", ()):
        path, _, query = link["url"].partition("?")
        kept = [each for each in parse_qsl(query) if each[0] != "patient"]
        link["url"] = f"{path}?{urlencode(kept)}"
    return status, body


def counts_nothing(asked: Asked) -> Reply:
    """Medplum: no total, and no entry where there is none."""
    status, body = asked.plain()
    body.pop("total", None)
    return status, body


def sends_empty_lists(asked: Asked) -> Reply:
    status, body = asked.plain()
    if body["resourceType"] == "Bundle":
        body.setdefault("entry", [])
    return status, body


def refuses_count(asked: Asked) -> Reply:
    """422, and what it says is no OperationOutcome."""
    if int(asked.of("_count") or 0) > 100:
        return 422, {"detail": [{"loc": ["query", "_count"], "msg": "too large"}]}
    return asked.plain()


def ignores_what_it_does_not_know(asked: Asked) -> Reply:
    known = {"patient", "_id", "_count", "_offset"}
    return asked.without(*{name for name, _ in asked.query} - known).plain()


def warns(asked: Asked) -> Reply:
    status, body = asked.plain()
    issue = {"severity": "warning", "code": "processing", "diagnostics": "slow today"}
    outcome = {"resourceType": "OperationOutcome", "issue": [issue]}
    if body["resourceType"] == "Bundle":
        entry = {"resource": outcome, "search": {"mode": "outcome"}}
        body["entry"] = [entry, *body.get("entry", []), entry]
    return status, body


def includes_medications_on_the_last_page(asked: Asked) -> Reply:
    base = asked.server.base
    if asked.of("_includes"):
        held = asked.server.records.of("Medication").values()
        entries = [{"resource": each, "search": {"mode": "include"}} for each in held]
        return 200, {"resourceType": "Bundle", "type": "searchset", "entry": entries}
    status, body = asked.plain()
    if (
        asked.kind.startswith("Medication")
        and not body.get("link")
        and body.get("entry")
    ):
        url = f"{base}/{asked.kind}?_includes=1"
        body["link"] = [{"relation": "next", "url": url}]
    return status, body


def leaves_full_urls_out(asked: Asked) -> Reply:
    status, body = asked.plain()
    for entry in body.get("entry", ()):
        entry.pop("fullUrl", None)
        entry.pop("search", None)
    return status, body


def demands_an_intent(asked: Asked) -> Reply:
    """athenahealth: and it knows two of them."""
    intents = set(filter(None, (asked.of("intent") or "").split(",")))
    if asked.kind == "MedicationRequest" and not intents:
        return refused("required", "intent is required")
    if not intents <= {"order", "plan"}:
        return refused("value", "The intent is order or plan")
    return asked.plain()


def takes_one_code_and_does_not_sort(asked: Asked) -> Reply:
    if asked.of("_sort"):
        return refused("not-supported", "Sorting is not supported")
    if "," in (asked.of("code") or ""):
        return refused("invalid", "Only one code may be given")
    return asked.plain()


def reads_medications_one_by_one(asked: Asked) -> Reply:
    return (400, {}) if asked.kind == "Medication" else asked.plain()


def refused(code: str, text: str) -> Reply:
    issue = {"severity": "error", "code": code, "details": {"text": text}}
    return 400, {"resourceType": "OperationOutcome", "issue": [issue]}


KINDLY: list[Temperament] = [
    well_behaved,
    links_opaquely,
    forgets_the_patient,
    counts_nothing,
    sends_empty_lists,
    refuses_count,
    ignores_what_it_does_not_know,
    warns,
    includes_medications_on_the_last_page,
    leaves_full_urls_out,
    demands_an_intent,
    takes_one_code_and_does_not_sort,
    reads_medications_one_by_one,
]


@contextmanager
def serving(records: Records, temper: Temperament) -> Iterator[Server]:
    server = Server(records, temper)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            path, _, query = self.path.removeprefix("/fhir").partition("?")
            asked = Asked(path.strip("/"), parse_qsl(query), server)
            status, body = server.temper(asked)
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/fhir+json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    server.base = f"http://127.0.0.1:{http.server_port}/fhir"
    thread = Thread(target=http.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


@pytest.fixture(scope="module")
def service() -> ServiceRules:
    """What is shipped, asked on opening a chart."""
    return shipped().services["wearable-review", "patient-view"]


@cache
def shipped() -> Rulebook:
    return check_folder(RULES).rulebook


@pytest.fixture(scope="module")
def pool() -> Iterator[FhirPool]:
    made = FhirPool()
    yield made
    made.close()


class Sample(NamedTuple):
    """One patient of a bundle."""

    name: str
    records: Records
    """The bundle as a server holds it, and a stranger's beside it."""
    patient_id: str
    sent: Chart
    """What an EHR that prefetches everything sends."""


@pytest.fixture(scope="module")
def patients(service: ServiceRules) -> list[Sample]:
    """All patients of all bundles."""
    bundles = {file.name: json.loads(file.read_text("utf-8")) for file in BUNDLES}
    stranger = next(each for name, each in bundles.items() if name.startswith("Tommy"))
    return [
        Sample(name, records, each, prefetched(service, bundle, each))
        for name, bundle in bundles.items()
        for records in [load_records([bundle, stranger])]
        for each in sorted(load_records([bundle]).of("Patient"))
    ]


def prefetched(service: ServiceRules, bundle: Any, patient_id: str) -> Chart:
    """What suffices: the Medications that are referred to come along."""
    templates = {
        key: f"{template}{BRINGS_ALONG.get(key, '')}"
        for key, template in (service.service.prefetch or {}).items()
    }
    prefetch = fill_prefetch(templates, bundle, {"patientId": patient_id})
    return gather(service.queries, ask(patient_id, prefetch), None, 60.0)


def fetched(
    service: ServiceRules, server: Server, patient_id: str, pool: FhirPool
) -> Chart:
    request = ask(patient_id, {}, server.base)
    listed = [ListedServer(server.base)]
    reader = open_reader(request, listed, listed, pool, FhirLimits(pages=100))
    assert reader is not None
    return gather(service.queries, request, reader, 60.0)


def ask(patient_id: str, prefetch: Any, base: str = "") -> Any:
    body = {
        "hook": "patient-view",
        "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        "context": {"userId": "Practitioner/1", "patientId": patient_id},
        "prefetch": prefetch,
    }
    named = {"fhirServer": base} if base else {}
    return parse_request(body | named, https_only=False)


def worn(patient_id: str) -> list[WearableAlert]:
    """One alert of each type this morning, so that every rule has a reason to look."""
    # Ten in the morning of the wearer, whose watch says its offset.
    start = (NOW - timedelta(hours=3)).astimezone(timezone(timedelta(hours=1)))
    units = {name: each.unit for name, each in shipped().catalogue.alert_types.items()}
    return [
        WearableAlert(
            id=name,
            patient=PatientKey("default", "-", patient_id),
            type=name,
            start=start,
            end=start + timedelta(minutes=20),
            opened=start,
            value=VALUES.get(name, 128.0) if unit else None,
            unit=unit,
            stat="median" if unit else "",
            source="sample",
            local=True,
        )
        for name, unit in units.items()
    ]


def said(service: ServiceRules, chart: Chart) -> tuple[list[str], str]:
    """The rules that fire, and the cards."""
    found = evaluate(service, chart, Wearables(worn(chart.patient_id)), NOW)
    fired = [each.rule.id for each in found.items if each.outcome is Outcome.FIRES]
    wire = [
        as_json(each.card)
        for each in identify(draft_cards(found, service.service), "seed")
    ]
    for card in wire:
        for each in (card, *card.get("suggestions", ())):
            del each["uuid"]  # made of the patient's id, among others
    named = f"Patient/{chart.patient_id}"
    return fired, json.dumps(wire).replace(named, "Patient/p")


def in_lower_case(said: tuple[list[str], str]) -> tuple[list[str], str]:
    fired, cards = said
    return fired, cards.lower()


@pytest.mark.parametrize("temper", KINDLY, ids=lambda each: each.__name__)
def test_a_14_a_server_of_any_temperament_gives_the_cards_of_the_prefetch(
    service: ServiceRules,
    pool: FhirPool,
    patients: list[Sample],
    temper: Temperament,
) -> None:
    fired: Counter[str] = Counter()
    dropped = 0
    with serving(Records(), temper) as server:
        for name, records, patient_id, sent in patients:
            server.records = records
            came = fetched(service, server, patient_id, pool)

            assert said(service, came) == said(service, sent), name
            for source in came.sources.values():
                assert source.state is SourceState.LOADED, (name, source.why)
            fired.update(said(service, sent)[0])
            dropped += sum(source.foreign for source in came.sources.values())
    assert bool(dropped) is (temper is forgets_the_patient)
    assert set(fired) >= FIRING


FIRING = {
    "av-nodal-agent-bradycardia",
    "beta-blocker-resting-tachycardia",
    "blood-pressure-out-of-range",
    "cholinesterase-inhibitor-bradycardia",
    "irregular-rhythm-no-known-af",
    "opioid-low-breathing",
}
"""Rules for which the sample data has a patient; an alert does the rest."""


def test_p_22_one_type_that_fails_with_status_200_is_missing_and_the_rest_is_read(
    service: ServiceRules, pool: FhirPool, patients: list[Sample]
) -> None:
    issue = {"severity": "error", "code": "processing"}
    outcome = {"resourceType": "OperationOutcome", "issue": [issue]}

    def fails(asked: Asked) -> Reply:
        return (200, outcome) if asked.kind == "MedicationStatement" else asked.plain()

    with serving(Records(), fails) as server:
        for name, records, patient_id, sent in patients:
            server.records = records
            came = fetched(service, server, patient_id, pool)
            states = {each.name: each.state for each in came.sources.values()}

            assert states.pop("medication_statements") is SourceState.MISSING, name
            assert set(states.values()) == {SourceState.LOADED}, name
            assert came.sources["medication_requests"] == replace(
                sent.sources["medication_requests"], origin="fhir"
            )
            # Nothing is said to be absent that may stand among what was not read.
            assert set(said(service, came)[0]) <= set(said(service, sent)[0]), name


def with_ids_in_capitals(resource: dict[str, Any]) -> dict[str, Any]:
    def rewrite(value: Any) -> Any:
        if isinstance(value, list):
            return [rewrite(each) for each in value]
        if not isinstance(value, dict):
            return value
        made = {name: rewrite(each) for name, each in value.items()}
        reference = made.get("reference")
        if isinstance(reference, str) and "/" in reference:
            kind, _, identifier = reference.rpartition("/")
            made["reference"] = f"{kind}/{identifier.upper()}"
        return made

    made: dict[str, Any] = rewrite(resource)
    return {**made, "id": made["id"].upper()}


def as_stu3(resource: dict[str, Any]) -> dict[str, Any]:
    """Codes where R4 has concepts, other names, and ``taken``."""
    made = dict(resource)
    if made["resourceType"] == "Condition":
        for name in ("clinicalStatus", "verificationStatus"):
            if name in made:
                made[name] = made[name]["coding"][0]["code"]
        if "recordedDate" in made:
            made["assertedDate"] = made.pop("recordedDate")
    if made["resourceType"] == "MedicationStatement":
        made["taken"] = "y" if made.get("status") == "active" else "unk"
    return made


def as_r5(resource: dict[str, Any]) -> dict[str, Any]:
    """One element for the medicine, and what is taken beside the status."""
    made = dict(resource)
    either = {
        new: made.pop(old)
        for old, new in (
            ("medicationCodeableConcept", "concept"),
            ("medicationReference", "reference"),
        )
        if old in made
    }
    if either:
        made["medication"] = either
    if made["resourceType"] == "Medication":
        made["doseForm"] = made.pop("form", None)
        for part in made.get("ingredient", ()):
            if "itemCodeableConcept" in part:
                part["item"] = {"concept": part.pop("itemCodeableConcept")}
    adherence = {"active": "taking", "stopped": "stopped", "unknown": "unknown"}
    if made["resourceType"] == "MedicationStatement" and made["status"] in adherence:
        code = {"coding": [{"code": adherence[made["status"]]}]}
        made |= {"status": "recorded", "adherence": {"code": code}}
    return made


@pytest.mark.parametrize("rewrite", [with_ids_in_capitals, as_stu3, as_r5])
def test_other_releases_of_fhir_give_the_same_cards(
    service: ServiceRules,
    pool: FhirPool,
    patients: list[Sample],
    rewrite: Callable[[Any], Any],
) -> None:
    cased = rewrite is with_ids_in_capitals
    with serving(Records(), well_behaved) as server:
        for name, records, patient_id, sent in patients:
            rewritten = [
                {"resource": rewrite(deepcopy(dict(each)))}
                for kind in (*SOURCES.values(), "Medication")
                for each in records.of(kind).values()
            ]
            server.records = load_records([{"entry": rewritten}])
            named = patient_id.upper() if cased else patient_id
            came = fetched(service, server, named, pool)

            told, expected = said(service, came), said(service, sent)
            if cased:  # what a suggestion refers to has the id that the server gave
                told, expected = in_lower_case(told), in_lower_case(expected)
            assert told == expected, name
            for source in came.sources.values():
                assert source.state is SourceState.LOADED, (name, source.why)


JUNK: list[Any] = [
    *(None, True, 7, -1.5, 10**30, "", "text", "2026-02-30", "9999-12-31", "#", "|"),
    *([], {}, [None], [[]], {"coding": 7}, {"reference": "#x"}, {"reference": ["x"]}),
]


def spoil(value: Any, chance: random.Random, share: float) -> Any:
    """A copy in which some nodes are gone, or are something else."""
    if chance.random() < share:
        return deepcopy(chance.choice(JUNK))
    if isinstance(value, list):
        kept = [each for each in value if chance.random() >= share / 2]
        return [spoil(each, chance, share) for each in kept]
    if not isinstance(value, dict):
        return value
    return {
        name: spoil(each, chance, share)
        for name, each in value.items()
        if chance.random() >= share / 2
    }


@pytest.mark.parametrize("share", [0.003, 0.1])
@pytest.mark.parametrize("file", BUNDLES, ids=lambda file: file.stem[:50])
def test_p_20_what_is_spoilt_is_read_or_counted_and_never_an_exception(
    service: ServiceRules, file: Path, share: float
) -> None:
    bundle = json.loads(file.read_text("utf-8"))
    chance = random.Random(f"{file.name} {share}")
    patient_id = sorted(load_records([bundle]).of("Patient"))[0]
    born = {"birthDate": chance.choice(JUNK), "gender": chance.choice(JUNK)}
    patient = {"resourceType": "Patient", "id": patient_id, **born}
    entries = [spoil(each, chance, share) for each in bundle["entry"]]
    spoilt = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    prefetch = {each.key: spoilt for each in service.queries} | {"patient": patient}

    chart = gather(service.queries, ask(patient_id, prefetch), None, 60.0)

    resources = [e.get("resource") if isinstance(e, dict) else None for e in entries]
    kinds = [r.get("resourceType") if isinstance(r, dict) else None for r in resources]
    unreadable = sum(not isinstance(kind, str) for kind in kinds)
    for name, source in chart.sources.items():
        if name != "patient":
            told = len(source.resources) + len(source.unusable) + source.foreign
            assert told == kinds.count(SOURCES[name]) + unreadable, name
            assert all(each.reason for each in source.unusable)
    case = open_case(service, chart, Wearables(worn(patient_id)), NOW)
    found = ask_all(service, case)
    assert identify(draft_cards(found, service.service), "seed") is not None
    assert all(type in SOURCES.values() and why for type, why in case.unusable())
