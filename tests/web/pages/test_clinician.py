"""The page behind a card: what it shows, of whom, and what is done with the card."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from flask.testing import FlaskClient

from cds_service.app import create_app
from cds_service.config import load_vault
from cds_service.decision import World
from cds_service.ehr.fixture_server import load_records, serve_records
from cds_service.http.addresses import ListedServer, Reach
from cds_service.store.sign_in.records import SmartSession
from cds_service.trust import RegisteredClient

from ..conftest import NOW
from ..smart.opening import APP, CLIENT, FHIR, form_of, open_session, url_of, with_ehrs

HERE = {"Sec-Fetch-Site": "same-origin"}
SUMMARY = "despite metoprolol: ask about missed doses"
CONTEXT = {"name": "Ann Example", "birthDate": "1958-03-14", "gender": "female"}
Rows = Callable[[str], list[dict[str, Any]]]


def with_pages(world: World, base: str = FHIR) -> World:
    """The same server, whose one EHR opens pages of it."""
    world = with_ehrs(world)
    ehr, *others = world.clients.clients
    listed = (ListedServer(base, Reach.LOCAL),)
    client = replace(ehr.client, fhir_base=base, fhir_servers=listed, smart=APP)
    clients = (RegisteredClient(client, ehr.keys), *others)
    return replace(
        world,
        clients=replace(world.clients, clients=clients),
        vault=load_vault(world.config),
    )


class Clinic:
    """An EHR that shows cards, and a browser that opens the pages behind them."""

    def __init__(self, world: World, ehr: Any) -> None:
        self.world = world
        self.ehr = ehr
        self.http: FlaskClient = ehr.http

    def card(self, body: Any) -> Any:
        """The first card of an opened chart."""
        answered = self.ehr.call(body)
        assert answered.status_code == 200, answered.text
        return answered.json["cards"][0]

    def reference(self, card: Any) -> str:
        """What the first of the card's links to pages carries."""
        link = next(each for each in card["links"] if each["type"] == "smart")
        return str(link["appContext"])

    def enter(self, **changes: Any) -> SmartSession:
        """A session of the EHR's user about its patient."""
        usual = {
            "client": "ehr",
            "tenant": self.ehr.world.clients.clients[0].client.tenant,
            "fhir_base": self.world.clients.clients[0].client.fhir_base,
            "patient": "p1",
            "user": "Practitioner/u1",
            "context": CONTEXT,
        }
        return open_session(self.world, self.http, **{**usual, **changes})

    def read(self, session: SmartSession, page: str) -> str:
        """What a page says, as text."""
        answered = self.http.get(url_of(session, page))
        assert answered.status_code == 200, answered.text
        return text_of(answered.text)

    def answer(self, session: SmartSession, **form: Any) -> Any:
        """What comes of a form that is sent from the card's page."""
        told = {**form_of(self.world, self.http, session), **form}
        return self.http.post(url_of(session, "feedback"), data=told, headers=HERE)


def text_of(html: str) -> str:
    body = html[html.index("<body") :]
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


@pytest.fixture
def open_pages(
    build: Callable[..., World], connect: Callable[[World], Any]
) -> Callable[..., Clinic]:
    """Opens a clinic whose EHR has its FHIR server at some address."""

    def make(base: str = FHIR, **settings: str) -> Clinic:
        world = with_pages(build(**settings), base)
        return Clinic(world, connect(world))

    return make


@pytest.fixture
def clinic(open_pages: Callable[..., Clinic]) -> Clinic:
    return open_pages()


@pytest.fixture
def session(clinic: Clinic, request_body: Any) -> SmartSession:
    """A session that was opened by the link of a card."""
    reference = clinic.reference(clinic.card(request_body))
    return clinic.enter(reference=reference)


