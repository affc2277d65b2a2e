"""CDS Hooks over HTTP: every status of the checklist through the whole server."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cds_service.app import create_app
from cds_service.decision import World
from cds_service.publishing.serving import Serving
from cds_service.store.store import Store

SERVICE = "/cds-services/wearable-review"
ORIGIN = "https://chart.example.org"
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

Caller = Any
Body = dict[str, Any]
Build = Callable[..., World]
Connect = Callable[[World], Caller]


def outcome(response: TestResponse, status: int) -> str:
    """The text of an OperationOutcome that was answered with *status*."""
    assert response.status_code == status, response.text
    assert response.content_type == "application/json"
    assert response.json["resourceType"] == "OperationOutcome"
    assert response.json["issue"]
    return response.text


def empty_members(value: Any, path: str = "$") -> list[str]:
    """Where null and empty values stand."""
    if value in (None, "", [], {}):
        return [path]
    found = []
    if isinstance(value, dict):
        for name, each in value.items():
            found += empty_members(each, f"{path}.{name}")
    if isinstance(value, list):
        for each in value:
            found += empty_members(each, f"{path}[]")
    return found


# Discovery


@pytest.mark.parametrize("path", ["/cds-services", "/cds-services/"])
def test_d_16_discovery_is_served_with_and_without_a_slash(
    ehr: Caller, path: str
) -> None:
    response = ehr.http.get(path + "?_format=json")

    assert response.status_code == 200
    assert response.content_type == "application/json"
    assert ehr.http.head(path).status_code == 200
    assert ehr.http.head(path).content_type == "application/json"
    assert ehr.http.options(path).status_code == 200


def test_d_2_to_d_9_an_entry_is_complete_and_names_the_specification(
    ehr: Caller,
) -> None:
    (entry,) = ehr.http.get("/cds-services").json["services"]

    assert entry["id"] == "wearable-review"
    assert (entry["hook"], entry["hookVersion"]) == ("patient-view", "1.0")
    assert entry["version"] == "3.0.0"
    assert entry["title"] and entry["description"] and entry["usageRequirements"]
    assert entry["prefetch"]["patient"] == "Patient/{{context.patientId}}"
    assert list(entry["extension"]) == ["org.cds-service.release"]


def test_d_1_discovery_is_the_same_after_a_restart(
    ehr: Caller, build: Build, connect: Connect
) -> None:
    again = connect(build())

    assert again.http.get("/cds-services").json == ehr.http.get("/cds-services").json


def test_d_12_no_services_are_an_empty_list(build: Build, connect: Connect) -> None:
    world = build()
    none = replace(
        world, serving=Serving(replace(world.rulebook, services={}), world.clock())
    )

    response = connect(none).http.get("/cds-services")

    assert (response.status_code, response.json) == (200, {"services": []})


def test_d_17_discovery_may_ask_for_a_token_of_its_own(
    build: Build, connect: Connect
) -> None:
    ehr = connect(build(discovery="authenticated"))

    assert ehr.send("/cds-services", method="GET").status_code == 200
    outcome(ehr.http.get("/cds-services"), 401)
    other = {"Authorization": f"Bearer {ehr.token(SERVICE)}"}
    outcome(ehr.send("/cds-services", method="GET", headers=other), 401)


def test_d_18_discovery_works_when_the_database_does_not(
    build: Build, connect: Connect, tmp_path: Path
) -> None:
    broken = replace(build(), store=Store.open(f"sqlite:///{tmp_path}/none/x.sqlite"))
    ehr = connect(broken)

    assert ehr.http.get("/cds-services").status_code == 200


# Calls


def test_q_1_a_call_is_answered_with_its_card(ehr: Caller, request_body: Body) -> None:
    response = ehr.call(request_body)

    assert response.status_code == 200
    assert response.content_type == "application/json"
    (card,) = response.json["cards"]
    assert card["indicator"] == "warning"
    assert 0 < len(card["summary"]) < 140
    assert UUID.fullmatch(card["uuid"])


def test_a_trailing_slash_is_served_directly_for_the_same_audience(
    ehr: Caller, request_body: Body
) -> None:
    assert ehr.send(SERVICE + "/", request_body).status_code == 200
    assert ehr.send(SERVICE + "/feedback/", {"feedback": []}).status_code == 200


def test_r_2_nothing_to_say_is_an_empty_list(ehr: Caller, request_body: Body) -> None:
    request_body["prefetch"]["medication-statements"] = None

    assert ehr.call(request_body).json == {"cards": []}


def test_r_11_no_answer_is_cached_or_sniffed(ehr: Caller, request_body: Body) -> None:
    for response in [
        ehr.call(request_body),
        ehr.call({}),
        ehr.http.get("/cds-services"),
        ehr.http.get("/nothing"),
    ]:
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert UUID.fullmatch(response.headers["X-Request-Id"])


def test_j_4_j_5_no_answer_has_null_or_empty_members(
    ehr: Caller, request_body: Body
) -> None:
    assert empty_members(ehr.call(request_body).json) == []
    assert empty_members(ehr.http.get("/cds-services").json) == []
    assert empty_members(ehr.call({}).json) == []
    assert empty_members(ehr.feedback().json) == []


def test_j_9_x_4_unknown_members_and_extensions_change_nothing(
    ehr: Caller, request_body: Body
) -> None:
    usual = ehr.call(request_body).json
    request_body["extension"] = {"com.example.x": {"a": [1, None]}}
    request_body["zzz"] = [{}]
    request_body["context"]["zzz"] = {"a": None}

    assert ehr.call(request_body).json == usual


@pytest.mark.parametrize(
    "change",
    [
        {"fhirAuthorization": None},
        {"fhirServer": None},
        {"extension": None},
        {"fhirServer": ""},
    ],
)
def test_j_8_empty_optional_members_count_as_absent(
    ehr: Caller, request_body: Body, change: Body
) -> None:
    usual = ehr.call(request_body).json

    assert ehr.call({**request_body, **change}).json == usual


def test_j_10_names_of_every_script_and_a_byte_order_mark_are_read(
    ehr: Caller, request_body: Body
) -> None:
    (statement,) = request_body["prefetch"]["medication-statements"]["entry"]
    # What nobody recognises is told by its name.
    statement["resource"]["medicationCodeableConcept"] = {"text": "Łukaszyna 🫀"}
    body = b"\xef\xbb\xbf" + json.dumps(request_body, ensure_ascii=False).encode()

    response = ehr.call(body)

    assert response.status_code == 200
    assert "Łukaszyna 🫀" in response.text


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b'{"hook":"a","hook":"b"}',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b"[" * 10_000 + b"]" * 10_000,
        b"[" * 20_000,
        b'{"a":"\xff"}',
        b"\x00",
    ],
)
def test_j_11_q_15_what_is_no_json_object_is_refused(ehr: Caller, body: bytes) -> None:
    outcome(ehr.call(body), 400)


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("hook", None),
        ("hook", 1),
        ("hookInstance", None),
        ("context", None),
        ("context", {}),
        ("context", "text"),
        ("context", {"userId": "Practitioner/1", "patientId": "1/../2?x=y"}),
        ("fhirServer", "ftp://x"),
        ("prefetch", []),
        ("fhirAuthorization", {"access_token": "t"}),
    ],
)
def test_q_2_to_q_9_a_member_of_the_wrong_form_is_named(
    ehr: Caller, request_body: Body, member: str, value: Any
) -> None:
    request_body[member] = value

    assert f"$.{member}" in outcome(ehr.call(request_body), 400)


def test_every_wrong_member_is_named_at_once(ehr: Caller) -> None:
    text = outcome(ehr.call({"prefetch": 1}), 400)

    for member in ("$.hook", "$.hookInstance", "$.context", "$.prefetch"):
        assert member in text


def test_q_2_a_hook_that_the_service_is_not_offered_on_is_400(
    ehr: Caller, request_body: Body
) -> None:
    request_body["hook"] = "order-sign"
    request_body["context"]["draftOrders"] = {"resourceType": "Bundle"}

    assert "patient-view" in outcome(ehr.call(request_body), 400)


def test_q_15_an_unknown_service_is_404(ehr: Caller, request_body: Body) -> None:
    outcome(ehr.send("/cds-services/nothing", request_body), 404)
    outcome(ehr.send("/cds-services/nothing/feedback", {"feedback": []}), 404)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "QUERY"])
def test_q_15_another_method_is_405_and_says_which_are_allowed(
    ehr: Caller, method: str
) -> None:
    response = ehr.http.open(SERVICE, method=method)

    outcome(response, 405)
    assert set(response.headers["Allow"].split(", ")) == {"POST", "OPTIONS"}


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", None])
def test_q_14_another_media_type_is_415(
    ehr: Caller, request_body: Body, content_type: str | None
) -> None:
    outcome(ehr.call(request_body, content_type=content_type), 415)


@pytest.mark.parametrize(
    "content_type",
    ["application/json; charset=utf-8", "application/fhir+json", "APPLICATION/JSON"],
)
def test_q_14_json_is_json_with_any_parameters(
    ehr: Caller, request_body: Body, content_type: str
) -> None:
    assert ehr.call(request_body, content_type=content_type).status_code == 200


@pytest.mark.parametrize("size", [1_200_000, 20_000_000])
def test_q_15_a_body_over_the_limit_is_413(
    ehr: Caller, request_body: Body, size: int
) -> None:
    request_body["filler"] = "x" * size

    outcome(ehr.call(request_body), 413)
    assert ehr.audited() == []


def test_q_4_the_same_call_may_be_repeated_and_has_the_same_card(
    ehr: Caller, request_body: Body
) -> None:
    assert ehr.call(request_body).json == ehr.call(request_body).json


@pytest.mark.parametrize("path", ["//cds-services", "/cds-services//wearable-review"])
def test_d_16_no_path_is_redirected(ehr: Caller, path: str) -> None:
    outcome(ehr.http.get(path), 404)


# The negative table


def test_p_12_nothing_prefetched_and_no_fhir_server_is_412_and_names_the_keys(
    ehr: Caller, request_body: Body
) -> None:
    del request_body["prefetch"]

    text = outcome(ehr.call(request_body), 412)

    for key in ("patient", "conditions", "medication-requests"):
        assert f'"{key}' in text


def test_p_12_a_patient_alone_is_412(ehr: Caller, request_body: Body) -> None:
    request_body["prefetch"] = {"patient": request_body["prefetch"]["patient"]}

    outcome(ehr.call(request_body), 412)


def test_p_14_a_null_patient_is_412(ehr: Caller, request_body: Body) -> None:
    request_body["prefetch"]["patient"] = None

    outcome(ehr.call(request_body), 412)


def test_p_14_null_conditions_are_none(ehr: Caller, request_body: Body) -> None:
    request_body["prefetch"]["conditions"] = None

    assert len(ehr.call(request_body).json["cards"]) == 1


def test_p_15_conditions_that_could_not_be_read_are_412(
    ehr: Caller, request_body: Body
) -> None:
    issue = {"severity": "error", "code": "exception"}
    failure = {"resourceType": "OperationOutcome", "issue": [issue]}
    request_body["prefetch"]["conditions"] = failure

    assert "conditions" in outcome(ehr.call(request_body), 412)


def test_a_malformed_name_of_the_right_patient_is_answered(
    ehr: Caller, request_body: Body
) -> None:
    request_body["prefetch"]["patient"]["name"] = "x"

    assert len(ehr.call(request_body).json["cards"]) == 1


def test_p_23_another_patient_is_400_and_audited(
    ehr: Caller, request_body: Body
) -> None:
    request_body["prefetch"]["patient"]["id"] = "p2"

    text = outcome(ehr.call(request_body), 400)

    assert "p1" not in text and "p2" not in text
    (refusal,) = ehr.audited()
    assert (refusal["kind"], refusal["status"]) == ("refusal", 400)
    assert (refusal["client"], refusal["patient"]) == ("ehr", "p1")


def test_p_23_another_patients_medicine_is_dropped(
    ehr: Caller, request_body: Body
) -> None:
    (entry,) = request_body["prefetch"]["medication-statements"]["entry"]
    entry["resource"]["subject"] = {"reference": "Patient/p2"}

    assert ehr.call(request_body).json == {"cards": []}
    (call,) = ehr.audited()
    assert call["foreign"] == 1


def test_a_10_a_token_for_another_patient_is_400(
    ehr: Caller, request_body: Body
) -> None:
    request_body["fhirServer"] = "https://fhir.example.org/r4"
    request_body["fhirAuthorization"] = {
        "access_token": "t",
        "token_type": "Bearer",
        "expires_in": 300,
        "scope": "patient/*.rs",
        "subject": "cds",
        "patient": "p2",
    }

    outcome(ehr.call(request_body), 400)


def test_q_6_an_http_fhir_server_is_refused_in_production(
    ehr: Caller, request_body: Body
) -> None:
    request_body["fhirServer"] = "http://fhir.example.org/r4"

    assert "$.fhirServer" in outcome(ehr.call(request_body), 400)


def test_p_16_a_further_page_that_nobody_may_read_is_not_taken_as_the_end(
    ehr: Caller, request_body: Body
) -> None:
    request_body["prefetch"]["medication-statements"] = {
        "resourceType": "Bundle",
        "type": "searchset",
        "link": [{"relation": "next", "url": "https://fhir.example.org/r4?page=2"}],
    }

    cards = ehr.call(request_body).json["cards"]

    assert [card["indicator"] for card in cards] == ["info"]
    assert "could not be made" in cards[0]["summary"]


# Forgiveness


def test_a_deviation_is_forgiven_and_told_to_the_log_but_not_to_a_strict_client(
    build: Build, connect: Connect, request_body: Body
) -> None:
    ehr = connect(build())
    request_body["context"]["patientId"] = "Patient/p1"
    request_body["hookInstance"] = "constant"
    del request_body["context"]["userId"]

    assert len(ehr.call(request_body).json["cards"]) == 1
    strict = replace(ehr, profile="strict")
    assert "$.hookInstance" in outcome(strict.call(request_body), 400)


# Trust


def test_s_2_a_call_without_a_token_is_401_and_audited(
    ehr: Caller, request_body: Body
) -> None:
    response = ehr.call(request_body, signed=False)

    outcome(response, 401)
    assert response.headers["WWW-Authenticate"] == "Bearer"
    (refusal,) = ehr.audited()
    assert (refusal["kind"], refusal["status"]) == ("refusal", 401)
    assert refusal["reason"] == "no bearer token"


def test_s_9_e_6_every_bad_token_has_the_same_answer(
    ehr: Caller, request_body: Body
) -> None:
    now = 1_795_356_000
    tokens = [
        "",
        "x.y.z",
        ehr.token("/cds-services"),
        ehr.token("/cds-services/other"),
        ehr.token(f"{SERVICE}/feedback"),
        ehr.token(SERVICE, exp=now - 86_400, iat=now - 86_700),
        ehr.token(SERVICE, iss="https://elsewhere.example.org"),
        ehr.token(SERVICE, jti=""),
    ]

    answers = set()
    for token in tokens:
        headers = {"Authorization": f"Bearer {token}"}
        answers.add(outcome(ehr.call(request_body, headers=headers), 401))

    assert len(answers) == 1


def test_s_15_a_token_is_good_for_one_message(ehr: Caller, request_body: Body) -> None:
    headers = {"Authorization": f"Bearer {ehr.token(SERVICE)}"}

    assert ehr.call(request_body, headers=headers).status_code == 200
    outcome(ehr.call(request_body, headers=headers), 401)


def test_the_audience_is_the_public_url_whatever_a_proxy_says(
    ehr: Caller, request_body: Body
) -> None:
    headers = {"Host": "evil.example.org", "X-Forwarded-Host": "evil.example.org"}

    assert ehr.call(request_body, headers=headers).status_code == 200


def test_a_body_of_the_wrong_kind_is_refused_before_the_token_is_spent(
    ehr: Caller, request_body: Body
) -> None:
    headers = {"Authorization": f"Bearer {ehr.token(SERVICE)}"}

    outcome(ehr.call(request_body, headers=headers, content_type="text/plain"), 415)
    assert ehr.call(request_body, headers=headers).status_code == 200


# Failing loudly


def test_r_9_a_call_that_cannot_be_recorded_is_not_answered(
    build: Build, connect: Connect, request_body: Body, tmp_path: Path
) -> None:
    unmigrated = Store.open(f"sqlite:///{tmp_path}/empty.sqlite")
    ehr = connect(replace(build(profile="development", auth="off"), store=unmigrated))

    response = ehr.call(request_body, signed=False)

    outcome(response, 503)
    assert response.headers["Retry-After"]
    unmigrated.close()


def test_e_7_a_bug_answers_500_and_logs_no_word_of_the_patient(
    build: Build,
    connect: Connect,
    request_body: Body,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    def broken() -> Any:
        raise RuntimeError("p1 Ann Example")

    ehr = connect(replace(build(profile="development", auth="off"), clock=broken))

    response = ehr.call(request_body, signed=False)

    text = outcome(response, 500)
    assert "Ann" not in text and "RuntimeError" not in text
    assert response.headers["X-Request-Id"] in text
    log = capfdbinary.readouterr().out
    assert b'"failure":"RuntimeError"' in log
    assert b"Ann" not in log and b"p1" not in log


def test_c_33_an_answer_that_breaks_the_protocol_does_not_leave(
    build: Build, connect: Connect
) -> None:
    world = build()
    services = world.rulebook.services
    ((name, offered),) = services.items()
    blank = replace(offered, service=replace(offered.service, description=""))
    ehr = connect(
        replace(
            world,
            serving=Serving(
                replace(world.rulebook, services={name: blank}), world.clock()
            ),
        )
    )

    outcome(ehr.http.get("/cds-services"), 500)


# Browsers


@pytest.mark.parametrize(
    "path",
    ["/cds-services", "/cds-services/", SERVICE, f"{SERVICE}/", f"{SERVICE}/feedback"],
)
def test_s_22_a_preflight_needs_no_token(ehr: Caller, path: str) -> None:
    response = ehr.http.options(
        path,
        headers={
            "Origin": ORIGIN,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type",
        },
    )

    assert response.status_code == 200
    assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "authorization" in response.headers["Access-Control-Allow-Headers"]


def test_e_8_answers_and_errors_carry_the_header(
    ehr: Caller, request_body: Body
) -> None:
    origin = {"Origin": ORIGIN}
    for response, status in [
        (ehr.call(request_body, headers=origin), 200),
        (ehr.call(b"{", headers=origin), 400),
        (ehr.call(request_body, headers=origin, signed=False), 401),
        (ehr.send("/cds-services/x", request_body, headers=origin), 404),
        (ehr.http.put(SERVICE, headers=origin), 405),
        (ehr.call(request_body, headers=origin, content_type="text/plain"), 415),
    ]:
        assert response.status_code == status
        assert response.headers.getlist("Access-Control-Allow-Origin") == [ORIGIN]
        assert "Origin" in response.headers["Vary"]


# Feedback


def entry(card: str, **more: Any) -> Body:
    at = {"outcomeTimestamp": "2026-11-22T14:05:00Z"}
    return {"card": card, "outcome": "overridden", **at, **more}


def test_f_1_f_4_feedback_is_stored_as_often_as_it_comes(
    ehr: Caller, request_body: Body
) -> None:
    (card,) = ehr.call(request_body).json["cards"]

    for _ in range(2):
        response = ehr.feedback(entry(card["uuid"]), entry("unknown-card"))
        assert (response.status_code, response.json) == (200, {"recorded": 2})
    assert [each["kind"] for each in ehr.audited()] == ["call", "feedback", "feedback"]


def test_f_2_f_3_feedback_of_the_wrong_form_is_400_by_index(ehr: Caller) -> None:
    outcome(ehr.send(f"{SERVICE}/feedback", []), 400)
    text = outcome(ehr.feedback(entry("a"), {"card": "b"}), 400)
    assert "$.feedback[1]" in text


def test_f_5_feedback_has_an_audience_of_its_own(ehr: Caller) -> None:
    headers = {"Authorization": f"Bearer {ehr.token(SERVICE)}"}

    outcome(ehr.feedback(entry("a"), headers=headers), 401)
    outcome(ehr.feedback(entry("a"), signed=False), 401)


def test_f_11_a_comment_reaches_neither_log_nor_audit(
    build: Build, connect: Connect, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    ehr = connect(build())
    reason = {"userComment": "Ann said no"}

    assert ehr.feedback(entry("a", overrideReason=reason)).status_code == 200

    assert b"Ann" not in capfdbinary.readouterr().out
    assert "Ann" not in str(ehr.audited())


# The log


def test_a_request_is_one_line_without_patient_data(
    build: Build, request_body: Body, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    http: FlaskClient = create_app(
        world=build(profile="development", auth="off")
    ).test_client()

    http.post(SERVICE, json=request_body)
    http.post(SERVICE, json={**request_body, "hookInstance": "p1 Ann"})

    first, second = capfdbinary.readouterr().out.splitlines()
    line = json.loads(first)
    assert line["event"] == "request"
    assert (line["status"], line["cards"], line["client"]) == (200, 1, "anonymous")
    assert (line["service"], line["hook"]) == ("wearable-review", "patient-view")
    assert line["hookInstance"] == request_body["hookInstance"]
    assert line["milliseconds"] >= 0
    assert b"p1" not in first + second
    assert b"metoprolol" not in first
    assert "hookInstance" not in json.loads(second)
    assert json.loads(second)["deviations"]
