"""Whatever a chart or a watch says, it reaches the screen as text: the whole path."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from markdown_it import MarkdownIt

from cds_service.audit import build_delivery_event
from cds_service.decision import World
from cds_service.store.records import Attempt, Intake, StoredAnswer
from cds_service.wearables.adapters.alerts import parse_alerts

Caller = Any
ShowCards = Callable[..., list[dict[str, Any]]]

TEXTS = json.loads((Path(__file__).parents[1] / "hostile_texts.json").read_text())
HOSTILE = [each[:20_000] for each in TEXTS["markup"] + TEXTS["hidden"]]
"""No longer, so that a body with each of them many times is read."""
TAG = re.compile(r"<[^>]+>")
AUTOLINK = re.compile(r"https?://(?!doi\.org)|www\.|[\w.+-]+@\w", re.IGNORECASE)
UNSEEN = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)


@dataclass(frozen=True)
class Watch:
    """A source of the clients file."""

    id: str = "watch"
    tenant: str = "default"
    fhir_base: str = "-"
    time_zone: str = ""
    fhir_bases: tuple[str, ...] = ()


def coded(system: str, code: str, words: str) -> dict[str, Any]:
    coding = {"system": system, "code": code, "display": words}
    return {"coding": [coding], "text": words}


def chart(patient: str, words: str, strange: bool) -> dict[str, Any]:
    """Everything prefetched, and the words wherever there is room for words.

    What is *strange* has a medicine of which nothing is known but the words.
    """
    subject = {"reference": f"Patient/{patient}", "display": words}
    icd, rxnorm = (
        "http://hl7.org/fhir/sid/icd-10-cm",
        "http://www.nlm.nih.gov/research/umls/rxnorm",
    )
    fibrillation = {
        "resourceType": "Condition",
        "id": "c",
        "clinicalStatus": {"coding": [{"code": "active"}], "text": words},
        "code": coded(icd, "I48.0", words),
        "subject": subject,
        "note": [{"text": words}],
    }
    blocker = {
        "resourceType": "MedicationStatement",
        "id": "m",
        "status": "active",
        "medicationCodeableConcept": coded(rxnorm, "6918", words),
        "subject": subject,
        "effectivePeriod": {"start": "2026-01-05"},
        "dosage": [{"text": words}],
    }
    unknown = {
        **blocker,
        "id": "u",
        "medicationCodeableConcept": {"text": words},
    }
    rates = [
        {
            "resourceType": "Observation",
            "id": f"o{day}",
            "status": "final",
            "code": coded("http://loinc.org", "40443-4", words),
            "subject": subject,
            "device": {"display": words},
            "effectiveDateTime": f"2026-11-{day}T09:00:00Z",
            "valueQuantity": {
                "value": 108,
                "unit": words,
                "system": "http://unitsofmeasure.org",
                "code": "/min",
            },
        }
        for day in (21, 22)
    ]
    person = {
        "resourceType": "Patient",
        "id": patient,
        "birthDate": "1948-03-14",
        "gender": "male",
        "name": [{"text": words, "family": words}],
    }
    return {
        "patient": person,
        "conditions": searchset([fibrillation]),
        "medication-requests": None,
        "medication-statements": searchset(
            [blocker, unknown] if strange else [blocker]
        ),
        "observations": searchset(rates),
    }


def searchset(resources: list[dict[str, Any]]) -> dict[str, Any]:
    entries = [{"resource": each} for each in resources]
    return {"resourceType": "Bundle", "type": "searchset", "entry": entries}


@pytest.fixture
def ehr(build: Callable[..., World], connect: Callable[[World], Caller]) -> Caller:
    """An EHR of patients who agree to what their watches tell."""
    return connect(build(wearables_consent="assumed"))


@pytest.fixture
def cards(ehr: Caller) -> ShowCards:
    """The cards of a patient of whom chart and watch say nothing but the same words."""

    def show(words: str, strange: bool = False) -> list[dict[str, Any]]:
        patient = f"p-{uuid4()}"
        now = ehr.world.clock()
        begun = (now - timedelta(hours=2)).isoformat()
        types = ehr.world.rulebook.catalogue.alert_types
        told = {"id": patient, "patient": patient, "start": begun}
        device = words[:200] if words[:200].isprintable() else "Watch"
        alert = {**told, "type": "irregular-rhythm", "device": device}
        stored, refused = parse_alerts({"alerts": [alert]}, Watch(), types, now)
        assert not refused
        event = build_delivery_event(now, "default", "watch", patient, 202, stored)
        store = ehr.world.store
        attempt = Attempt("watch", patient)
        store.begin_delivery(attempt, "digest", now)
        store.finish_delivery(
            attempt, StoredAnswer(202, "{}"), Intake(tuple(stored)), event, now
        )
        body = {
            "hook": "patient-view",
            "hookInstance": str(uuid4()),
            "context": {"userId": "Practitioner/u1", "patientId": patient},
            "prefetch": chart(patient, words, strange),
        }
        answer = ehr.call(body)
        assert answer.status_code == 200, answer.text
        shown: list[dict[str, Any]] = answer.json["cards"]
        return shown

    return show


def tags(markdown: str, *, html: bool) -> list[str]:
    renderer = MarkdownIt("gfm-like", {"linkify": False, "html": html})
    return TAG.findall(renderer.render(markdown))


@pytest.mark.slow
@pytest.mark.parametrize("strange", [False, True])
def test_c_3_hostile_records_are_inert_in_every_card(
    cards: ShowCards, strange: bool
) -> None:
    usual = cards("word", strange)
    told = " ".join(card["summary"] + card["detail"] for card in usual)
    assert told.count("word") >= (1 if strange else 2)
    assert strange or "Device: word" in told

    for words in HOSTILE:
        for card, plain in zip(cards(words, strange), usual, strict=True):
            for html in (False, True):
                expected = tags(plain["detail"], html=html)
                assert tags(card["detail"], html=html) == expected, words[:60]
            for text in (card["summary"], card["detail"]):
                assert not UNSEEN.search(text), words[:60]
            bare = unescape(card["detail"].replace("\\", ""))
            assert not AUTOLINK.search(bare), words[:60]
            assert "\n" not in card["summary"] and len(card["summary"]) < 140
            assert len(card["detail"]) < len(plain["detail"]) + 2000


@pytest.mark.slow
def test_c_29_links_and_app_context_are_the_authors_words(
    cards: ShowCards,
) -> None:
    usual = [card.get("links") for card in cards("word")]
    assert any(usual)

    for words in HOSTILE[:12]:
        assert [card.get("links") for card in cards(words)] == usual
        assert "word" not in json.dumps(usual)
