"""What one database forgives and the other does not is refused at the edge, on both."""

import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from standardwebhooks import Webhook
from werkzeug.test import TestResponse

from cds_service.audit import verify
from cds_service.decision import World

Caller = Any
Body = dict[str, Any]
BuildWorld = Callable[..., World]
Connect = Callable[[World], Caller]
SECRET = "whsec_c2VjcmV0LW9mLXRoZS1kZW1vLXdhdGNoLWhlcmU="
SERVICE = "/cds-services/wearable-review"
RARE = random.Random(7)
LONGEST = "".join(chr(RARE.randrange(0x20000, 0x2A6D0)) for _ in range(255))
"""As much as a name may hold, in characters of four bytes that no index makes short."""
ODD = ("p\0", "p\ud83d", "p" * 256, "p" * 4000, "p\u00a0q", "É_z", LONGEST)
"""A NUL, half a character, one too many, far too many, a blank that does not break,
letters whose order is another in each language, and the most that there may be."""


def sent(value: Any) -> bytes:
    """JSON, with escapes for what UTF-8 does not have."""
    return json.dumps(value).encode()


def name_patient(body: Body, text: str) -> None:
    about = json.dumps(body["prefetch"]).replace("Patient/p1", "Patient/" + MARK)
    body["prefetch"] = json.loads(about.replace(MARK, json.dumps(text)[1:-1]))
    body["context"]["patientId"] = body["prefetch"]["patient"]["id"] = text


def name_user(body: Body, text: str) -> None:
    body["context"]["userId"] = f"Practitioner/{text}"


def name_encounter(body: Body, text: str) -> None:
    body["context"]["encounterId"] = text


def name_instance(body: Body, text: str) -> None:
    body["hookInstance"] = text


MARK = "__mark__"
NAMES = [name_patient, name_user, name_encounter, name_instance]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_in_a_call_is_kept_or_refused(
    ehr: Caller, request_body: Body, name: Callable[[Body, str], None]
) -> None:
    found = []
    for text in ODD:
        body = json.loads(sent(request_body))
        name(body, text)
        found.append(ehr.call(sent(body)).status_code)

    assert found == [400, 400, 400, 400, 400, 200, 200]
    assert verify(ehr.world.store) == []


def test_a_token_is_known_by_what_both_can_keep(
    ehr: Caller, request_body: Body
) -> None:
    tokens = [ehr.token(SERVICE, jti=text) for text in ODD]
    replies = [
        ehr.call(request_body, headers={"Authorization": f"Bearer {each}"}).status_code
        for each in tokens * 2
    ]

    assert replies == [401, 401, 200, 401, 200, 200, 200] + [401] * 7


@pytest.mark.parametrize(
    ("member", "statuses"),
    [
        ("card", [400, 400, 400, 400, 400, 200, 200]),
        ("system", [400, 200, 200, 400, 200, 200, 200]),
        ("code", [400, 200, 200, 400, 200, 200, 200]),
        ("display", [400, 200, 200, 400, 200, 200, 200]),
        ("userComment", [200] * 7),
    ],
)
def test_a_text_in_feedback_is_kept_or_refused(
    ehr: Caller, member: str, statuses: list[int]
) -> None:
    found = []
    for text in ODD:
        told = {"system": "s", "code": "c", "display": "d", "card": "c"}
        told |= {"userComment": "known", member: text}
        card, comment = told.pop("card"), told.pop("userComment")
        entry = {
            "card": card,
            "outcome": "overridden",
            "outcomeTimestamp": "2026-11-22T14:05:00Z",
            "overrideReason": {"reason": told, "userComment": comment},
        }
        answer = ehr.send(f"{SERVICE}/feedback", sent({"feedback": [entry]}))
        found.append(answer.status_code)

    assert found == statuses
    assert verify(ehr.world.store) == []


@pytest.fixture
def watched(build: BuildWorld, connect: Connect, keys: Any, tmp_path: Path) -> Caller:
    """An EHR before a server that knows a watch as well."""
    file = tmp_path / "watched.yaml"
    ehr = {"id": "ehr", "iss": "https://ehr.example.org"}
    watch = {"id": "watch", "secrets": [SECRET], "formats": ["alerts", "consents"]}
    known = {"clients": [{**ehr, "keys": [{**keys[1], "kid": "k"}]}]}
    file.write_text(json.dumps({**known, "webhooks": [watch]}))
    return connect(build(clients_file=str(file), wearables_consent="assumed"))


def deliver(caller: Caller, what: str, body: Any, key: str) -> TestResponse:
    now, text = caller.world.clock(), sent(body).decode()
    headers = {
        "webhook-id": key,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(SECRET).sign(key, now, text),
    }
    path, kind = f"/wearables/v1/{what}", "application/json"
    answer: TestResponse = caller.http.post(
        path, data=text.encode(), headers=headers, content_type=kind
    )
    return answer


@pytest.mark.parametrize(
    ("member", "statuses"),
    [
        ("id", [422, 422, 422, 422, 202, 202, 422]),
        ("patient", [422] * 7),
        ("device", [422, 202, 422, 422, 202, 202, 422]),
        ("unit", [202] * 7),
    ],
)
def test_a_text_in_an_alert_is_kept_or_refused(
    watched: Caller, member: str, statuses: list[int]
) -> None:
    found = []
    for number, text in enumerate(ODD):
        start = "2026-11-22T08:00:00-05:00"
        alert = {"id": "a", "patient": "p", "type": "irregular-rhythm", "start": start}
        body = {"alerts": [{**alert, member: text}]}
        found.append(deliver(watched, "alerts", body, str(number)).status_code)

    assert found == statuses
    assert verify(watched.world.store) == []


@pytest.mark.parametrize(
    ("member", "statuses"),
    [
        ("id", [422] * 7),
        ("patient", [422] * 7),
        ("status", [202, 202, 422, 422, 202, 202, 422]),
        ("actor", [202] * 7),
    ],
)
def test_a_text_in_a_consent_is_kept_or_refused(
    watched: Caller, member: str, statuses: list[int]
) -> None:
    found = []
    for number, text in enumerate(ODD):
        consent: dict[str, Any] = {
            "resourceType": "Consent",
            "id": "c",
            "status": "active",
            "meta": {"lastUpdated": "2026-11-01T09:00:00Z"},
            "patient": {"reference": "Patient/p"},
            "provision": {"type": "permit"},
        }
        if member == "patient":
            consent["patient"]["reference"] = f"Patient/{text}"
        elif member == "actor":
            named = {"reference": f"Organization/{text}", "display": text}
            consent["provision"]["actor"] = [{"reference": named}]
        else:
            consent[member] = text
        found.append(deliver(watched, "consents", consent, str(number)).status_code)

    assert found == statuses
    assert verify(watched.world.store) == []


@pytest.mark.parametrize("kind", ["postgresql"])
def test_what_another_session_does_not_let_go_is_503_within_the_time_that_is_set(
    build: BuildWorld, connect: Connect, request_body: Body, url: str
) -> None:
    ehr = connect(build(database_lock_timeout_ms="300"))
    with psycopg.connect(url.replace("+psycopg", "")) as session:
        session.execute("LOCK TABLE calls")
        begun = time.monotonic()
        refused = ehr.call(request_body)
        waited = time.monotonic() - begun
        session.rollback()

    assert 0.3 < waited < 4
    assert refused.status_code == 503
    assert refused.json["issue"][0]["code"] == "transient"
    assert ehr.call(request_body).status_code == 200
