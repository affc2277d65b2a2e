"""Somebody with a browser, who goes where an EHR and this server lead."""

import json
from dataclasses import dataclass, replace
from datetime import timedelta
from http.client import HTTPConnection
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cds_service.decision import World
from cds_service.http.addresses import ListedServer, Reach
from cds_service.store.records import AuditEvent, CallRecord
from cds_service.store.references.records import NewReference, digest_of
from cds_service.trust import TrustedClient
from cds_service.wearables.records import PatientKey
from cds_service.web.smart.cookies import hash_of
from cds_service.web.smart.sessions import Gate

from ..conftest import NOW
from .opening import APP, CLIENT
from .played_ehr import PlayedEhr

BASE = "https://cds.example.org/base"


def client_of(ehr: PlayedEhr, id: str = "chart", **changes: object) -> TrustedClient:
    """An entry of the clients file for an EHR that is played."""
    known = replace(
        CLIENT,
        id=id,
        fhir_base=ehr.fhir,
        fhir_servers=(ListedServer(ehr.fhir, Reach.LOCAL),),
    )
    return replace(known, smart=replace(APP, **changes))


@dataclass
class Visitor:
    """A browser of its own: no other has its cookies."""

    http: FlaskClient

    def launch(self, ehr: PlayedEhr, launch: str = "l-1") -> TestResponse:
        """Come from an EHR."""
        asked = urlencode({"iss": ehr.fhir, "launch": launch})
        return self.http.get(f"/smart/launch?{asked}")

    def signed_in(self, sent: TestResponse) -> str:
        """Sign in where one was sent, and give the address that leads back."""
        assert sent.status_code == 303, sent.text
        parts = urlsplit(sent.headers["Location"])
        link = HTTPConnection(parts.netloc)
        link.request("GET", f"{parts.path}?{parts.query}")
        back = link.getresponse().headers["Location"]
        link.close()
        assert back.startswith(f"{BASE}/smart/callback?")
        return back.removeprefix(BASE)

    def come_back(self, address: str, **changes: str) -> TestResponse:
        """Follow the address that leads back, changed as told."""
        parts = urlsplit(address)
        told = {**dict(parse_qsl(parts.query)), **changes}
        return self.http.get(f"{parts.path}?{urlencode(told)}")

    def enter(self, ehr: PlayedEhr, launch: str = "l-1") -> str:
        """Come in, and give the path of the first page."""
        done = self.come_back(self.signed_in(self.launch(ehr, launch)))
        assert done.status_code == 303, done.text
        return urlsplit(done.headers["Location"]).path.removeprefix("/base")


def audited(world: World, kind: str = "sign-in") -> list[dict[str, Any]]:
    """What the trail tells of a kind: the patient, and the details."""
    return [
        {"patient": each.patient_id, **json.loads(each.detail)}
        for each in world.store.audit_entries()
        if each.kind == kind
    ]


def id_of(path: str) -> str:
    """The session that a page is of."""
    return path.split("/")[3]


def cookies_of(answer: Any) -> dict[str, str]:
    """What an answer has the browser keep: name, and attributes."""
    told = (each.partition("=") for each in answer.headers.getlist("Set-Cookie"))
    return {name: rest for name, _, rest in told}


def open_in(world: World, visitor: Visitor, path: str) -> Any:
    """The session of a path, as the store has it."""
    id = id_of(path)
    cookie = visitor.http.get_cookie(f"__Host-s-{id}")
    assert cookie is not None
    found = world.store.smart_sessions.find(id, hash_of(cookie.value), world.clock())
    return None if found is None else Gate.of(world).opened(found)


def refer(
    world: World,
    ehr: PlayedEhr,
    reference: str,
    page: str,
    patient: str = "jane",
    user: str | None = None,
) -> None:
    """Have a card there that refers to a page."""
    until = NOW + timedelta(hours=8)
    new = NewReference(digest_of(reference), "card-1", page, until, "")
    call = CallRecord(
        *(NOW, "chart", "review", "patient-view", "1"),
        PatientKey("north", ehr.fhir, patient),
        "sha256:0",
        user=user,
        references=(new,),
    )
    world.store.record_call(call, AuditEvent(NOW, "call"))
