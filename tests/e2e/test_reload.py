"""Rules that change under a running server: two workers, real files, real signals."""

import json
import os
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from threading import Event
from typing import Any
from uuid import uuid4

import pytest
import requests

from cds_service.publishing.publisher import Publisher
from cds_service.rulebook.compile.compiler import digest_of
from cds_service.rulebook.engine.rules import unchecked
from cds_service.rulebook.watch import QUIET
from cds_service.store.records import AuditEvent
from cds_service.store.store import Store

from .. import waiting
from ..waiting import PATIENCE, is_running, whole_lines

pytestmark = pytest.mark.slow

DIABETES = {
    "resourceType": "Condition",
    "id": "diabetes",
    "clinicalStatus": {"coding": [{"code": "active"}]},
    "code": {
        "coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "E11.9"}]
    },
    "subject": {"reference": "Patient/p"},
}
BUNDLE = {"resourceType": "Bundle", "type": "searchset"}
Server = Any
Revise = Callable[[Path, int], dict[str, str]]
Start = Callable[..., Server]


def until(asked: Callable[[], Any], what: str) -> Any:
    """What *asked* gives once it gives anything; a server may be away in between."""

    def happened() -> Any:
        with suppress(requests.ConnectionError):
            return asked()

    return waiting.until(happened, lambda: f"never happened: {what}")


@pytest.fixture(scope="module")
def start(
    start_server: Start, tmp_path_factory: pytest.TempPathFactory, revise: Revise
) -> Start:
    """Starts two workers on a folder of their own at revision 1, trust off."""

    def begin(**settings: str) -> Server:
        folder = tmp_path_factory.mktemp("rules") / "rules"
        revise(folder, 1)
        usual = {"auth": "off", "rules": str(folder), "workers": "2"}
        server = start_server(**{**usual, **settings})
        if not settings:
            since = leases(server)
            until(lambda: leases(server) not in ([], since), "a watcher at work")
        return server

    return begin


@pytest.fixture(scope="module")
def server(start: Start) -> Iterator[Server]:
    running = start()
    yield running
    assert "Traceback" not in log(running)


def leases(server: Server) -> list[Any]:
    """Who may publish until when; the watcher makes it longer again and again."""
    asked = "select * from leases where name = 'rulebook'"
    found: list[Any] = server.rows(asked)
    return found


def rules(server: Server) -> Path:
    return Path(server.settings["CDS_RULES"])


def log(server: Server) -> str:
    return str((server.folder / "log").read_text())


def events(server: Server, name: str) -> list[dict[str, Any]]:
    """The log lines of an event."""
    lines = whole_lines(server.folder / "log")
    return [json.loads(each) for each in lines if f'"event":"{name}"' in each]


def events_of(server: Server, name: str, digest: str) -> list[dict[str, Any]]:
    """Those of them that are about a rulebook."""
    return [each for each in events(server, name) if each["rulebook"] == digest]


def health(server: Server) -> Any:
    return requests.get(f"{server.base}/health", timeout=PATIENCE).json()


def ready(server: Server) -> Any:
    answer = requests.get(f"{server.base}/health/ready", timeout=PATIENCE)
    assert answer.status_code == 200
    return answer.json()


def metric(server: Server, name: str) -> float:
    text = requests.get(f"{server.base}/metrics", timeout=PATIENCE).text
    found = re.search(rf"^{name} (\S+)$", text, re.M)
    assert found, text
    return float(found[1])


def serve_all(server: Server, digest: str) -> bool:
    """Whether every worker says that it serves this."""
    serving = set()
    for _ in range(20):
        told = health(server)
        if told["rulebook"]["digest"] != digest:
            return False
        serving.add(told["worker"])
    return serving == set(server.workers())


def ask(server: Server) -> tuple[int, str, list[str]]:
    """Status, hookInstance and card summaries of a call about a diabetic."""
    instance = str(uuid4())
    body = {
        "hook": "patient-view",
        "hookInstance": instance,
        "context": {"userId": "Practitioner/1", "patientId": f"p-{instance}"},
        "prefetch": {
            "patient": {
                "resourceType": "Patient",
                "id": f"p-{instance}",
                "birthDate": "1960-01-01",
            },
            "conditions": {
                **BUNDLE,
                "entry": [
                    {
                        "resource": {
                            **DIABETES,
                            "subject": {"reference": f"Patient/p-{instance}"},
                        }
                    }
                ],
            },
        },
    }
    url = f"{server.base}/cds-services/review"
    response = requests.post(url, json=body, timeout=PATIENCE)
    cards = response.json().get("cards", ())
    return response.status_code, instance, [each["summary"] for each in cards]


