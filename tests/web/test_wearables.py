"""Deliveries over HTTP: statuses, limits and media types."""

import hashlib
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from standardwebhooks import Webhook
from werkzeug.test import TestResponse

from cds_service.config import Clients, Config, ConsentMode, Profile, WebhookSource
from cds_service.decision import World
from cds_service.fhir.client import FhirPool
from cds_service.publishing.serving import Serving
from cds_service.rulebook.engine.rulebook import Rulebook
from cds_service.rulebook.engine.rules import Site
from cds_service.store.records import Attempt
from cds_service.store.store import Store
from cds_service.wearables.metrics import Catalogue
from cds_service.wearables.records import AlertType, PatientKey
from cds_service.web.errors import register_errors
from cds_service.web.layers import surround
from cds_service.web.limits import limit_requests
from cds_service.web.metrics import Metrics
from cds_service.web.wearables import build_wearables

NOW = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)
SECRET = "whsec_c2VjcmV0LW9mLXRoZS1kZW1vLXdhdGNoLWhlcmU="
URL = "/wearables/v1/alerts"
LIMIT = 2048
ITEM = {
    "id": "a-1",
    "patient": "smart-1",
    "type": "low-heart-rate",
    "start": "2026-11-22T08:00:00-05:00",
}


@pytest.fixture
def world(url: str) -> Iterator[World]:
    """A development server at NOW that knows one source and one type of alert."""
    store = Store.open(url)
    alert_type = AlertType(
        "low-heart-rate", "Low", "heart_rate", "/min", plausible=(10, 300)
    )
    yield World(
        config=Config(
            profile=Profile.DEVELOPMENT, database_url=url, alert_body_limit=LIMIT
        ),
        clients=Clients(
            webhooks=(WebhookSource("demo-watch", "default", "-", (SECRET,)),)
        ),
        store=store,
        serving=Serving(
            Rulebook(
                digest="",
                site=Site(),
                services={},
                rules={},
                catalogue=Catalogue(alert_types={alert_type.name: alert_type}),
                valuesets={},
            ),
            NOW,
        ),
        clock=lambda: NOW,
        fhir=FhirPool(),
    )
    store.close()


def client_of(world: World) -> FlaskClient:
    app = Flask(__name__)
    app.extensions["cds_metrics"] = Metrics()
    register_errors(app)
    surround(app, [limit_requests(app, world.config)])
    app.register_blueprint(build_wearables(world))
    return app.test_client()


Post = Callable[..., TestResponse]


