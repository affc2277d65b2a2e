"""``cds-service deliver list``, ``show``, ``retry``, ``drop``, ``backfill``."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cds_service.cli import main
from cds_service.store.outbox.sending import FailedAttempt
from cds_service.store.records import AuditEvent, Intake
from cds_service.store.store import Store
from cds_service.wearables.consent_gate import ConsentGate
from cds_service.wearables.metrics import Catalogue
from cds_service.wearables.records import PatientKey, WearableAlert
from cds_service.wearables.telling import Subscription

JANE = PatientKey("default", "-", "jane")
GATE = ConsentGate(Catalogue({}, {}), UTC, assumed=True)
Run = Callable[..., Result]


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """A store in which an EHR is told."""
    opened = Store.open(database_url)
    opened.outbox.subscribe([Subscription("ehr", "default")])
    yield opened
    opened.close()


@pytest.fixture
def run(database_url: str) -> Run:
    """A verb of ``deliver`` on that database."""

    def run(verb: str, *words: str, code: int = 0) -> Result:
        line = ["deliver", verb, *words, "--database", database_url]
        result = CliRunner().invoke(main, line)
        assert result.exit_code == code, result.output
        return result

    return run


def tell(store: Store, *ids: str, ago: timedelta = timedelta(hours=1)) -> None:
    now = datetime.now(UTC)
    alerts = tuple(
        WearableAlert(
            id=each,
            patient=JANE,
            type="high-heart-rate",
            start=now - ago,
            end=now - ago,
            opened=now,
            source="watch",
            status="closed",
        )
        for each in ids
    )
    event = AuditEvent(now, "delivery", "default", "watch")
    store.take_in(Intake(alerts=alerts), event, now)


def refuse_one(store: Store, problem: str = "no such code") -> None:
    outbox, now = store.outbox, datetime.now(UTC)
    (lane,) = outbox.claim("ehr", 1, now)
    begun = outbox.begin(lane, GATE, now)
    assert begun is not None
    outbox.fail(lane, begun, FailedAttempt(problem, None), GATE, now, go_on=False)


def listed(run: Run, *words: str) -> list[dict[str, Any]]:
    lines = run("list", "--json", *words).stdout.splitlines()
    return [json.loads(each) for each in lines]


def test_what_waits_is_listed_by_destination_and_one_by_one(
    store: Store, run: Run
) -> None:
    tell(store, "a1", "a2")
    refuse_one(store)

    told = run("list").stdout.splitlines()
    backlog, first, second = listed(run)

    assert told[0] == "ehr: 1 waiting (1 due), 0 withheld, 1 given up"
    assert "dead  episode watch|a1" in told[1]
    assert told[1].endswith("tried 1 times: no such code")
    assert (backlog["waiting"], backlog["dead"]) == (1, 1)
    assert (first["thing"], first["state"]) == ("watch|a1", "dead")
    assert (second["thing"], second["state"]) == ("watch|a2", "waiting")
    assert len(listed(run, "--state", "dead")) == 2


def test_a_dead_letter_explains_itself(store: Store, run: Run) -> None:
    tell(store, "a1")
    refuse_one(store, "Observation.code: unknown code\x1b[31m")
    id = listed(run)[1]["id"]

    shown = json.loads(run("show", str(id)).stdout)

    assert shown["problem"] == "Observation.code: unknown code\x1b[31m"
    assert (shown["patient_id"], shown["attempts"]) == ("jane", 1)
    assert "\x1b" not in run("list").stdout
    missing = run("show", "999", code=1)
    assert "there is no delivery 999" in missing.stderr


def test_what_was_given_up_is_tried_again_when_somebody_says_so(
    store: Store, run: Run
) -> None:
    tell(store, "a1")
    refuse_one(store)

    said = run("retry", "--all", "--destination", "ehr")

    assert said.stdout == "1 will be sent again\n"
    (lane,) = store.outbox.claim("ehr", 1, datetime.now(UTC))
    begun = store.outbox.begin
    assert lane.patient == JANE and begun is not None
    assert [e.kind for e in store.audit_entries()].count("outbox") == 1


def test_what_is_dropped_is_told_to_nobody(store: Store, run: Run) -> None:
    tell(store, "a1", "a2")
    id = listed(run)[1]["id"]

    assert run("drop", str(id), "--yes").stdout == "1 dropped\n"

    assert [each["thing"] for each in listed(run)[1:]] == ["watch|a2"]
    (dropped,) = [each for each in store.audit_entries() if each.kind == "outbox"]
    assert json.loads(dropped.detail)["rows"] == [id]


def test_who_means_nothing_or_everything_at_once_is_not_understood(run: Run) -> None:
    assert "or --all" in run("retry", code=2).stderr
    assert "or --all" in run("drop", "7", "--all", code=2).stderr


def test_what_is_past_is_told_when_somebody_says_so(store: Store, run: Run) -> None:
    tell(store, "old", ago=timedelta(days=400))
    tell(store, "new")
    before = [each["thing"] for each in listed(run)[1:]]

    said = run("backfill", "--destination", "ehr", "--since", "2020-01-01")
    again = run("backfill", "--destination", "ehr", "--since", "2020-01-01")

    assert before == ["watch|new"]
    assert [each["thing"] for each in listed(run)[1:]] == ["watch|new", "watch|old"]
    assert (said.stdout, again.stdout) == ("1 to be delivered\n", "0 to be delivered\n")


def test_nobody_is_told_of_what_is_past_whom_no_server_knows(
    store: Store, run: Run
) -> None:
    words = ("--destination", "ehrr", "--since", "2020-01-01")

    assert "destination ehrr" in run("backfill", *words, code=1).stderr
