"""Readings over HTTP: who may deliver them, whose they become, what is answered."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
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
from cds_service.store.records import AuditEvent
from cds_service.store.store import Store
from cds_service.store.upkeep.patients import Asked
from cds_service.wearables.detection.detectors import DaysBeyond, Detector, Direction
from cds_service.wearables.detection.episodes import NotJudged
from cds_service.wearables.links import WearerLink
from cds_service.wearables.metrics import Catalogue, Metric
from cds_service.wearables.records import AlertType, PatientKey
from cds_service.web.errors import register_errors
from cds_service.web.layers import surround
from cds_service.web.limits import limit_requests
from cds_service.web.metrics import Metrics
from cds_service.web.wearables import build_wearables

NOW = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)
SECRET = "whsec_c2VjcmV0LW9mLXRoZS1kZW1vLXdhdGNoLWhlcmU="
SAMPLES = "/wearables/v1/samples"
OMH = "/wearables/v1/sources/open-mhealth"
PHONE = "/wearables/v1/sources/health-auto-export"
LINKS = "/wearables/v1/links"
ALICE, BOB = (PatientKey("default", "-", each) for each in ("alice", "bob"))
SINCE = datetime(2026, 1, 1, tzinfo=UTC)
BEATS = Metric(
    "heart-rate",
    "Heart rate",
    "/min",
    25,
    250,
    names={"open-mhealth": frozenset({"heart-rate/heart_rate"})},
)
HIGH = AlertType(
    "high-heart-rate",
    "High",
    "heart-rate",
    "/min",
    names={"health-auto-export": frozenset({"High Heart Rate"})},
    plausible=(10, 300),
)
GLUCOSE = Metric("glucose", "Glucose", "mg/dL", 20, 1000)
FAST = Detector(
    *("fast", "1.0.0", "Fast", "heart-rate", "fast-heart", "/min"),
    DaysBeyond(Direction.ABOVE, 100, "mean", 2, 3),
    *("active", timedelta(days=2), timedelta(days=1)),
)
VENDOR = WebhookSource(
    "vendor",
    "default",
    "-",
    (SECRET,),
    ("links", "samples", "open-mhealth", "health-auto-export"),
    tokens=True,
)


def event(kind: str = "link") -> AuditEvent:
    return AuditEvent(NOW, kind, "default", "operator", None, {})


@dataclass(frozen=True, slots=True)
class Server:
    world: World
    client: FlaskClient

    @property
    def store(self) -> Store:
        return self.world.store

    def post(
        self, body: Any, path: str = SAMPLES, delivery: str = "msg_1", **headers: str
    ) -> TestResponse:
        """Deliver what the source has signed."""
        text = json.dumps(body)
        signed = {
            "webhook-id": delivery,
            "webhook-timestamp": str(int(NOW.timestamp())),
            "webhook-signature": Webhook(SECRET).sign(delivery, NOW, text),
        }
        return self._send(text, path, signed | headers)

    def post_by(
        self, token: str, body: Any, path: str = SAMPLES, **headers: str
    ) -> TestResponse:
        """Deliver what a phone sends by its wearer's token."""
        authorization = {"Authorization": f"Bearer {token}"}
        return self._send(json.dumps(body), path, authorization | headers)

    def _send(self, text: str, path: str, headers: dict[str, str]) -> TestResponse:
        return self.client.post(
            path, data=text, headers=headers, content_type="application/json"
        )

    def link(self, patient: PatientKey, **named: Any) -> WearerLink:
        link = WearerLink("vendor", patient, named.pop("since", SINCE), **named)
        return self.store.links.add(link, event())

    def token(self, link: WearerLink, *formats: str) -> str:
        return self.store.wearer_tokens.issue(link, formats or ("samples",), event())

    def values(self, patient: PatientKey, metric: str = "heart-rate") -> list[float]:
        """Return what is kept of a patient, by its time."""
        whole = (SINCE, NOW + timedelta(days=1))
        return [
            each.sample.value for each in self.store.samples.of(patient, metric, *whole)
        ]


@pytest.fixture
def server(world: World) -> Server:
    """A development server; its source may come by tokens as well."""
    return open_server(world)