def test_the_card_is_shown_again_with_what_may_be_done_with_it(
    clinic: Clinic, session: SmartSession
) -> None:
    page = clinic.read(session, "card")

    assert SUMMARY in page
    assert "Shown on 22 Nov 2026" in page
    assert "Draft an order for a 12-lead ECG" in page
    assert "Device artifact or poor fit" in page


def test_why_names_each_value_with_its_time_and_its_resource(
    clinic: Clinic, session: SmartSession
) -> None:
    page = clinic.read(session, "why")

    assert "Fast resting heart rate despite a beta-blocker Applies" in page
    assert re.search(r"108 /min 22 Nov 2026 \d\d:\d\d Observation/o-22", page)
    assert re.search(r"metoprolol since 5 Jan 2026 MedicationStatement/m", page)
    assert "Owner The site's cardiology decision support group" in page
    assert "Version 3." in page


def test_why_is_what_was_decided_and_not_what_is_true_by_now(
    clinic: Clinic, session: SmartSession
) -> None:
    before = clinic.read(session, "why").partition("Why this card")
    later = replace(clinic.world, clock=lambda: NOW + timedelta(minutes=10))
    http = create_app(world=later).test_client()
    late = Clinic(later, clinic.ehr)
    late.http = http
    again = late.enter(reference=session.reference)

    told = late.read(again, "why").partition("Why this card")
    assert told[1:] == before[1:] and "Opened 09:10" in told[0]


