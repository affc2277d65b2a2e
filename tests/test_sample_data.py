"""Patients that others wrote: read whole, in every mode, without a crash.

The bundles are read where ``CDS_SAMPLE_DATA`` names them, and are no part of this
project.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cds_service.config import Config
from cds_service.decision import Answer, World, answer
from cds_service.ehr.fixture_server import serve_records
from cds_service.ehr.fixtures import Records, fill_prefetch, load_records
from cds_service.fhir.chart import SOURCES, SourceState
from cds_service.http.addresses import ListedServer
from cds_service.protocol.cards import as_json
from cds_service.protocol.requests import parse_request
from cds_service.rulebook.load import check_folder
from cds_service.starting import build_world
from cds_service.store.records import (
    Attempt,
    AuditEvent,
    DeliveryState,
    Intake,
    StoredAnswer,
)
from cds_service.wearables.records import PatientKey, WearableAlert

FOLDER = Path(os.environ.get("CDS_SAMPLE_DATA") or "/nowhere")
BUNDLES = sorted(FOLDER.glob("*/*.json"))
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
RULES = Path(__file__).parent.parent / "rules"
TYPES = ["high-resting-heart-rate", "low-heart-rate", "irregular-rhythm"]

needs_samples = pytest.mark.skipif(
    not BUNDLES, reason="set CDS_SAMPLE_DATA to a folder of FHIR bundles"
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    config = Config(
        profile="development",
        auth="off",
        database_url=f"sqlite:///{tmp_path_factory.mktemp('sample')}/cds.sqlite",
        gather_deadline_ms=30_000,
        body_limit=16 * 1024 * 1024,
    )
    world = replace(
        build_world(config, check_folder(RULES).rulebook), clock=lambda: NOW
    )
    world.store.migrate()
    yield world
    world.store.close()
    world.fhir.close()


def patients_of(records: Records) -> list[str]:
    return sorted(records.of("Patient"))


def wear_everything(world: World, patient_id: str) -> None:
    """One alert of each type this morning, so that every rule has a reason to look."""
    start = NOW - timedelta(hours=3)
    alerts = [
        WearableAlert(
            id=f"{patient_id}-{type}",
            patient=PatientKey("default", "-", patient_id),
            type=type,
            start=start,
            end=start + timedelta(minutes=20),
            opened=start,
            value={"low-heart-rate": 38.0, "irregular-rhythm": None}.get(type, 128.0),
            unit="" if type == "irregular-rhythm" else "/min",
            source="sample",
        )
        for type in TYPES
    ]
    event = AuditEvent(NOW, "delivery", "default", "sample")
    attempt = Attempt("sample", patient_id)
    begun = world.store.begin_delivery(attempt, "digest", NOW)
    if begun.state is DeliveryState.STORED:
        return
    world.store.finish_delivery(
        attempt, StoredAnswer(202, "{}"), Intake(tuple(alerts)), event, NOW
    )


def view(
    world: World, patient_id: str, prefetch: Any, base: str | None = None
) -> Answer:
    body = {
        "hook": "patient-view",
        "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        "context": {"userId": "Practitioner/1", "patientId": patient_id},
        "prefetch": prefetch,
    }
    if base:
        body["fhirServer"] = base
    service = world.rulebook.services["wearable-review", "patient-view"]
    client = world.clients.anonymous
    assert client is not None
    if base:
        client = replace(client, open_fhir_servers=(ListedServer(base),))
    request = parse_request(body, https_only=False)
    return answer(service, request, client, world)


def cards_of(found: Answer) -> list[dict[str, Any]]:
    wire = [as_json(card) for card in found.cards]
    for card in wire:
        del card["uuid"]
        for suggestion in card.get("suggestions", ()):
            del suggestion["uuid"]
    return wire


def including(template: str) -> str:
    """A template that asks for the Medications that orders refer to as well."""
    kind = template.partition("?")[0]
    if kind not in ("MedicationRequest", "MedicationStatement"):
        return template
    return f"{template}&_include={kind}:medication"


@needs_samples
@pytest.mark.slow
@pytest.mark.parametrize("file", BUNDLES, ids=lambda file: file.stem[:50])
def test_a_14_prefetched_and_fetched_give_the_same_cards(
    world: World, file: Path
) -> None:
    bundle = json.loads(file.read_text("utf-8"))
    records = load_records([bundle])
    service = world.rulebook.services["wearable-review", "patient-view"].service
    answered = 0
    with serve_records(records) as server:
        for patient_id in patients_of(records):
            wear_everything(world, patient_id)
            context = {"patientId": patient_id}
            plain = service.prefetch or {}
            whole = {key: including(template) for key, template in plain.items()}

            prefetched, bare = (
                view(world, patient_id, fill_prefetch(templates, bundle, context))
                for templates in (whole, plain)
            )
            fetched = view(world, patient_id, {}, server.base)

            assert cards_of(prefetched) == cards_of(fetched)
            # What no Medication came along for is told, and nothing else differs.
            if cards_of(bare) != cards_of(fetched):
                assert "its Medication was not obtained" in bare.cards[-1].detail
            for found in (prefetched, bare, fetched):
                for source in found.chart.sources.values():
                    assert source.state is SourceState.LOADED, source.name
            answered += 1
    assert answered


@needs_samples
@pytest.mark.slow
@pytest.mark.parametrize("file", BUNDLES, ids=lambda file: file.stem[:50])
def test_every_resource_is_read_or_counted_with_a_reason(
    world: World, file: Path
) -> None:
    """The raw bundle under every key: as careless as a client can be."""
    bundle = json.loads(file.read_text("utf-8"))
    patient = patient_in(bundle)
    patient_id = patient["id"]
    raw = {**bundle, "type": "collection"}
    service = world.rulebook.services["wearable-review", "patient-view"]
    prefetch = {query.key: raw for query in service.queries} | {"patient": patient}
    wear_everything(world, patient_id)

    found = view(world, patient_id, prefetch)

    for name, source in found.chart.sources.items():
        if name == "patient":
            continue
        held = [
            entry["resource"]
            for entry in bundle["entry"]
            if entry.get("resource", {}).get("resourceType") == SOURCES[name]
        ]
        told = len(source.resources) + len(source.unusable) + source.foreign
        assert told == len(held), (name, source.unusable)
        assert all(each.reason for each in source.unusable)
        own = {patient_id, *_names_of(bundle, patient_id)}
        for resource in source.resources:
            reference = resource["subject"].get("reference", "")
            assert reference.rpartition("/")[2] in own or reference in own


def patient_in(bundle: Any) -> dict[str, Any]:
    """The first Patient; two of the bundles leave it to the server to give it an id."""
    entry = next(
        entry
        for entry in bundle["entry"]
        if entry["resource"]["resourceType"] == "Patient"
    )
    patient: dict[str, Any] = entry["resource"]
    patient.setdefault("id", entry.get("fullUrl", "").rpartition(":")[2])
    return patient


def _names_of(bundle: Any, patient_id: str) -> set[str]:
    return {
        entry["fullUrl"]
        for entry in bundle["entry"]
        if entry["resource"].get("id") == patient_id and "fullUrl" in entry
    }


@needs_samples
def test_the_sample_folder_is_whole() -> None:
    assert len(BUNDLES) == 63