@pytest.fixture
def post(world: World) -> Post:
    """Send a signed body to the server."""

    def post(
        body: bytes = json.dumps({"alerts": [ITEM]}).encode(),
        *,
        of: World = world,
        delivery: str = "msg_1",
        content_type: str | None = "application/json",
        **headers: str,
    ) -> TestResponse:
        signer = Webhook(SECRET)
        fields = {
            "webhook-id": delivery,
            "webhook-timestamp": str(int(NOW.timestamp())),
            "webhook-signature": signer.sign(delivery, NOW, body.decode()),
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        return client_of(of).post(
            URL, data=body, headers=fields, content_type=content_type
        )

    return post


def outcome(response: TestResponse) -> Any:
    """The OperationOutcome that every refusal is."""
    assert response.mimetype == "application/json"
    answer = response.get_json()
    assert answer["resourceType"] == "OperationOutcome"
    return answer


def test_a_signed_delivery_is_202_and_stored(world: World, post: Post) -> None:
    response = post()

    assert (response.status_code, response.mimetype) == (202, "application/json")
    assert response.get_json()["accepted"] == 1
    patient = PatientKey("default", "-", "smart-1")
    (alert,) = world.store.wearable_alerts(patient, NOW - timedelta(days=1)).alerts
    assert alert.id == "a-1"


def test_the_same_delivery_gets_the_same_status_and_body(post: Post) -> None:
    first, second = post(), post()

    assert (second.status_code, second.data) == (first.status_code, first.data)


def test_a_delivery_without_a_good_item_is_422(post: Post) -> None:
    response = post(b'{"alerts": [{}]}')

    assert response.status_code == 422
    places = [each["expression"][0] for each in outcome(response)["issue"]]
    assert places == [
        f"$.alerts[0].{name}" for name in ("id", "patient", "type", "start")
    ]


def delivered(*items: Any) -> bytes:
    return json.dumps({"alerts": items}).encode()


def stored(world: World) -> list[tuple[str, str, int, float | None]]:
    """Id, status, revision and value of what rules see of the patient."""
    patient = PatientKey("default", "-", "smart-1")
    alerts = world.store.wearable_alerts(patient, NOW - timedelta(days=1)).alerts
    return [(each.id, each.status, each.rev, each.value) for each in alerts]


NO_BODY = {**ITEM, "value": -1, "unit": "/min"}
OPEN = {**ITEM, "value": 41, "unit": "/min"}


def test_a_value_that_no_body_has_is_422_and_nothing_is_stored(
    world: World, post: Post
) -> None:
    response = post(delivered(NO_BODY))

    assert response.status_code == 422
    (issue,) = outcome(response)["issue"]
    assert issue["expression"] == ["$.alerts[0].value"]
    assert issue["details"]["text"] == "Must be from 10 to 300 /min."
    assert stored(world) == []


def test_beside_one_that_no_body_has_the_good_ones_are_stored(
    world: World, post: Post
) -> None:
    response = post(delivered(OPEN, {**NO_BODY, "id": "a-2"}))

    problem = {
        "expression": "$.alerts[1].value",
        "text": "Must be from 10 to 300 /min.",
    }
    assert response.status_code == 202
    assert response.get_json() == {
        "accepted": 1,
        "rejected": 1,
        "results": [
            {"index": 0, "id": "a-1", "status": "accepted"},
            {"index": 1, "id": "a-2", "status": "rejected", "problems": [problem]},
        ],
    }
    assert stored(world) == [("a-1", "open", 0, 41.0)]


@pytest.mark.parametrize(
    "told", [{"status": "open"}, {"status": "closed", "end": ITEM["start"]}]
)
def test_an_open_alert_stays_as_it_was_where_its_change_says_what_no_body_has(
    world: World, post: Post, told: dict[str, Any]
) -> None:
    post(delivered(OPEN))

    response = post(delivered({**NO_BODY, **told, "rev": 1}), delivery="msg_2")

    assert response.status_code == 422
    assert stored(world) == [("a-1", "open", 0, 41.0)]


def test_a_higher_revision_replaces_all_of_an_alert(world: World, post: Post) -> None:
    post(delivered(OPEN))

    post(delivered({**ITEM, "rev": 1}), delivery="msg_2")

    assert stored(world) == [("a-1", "open", 1, None)]


@pytest.mark.parametrize("rev", [0, 1])
def test_a_revision_that_is_not_higher_is_accepted_and_changes_nothing(
    world: World, post: Post, rev: int
) -> None:
    post(delivered({**OPEN, "rev": 1}))

    response = post(delivered({**OPEN, "value": 60, "rev": rev}), delivery="msg_2")

    assert response.status_code == 202
    assert stored(world) == [("a-1", "open", 1, 41.0)]


def test_an_open_alert_is_taken_back_whatever_value_is_told_with_it(
    world: World, post: Post
) -> None:
    post(delivered(OPEN))

    taken_back = {**NO_BODY, "status": "retracted", "rev": 1}
    response = post(delivered(taken_back), delivery="msg_2")

    assert response.status_code == 202
    assert stored(world) == []


def test_without_consent_too_it_is_taken_back_whatever_value_is_told_with_it(
    world: World, post: Post
) -> None:
    post(delivered(OPEN))
    unasked = world.config.model_copy(
        update={"wearables_consent": ConsentMode.REQUIRED}
    )

    taken_back = {**NO_BODY, "status": "retracted", "rev": 1}
    response = post(
        delivered(taken_back), delivery="msg_2", of=replace(world, config=unasked)
    )

    assert response.status_code == 202
    assert stored(world) == []


def test_the_same_key_with_another_body_is_422(post: Post) -> None:
    post()

    assert post(b'{"alerts": [{}]}').status_code == 422


def test_a_delivery_in_progress_is_409_with_retry_after(
    world: World, post: Post
) -> None:
    body = json.dumps({"alerts": [ITEM]}).encode()
    digest = hashlib.sha256(body).hexdigest()
    attempt = Attempt("demo-watch", "/wearables/v1/alerts msg_1")
    world.store.begin_delivery(attempt, digest, NOW)

    response = post()

    assert response.status_code == 409
    assert int(response.headers["Retry-After"]) > 0
    outcome(response)


def test_what_is_not_json_is_400(post: Post) -> None:
    response = post(b'{"alerts": [')

    assert response.status_code == 400
    outcome(response)


def test_an_unsigned_delivery_is_401(post: Post) -> None:
    response = post(webhook_signature="v1,AAAA")

    assert response.status_code == 401
    assert outcome(response)["issue"][0]["details"]["text"] == (
        "Authentication is required."
    )


def test_the_signature_is_asked_before_the_body_is_read(post: Post) -> None:
    assert post(b"not json", webhook_signature="v1,AAAA").status_code == 401


def test_without_consent_it_is_403(world: World, post: Post) -> None:
    unasked = world.config.model_copy(
        update={"wearables_consent": ConsentMode.REQUIRED}
    )

    response = post(of=replace(world, config=unasked))

    assert response.status_code == 403
    outcome(response)


def test_a_body_over_the_limit_is_413_and_audited(world: World, post: Post) -> None:
    response = post(b'{"alerts": []}' + b" " * LIMIT)

    assert response.status_code == 413
    outcome(response)
    (entry,) = world.store.audit_entries()
    assert (entry.kind, json.loads(entry.detail)["status"]) == ("refusal", 413)


def test_a_body_at_the_limit_is_read(post: Post) -> None:
    body = json.dumps({"alerts": [ITEM]}).encode().ljust(LIMIT)

    assert post(body).status_code == 202


def test_a_body_of_unknown_length_is_counted_while_it_is_read(world: World) -> None:
    response = client_of(world).post(
        URL,
        input_stream=io.BytesIO(b" " * (LIMIT + 100)),
        content_type="application/json",
        environ_overrides={"wsgi.input_terminated": True},
    )

    assert response.status_code == 413
    outcome(response)


@pytest.mark.parametrize(
    "content_type", [None, "text/plain", "application/fhir+json", "application/jsonx"]
)
def test_what_does_not_claim_to_be_json_is_415(
    post: Post, content_type: str | None
) -> None:
    response = post(content_type=content_type)

    assert response.status_code == 415
    outcome(response)


def test_parameters_of_the_media_type_are_let_pass(post: Post) -> None:
    assert post(content_type="application/json; charset=utf-8").status_code == 202


@pytest.mark.parametrize("encoding", ["gzip", "br", "gzip, identity"])
def test_a_compressed_body_is_415(post: Post, encoding: str) -> None:
    assert post(Content_Encoding=encoding).status_code == 415


def test_a_store_that_does_not_answer_is_503_with_retry_after(
    world: World, post: Post, tmp_path: Path
) -> None:
    empty = Store.open(f"sqlite:///{tmp_path / 'empty.sqlite'}")

    response = post(of=replace(world, store=empty))

    assert response.status_code == 503
    assert "Retry-After" in response.headers
    outcome(response)
    empty.close()


def test_only_post_is_answered(world: World) -> None:
    assert client_of(world).get(URL).status_code == 405


def test_an_answer_is_kept_for_as_many_days_as_the_setting_says(
    build: Callable[..., World],
) -> None:
    assert build().store.answers_kept == timedelta(days=8)
    assert build(answers_kept_days="20").store.answers_kept == timedelta(days=20)