@pytest.fixture
def world(url: str) -> Iterator[World]:
    """What a development server at NOW touches."""
    store = Store.open(url)
    rulebook = Rulebook(
        digest="",
        site=Site(),
        services={},
        rules={},
        catalogue=Catalogue(
            {each.name: each for each in (BEATS, GLUCOSE)}, {HIGH.name: HIGH}
        ),
        valuesets={},
        detectors={FAST.name: FAST},
    )
    yield World(
        config=Config(profile=Profile.DEVELOPMENT, database_url=url),
        clients=Clients(webhooks=(VENDOR,)),
        store=store,
        serving=Serving(rulebook, NOW),
        clock=lambda: NOW,
        fhir=FhirPool(),
    )
    store.close()


def open_server(world: World) -> Server:
    app = Flask(__name__)
    app.extensions["cds_metrics"] = Metrics()
    register_errors(app)
    surround(app, [limit_requests(app, world.config)])
    app.register_blueprint(build_wearables(world))
    return Server(world, app.test_client())


def beat(minute: int = 0, value: float = 72, **members: Any) -> dict[str, Any]:
    start = datetime(2026, 11, 22, 12, 0, tzinfo=UTC) + timedelta(minutes=minute)
    told = {"metric": "heart-rate", "value": value, "unit": "/min"}
    whose = {} if "user" in members or "device" in members else {"patient": "alice"}
    return {**whose, **told, "start": start.isoformat(), **members}


def point(minute: int = 0, value: float = 72, **header: Any) -> dict[str, Any]:
    at = f"2026-11-22T12:{minute:02}:00+00:00"
    schema = {"namespace": "omh", "name": "heart-rate", "version": "2.0"}
    return {
        "header": {
            "id": f"p-{minute}",
            "creation_date_time": at,
            "schema_id": schema,
            **header,
        },
        "body": {
            "heart_rate": {"value": value, "unit": "beats/min"},
            "effective_time_frame": {"date_time": at},
        },
    }


def counts(response: TestResponse) -> dict[str, int]:
    answer = response.get_json()
    return {
        name: each for name, each in answer.items() if isinstance(each, int) and each
    }


# Once, however often it is sent


def test_an_hour_of_readings_is_accepted_and_kept(server: Server) -> None:
    response = server.post({"samples": [beat(each) for each in range(60)]})
    assert (response.status_code, counts(response)) == (202, {"accepted": 60})
    assert server.values(ALICE) == [72.0] * 60


def test_the_same_delivery_gets_the_same_answer(server: Server) -> None:
    body = {"samples": [beat(each) for each in range(60)]}
    first = server.post(body)
    again = server.post(body)
    assert (again.status_code, again.data) == (first.status_code, first.data)


def test_the_same_readings_in_another_delivery_are_duplicates(server: Server) -> None:
    body = {"samples": [beat(each) for each in range(60)]}
    server.post(body)
    again = server.post(body, delivery="msg_2")
    assert (again.status_code, counts(again)) == (202, {"duplicate": 60})
    assert len(server.values(ALICE)) == 60


def test_another_value_of_a_reading_holds_instead_of_it(server: Server) -> None:
    server.post({"samples": [beat(value=72)]})
    response = server.post({"samples": [beat(value=80, rev=1)]}, delivery="msg_2")
    assert counts(response) == {"revised": 1}
    assert server.values(ALICE) == [80.0]


def test_what_became_of_each_is_told_by_its_place(server: Server) -> None:
    body = {"samples": [beat(0), beat(1, unit="kg"), beat(2, metric="heart-rat")]}
    answer = server.post(body).get_json()
    assert [(each["expression"], each["status"]) for each in answer["results"]] == [
        ("$.samples[0]", "accepted"),
        ("$.samples[1].unit", "rejected"),
        ("$.samples[2].metric", "rejected"),
    ]
    assert (answer["accepted"], answer["rejected"]) == (1, 2)


# Whose wrist it was


def test_a_user_whom_nobody_knows_is_held_and_nobodys(server: Server) -> None:
    response = server.post({"samples": [beat(user="u-1"), beat(1, user="u-1")]})
    assert (response.status_code, counts(response)) == (202, {"quarantined": 2})
    (held,) = server.store.quarantine.wearers("default")
    assert (held.wearer.user, held.items) == ("u-1", 2)
    assert server.values(ALICE) == []


