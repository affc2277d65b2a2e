"""The page for whoever runs the server: what it did, what waits, and nobody's name."""

import json
from datetime import UTC, timedelta
from typing import Any

import pytest

from cds_service.store.outbox.backlog import Chosen
from cds_service.store.outbox.sending import FailedAttempt
from cds_service.store.records import Attempt, AuditEvent, Intake
from cds_service.wearables.consent_gate import ConsentGate
from cds_service.wearables.metrics import Catalogue
from cds_service.wearables.records import PatientKey, WearableAlert
from cds_service.wearables.telling import Subscription

from .conftest import Browser, OpenBrowser

PAGE = "/workbench/operations"
JANE = PatientKey("default", "-", "patient-jane")
WORDS = "HTTP 422: Jane Quillfeather has no such episode"


def call(browser: Browser, body: dict[str, Any]) -> None:
    answer = browser.http.post("/cds-services/wearable-review", json=body)
    assert answer.status_code == 200, answer.text


def give_up(browser: Browser, rest: timedelta | None = None) -> int:
    """A destination refuses to be told; the id of what was given up."""
    store, now = browser.world.store, browser.clock.now
    store.outbox.subscribe([Subscription("ehr", "default")])
    alert = WearableAlert(
        *("a1", JANE, "high-heart-rate"), start=now, opened=now, source="watch"
    )
    event = AuditEvent(now, "delivery", "default", "watch")
    store.take_in(Intake(alerts=(alert,)), event, now)
    outbox, gate = store.outbox, ConsentGate(Catalogue({}, {}), UTC, assumed=True)
    (lane,) = outbox.claim("ehr", 1, now)
    begun = outbox.begin(lane, gate, now)
    assert begun is not None
    outbox.fail(
        lane,
        begun,
        FailedAttempt(WORDS, None, rest=(lambda _: rest) if rest else None),
        gate,
        now,
    )
    (row,) = store.outbox_desk.rows(Chosen(), 2)
    return row.id


def test_who_runs_the_server_sees_the_last_calls_and_where_their_time_went(
    browse: OpenBrowser, request_body: dict[str, Any]
) -> None:
    browser = browse(auth="off").sign_in("viewer")
    call(browser, request_body)
    text = browser.get(PAGE).text

    assert "wearable-review" in text and "patient-view" in text
    assert "5 loaded" in text
    assert "gather " in text and 'class="evaluate"' in text


def test_times_are_those_of_utc_and_the_page_says_so(
    browse: OpenBrowser, request_body: dict[str, Any]
) -> None:
    browser = browse(auth="off").sign_in("viewer")
    call(browser, request_body)
    text = browser.get(PAGE).text

    at = browser.clock.now.astimezone(UTC)
    assert "All times are UTC." in text
    assert f">{at.day} {at:%b %Y, %H:%M}</time></td>" in text


def test_the_time_of_a_call_stands_in_its_row_of_the_trail(
    browse: OpenBrowser, request_body: dict[str, Any]
) -> None:
    browser = browse(auth="off")
    call(browser, request_body)

    (row,) = [e for e in browser.world.store.audit_entries() if e.kind == "call"]
    assert set(json.loads(row.detail)["milliseconds"]) == {
        *("auth", "gather", "evaluate", "cards")
    }


def test_a_part_of_the_chart_that_could_not_be_read_is_named_with_the_reason(
    browse: OpenBrowser, request_body: dict[str, Any]
) -> None:
    browser = browse(auth="off").sign_in("viewer")
    del request_body["prefetch"]["observations"]
    call(browser, request_body)

    text = browser.get(PAGE).text

    assert "4 loaded, 1 missing" in text
    (row,) = browser.world.store.recent.calls(10)
    assert sum(row.unread.values()) == 1
    assert all(f"1 {why}" in text for why in row.unread)


def test_nothing_of_a_patient_is_on_the_page(
    browse: OpenBrowser, request_body: dict[str, Any]
) -> None:
    browser = browse(auth="off").sign_in()
    request_body["context"] = {
        "userId": "Practitioner/quillfeather-user",
        "patientId": "quillfeather-patient",
        "encounterId": "quillfeather-encounter",
    }
    request_body["prefetch"]["patient"]["id"] = "quillfeather-patient"
    request_body["prefetch"]["patient"]["name"] = [{"family": "Quillfeather"}]
    request_body["prefetch"]["medication-statements"] = {
        **{"resourceType": "Bundle", "type": "searchset", "entry": []}
    }
    call(browser, request_body)
    give_up(browser)
    browser.world.store.begin_delivery(
        Attempt("watch", "quillfeather-key"), "digest", browser.clock.now
    )

    text = browser.get(PAGE).text

    assert "Given up" in text and "in progress" in text
    assert "quillfeather" not in text.lower()
    assert "patient-jane" not in text and "a1" not in text.split()
    trail = [each.patient_id for each in browser.world.store.audit_entries()]
    assert "quillfeather-patient" in trail


