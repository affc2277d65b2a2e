"""What an operator sees of the sources of readings: what came, when, and silence."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from standardwebhooks import Webhook
from werkzeug.test import TestResponse

from cds_service.config import Clients, WebhookSource
from cds_service.decision import World
from cds_service.store.records import AuditEvent
from cds_service.wearables.links import WearerLink
from cds_service.wearables.records import PatientKey
from cds_service.web.sources import SourceWatch

NOW = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SECRET = "whsec_c2VjcmV0LW9mLXRoZS1kZW1vLXdhdGNoLWhlcmU="
ALICE = PatientKey("default", "-", "alice")
SAMPLES = "/wearables/v1/samples"
NIGHTSCOUT = "/wearables/v1/sources/nightscout"
FORMATS = ("samples", "nightscout")
SOURCES = tuple(
    WebhookSource(id, "default", "-", (SECRET,), FORMATS, tokens=True)
    for id in ("vendor", "idle")
)
Counted = dict[tuple[str, ...], float]


@dataclass
class Clock:
    now: datetime = NOW


@dataclass(frozen=True)
class Server:
    http: Any
    world: World
    clock: Clock

    def post(self, *samples: dict[str, Any], delivery: str = "msg_1") -> TestResponse:
        """Deliver what the vendor has signed."""
        text = json.dumps({"samples": samples})
        signed = {
            "webhook-id": delivery,
            "webhook-timestamp": str(int(self.clock.now.timestamp())),
            "webhook-signature": Webhook(SECRET).sign(delivery, self.clock.now, text),
        }
        return self.send(SAMPLES, text, signed)

    def post_glucose(self, *entries: dict[str, Any]) -> TestResponse:
        """Deliver what a phone uploads by its wearer's token."""
        event = AuditEvent(NOW, "link", "default", "operator", None, {})
        store = self.world.store
        since = NOW - timedelta(days=9)
        link = store.links.add(WearerLink("vendor", ALICE, since), event)
        token = store.wearer_tokens.issue(link, ("nightscout",), event)
        bearer = {"Authorization": f"Bearer {token}"}
        return self.send(NIGHTSCOUT, json.dumps(entries), bearer)

    def send(self, path: str, text: str, headers: dict[str, str]) -> TestResponse:
        told: TestResponse = self.http.post(
            path, data=text, headers=headers, content_type="application/json"
        )
        return told

    def metrics(self) -> str:
        return str(self.http.get("/metrics").text)

    def counted(self, name: str) -> Counted:
        """What is counted under a name, by what its labels say."""
        return {
            tuple(sample.labels.values()): sample.value
            for family in text_string_to_metric_families(self.metrics())
            for sample in family.samples
            if sample.name == name
        }

    def health(self) -> dict[str, Any]:
        told: dict[str, Any] = self.http.get("/health").json
        return told


@pytest.fixture
def start(
    build: Callable[..., World], connect: Callable[[World], Any]
) -> Callable[..., Server]:
    """Starts a server with two sources, where nobody has objected to anything."""

    def make(**settings: str) -> Server:
        clock = Clock()
        world = replace(
            build(wearables_consent="assumed", reload="off", **settings),
            clients=Clients(webhooks=SOURCES),
            clock=lambda: clock.now,
        )
        return Server(connect(world).http, world, clock)

    return make


@pytest.fixture
def server(start: Callable[..., Server]) -> Server:
    return start()


def beat(minute: int = 0, value: float = 72, **members: Any) -> dict[str, Any]:
    whose = {} if "user" in members else {"patient": "alice"}
    told = {"metric": "heart-rate", "value": value, "unit": "/min"}
    at = NOON + timedelta(minutes=minute)
    return {**whose, **told, "start": at.isoformat(), **members}


def test_what_became_of_readings_is_counted_by_source(server: Server) -> None:
    server.post(beat(0), beat(1), beat(2, user="somebody"))
    server.post(beat(0), beat(1, 80), beat(3), delivery="msg_2")

    assert server.counted("cds_readings_total") == {
        ("accepted", "vendor"): 3,
        ("duplicate", "vendor"): 1,
        ("quarantined", "vendor"): 1,
        ("revised", "vendor"): 1,
    }


def still(minute: int) -> dict[str, Any]:
    told = {"metric": "steps", "value": 0, "unit": "{steps}", "stat": "total"}
    end = (NOON + timedelta(minutes=minute + 1)).isoformat()
    return {**beat(minute), **told, "end": end}


def test_what_detectors_judged_and_found_is_counted(server: Server) -> None:
    high = "high-heart-rate-at-rest"
    server.post(*(beat(minute, 115) for minute in range(20)))
    unjudged = server.counted("cds_not_judged_total")
    assert unjudged[(high, "rest-unknown")] > 0
    server.post(*map(still, range(-6, 20)), delivery="msg_2")
    calm = (beat(minute, 80, rev=1) for minute in range(20))
    server.post(*calm, delivery="msg_3")

    counted = server.counted("cds_episodes_total")
    assert {change for change, name in counted if name == high} == {
        *("opened", "closed", "retracted"),
    }
    assert server.counted("cds_judged_total")[(high,)] >= 20
    assert server.counted("cds_detection_seconds_count") == {(): 3}
    due = server.counted("cds_detection_due")
    assert due[("consent",)] == due[("length",)] == 0
    assert set(server.counted("cds_detection_due_oldest_seconds").values()) == {0}