@pytest.mark.parametrize("page", ["card", "why", "consent"])
def test_every_page_names_the_patient_and_is_kept_by_nobody(
    clinic: Clinic, session: SmartSession, page: str
) -> None:
    answered = clinic.http.get(url_of(session, page))

    text = text_of(answered.text)
    assert "Ann Example Born 14 Mar 1958 (68 years) Gender female" in text
    assert "Opened" in text
    assert answered.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "changes",
    [
        {"patient": "p2"},
        {"user": "Practitioner/u2"},
        {"tenant": "south"},
        {"fhir_base": "https://elsewhere.example/r4"},
        {"client": "chart", "fhir_base": CLIENT.fhir_base, "tenant": "north"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_the_card_of_another_patient_user_or_ehr_is_not_shown(
    clinic: Clinic, session: SmartSession, changes: Any
) -> None:
    other = clinic.enter(reference=session.reference, **changes)

    page = clinic.read(other, "card")

    assert SUMMARY not in page and "metoprolol" not in page
    assert "is about another patient or was shown to another user" in page
    assert clinic.answer(other, outcome="overridden").status_code == 200
    assert clinic.world.store.heard_of("wearable-review", "x", CLIENT) is None


def test_a_card_that_was_shown_to_a_role_is_shown_to_whom_the_role_belongs_to(
    clinic: Clinic, request_body: Any
) -> None:
    request_body["context"]["userId"] = "PractitionerRole/9"
    reference = clinic.reference(clinic.card(request_body))
    proved = clinic.enter(reference=reference, known_as=("PractitionerRole/9",))
    other = clinic.enter(reference=reference, known_as=("PractitionerRole/8",))

    assert SUMMARY in clinic.read(proved, "card")
    assert "metoprolol" not in clinic.read(other, "card")


def test_a_card_of_this_morning_is_not_shown_in_the_evening(
    clinic: Clinic, session: SmartSession
) -> None:
    evening = replace(clinic.world, clock=lambda: NOW + timedelta(hours=8))
    late = Clinic(evening, clinic.ehr)
    late.http = create_app(world=evening).test_client()

    page = late.read(late.enter(reference=session.reference), "card")

    assert SUMMARY not in page
    assert "more than eight hours ago" in page


def test_the_pages_of_another_patients_session_cannot_be_reached(
    clinic: Clinic, session: SmartSession
) -> None:
    foreign = replace(session, id="0123456789abcdef")

    for page in ("card", "why", "consent"):
        answered = clinic.http.get(url_of(foreign, page))
        assert answered.status_code == 404
        assert "Ann Example" not in answered.text


def test_every_view_is_in_the_audit_trail_with_who_looked_at_what(
    clinic: Clinic, session: SmartSession
) -> None:
    for page in ("card", "why", "consent"):
        clinic.read(session, page)

    views = [each for each in clinic.ehr.audited() if each["kind"] == "view"]
    assert [each["page"] for each in views] == ["card", "why", "consent"]
    for each in views:
        assert each["patient"] == "p1" and each["client"] == "ehr"
        assert each["session"] == session.id
        assert each["user"] == "Practitioner/u1"
        assert len(each["card"]) == 36


@pytest.mark.parametrize("page", ["card", "why", "consent"])
def test_a_view_that_cannot_be_recorded_is_not_shown(
    clinic: Clinic, session: SmartSession, rows: Rows, page: str
) -> None:
    rows("ALTER TABLE audit RENAME TO lost")

    answered = clinic.http.get(url_of(session, page))

    assert answered.status_code == 503
    assert "could not record that this page was opened" in answered.text
    assert SUMMARY not in answered.text


def test_a_card_that_is_overridden_is_kept_as_any_feedback_is(
    clinic: Clinic, session: SmartSession, rows: Rows
) -> None:
    local = clinic.http.get(url_of(session, "card")).text
    reason = re.findall(r'name="reason" value="([^"]*\|artifact)"', local)[0]

    answered = clinic.answer(
        session, outcome="overridden", reason=reason, comment=" Loose strap. "
    )

    assert (answered.status_code, answered.headers["Location"]) == (303, "card")
    (row,) = rows("SELECT * FROM feedback")
    assert row["rule"] == "beta-blocker-resting-tachycardia"
    assert (row["outcome"], row["reason_code"]) == ("overridden", "artifact")
    assert (row["user_comment"], row["service"]) == ("Loose strap.", "wearable-review")
    assert row["known_card"]
    page = clinic.read(session, "card")
    assert "Recorded as overridden on 22 Nov 2026" in page
    assert "count as wrong until 22 Dec 2026" in page
    kinds = [each["kind"] for each in clinic.ehr.audited()]
    assert kinds.count("feedback") == 1


def test_a_comment_of_many_lines_is_as_long_as_its_field_counts(
    clinic: Clinic, session: SmartSession, rows: Rows
) -> None:
    sent = "\r\n".join(["a" * 99] * 40)  # as browsers send lines; 3,999 in the field

    answered = clinic.answer(session, outcome="overridden", comment=sent)

    assert answered.status_code == 303
    (kept,) = rows("SELECT user_comment FROM feedback")
    assert kept["user_comment"] == "\n".join(["a" * 99] * 40)


def test_a_card_that_was_overridden_here_stays_away_there(
    clinic: Clinic, session: SmartSession, request_body: Any
) -> None:
    clinic.answer(session, outcome="overridden", reason="", comment="seen")
    local = clinic.http.get(url_of(session, "card")).text
    reason = re.findall(r'name="reason" value="([^"]*\|known-baseline)"', local)[0]
    clinic.answer(session, outcome="overridden", reason=reason)

    later = {**request_body, "hookInstance": "5a6b0f3e-5d0d-4f19-8f4f-5d2a7c1f9a10"}
    answered = clinic.ehr.call(later)

    assert SUMMARY not in answered.text


def test_a_suggestion_that_is_taken_is_kept_and_said(
    clinic: Clinic, session: SmartSession, rows: Rows
) -> None:
    local = clinic.http.get(url_of(session, "card")).text
    chosen = re.findall(r'name="suggestion" value="([^"]+)"', local)[:2]

    clinic.answer(session, outcome="accepted", suggestion=chosen)

    (row,) = rows("SELECT * FROM feedback")
    assert row["outcome"] == "accepted"
    assert all(each in row["accepted_suggestions"] for each in chosen)
    page = clinic.read(session, "card")
    assert "Recorded as accepted on 22 Nov 2026" in page
    assert "Draft a task to call the patient; Draft an order" in page
    assert "is not shown for everybody until 29 Nov 2026" in page


@pytest.mark.parametrize(
    "form",
    [
        {"outcome": "accepted"},
        {"outcome": "accepted", "suggestion": "of-another-card"},
        {"outcome": "overridden", "reason": "urn:mine|whatever"},
        {"outcome": "forgotten"},
        {},
        {"outcome": "overridden", "comment": "x" * 4001},
    ],
)
def test_what_the_card_does_not_offer_is_refused_and_not_kept(
    clinic: Clinic, session: SmartSession, rows: Rows, form: Any
) -> None:
    answered = clinic.answer(session, **form)

    assert answered.status_code == 400
    assert "Ann Example" in answered.text
    assert rows("SELECT * FROM feedback") == []


def test_a_form_of_another_site_or_session_is_refused(
    clinic: Clinic, session: SmartSession, rows: Rows
) -> None:
    other = clinic.enter(reference=session.reference)
    url, form = url_of(session, "feedback"), {"outcome": "overridden"}
    own = form_of(clinic.world, clinic.http, session)
    foreign = form_of(clinic.world, clinic.http, other)
    cross = {"Sec-Fetch-Site": "cross-site"}

    refused = [
        clinic.http.post(url, data=form, headers=HERE),
        clinic.http.post(url, data={**form, **foreign}, headers=HERE),
        clinic.http.post(url, data={**form, **own}, headers=cross),
        clinic.http.post(url, data={**form, **own}),
    ]

    assert {each.status_code for each in refused} == {403}
    assert rows("SELECT * FROM feedback") == []


def test_consent_is_told_with_what_it_means(clinic: Clinic) -> None:
    page = clinic.read(clinic.enter(), "consent")

    assert "The patient has said nothing about wearable data." in page
    assert "This server has no consent of this patient." in page


PATIENT = {"resourceType": "Patient", "id": "p1", "birthDate": "1958-03-14"}


def fhir(body: Any, *left_out: str) -> Any:
    """A FHIR server that has what the call would have brought along."""
    entries = [{"resource": PATIENT}]
    for name, each in body["prefetch"].items():
        if name not in left_out and each and each["resourceType"] == "Bundle":
            entries += each["entry"]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    return serve_records(load_records([bundle]), token="token")


def test_without_a_card_why_is_about_the_chart_as_it_is_now(
    open_pages: Callable[..., Clinic], request_body: Any, rows: Rows
) -> None:
    with fhir(request_body) as server:
        clinic = open_pages(server.base)
        page = clinic.read(clinic.enter(), "why")

    assert "For the chart as it is now, on 22 Nov 2026" in page
    assert "Fast resting heart rate despite a beta-blocker Applies" in page
    assert "108 /min" in page
    assert rows("SELECT * FROM cards") == rows("SELECT * FROM calls") == []


def test_a_chart_of_which_nothing_can_be_read_is_said_to_be_unread(
    open_pages: Callable[..., Clinic], request_body: Any
) -> None:
    with fhir(request_body) as server:
        base = server.base
    clinic = open_pages(base)

    answered = clinic.http.get(url_of(clinic.enter(), "why"))

    assert answered.status_code == 412
    assert "Ann Example" in answered.text
    assert "does not apply" not in answered.text


def test_without_a_card_there_is_none_to_answer(clinic: Clinic, rows: Rows) -> None:
    session = clinic.enter()

    assert "opened from the chart, not from a card" in clinic.read(session, "card")
    clinic.answer(session, outcome="overridden", comment="x")
    assert rows("SELECT * FROM feedback") == []


def test_where_no_ehr_opens_pages_there_are_none(
    build: Callable[..., World], connect: Callable[[World], Any]
) -> None:
    http = connect(build()).http

    assert http.get("/smart/s/0123456789abcdef/why").status_code == 404
    assert http.get("/smart/s/0123456789abcdef/why").is_json