def test_every_worker_serves_a_good_change_soon(
    server: Server, revise: Revise, record_property: Callable[[str, object], None]
) -> None:
    digest = digest_of(revise(rules(server), 2))

    until(lambda: serve_all(server, digest), "both workers serve revision 2")

    # Who serves it, or has published it, says so a moment later.
    until(lambda: len(events_of(server, "rulebook swapped", digest)) >= 2, "the lines")
    until(lambda: events_of(server, "rulebook published", digest), "the line")
    (published,) = events_of(server, "rulebook published", digest)
    swapped = events_of(server, "rulebook swapped", digest)
    assert len(swapped) == 2
    begun = datetime.fromisoformat(published["time"])
    last = max(datetime.fromisoformat(each["time"]) for each in swapped)
    took = (last - begun).total_seconds()
    record_property("seconds from publication to the last swap", took)
    assert took >= 0
    assert published["changed"] == ["revised.yaml"]
    assert ask(server)[2] == ["Revision 2"]
    assert metric(server, "cds_rulebook_swaps_total") >= 1


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("diabetes: present", "diabetes: presnt", r"revised\.yaml:17:\d+: CDS"),
        (
            "diabetes: present",
            "diabetes: absent",
            r"revised\.test\.yaml:\d+:\d+: CDS708",
        ),
        ("format: 1", "format: [", r"revised\.yaml:\d+:\d+: CDS"),
    ],
)
def test_a_broken_change_keeps_what_is_served_and_says_where(
    server: Server, revise: Revise, right: str, wrong: str, said: str
) -> None:
    served = digest_of(revise(rules(server), 3))
    until(lambda: serve_all(server, served), "both workers serve revision 3")
    refusals = len(events(server, "rulebook refused"))
    file = rules(server) / "revised.yaml"

    file.write_text(file.read_text().replace(right, wrong))

    error = until(lambda: health(server)["rulebook_error"], "the refusal")
    assert re.search(said, "\n".join(error["findings"]))
    assert health(server)["status"] == "degraded"
    until(lambda: len(events(server, "rulebook refused")) > refusals, "the log line")
    refused = events(server, "rulebook refused")[-1]
    assert re.search(said, "\n".join(refused["errors"]))
    assert metric(server, "cds_rulebook_refused") == 1
    until(lambda: serve_all(server, served), "what was served is served on")
    assert ask(server)[2] == ["Revision 3"]
    until(
        lambda: (ready(server).get("rulebook_error") or {}).get("findings")
        == error["findings"],
        "the next look",
    )

    revise(rules(server), 3)

    until(lambda: health(server)["status"] == "ok", "the repair")
    assert metric(server, "cds_rulebook_refused") == 0


def test_a_folder_that_vanishes_changes_nothing(server: Server) -> None:
    before = ask(server)[2]
    folder = rules(server)
    folder.rename(folder.with_name("away"))

    error = until(lambda: health(server)["rulebook_error"], "the refusal")
    assert "CDS001" in error["findings"][0]
    assert ask(server)[2] == before

    folder.with_name("away").rename(folder)
    until(lambda: health(server)["status"] == "ok", "the repair")


def test_a_file_that_is_being_written_is_not_published_by_half(
    server: Server, revise: Revise
) -> None:
    """The half is a good rule as well, and says something else."""
    folder = rules(server)
    numbers = count(100)

    def write() -> dict[str, str] | None:
        """The files, if they were written as quickly as writers are waited for."""
        whole = revise(folder.with_name("aside"), next(numbers))
        half = half_of(whole)
        begun = time.monotonic()
        with (folder / "revised.yaml").open("w") as file:
            file.write(half)
            file.flush()
            time.sleep(QUIET / 3)
            file.write(whole["revised.yaml"][len(half) :])
        took = time.monotonic() - begun
        until(lambda: serve_all(server, digest_of(whole)), "the whole is served")
        return whole if took < QUIET else None

    whole = until(write, "a file is written within a second")

    digests = {row[0] for row in server.rows("select digest from publications")}
    assert digest_of(whole) in digests
    assert digest_of({**whole, "revised.yaml": half_of(whole)}) not in digests
    assert digest_of({**whole, "revised.yaml": ""}) not in digests


