"""A hospital in a browser: our server as it is run, an EHR that opens it, a patient."""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from playwright.sync_api import Page

from cds_service.ehr.client import Ehr
from cds_service.ehr.tokens import generate_key

from ..e2e.conftest import ISSUER, Server, fill
from ..ports import free_port
from ..smart_server import SmartServer
from .browsing import Visitor

KEY = "A" * 43 + "="
"""Of the vault."""
SERVICE = "wearable-review"
LOINC = "http://loinc.org"


def searchset(*resources: Any) -> dict[str, Any]:
    entries = [{"resource": each} for each in resources]
    return {"resourceType": "Bundle", "type": "searchset", "entry": entries}


def person(id: str, given: str, family: str) -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "id": id,
        "name": [{"given": [given], "family": family}],
        "birthDate": "1958-03-14",
        "gender": "male",
        "identifier": [
            {"type": {"coding": [{"code": "MR"}]}, "value": f"MRN-{id}"},
        ],
    }


def chart_of(patient: str, fast: int = 112) -> list[dict[str, Any]]:
    """A beta-blocker, and a heart rate that is fast on two days all the same."""
    now = datetime.now(UTC)
    subject = {"reference": f"Patient/{patient}"}
    drug = {
        "resourceType": "MedicationRequest",
        "id": f"m-{patient}",
        "status": "active",
        "intent": "order",
        "subject": subject,
        "authoredOn": (now - timedelta(days=90)).date().isoformat(),
        "medicationCodeableConcept": {"text": "Metoprolol 50 mg"},
    }
    readings = [
        {
            "resourceType": "Observation",
            "id": f"o{day}-{patient}",
            "status": "final",
            "code": {"coding": [{"system": LOINC, "code": "40443-4"}]},
            "subject": subject,
            "effectiveDateTime": (now - timedelta(days=day, hours=1)).isoformat(),
            "valueQuantity": {"value": fast - day, "code": "/min"},
        }
        for day in (0, 1)
    ]
    return [drug, *readings]


@dataclass(slots=True)
class Hospital:
    """One server of ours, and the EHR whose users come to it."""

    server: Server
    smart: SmartServer
    ehr: Ehr
    charts: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    @property
    def base(self) -> str:
        """Where people know our server."""
        return self.server.base

    def admit(self, id: str, given: str, family: str = "Chalmers") -> str:
        """Have a patient there whose chart calls for a card; return the id."""
        self.charts[id] = [person(id, given, family), *chart_of(id)]
        self.smart.chart(*(each for chart in self.charts.values() for each in chart))
        return id

    def open_chart(self, patient: str, *left_out: str) -> list[Any]:
        """The cards that the EHR is answered when somebody opens a chart.

        Args:
            left_out: Prefetch keys that it does not bring along.
        """
        who, *entries = self.charts[patient]
        of_type = {
            name: searchset(*(e for e in entries if e["resourceType"] == type))
            for name, type in (
                ("conditions", "Condition"),
                ("medication-requests", "MedicationRequest"),
                ("medication-statements", "MedicationStatement"),
                ("observations", "Observation"),
            )
        }
        brought: Mapping[str, Any] = {"patient": who, **of_type}
        body = {
            "hook": "patient-view",
            "hookInstance": str(uuid4()),
            "context": {"userId": "Practitioner/7", "patientId": patient},
            "prefetch": {n: each for n, each in brought.items() if n not in left_out},
        }
        answered = self.ehr.call(SERVICE, body)
        assert answered.status == 200, answered
        cards: list[Any] = answered.body["cards"]
        return cards

    def launch(self, visitor: Visitor, patient: str, link: Any = None) -> Page:
        """The page to which the EHR leads, by a card's link or from the chart alone."""
        context = {"appContext": link["appContext"]} if link else {}
        given = self.smart.launch(patient, user="Practitioner/7", **context)
        url = link["url"] if link else f"{self.base}/smart/launch"
        asked = urlencode({"iss": self.smart.base, "launch": given})
        page = visitor.context.new_page()
        visitor.listen(page)
        page.goto(f"{url}?{asked}")
        return page


def link_of(card: Any, label: str = "Why") -> Any:
    """The link of a card to a page of ours whose label begins so."""
    links = [each for each in card["links"] if each["type"] == "smart"]
    return next(each for each in links if each["label"].startswith(label))


@contextmanager
def running_hospital(
    folder: Path, prepared: Path, smart: SmartServer
) -> Iterator[Hospital]:
    """Start a server of ours that this EHR opens, and end it."""
    pem, public = generate_key()
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    app = smart.register(f"{base}/smart/callback")
    client = {
        "id": "chart",
        "iss": ISSUER,
        "keys": [{**public, "kid": "k", "alg": "ES384"}],
        "fhir_base": smart.base,
        "fhir_servers": [smart.base],
        "smart": {"client_id": app},
    }
    (folder / "clients.yaml").write_text(json.dumps({"clients": [client]}))
    shutil.copytree(prepared / "rules", folder / "rules")
    url = f"sqlite:///{folder / 'store.sqlite'}"
    fill(prepared / "store.sqlite", url)
    settings = {
        "CDS_PUBLIC_URL": base,
        "CDS_PORT": str(port),
        "CDS_TOKEN_KEY": KEY,
        "CDS_GATHER_DEADLINE_MS": "30000",
        "CDS_ANSWER_DEADLINE_MS": "60000",
    }
    server = Server(folder, pem, settings, url)
    try:
        server.start()
        yield Hospital(server, smart, Ehr(base, ISSUER, pem, "k"))
    finally:
        server.kill()
