"""The timeline of a session: of its patient alone, as permitted, and on record."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cds_service.app import create_app
from cds_service.decision import World
from cds_service.http.addresses import ListedServer, Reach
from cds_service.store.records import AuditEvent, Intake
from cds_service.store.samples.records import SampleBatch, StreamOwner
from cds_service.store.sign_in.records import SmartSession, about_token
from cds_service.trust import TrustedClient
from cds_service.wearables.consent import ConsentRecord
from cds_service.wearables.consent_gate import ConsentChange, stamp_of
from cds_service.wearables.links import WearerLink
from cds_service.wearables.records import PatientKey, WearableAlert
from cds_service.wearables.samples import Device, Sample
from cds_service.web.smart.cookies import SESSION
from cds_service.web.smart.sessions import Gate

from ...conftest import NOW
from ...smart.opening import CLIENT, give_cookie, open_session, url_of, with_ehrs

MINUTE = timedelta(minutes=1)
HOSTILE = "<script>alert(1)</script>\" onload='x'"
ORDER = {
    "resourceType": "MedicationRequest",
    "id": "m1",
    "status": "active",
    "intent": "order",
    "subject": {"reference": "Patient/jane"},
    "medicationCodeableConcept": {"text": f"Metoprolol {HOSTILE}"},
    "authoredOn": "2026-11-20",
}


class PlayedFhir(BaseHTTPRequestHandler):
    """A FHIR server that has one order, and answers other questions as it is told."""

    statements = 200

    def do_GET(self) -> None:
        orders = "MedicationRequest" in self.path
        status = 200 if orders else self.statements
        entry = [{"resource": ORDER}] if orders else []
        bundle = {"resourceType": "Bundle", "type": "searchset", "entry": entry}
        body = json.dumps(bundle).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/fhir+json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def played(statements: int = 200) -> Iterator[str]:
    handler = type("Handler", (PlayedFhir,), {"statements": statements})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/fhir"
        server.shutdown()
        thread.join(60)


def ehr_at(base: str) -> TrustedClient:
    servers = (ListedServer(base, Reach.LOCAL),)
    return replace(CLIENT, fhir_base=base, fhir_servers=servers)


@pytest.fixture
def fhir() -> Iterator[str]:
    with played() as base:
        yield base


@pytest.fixture
def world(build: Callable[..., World], fhir: str) -> World:
    return with_ehrs(build(wearables_consent="assumed"), ehr_at(fhir))


@pytest.fixture
def http(world: World) -> FlaskClient:
    return create_app(world=world).test_client()


def key(world: World, patient: str = "jane") -> PatientKey:
    client = world.clients.clients[-1].client
    return PatientKey(client.tenant, client.fhir_base, patient)


def tell(
    world: World,
    *values: float,
    metric: str = "heart-rate",
    unit: str = "/min",
    patient: str = "jane",
    since: datetime = NOW - 90 * MINUTE,
    every: timedelta = MINUTE,
    zone: str = "America/New_York",
) -> None:
    """Have a watch tell so many readings of a patient."""
    whose, event = key(world, patient), AuditEvent(NOW, "link")
    known = world.store.links.of_patient(whose)
    link = (
        known[0]
        if known
        else world.store.links.add(
            WearerLink(
                *("watch", whose, NOW - timedelta(days=900)),
                user=patient,
                time_zone=zone,
            ),
            event,
        )
    )
    items = [
        Sample(
            *(metric, value, unit, since + n * every, since + n * every),
            device=Device("w", HOSTILE),
        )
        for n, value in enumerate(values)
    ]
    batch = SampleBatch(StreamOwner(whose, "watch", link.id), items)
    detection = replace(world.detection(whose.tenant), days=800)
    world.store.take_in(Intake(samples=(batch,), detection=detection), event, NOW)


def get(
    world: World, http: FlaskClient, query: str = "", **changes: Any
) -> TestResponse:
    session = open_session(world, http, **session_of(world), **changes)
    return http.get(url_of(session, f"timeline{query}"))


def session_of(world: World) -> dict[str, Any]:
    return {"fhir_base": key(world).fhir_base}


def deny(world: World) -> None:
    whose = key(world)
    code = {"system": "http://terminology.hl7.org/CodeSystem/consentaction"}
    actions = [{"coding": [{**code, "code": "use"}]}]
    resource = {
        "resourceType": "Consent",
        "status": "active",
        "provision": {"type": "deny", "action": actions},
    }
    record = ConsentRecord(whose, "c1", NOW - MINUTE, "app", resource)
    change = ConsentChange(whose, stamp_of([]), (record,))
    world.store.consents.record([change], AuditEvent(NOW, "consent"))


def test_the_readings_of_the_sessions_patient_are_drawn_and_told(
    world: World, http: FlaskClient
) -> None:
    tell(world, *[115.0] * 60, 70.0)

    page = get(world, http)

    assert page.status_code == 200
    assert "Heart rate: 61 readings from 70 to 115 /min" in page.text
    assert 'role="img"' in page.text and 'class="line"' in page.text
    assert "on the clock of America/New_York." in page.text
    assert "results of the EHR are not among them" in page.text
    assert "Jane Example" in page.text
    assert page.headers["Cache-Control"] == "no-store"


def test_nothing_about_another_patient_can_be_reached(
    world: World, http: FlaskClient
) -> None:
    tell(world, 181.75, patient="john")
    tell(world, 66.0)

    for query in ("", "?patient=john", "?metric=heart-rate&patient=john"):
        page = get(world, http, query)
        assert "1 reading of 66 /min" in page.text
        assert "181.75" not in page.text


def test_the_same_id_at_another_hospital_is_another_patient(
    world: World, http: FlaskClient
) -> None:
    tell(world, 181.75)

    page = get(world, http, tenant="south")

    assert "181.75" not in page.text
    assert "no readings" in page.text


def test_what_the_patient_does_not_permit_is_said_and_not_shown(
    world: World, http: FlaskClient
) -> None:
    tell(world, *[181.75] * 60)
    deny(world)

    page = get(world, http)

    assert "The patient does not permit the use of heart rate" in page.text
    assert "the patient permits none of this time to be shown" in page.text
    assert "181.75" not in page.text and "newest reading" not in page.text


def notify(world: World) -> None:
    """A watch notifies of an irregular rhythm."""
    start = NOW - 60 * MINUTE
    notice = WearableAlert(
        *("r1", key(world), "irregular-rhythm", start, start, start + MINUTE),
        status="closed",
        device=HOSTILE,
    )
    world.store.take_in(Intake(alerts=(notice,)), AuditEvent(NOW, "delivery"), NOW)


def test_an_irregular_rhythm_is_drawn_and_told_though_no_reading_came(
    world: World, http: FlaskClient
) -> None:
    notify(world)

    for metric in ("heart-rate", "steps"):
        page = get(world, http, f"?metric={metric}")
        assert "1 device notice (Irregular rhythm notification)" in page.text
        assert 'class="track notice"' in page.text
        assert "<h2>Episodes and notices</h2>" in page.text
        assert "<script>alert" not in page.text


def test_an_irregular_rhythm_that_may_not_be_used_is_not_shown(
    world: World, http: FlaskClient
) -> None:
    notify(world)
    deny(world)

    page = get(world, http)

    assert "does not permit the use of notices (Irregular rhythm" in page.text
    assert "track notice" not in page.text and "1 device notice" not in page.text


def test_a_patient_of_whom_nothing_came_has_an_empty_page_that_says_so(
    world: World, http: FlaskClient
) -> None:
    page = get(world, http)

    assert page.status_code == 200
    assert "Heart rate: no readings, 16 Nov 2026 to 22 Nov 2026" in page.text


def test_where_the_newest_reading_is_older_a_link_leads_there(
    world: World, http: FlaskClient
) -> None:
    tell(world, 66.0, since=NOW - timedelta(days=100))

    page = get(world, http)

    assert "The newest reading is of 14 Aug 2026" in page.text
    there = get(world, http, "?metric=heart-rate&from=2026-08-08&to=2026-08-15")
    assert "1 reading of 66 /min" in there.text


def test_a_year_is_told_by_its_days(world: World, http: FlaskClient) -> None:
    tell(world, *[60.0] * 300, since=NOW - timedelta(days=300), every=timedelta(days=1))

    page = get(world, http, "?metric=heart-rate&from=2025-11-23&to=2026-11-23")

    assert "300 of 365 days with readings" in page.text
    assert 'class="pillars"' in page.text


def test_a_time_that_cannot_be_read_is_told(world: World, http: FlaskClient) -> None:
    page = get(world, http, "?from=never&to=2026-11-23")

    assert "The requested time could not be read" in page.text


def test_medicines_are_read_of_the_chart_and_drawn(
    world: World, http: FlaskClient
) -> None:
    page = get(world, http)

    assert "Metoprolol &lt;script&gt;" in page.text
    assert 'class="track medicine"' in page.text
    assert "could not be read" not in page.text


def test_medicines_that_were_not_read_are_told_and_never_none(
    build: Callable[..., World],
) -> None:
    with played(statements=503) as base:
        world = with_ehrs(build(), ehr_at(base))
        page = get(world, create_app(world=world).test_client())

    assert "Statements of medicines could not be read" in page.text
    assert "the plot may be incomplete" in page.text
    assert 'class="track medicine"' in page.text


def an_hour_later(
    world: World, http: FlaskClient, refresh: str
) -> tuple[TestResponse, SmartSession]:
    """The page once its token is over, which the EHR may be asked to renew."""
    tell(world, 66.0)
    later = NOW + timedelta(hours=1)
    lasting = {"idle_until": later + MINUTE, **session_of(world)}
    session = open_session(world, http, **lasting)
    app = create_app(world=replace(world, clock=lambda: later))
    browser = app.test_client()
    name = Gate.of(world).cookies.name(SESSION, session.id)
    cookie = http.get_cookie(name)
    assert cookie is not None
    give_cookie(browser, name, cookie.value)

    sessions = world.store.smart_sessions
    held = sessions.tokens(session.launch)
    assert held is not None
    locked = world.vault.lock(refresh, about_token(session.launch, "refresh"))
    sessions.renew_tokens(held, replace(held.sealed, refresh=locked))
    return browser.get(url_of(session, "timeline")), session


def test_while_an_ehr_does_not_renew_it_is_said_that_no_medicine_could_be_read(
    world: World, http: FlaskClient
) -> None:
    page, _ = an_hour_later(world, http, "refresh")

    assert page.status_code == 200
    assert "No medicine could be read." in page.text
    assert "1 reading of 66 /min" in page.text


def test_once_the_time_of_the_token_is_over_nothing_of_the_patient_is_shown(
    world: World, http: FlaskClient
) -> None:
    page, session = an_hour_later(world, http, "")

    assert page.status_code == 403
    assert "The EHR&#39;s permission has expired" in page.text
    assert "Open it from the EHR again" in page.text
    assert "Jane" not in page.text
    assert "66 /min" not in page.text
    assert world.store.smart_sessions.tokens(session.launch) is None


def test_hostile_names_of_devices_and_medicines_stay_text(
    world: World, http: FlaskClient
) -> None:
    tell(world, *[115.0] * 60)
    page = get(world, http)

    assert "<script>alert" not in page.text
    assert "onload='x'" not in page.text.replace("&#39;", "")


def test_each_look_is_on_record_before_it_is_answered(
    world: World, http: FlaskClient
) -> None:
    get(world, http)

    views = [e for e in world.store.audit_entries() if e.kind == "view"]
    (view,) = [(each.patient_id, json.loads(each.detail)["page"]) for each in views]
    assert view == ("jane", "timeline")


def test_whoever_has_no_session_sees_nothing(world: World, http: FlaskClient) -> None:
    tell(world, 66.0)
    session: SmartSession = open_session(world, http, **session_of(world))
    stranger = create_app(world=world).test_client()

    page = stranger.get(url_of(session, "timeline"))

    assert page.status_code == 404
    assert "66" not in page.text.partition("<main")[2]  # names of assets have digits