def half_of(files: dict[str, str]) -> str:
    """The rule without its second criterion."""
    return files["revised.yaml"].partition("    - asthma: absent")[0]


def test_calls_in_flight_finish_on_the_rules_that_they_began_with(
    start: Start, revise: Revise
) -> None:
    server = start(reload="off")
    store = Store.open(server.database)
    args = (store, "test", unchecked, lambda: datetime.now(UTC), lambda *_, **__: None)
    publisher = Publisher(rules(server), *args)
    published = {digest_of(revise(rules(server), 1)): "Revision 1"}
    over = Event()

    def keep_asking() -> list[tuple[int, str, list[str]]]:
        answers = []
        while not over.is_set() or len(answers) < 50:
            answers.append(ask(server))
        return answers

    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(keep_asking) for _ in range(4)]
        try:
            for number in range(2, 12):
                digest = digest_of(revise(rules(server), number))
                published[digest] = f"Revision {number}"
                assert publisher.publish().published
                until(lambda: serve_all(server, digest), f"revision {number}")
        finally:
            over.set()
        answers = [each for future in asking for each in future.result()]

    store.close()
    told = server.rows("select detail from audit where kind = 'call'")
    details = (json.loads(detail) for (detail,) in told)
    judged = {each["hookInstance"]: each["rulebook"] for each in details}
    assert len(answers) >= 200
    assert {status for status, _, _ in answers} == {200}
    for _, instance, cards in answers:
        assert cards == [published[judged[instance]]]
    assert len({judged[instance] for _, instance, _ in answers}) > 5


def test_a_watcher_that_is_killed_is_started_again(
    server: Server, revise: Revise
) -> None:
    (first,) = server.watchers()

    os.kill(first, signal.SIGKILL)

    until(lambda: server.watchers() not in ([], [first]), "another watcher")
    digest = digest_of(revise(rules(server), 200))
    until(lambda: serve_all(server, digest), "what the new watcher published")


def test_of_two_servers_on_one_database_one_publishes(
    start: Start, revise: Revise
) -> None:
    first = start()
    second = start(database_url=first.database)
    assert "another server publishes" not in log(first)
    assert "another server publishes" in log(second)

    revise(rules(second), 8)
    digest = digest_of(revise(rules(first), 2))
    until(lambda: serve_all(first, digest), "the first serves its own")
    until(lambda: serve_all(second, digest), "and so does the second")
    published = first.rows("select count(*) from publications")
    assert published == [(2,)]

    first.kill()

    theirs = digest_of(revise(rules(second), 8))
    until(lambda: serve_all(second, theirs), "the second takes over")


def test_a_server_that_ends_leaves_nobody_behind(start: Start) -> None:
    server = start()
    children = server.children()
    assert len(children) == 3

    server.process.send_signal(signal.SIGTERM)

    assert server.process.wait(PATIENCE) == 0
    until(lambda: not any(is_running(each) for each in children), "all ended")
    assert [until for _, _, until, _ in leases(server)] == [0]


def test_a_server_that_watches_no_rules_seals_old_rows_at_night(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start(reload="off")
    server.kill()
    now = datetime.now(UTC)
    store = Store.open(server.database)
    store.record_audit(AuditEvent(now - timedelta(days=9), "call"))
    store.close()
    # Two o'clock at night, wherever that is.
    monkeypatch.setenv("TZ", f"NIGHT{now.hour - 2:+d}")

    server.start()

    until(lambda: server.rows("select 1 from audit_seals") == [(1,)], "the seal")


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True, scope="module")
def test_a_watcher_does_not_outlive_a_master_that_was_killed(start: Start) -> None:
    server = start()
    (watcher,) = server.watchers()

    os.kill(server.process.pid, signal.SIGKILL)
    server.process.wait(PATIENCE)

    until(lambda: not is_running(watcher), "the watcher ended")


def test_a_broken_folder_at_start_leaves_the_last_good_rules_served(
    start: Start, revise: Revise
) -> None:
    server = start()
    served = health(server)["rulebook"]["digest"]
    server.process.send_signal(signal.SIGTERM)
    server.process.wait(PATIENCE)
    shutil.rmtree(rules(server))

    server.start()

    until(lambda: serve_all(server, served), "what was served is served on")
    assert "cannot be served" in log(server)
    assert health(server)["rulebook_error"]["findings"]