def test_what_is_left_out_is_counted_by_reason(server: Server) -> None:
    server.post(beat(0), beat(1, 7000), beat(2, unit="kg"), beat(3, unit="kg"))

    assert server.counted("cds_readings_total") == {
        ("accepted", "vendor"): 1,
        ("rejected", "vendor"): 3,
    }
    assert server.counted("cds_readings_left_out_total") == {
        ("implausible", "vendor"): 1,
        ("unit", "vendor"): 2,
    }


def test_a_delivery_that_is_refused_as_a_whole_is_counted_as_well(
    server: Server,
) -> None:
    assert server.post(beat(0, 7000)).status_code == 422

    assert server.counted("cds_readings_total") == {("rejected", "vendor"): 1}
    assert server.counted("cds_readings_lag_seconds_count") == {}


def test_readings_are_counted_where_the_answer_says_nothing_of_them(
    server: Server,
) -> None:
    at = int(NOON.timestamp() * 1000)
    good = {"type": "sgv", "sgv": 112, "date": at}
    answer = server.post_glucose(good, {**good, "date": at + 300_000, "sgv": 5})

    assert (answer.status_code, answer.data) == (200, b"")
    assert server.counted("cds_readings_total") == {
        ("accepted", "vendor"): 1,
        ("skipped", "vendor"): 1,
    }
    assert server.counted("cds_readings_left_out_total") == {("sentinel", "vendor"): 1}


def test_a_delivery_that_is_sent_again_counts_nothing_twice(server: Server) -> None:
    for _ in range(2):
        assert server.post(beat(0), beat(1, 7000)).status_code == 202

    assert server.counted("cds_readings_total") == {
        ("accepted", "vendor"): 1,
        ("rejected", "vendor"): 1,
    }
    assert server.counted("cds_readings_left_out_total") == {
        ("implausible", "vendor"): 1
    }
    assert server.counted("cds_readings_lag_seconds_count") == {("vendor",): 1}


def test_how_late_readings_come_is_told_by_the_newest_of_a_delivery(
    server: Server,
) -> None:
    server.post(beat(0), beat(90), beat(30))

    assert server.counted("cds_readings_lag_seconds_sum") == {("vendor",): 30 * 60}


def test_a_clock_that_is_ahead_makes_no_reading_early(server: Server) -> None:
    server.post(beat(122))

    assert server.counted("cds_readings_lag_seconds_sum") == {("vendor",): 0}


def test_no_wearer_and_no_device_is_named_by_what_is_counted(server: Server) -> None:
    server.post(beat(0), beat(1, user="u-7781", device={"id": "watch-9"}))

    text = server.metrics()
    assert 'outcome="quarantined"' in text
    assert not any(each in text for each in ("alice", "u-7781", "watch-9"))


# Silence


def test_a_source_that_delivers_is_not_silent(server: Server) -> None:
    server.post(beat())
    server.clock.now += timedelta(hours=24)

    told = server.health()

    assert (told["status"], told["sources_silent"]) == ("ok", [])
    assert server.counted("cds_source_silent") == {("vendor",): 0}


def test_a_source_that_fell_silent_is_named_with_when_it_was_heard_last(
    server: Server,
) -> None:
    server.post(beat())
    server.clock.now += timedelta(hours=24, seconds=1)

    told = server.health()

    since = "2026-11-22T14:00:00+00:00"
    assert told["status"] == "degraded"
    assert told["sources_silent"] == [{"source": "vendor", "since": since}]
    assert server.counted("cds_source_silent") == {("vendor",): 1}


def test_a_source_that_sends_the_same_again_is_not_silent(server: Server) -> None:
    server.post(beat())
    server.clock.now += timedelta(hours=25)
    server.post(beat(), delivery="msg_2")

    assert server.health()["sources_silent"] == []


def test_a_source_that_is_not_configured_any_more_is_not_missed(
    server: Server, connect: Callable[[World], Any]
) -> None:
    server.post(beat())
    server.clock.now += timedelta(days=3)
    others = Clients(webhooks=SOURCES[1:])

    later = replace(server, http=connect(replace(server.world, clients=others)).http)

    assert later.health()["sources_silent"] == []
    assert later.counted("cds_source_silent") == {}


def test_the_hours_of_silence_are_a_setting(start: Callable[..., Server]) -> None:
    server = start(source_silent_hours="1")
    server.post(beat())
    server.clock.now += timedelta(minutes=61)

    (silent,) = server.health()["sources_silent"]

    assert silent["source"] == "vendor"


def test_nobody_asks_about_silence_where_that_is_off(
    start: Callable[..., Server],
) -> None:
    server = start(source_silent_hours="0")
    server.post(beat())
    server.clock.now += timedelta(days=9)

    told = server.health()

    assert (told["status"], "sources_silent" in told) == ("ok", False)
    assert server.counted("cds_source_silent") == {}


def test_a_source_that_is_silent_keeps_no_server_from_being_ready(
    server: Server,
) -> None:
    server.post(beat())
    server.clock.now += timedelta(days=9)

    ready = server.http.get("/health/ready")

    assert (ready.status_code, "sources_silent" in ready.json) == (200, False)


def test_the_database_is_asked_once_a_minute_however_often_health_is(
    server: Server,
) -> None:
    seconds = [0.0]
    watch = SourceWatch(server.world, lambda: seconds[0])
    assert watch.heard() == {}

    server.post(beat())
    seconds[0] = 59
    assert watch.heard() == {}

    seconds[0] = 61
    assert watch.heard() == {"vendor": NOW}