def test_a_user_who_is_linked_is_the_patient(server: Server) -> None:
    server.link(ALICE, user="u-1")
    assert counts(server.post({"samples": [beat(user="u-1")]})) == {"accepted": 1}
    assert server.values(ALICE) == [72.0]


def test_two_patients_on_one_account_are_told_apart_by_their_watches(
    server: Server,
) -> None:
    server.link(ALICE, user="u-1", device="watch-a")
    server.link(BOB, user="u-1", device="watch-b")
    body = {
        "samples": [
            beat(0, 61, user="u-1", device={"id": "watch-a"}),
            beat(0, 62, user="u-1", device={"id": "watch-b"}),
            beat(0, 63, user="u-1", device={"id": "watch-c"}),
        ]
    }
    assert counts(server.post(body)) == {"accepted": 2, "quarantined": 1}
    assert (server.values(ALICE), server.values(BOB)) == ([61.0], [62.0])


def test_a_watch_that_is_handed_on_is_the_next_ones_from_then_on(
    server: Server,
) -> None:
    noon = datetime(2026, 11, 22, 12, 30, tzinfo=UTC)
    server.link(ALICE, device="watch", until=noon)
    server.link(BOB, device="watch", since=noon)
    late = [beat(29, 61, device={"id": "watch"}), beat(30, 62, device={"id": "watch"})]
    assert counts(server.post({"samples": late})) == {"accepted": 2}
    assert (server.values(ALICE), server.values(BOB)) == ([61.0], [62.0])


def test_a_link_that_was_wrong_takes_its_readings_back(server: Server) -> None:
    link = server.link(ALICE, user="u-1")
    server.post({"samples": [beat(user="u-1")]})
    server.store.links.retract(link.id, event())
    assert server.values(ALICE) == []
    again = server.post({"samples": [beat(user="u-1")]}, delivery="msg_2")
    assert counts(again) == {"quarantined": 1}


def test_the_clock_of_the_wearer_comes_from_the_link(server: Server) -> None:
    server.link(ALICE, user="u-1", time_zone="America/New_York")
    start = "2026-11-22T12:00:00Z"
    server.post({"samples": [beat(user="u-1", start=start)]})
    (kept,) = server.store.samples.of(ALICE, "heart-rate", SINCE, NOW)
    assert kept.sample.local
    assert kept.sample.start.utcoffset() == timedelta(hours=-5)


def test_a_reading_of_nobody_is_refused(server: Server) -> None:
    body = [point()]
    response = server.post(body, OMH)
    assert response.status_code == 422
    (result,) = response.get_json()["results"]
    assert (result["reason"], result["expression"]) == (
        "wearer",
        "$[0].body.heart_rate",
    )


def test_a_reading_from_the_future_is_refused(server: Server) -> None:
    at = (NOW + timedelta(minutes=6)).isoformat()
    response = server.post({"samples": [beat(start=at)]})
    assert (response.status_code, counts(response)) == (422, {"rejected": 1})
    assert response.get_json()["results"][0]["reason"] == "clock"
    assert server.values(ALICE) == []


def test_a_reading_from_the_future_is_counted_by_the_detectors_that_would_judge_it(
    world: World,
) -> None:
    server = open_server(world)
    ahead = [beat(start=(NOW + timedelta(hours=n)).isoformat()) for n in (1, 2)]

    server.post({"samples": [*ahead, beat()]})

    (tally,) = server.store.detections.tallies("default", NOW.date())
    assert (tally.detector, tally.source, tally.judged) == ("fast", "vendor", 0)
    assert tally.not_judged == {NotJudged.CLOCK_SKEWED: 2}
    assert server.values(ALICE) == [72.0]


def test_a_reading_from_the_future_that_may_not_be_collected_is_counted_by_nobody(
    world: World,
) -> None:
    config = world.config.model_copy(update={"wearables_consent": ConsentMode.REQUIRED})
    server = open_server(replace(world, config=config))

    server.post({"samples": [beat(start=(NOW + timedelta(hours=1)).isoformat())]})

    assert server.store.detections.tallies("default", NOW.date()) == ()