def test_an_operator_has_what_was_given_up_tried_again_and_it_is_on_record(
    browse: OpenBrowser,
) -> None:
    browser = browse(auth="off").sign_in()
    row = give_up(browser)
    browser.get(PAGE)

    answer = browser.post(f"{PAGE}/retry", {"id": row})

    assert (answer.status_code, answer.location) == (303, f"{PAGE}?again=1")
    assert "1 will be sent again" in browser.get(answer.location).text
    (waits,) = browser.world.store.outbox_desk.backlogs(browser.clock.now)
    assert (waits.dead, waits.waiting) == (0, 1)
    (told,) = [e for e in browser.world.store.audit_entries() if e.kind == "outbox"]
    assert told.client == "jane@desk"
    assert json.loads(told.detail)["rows"] == [row]


def test_all_of_one_destination_are_tried_again_at_once(browse: OpenBrowser) -> None:
    browser = browse(auth="off").sign_in()
    give_up(browser)
    browser.get(PAGE)

    browser.post(f"{PAGE}/retry", {"destination": "ehr"})

    (waits,) = browser.world.store.outbox_desk.backlogs(browser.clock.now)
    assert waits.dead == 0


@pytest.mark.parametrize("role", ["viewer", "author"])
def test_only_an_operator_tries_again(browse: OpenBrowser, role: str) -> None:
    browser = browse(auth="off").sign_in(role)
    row = give_up(browser)

    assert "Try again" not in browser.get(PAGE).text
    assert browser.post(f"{PAGE}/retry", {"id": row}).status_code == 403
    (waits,) = browser.world.store.outbox_desk.backlogs(browser.clock.now)
    assert waits.dead == 1


def test_who_signed_in_long_ago_signs_in_again_before_anything_is_tried(
    browse: OpenBrowser,
) -> None:
    browser = browse(auth="off").sign_in()
    row = give_up(browser)
    browser.clock.pass_by(minutes=16)
    browser.get(PAGE)

    answer = browser.post(f"{PAGE}/retry", {"id": row})

    assert answer.location == "/workbench/login?again=1"
    (waits,) = browser.world.store.outbox_desk.backlogs(browser.clock.now)
    assert waits.dead == 1


def test_a_form_of_another_page_tries_nothing(browse: OpenBrowser) -> None:
    browser = browse(auth="off").sign_in()
    row = give_up(browser)
    browser.get(PAGE)

    answer = browser.post(f"{PAGE}/retry", {"id": row}, own=False)

    assert answer.status_code == 403


def test_nothing_chosen_is_nothing_done(browse: OpenBrowser) -> None:
    browser = browse(auth="off").sign_in()
    give_up(browser)
    browser.get(PAGE)

    browser.post(f"{PAGE}/retry")

    (waits,) = browser.world.store.outbox_desk.backlogs(browser.clock.now)
    assert waits.dead == 1


def test_a_destination_that_is_left_alone_is_seen_without_what_it_said(
    browse: OpenBrowser,
) -> None:
    browser = browse(auth="off").sign_in("viewer")
    give_up(browser, rest=timedelta(minutes=5))

    text = browser.get(PAGE).text

    assert "paused</span> <small>until 14:05, after 1 failure in a row" in text
    assert "HTTP 422" not in text


def test_how_deliveries_of_the_last_day_were_answered_is_counted(
    browse: OpenBrowser,
) -> None:
    browser = browse(auth="off").sign_in("viewer")
    store, now = browser.world.store, browser.clock.now
    for key, at in (("new", now), ("old", now - timedelta(hours=25))):
        store.begin_delivery(Attempt("watch", key), "digest", at)

    (told,) = store.recent.deliveries(now, timedelta(hours=24))

    assert (told.source, told.under_way, told.statuses) == ("watch", 1, {})
    assert "1 in progress" in browser.get(PAGE).text


def test_keys_of_issuers_are_listed_with_where_they_come_from(
    browse: OpenBrowser,
) -> None:
    text = browse().sign_in("viewer").get(PAGE).text

    assert "https://ehr.example.org" in text
    assert "the clients file" in text
    assert "https://fhir.example.org/r4" in text


def test_an_open_server_says_so(browse: OpenBrowser) -> None:
    assert (
        "everybody is answered" in browse(auth="off").sign_in("viewer").get(PAGE).text
    )


@pytest.mark.parametrize("id", ["9223372036854775808", "9" * 30, "-1", "x", ""])
def test_a_number_that_no_row_can_have_tries_nothing(
    browse: OpenBrowser, id: str
) -> None:
    operator = browse().sign_in("operator")
    operator.get(PAGE)

    answer = operator.post(f"{PAGE}/retry", {"id": id})

    assert (answer.status_code, answer.location) == (303, PAGE)
