"""A patient agrees, a watch tells an hour, the chart shows a card; then none."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from cds_service.cli.rules.compiled import compile_folder
from cds_service.store.detection.records import Detection
from cds_service.store.records import AuditEvent, Intake
from cds_service.store.samples.records import SampleBatch, StreamOwner
from cds_service.store.store import Store
from cds_service.wearables.consent_gate import ConsentGate
from cds_service.wearables.records import PatientKey

from ..waiting import PATIENCE, until

pytestmark = pytest.mark.slow

Server = Any
Chart = Any
OpenChart = Callable[..., Chart]
ON_A_BETA_BLOCKER = Path(__file__).parents[2] / "fixtures" / "patient-view" / "fires"
KILLS = 20
MINUTE = timedelta(minutes=1)
ACTIONS = "http://terminology.hl7.org/CodeSystem/consentaction"
WATCH = {"id": "w-1", "name": "Demo Watch 9"}


@pytest.fixture(scope="module")
def server(start_server: Callable[..., Server]) -> Iterator[Server]:
    """Two workers that use nothing without a consent."""
    running = start_server(workers="2", wearables_consent="required")
    yield running
    assert running.breaks() == []


def agree(server: Server, patient: str, *actions: str) -> None:
    """Have the patient permit that, and nothing else, from now on."""
    named = [{"coding": [{"system": ACTIONS, "code": each}]} for each in actions]
    at = datetime.now(UTC).isoformat()
    told = {
        "resourceType": "Consent",
        "id": "c1",
        "meta": {"lastUpdated": at},
        "status": "active",
        "patient": {"reference": f"Patient/{patient}"},
        "provision": {"type": "permit", "action": named},
    }
    assert server.tell(told, f"{patient}-{at}").status_code == 202


def beats(
    patient: str, since: datetime, values: Sequence[float], **members: Any
) -> list[dict[str, Any]]:
    """A heart rate a minute."""
    starts = (since + n * MINUTE for n in range(len(values)))
    told = {"patient": patient, "metric": "heart-rate", "unit": "/min"}
    return [
        {**told, "value": value, "start": start.isoformat(), "device": WATCH, **members}
        for start, value in zip(starts, values)
    ]


def stillness(
    patient: str, since: datetime, number: int, length: timedelta = MINUTE
) -> list[dict[str, Any]]:
    """No step in any of so many intervals."""
    told = {"patient": patient, "metric": "steps", "value": 0, "unit": "{steps}"}
    starts = (since + n * length for n in range(number))
    return [
        {
            **told,
            "start": start.isoformat(),
            "end": (start + length).isoformat(),
            "stat": "total",
            "device": WATCH,
        }
        for start in starts
    ]


def deliver(server: Server, items: Sequence[Any], key: str) -> dict[str, int]:
    """What became of how many."""
    response = server.measure(items, key)
    assert response.status_code == 202, response.text
    told: dict[str, Any] = response.json()
    return {name: each for name, each in told.items() if isinstance(each, int) and each}


def without_results(chart: Chart) -> Chart:
    """A chart that tells nothing of the heart rate by itself."""
    entries = [
        each
        for each in chart.case.chart["entry"]
        if each["resource"]["resourceType"] != "Observation"
    ]
    kept = {**chart.case.chart, "entry": entries}
    return replace(chart, case=replace(chart.case, chart=kept))


def cards(server: Server, chart: Chart) -> list[dict[str, Any]]:
    """What the chart shows."""
    reply = server.call(chart.request())
    assert reply.status == 200, reply.body
    shown: list[dict[str, Any]] = reply.json["cards"]
    return shown


def episodes(server: Server, patient: str) -> list[tuple[Any, ...]]:
    """Id, status and when it opened, of those of the high heart rate."""
    return server.rows(  # type: ignore[no-any-return]
        "select id, status, opened from wearable_alerts where detector ="
        f" 'high-heart-rate-at-rest' and patient_id = '{patient}' order by start_utc"
    )


def test_from_a_consent_to_a_card_and_from_a_correction_to_none(
    server: Server, open_chart: OpenChart
) -> None:
    chart = without_results(open_chart(server, ON_A_BETA_BLOCKER))
    patient = chart.case.name
    start = (datetime.now(UTC) - timedelta(minutes=70)).replace(microsecond=0)
    hour = beats(patient, start, [115] * 60, rev=1)
    hour += stillness(patient, start - 5 * MINUTE, 60, timedelta(seconds=70))
    assert cards(server, chart) == []

    agree(server, patient, "collect", "use")
    assert deliver(server, hour, f"{patient}-once") == {"accepted": 120}
    assert deliver(server, hour, f"{patient}-twice") == {"duplicate": 120}

    ((_, status, opened),) = episodes(server, patient)
    assert status == "open"
    assert datetime.fromisoformat(opened) == start + timedelta(seconds=600)
    (card,) = cards(server, chart)
    text = f"{card['summary']}\n{card['detail']}"
    assert card["indicator"] == "warning"
    for told in ("115 /min", "59 min", "Demo Watch 9", "100 %"):
        assert told in text, text
    # 11 of them, and those that the test has taken until here.
    assert re.search(r"\b1[1-9] min ago", text), text

    calm = beats(patient, start, [80] * 60, rev=2)[::2]
    assert deliver(server, calm, f"{patient}-corrected") == {"revised": 30}
    ((_, status, _),) = episodes(server, patient)
    assert status == "retracted"
    assert cards(server, chart) == []
    verified = subprocess.run(
        [sys.executable, "-m", "cds_service.cli", "audit", "verify"]
        + ["--database", server.database],
        capture_output=True,
        timeout=PATIENCE,
    )
    assert verified.returncode == 0, verified


def test_what_is_withdrawn_is_shown_no_more_and_comes_back_as_it_was(
    server: Server, open_chart: OpenChart
) -> None:
    chart = open_chart(server)
    patient = chart.case.name
    start = (datetime.now(UTC) - timedelta(hours=8)).replace(microsecond=0)
    agree(server, patient, "collect", "use")
    hour = beats(patient, start, [115] * 60) + stillness(
        patient, start - 5 * MINUTE, 65
    )
    deliver(server, hour, f"{patient}-1")
    before = episodes(server, patient)
    shown = [each["summary"] for each in cards(server, chart)]
    assert len(before) == len(shown) == 1

    agree(server, patient, "collect")
    assert cards(server, chart) == []
    later = start + timedelta(hours=3)
    more = beats(patient, later, [115] * 60) + stillness(
        patient, later - 5 * MINUTE, 65
    )
    assert deliver(server, more, f"{patient}-2") == {"accepted": 125}
    assert episodes(server, patient) == before
    assert cards(server, chart) == []

    agree(server, patient, "collect", "use")
    after = episodes(server, patient)
    assert (after[:1], len(after)) == (before, 2)
    assert len(cards(server, chart)) == 1
    due = f"select metric from detection_due where patient_id = '{patient}'"
    assert server.rows(due) == []


# Killed in the middle


def hours(patient: str, number: int) -> list[dict[str, Any]]:
    """The hour of that number; two of three are fast, and some minutes go astray."""
    start = datetime(2026, 11, 2, tzinfo=UTC) + number * 60 * MINUTE
    value = 80 if number % 3 == 2 else 115
    told = beats(patient, start, [value] * 60)
    return told[: 60 - number % 4] + stillness(patient, start, 60)


def judged(store: Store, patient: PatientKey) -> list[tuple[Any, ...]]:
    """What a patient's episodes say, but for their ids and when they became known."""
    found = [each.stored.episode for each in store.detections.episodes(patient)]
    found.sort(key=lambda each: (each.detector, each.start))
    return [
        (each.detector, each.start, each.opened, each.end, each.closing, each.peak,
         each.n, each.coverage)  # fmt: skip
        for each in found
    ]