# Links that a source tells itself


def test_a_source_says_whose_its_user_is(server: Server) -> None:
    told = {"user": "u-1", "patient": "alice", "from": "2026-11-01T00:00:00Z"}
    response = server.post({"links": [told]}, LINKS)
    assert (response.status_code, counts(response)) == (202, {"accepted": 1})
    server.post({"samples": [beat(user="u-1")]}, delivery="msg_2")
    assert server.values(ALICE) == [72.0]


def test_the_same_link_told_again_is_the_same_link(server: Server) -> None:
    body = {"links": [{"user": "u-1", "patient": "alice"}]}
    first = server.post(body, LINKS).get_json()
    again = server.post(body, LINKS, delivery="msg_2").get_json()
    assert first["results"] == again["results"]
    assert len(server.store.links.all("default")) == 1


def test_of_a_patient_who_is_erased_no_delivery_about_several_tells_any_more(
    server: Server,
) -> None:
    links = [{"user": f"u-{each}", "patient": each} for each in ("alice", "bob")]
    server.post({"links": links}, LINKS)
    body = {"samples": [beat(user="u-alice"), beat(user="u-bob")]}
    assert counts(server.post(body, delivery="msg_2")) == {"accepted": 2}
    asked = Asked(ALICE, "operator:me", NOW)
    exported = [
        each["detail"]
        for each in server.store.patients.export(asked)
        if each["table"] == "audit"
    ]
    assert exported == [
        {"linked": ["alice"]},
        {"readings": [["alice", 1, "heart-rate", 1]]},
    ]

    server.store.patients.erase(asked, calls=True)

    trail = list(server.store.audit_entries())
    assert "alice" not in "".join(each.patient_id + each.detail for each in trail)


def test_a_second_patient_for_one_user_is_refused_and_its_neighbour_kept(
    server: Server,
) -> None:
    server.link(ALICE, user="u-1")
    links = [
        {"user": "u-1", "patient": "bob"},
        {"user": "u-2", "patient": "bob"},
        {"patient": "bob"},
    ]
    answer = server.post({"links": links}, LINKS).get_json()
    statuses = [each["status"] for each in answer["results"]]
    assert statuses == ["rejected", "accepted", "rejected"]
    assert "names the same at that time" in answer["results"][0]["text"]
    assert answer["results"][2]["problems"][0]["expression"] == "$.links[2].user"


def test_a_source_ends_a_link_and_takes_one_back(server: Server) -> None:
    ended, wrong = server.link(ALICE, user="u-1"), server.link(BOB, user="u-2")
    body = {"samples": [beat(user="u-1"), beat(user="u-2")]}
    server.post(body)
    links = [
        {"id": ended.id, "until": "2026-11-22T12:00:00Z"},
        {"id": wrong.id, "retracted": True},
        {"id": 999, "retracted": True},
    ]
    answer = server.post({"links": links}, LINKS, delivery="msg_2").get_json()
    statuses = [each["status"] for each in answer["results"]]
    assert statuses == ["accepted", "accepted", "rejected"]
    assert (server.values(ALICE), server.values(BOB)) == ([], [])


def test_a_source_cannot_end_the_link_of_another(server: Server) -> None:
    link = WearerLink("other", ALICE, SINCE, user="u-1")
    other = server.store.links.add(link, event())
    body = {"links": [{"id": other.id, "retracted": True}]}
    assert server.post(body, LINKS).status_code == 422
    assert server.store.links.get(other.id).retracted is None


@pytest.mark.parametrize(
    ("told", "where"),
    [
        ({"user": "u-1"}, "patient"),
        ({"user": "u-1", "patient": "a b"}, "patient"),
        ({"user": "u-1", "patient": "bob", "mrn": "12345"}, "authority"),
        ({"user": "u-1", "patient": "bob", "time_zone": "Atlantis"}, "time_zone"),
        ({"user": "u-1", "patient": "bob", "grouping_minutes": 0}, "grouping_minutes"),
        ({"user": "u-1", "patient": "bob", "from": "now"}, "from"),
        ({"id": 1}, "until"),
    ],
)
def test_what_is_no_link_is_refused_by_the_name_of_its_member(
    told: dict[str, Any], where: str, server: Server
) -> None:
    response = server.post({"links": [told]}, LINKS)
    assert response.status_code == 422
    issue, *_ = response.get_json()["issue"]
    assert issue["expression"] == [f"$.links[0].{where}"]


