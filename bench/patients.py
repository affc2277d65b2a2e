"""What the shipped configuration is asked about: patients with charts and wearables.

All have the chart of one fixture case with some of the chart of another, the same
wearable alerts and a Consent to them. Who asks is somebody else each time, so that the
card is shown each time, after what was shown before has been looked at.
"""

import json
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from cds_service.audit import build_consent_event, build_delivery_event
from cds_service.ehr.fixtures import load_case
from cds_service.ehr.hook_calls import build_prefetched, find_templates
from cds_service.ehr.tokens import Claims, build_token
from cds_service.store.records import Attempt, Intake, StoredAnswer
from cds_service.store.store import Store
from cds_service.wearables.adapters.consents import keep_consent
from cds_service.wearables.consent_gate import ConsentChange
from cds_service.wearables.records import PatientKey, WearableAlert

from .content import SHIPPED
from .load import INSTANCE
from .trusted_load import PATIENT

CASES = SHIPPED.parent / "fixtures" / "patient-view"
CASE, BALLAST = "fires", "huge"
MORE = {"Condition": 20, "MedicationRequest": 15, "MedicationStatement": 5}
"""Resources of the other chart."""
PATIENTS = 500
OLDER_ALERTS = 9
"""Of each patient, beside the one that a card rests on."""
SERVICE = "wearable-review"
PATH = f"/cds-services/{SERVICE}"
ISSUER = "https://ehr.example.org"
PUBLIC = "https://cds.example.org"
ACTIONS = "http://terminology.hl7.org/CodeSystem/consentaction"


def build_body(services: list[Any], now: datetime) -> bytes:
    """A call about any of the patients, with everything prefetched."""
    case = load_case(CASES / CASE, now)
    other = json.dumps(load_case(CASES / BALLAST, now).chart)
    entries = json.loads(other.replace(f"Patient/{BALLAST}", f"Patient/{CASE}"))[
        "entry"
    ]
    for type, count in MORE.items():
        found = [each for each in entries if each["resource"]["resourceType"] == type]
        case.chart["entry"] += found[:count]
    body = build_prefetched(case, find_templates(services, SERVICE))
    body["hookInstance"] = INSTANCE.decode()
    body["context"]["userId"] = f"Practitioner/{INSTANCE.decode()}"
    text = json.dumps(body, separators=(",", ":"))
    patient = PATIENT.decode()
    return (
        text.replace(f"Patient/{CASE}", f"Patient/{patient}")
        .replace(f'"{CASE}"', f'"{patient}"')
        .encode()
    )


def fill(url: str, now: datetime) -> None:
    """Have a new database hold the patients' alerts and Consents."""
    with closing(Store.open(url)) as store:
        store.migrate()
        keys = [
            PatientKey("default", "-", PATIENT[:-4].decode() + f"{each:04}")
            for each in range(PATIENTS)
        ]
        changes = [build_change(each, now) for each in keys]
        event = build_consent_event(now, "default", "portal", changes, {})
        store.consents.record(changes, event)
        attempt = Attempt("watch", "bench")
        store.begin_delivery(attempt, "bench", now)
        alerts = tuple(alert for each in keys for alert in build_alerts(each, now))
        delivery = build_delivery_event(now, "default", "watch", "bench", 202, alerts)
        intake = Intake(alerts)
        answer = StoredAnswer(202, "{}")
        store.finish_delivery(attempt, answer, intake, delivery, now)


def build_change(patient: PatientKey, now: datetime) -> ConsentChange:
    """A first Consent, to all that may be done with wearable data."""
    named = [
        {"coding": [{"system": ACTIONS, "code": each}]}
        for each in ("collect", "use", "disclose")
    ]
    consent = {
        "resourceType": "Consent",
        "id": "wearables",
        "meta": {"lastUpdated": now.isoformat()},
        "status": "active",
        "patient": {"reference": f"Patient/{patient.patient_id}"},
        "provision": {"type": "permit", "action": named},
    }
    kept = keep_consent(consent, patient, "portal", now)
    return ConsentChange(patient, frozenset(), (kept,))


def build_alerts(patient: PatientKey, now: datetime) -> list[WearableAlert]:
    """One that the card rests on, and older ones."""
    (told,) = load_case(CASES / CASE, now).alerts["alerts"]
    start = datetime.fromisoformat(told["start"])
    names = ("type", "metric", "value", "unit", "stat", "threshold", "device", "n")
    return [
        WearableAlert(
            id=f"{told['id']}-{days}",
            patient=patient,
            start=start - timedelta(days=days),
            opened=now,
            end=start - timedelta(days=days, hours=-1),
            status="closed",
            source="watch",
            **{name: told[name] for name in names},
        )
        for days in range(OLDER_ALERTS + 1)
    ]


class Signer:
    """An EHR that signs each call; its key is new."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP384R1())

    def write_clients(self, file: Path) -> Path:
        """Write the clients file of a server that trusts it."""
        public = ECAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        client: Mapping[str, Any] = {
            "id": "ehr",
            "iss": ISSUER,
            "keys": [{**public, "kid": "k"}],
        }
        file.write_text(json.dumps({"clients": [client]}))
        return file

    def tokens(self, count: int) -> list[str]:
        """Tokens that are good for one call each."""
        claims = Claims(ISSUER, PUBLIC + PATH, "k", lifetime=3600)
        now = datetime.now(UTC)
        return [build_token(self._key, claims, now) for _ in range(count)]