def judged_in_one(server: Server, patient: PatientKey, file: Path) -> Any:
    """What a patient's episodes say as they are, and if all had come at once."""
    since, until = (datetime(2026, month, 1, tzinfo=UTC) for month in (11, 12))
    rulebook = compile_folder(server.folder / "rules").rulebook
    gate = ConsentGate(rulebook.catalogue, rulebook.site.time_zone, assumed=True)
    detection = Detection(tuple(rulebook.detectors.values()), gate)
    kept, fresh = Store.open(server.database), Store.open(f"sqlite:///{file}")
    fresh.migrate()
    try:
        told = [
            replace(each.sample, path="")
            for metric in ("heart-rate", "steps")
            for each in kept.samples.of(patient, metric, since, until)
        ]
        batch = SampleBatch(StreamOwner(patient, "watch"), told)
        now = datetime.now(UTC)
        intake = Intake(samples=(batch,), detection=detection)
        fresh.take_in(intake, AuditEvent(now, "delivery"), now)
        return judged(kept, patient), judged(fresh, patient)
    finally:
        kept.close()
        fresh.close()


@dataclass(slots=True)
class Deliveries:
    """Hours that three watches tell, again and again until each is acknowledged."""

    server: Server
    stop: threading.Event = field(default_factory=threading.Event)
    acknowledged: Counter[int] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)

    def send(self, sender: int) -> None:
        while not self.stop.is_set():
            number = self.acknowledged[sender]
            items = hours(f"killed-{sender}", number)
            try:
                response = self.server.measure(items, f"{sender}-{number}")
            except requests.RequestException:
                continue  # the worker died: the same again
            self.statuses[response.status_code] += 1
            if response.status_code == 202:
                self.acknowledged[sender] += 1

    def more(self) -> None:
        """Wait until one more is acknowledged."""
        before = self.acknowledged.total()
        until(lambda: self.acknowledged.total() > before, lambda: self.statuses)


def test_killed_in_the_middle_of_judging_is_as_if_nothing_had_happened(
    server: Server, tmp_path: Path
) -> None:
    for sender in range(3):
        agree(server, f"killed-{sender}", "collect", "use")
    told = Deliveries(server)
    with ThreadPoolExecutor(3) as pool:
        senders = [pool.submit(told.send, each) for each in range(3)]
        try:
            for _ in range(KILLS):
                told.more()
                os.kill(server.workers()[0], signal.SIGKILL)
                until(lambda: len(server.workers()) == 2)
            told.more()
        finally:
            told.stop.set()
    for each in senders:
        each.result(PATIENCE)

    assert set(told.statuses) <= {202, 409, 503}, told.statuses
    for sender in range(3):
        patient = PatientKey("default", "-", f"killed-{sender}")
        kept, at_once = judged_in_one(server, patient, tmp_path / f"{sender}.sqlite")
        assert kept == at_once and kept