def test_links_are_never_told_by_a_wearers_token(server: Server) -> None:
    token = server.token(server.link(ALICE))
    body = {"links": [{"user": "u-1", "patient": "alice"}]}
    assert server.post_by(token, body, LINKS).status_code == 401


# By a wearer's token


def test_a_phone_delivers_by_the_token_of_its_wearer(server: Server) -> None:
    token = server.token(server.link(ALICE), "open-mhealth")
    response = server.post_by(token, [point()], OMH)
    assert (response.status_code, counts(response)) == (202, {"accepted": 1})
    assert server.values(ALICE) == [72.0]


def test_a_body_that_a_phone_sends_twice_gets_the_same_answer(server: Server) -> None:
    token = server.token(server.link(ALICE), "open-mhealth")
    first = server.post_by(token, [point()], OMH)
    again = server.post_by(token, [point()], OMH)
    assert again.data == first.data
    told = {"Idempotency-Key": "another"}
    assert counts(server.post_by(token, [point()], OMH, **told)) == {"duplicate": 1}


def test_a_value_that_is_to_be_as_it_was_needs_a_key_where_only_the_body_tells_it(
    server: Server,
) -> None:
    token = server.token(server.link(ALICE), "open-mhealth")
    was, changed = [point(value=70)], [point(value=72)]
    for body in (was, changed):
        server.post_by(token, body, OMH)

    server.post_by(token, was, OMH)
    assert server.values(ALICE) == [72.0]

    server.post_by(token, was, OMH, **{"Idempotency-Key": "back"})
    assert server.values(ALICE) == [70.0]


def notified(*rates: int, threshold: int = 120) -> dict[str, Any]:
    at = "2026-11-22 08:05:00 -0500"
    told = {"type": "High Heart Rate", "start": at, "threshold": threshold}
    return {**told, "heartRate": [{"hr": rate} for rate in rates]}


def left_out(server: Server) -> dict[str, int]:
    """How many items the trail says were left out, by their reason."""
    details = (json.loads(each.detail) for each in server.store.audit_entries())
    told = [each["left_out"] for each in details if "left_out" in each]
    return dict(*told)


def test_a_notice_of_what_no_body_has_is_left_out_and_counted(server: Server) -> None:
    token = server.token(server.link(ALICE, user="u-1"), "health-auto-export")
    body = {"data": {"heartRateNotifications": [notified(511)]}}

    server.post_by(token, body, PHONE)

    assert server.store.wearable_alerts(ALICE, SINCE).alerts == ()
    assert left_out(server) == {"implausible": 1}


def test_beside_a_notice_of_what_no_body_has_the_good_ones_are_kept(
    server: Server,
) -> None:
    token = server.token(server.link(ALICE, user="u-1"), "health-auto-export")
    notices = [notified(131, threshold=0), notified(131, 255)]

    server.post_by(token, {"data": {"heartRateNotifications": notices}}, PHONE)

    (alert,) = server.store.wearable_alerts(ALICE, SINCE).alerts
    assert (alert.value, alert.threshold) == (255.0, 120.0)
    assert left_out(server) == {"implausible": 1}


def test_a_notice_that_says_what_no_body_has_changes_none_that_is_there(
    server: Server,
) -> None:
    token = server.token(server.link(ALICE, user="u-1"), "health-auto-export")
    server.post_by(token, {"data": {"heartRateNotifications": [notified(131)]}}, PHONE)

    server.post_by(token, {"data": {"heartRateNotifications": [notified(0)]}}, PHONE)

    (alert,) = server.store.wearable_alerts(ALICE, SINCE).alerts
    assert (alert.value, alert.status) == (131.0, "closed")


