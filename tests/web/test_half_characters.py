"""Half a character in a text loses no chart; one in an identifier names nobody."""

import json
from collections.abc import Callable
from typing import Any

import pytest

Caller = Any
Body = dict[str, Any]

HALVES = {
    "an escape of half an emoji": rb"\ud83d",
    "the other half": rb"\uDE00",
    "a surrogate as it is": b"\xed\xa0\xbd",
    "a sequence that breaks off": b"\xf0\x9f",
    "an accent that breaks off": b"\xc3",
    "the rest of a sequence": b"\x98",
}
HALF = pytest.mark.parametrize("half", HALVES.values(), ids=HALVES)
MARK = "__half__"


def cut(body: Body, half: bytes) -> bytes:
    """The body, as it is sent by somebody who cuts texts."""
    return json.dumps(body).encode().replace(MARK.encode(), half)


def statement(body: Body) -> Body:
    found: Body = body["prefetch"]["medication-statements"]["entry"][0]["resource"]
    return found


def value_of(name: str, where: str, text: str) -> float:
    (line,) = [
        each
        for each in text.splitlines()
        if each.startswith(name) and f'where="{where}"' in each
    ]
    return float(line.rpartition(" ")[2])


@HALF
def test_half_a_character_in_a_record_loses_no_chart(
    ehr: Caller, request_body: Body, half: bytes
) -> None:
    statement(request_body)["note"] = [{"text": f"sends her love {MARK}"}]
    request_body["prefetch"]["patient"]["name"] = [{"family": MARK}]

    answer = ehr.call(cut(request_body, half))

    assert answer.status_code == 200
    (card,) = answer.json["cards"]
    assert card["indicator"] == "warning"
    assert card["summary"] != "Some checks could not be made"


@pytest.mark.parametrize("profile", ["ehr", "strict"])
def test_that_halves_were_replaced_is_recorded_and_counted(
    ehr: Caller, request_body: Body, profile: str
) -> None:
    ehr.profile = profile
    statement(request_body)["note"] = [{"text": MARK}, {"text": f"x {MARK}"}]

    assert ehr.call(cut(request_body, rb"\ud83d")).status_code == 200

    (call,) = ehr.audited()
    assert call["deviations"] == ["$: half characters in texts, replaced: 2"]
    text = ehr.http.get("/metrics").text
    assert value_of("cds_half_characters_total", "call", text) == 2


def test_a_chart_without_them_has_no_deviation(ehr: Caller, request_body: Body) -> None:
    statement(request_body)["note"] = [{"text": "😀 \ufffd"}]

    assert ehr.call(request_body).status_code == 200

    (call,) = ehr.audited()
    assert "deviations" not in call or call["deviations"] == []
    assert "cds_half_characters_total{" not in ehr.http.get("/metrics").text


Change = Callable[[Body], None]


def patient_of_the_context(body: Body) -> None:
    body["context"]["patientId"] = f"p1{MARK}"
    body["prefetch"]["patient"]["id"] = f"p1{MARK}"


def user(body: Body) -> None:
    body["context"]["userId"] = f"Practitioner/u1{MARK}"


def instance(body: Body) -> None:
    body["hookInstance"] = f"call{MARK}"


def patient_resource(body: Body) -> None:
    body["prefetch"]["patient"]["id"] = f"p1{MARK}"


def patient_of_the_token(body: Body) -> None:
    body["fhirServer"] = "https://fhir.example.org/r4"
    body["fhirAuthorization"] = {
        "access_token": "t",
        "token_type": "Bearer",
        "expires_in": 300,
        "scope": "patient/*.rs",
        "subject": "cds",
        "patient": f"p1{MARK}",
    }


@pytest.mark.parametrize("half", [rb"\ud83d", b"\xf0\x9f", b"\xef\xbf\xbd"])
@pytest.mark.parametrize(
    "change",
    [patient_of_the_context, user, instance, patient_resource, patient_of_the_token],
)
def test_an_identifier_with_half_a_character_is_refused(
    ehr: Caller, request_body: Body, change: Change, half: bytes
) -> None:
    change(request_body)

    assert ehr.call(cut(request_body, half)).status_code == 400


@pytest.mark.parametrize("half", [rb"\ud83d", b"\xf0\x9f"])
def test_a_medicine_of_whom_nobody_can_tell_is_unusable_and_not_another_s(
    ehr: Caller, request_body: Body, half: bytes
) -> None:
    statement(request_body)["subject"] = {"reference": f"Patient/p1{MARK}"}

    answer = ehr.call(cut(request_body, half))

    assert answer.status_code == 200
    (card,) = answer.json["cards"]
    assert card["summary"] == "Some checks could not be made"
    (call,) = ehr.audited()
    assert "foreign" not in call


def test_feedback_with_half_an_emoji_is_kept(ehr: Caller, request_body: Body) -> None:
    (card,) = ehr.call(request_body).json["cards"]
    entry = {
        "card": card["uuid"],
        "outcome": "overridden",
        "outcomeTimestamp": "2026-11-22T14:05:00Z",
        "overrideReason": {"userComment": f"known {MARK}"},
    }
    path = "/cds-services/wearable-review/feedback"

    answer = ehr.send(path, cut({"feedback": [entry]}, rb"\ud83d"))

    assert (answer.status_code, answer.json) == (200, {"recorded": 1})
    text = ehr.http.get("/metrics").text
    assert value_of("cds_half_characters_total", "feedback", text) == 1


def test_feedback_about_a_card_with_half_a_character_is_about_no_card(
    ehr: Caller,
) -> None:
    entry = {
        "card": f"card{MARK}",
        "outcome": "accepted",
        "outcomeTimestamp": "2026-11-22T14:05:00Z",
        "acceptedSuggestions": [{"id": "s"}],
    }
    path = "/cds-services/wearable-review/feedback"

    assert ehr.send(path, cut({"feedback": [entry]}, rb"\ud83d")).status_code == 400