def test_the_token_of_one_wearer_brings_nothing_to_another(server: Server) -> None:
    token = server.token(server.link(ALICE, user="u-a"))
    server.link(BOB, user="u-b")
    body = {"samples": [beat(0, patient="bob", user=None), beat(1, user="u-b")]}
    response = server.post_by(token, body)
    assert response.status_code == 422
    assert {each["reason"] for each in response.get_json()["results"]} == {"wearer"}
    assert (server.values(ALICE), server.values(BOB)) == ([], [])


@pytest.mark.parametrize("token", ["cdsw_nobodys", "", "\u00e9"])
def test_a_token_that_nobody_has_is_401(server: Server, token: str) -> None:
    response = server.post_by(token, {"samples": [beat()]})
    assert response.status_code == 401
    assert server.values(ALICE) == []


def test_a_token_that_was_revoked_is_401(server: Server) -> None:
    link = server.link(ALICE)
    token = server.token(link)
    (known,) = server.store.wearer_tokens.of(link)
    server.store.wearer_tokens.revoke(known.id, event())
    assert server.post_by(token, {"samples": [beat()]}).status_code == 401


def test_a_token_of_a_link_that_was_wrong_is_401(server: Server) -> None:
    link = server.link(ALICE)
    token = server.token(link)
    server.store.links.retract(link.id, event())
    assert server.post_by(token, {"samples": [beat()]}).status_code == 401


def test_a_token_is_good_for_its_formats_alone(server: Server) -> None:
    token = server.token(server.link(ALICE), "samples")
    assert server.post_by(token, [point()], OMH).status_code == 403


def test_a_source_that_takes_no_tokens_any_more_gives_401(server: Server) -> None:
    token = server.token(server.link(ALICE))
    closed = Clients(webhooks=(replace(VENDOR, tokens=False),))
    other = open_server(replace(server.world, clients=closed))
    assert other.post_by(token, {"samples": [beat()]}).status_code == 401


def test_what_was_measured_outside_the_link_is_not_taken_by_its_token(
    server: Server,
) -> None:
    noon = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
    token = server.token(server.link(ALICE, since=noon))
    body = {"samples": [beat(-1), beat(0)]}
    response = server.post_by(token, body)
    assert counts(response) == {"accepted": 1, "rejected": 1}
    assert server.values(ALICE) == [72.0]


def test_no_token_is_written_to_the_trail(server: Server) -> None:
    token = server.token(server.link(ALICE))
    server.post_by(token, {"samples": [beat()]})
    server.post_by(token + "x", {"samples": [beat()]})
    trail = "\n".join(each.detail for each in server.store.audit_entries())
    assert token not in trail
    assert '"outcomes":{"accepted":1}' in trail


# What comes


def test_a_format_that_is_not_known_is_404(server: Server) -> None:
    assert server.post([], "/wearables/v1/sources/pigeon").status_code == 404


def test_a_source_delivers_only_what_it_may(server: Server) -> None:
    fewer = Clients(webhooks=(replace(VENDOR, formats=("samples",)),))
    other = open_server(replace(server.world, clients=fewer))
    assert other.post([point()], OMH).status_code == 403


def test_a_body_that_is_none_of_the_format_is_422_and_stored_nowhere(
    server: Server,
) -> None:
    response = server.post({"beats": []})
    assert response.status_code == 422
    assert response.get_json()["resourceType"] == "OperationOutcome"


def test_a_body_of_20_000_points_is_taken_whole(server: Server) -> None:
    token = server.token(server.link(ALICE), "open-mhealth")
    points = []
    for number in range(20_000):
        at = (datetime(2026, 11, 1, tzinfo=UTC) + timedelta(minutes=number)).isoformat()
        one = point()
        one["header"]["id"] = f"p-{number}"
        one["body"]["effective_time_frame"] = {"date_time": at}
        points.append(one)
    response = server.post_by(token, points, OMH)
    assert (response.status_code, counts(response)) == (202, {"accepted": 20_000})
    assert response.get_json()["results"] == []
    assert len(server.values(ALICE)) == 20_000


def test_a_body_over_the_limit_is_413(server: Server) -> None:
    config = server.world.config.model_copy(update={"source_body_limit": 1024})
    small = open_server(replace(server.world, config=config))
    response = small.post({"samples": [beat(each) for each in range(60)]})
    assert response.status_code == 413
