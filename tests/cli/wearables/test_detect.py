"""``cds-service detect``, ``episodes`` and ``threshold``: judging by hand."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner, Result

from cds_service.cli import main
from cds_service.store.records import AuditEvent, Intake
from cds_service.store.samples.records import SampleBatch, StreamOwner
from cds_service.store.store import Store
from cds_service.wearables.consent import ConsentRecord
from cds_service.wearables.consent_gate import ConsentChange, stamp_of
from cds_service.wearables.records import PatientKey
from cds_service.wearables.samples import Device, Sample, Stat

RULES = ("--rules", str(Path(__file__).parents[3] / "rules"))
P1 = PatientKey("default", "-", "p1")
NOW = datetime.now(UTC).replace(microsecond=0)
SITE = ZoneInfo("America/New_York")
YESTERDAY = (NOW.astimezone(SITE) - timedelta(days=1)).date()
SINCE = datetime.combine(YESTERDAY, time(12), SITE)
"""Noon where the readings are, so that an hour of them is of one day."""
MINUTE = timedelta(minutes=1)
HIGH = "high-heart-rate-at-rest"

Run = Callable[..., Result]


@pytest.fixture
def kind() -> str:
    """What differs between the databases is tested with the store."""
    return "sqlite"


@pytest.fixture
def url(database_url: str) -> str:
    """Of the database of a server."""
    return database_url


@pytest.fixture
def run(url: str) -> Run:
    """A command of ours on that database, for patients who agree."""

    def run(*words: str, code: int = 0) -> Result:
        asked = [*words, *RULES, "--assumed", "--database", url]
        result = CliRunner().invoke(main, asked)
        assert result.exit_code == code, result.output
        return result

    return run


def hour(value: float = 115.0) -> list[Sample]:
    watch = Device("w1", "Watch")
    beats = (SINCE + n * MINUTE for n in range(60))
    rest = (SINCE + n * MINUTE for n in range(-10, 60))
    return [
        *(Sample("heart-rate", value, "/min", at, at, device=watch) for at in beats),
        *(
            Sample(
                "steps", 0.0, "{steps}", at, at + MINUTE, device=watch, stat=Stat.TOTAL
            )
            for at in rest
        ),
    ]


@pytest.fixture
def told(url: str) -> None:
    """An hour of readings that nobody has judged."""
    store = Store.open(url)
    intake = Intake(samples=(SampleBatch(StreamOwner(P1, "vendor"), hour()),))
    store.take_in(intake, AuditEvent(NOW, "delivery", "default", "vendor"), NOW)
    store.close()


def say(url: str, *actions: str) -> None:
    store = Store.open(url)
    system = "http://terminology.hl7.org/CodeSystem/consentaction"
    named = [{"coding": [{"system": system, "code": each}]} for each in actions]
    provision = {"type": "permit", "action": named}
    resource = {"resourceType": "Consent", "status": "active", "provision": provision}
    known = store.consents.of([P1])[P1]
    at = known[0].updated + MINUTE if known else SINCE
    record = ConsentRecord(P1, "c1", at, "app", resource)
    change = ConsentChange(P1, stamp_of(known), (record,))
    store.consents.record([change], AuditEvent(NOW, "consent"))
    store.close()


def lines(result: Result) -> list[Any]:
    return [json.loads(each) for each in result.stdout.splitlines()]


def test_readings_that_were_never_judged_are_judged_when_all_is(
    run: Run, told: None
) -> None:
    assert run("episodes", "--patient", "p1").stdout == ""
    nothing = run("detect", "--due").stdout
    assert nothing == "0 patients judged: episodes 0 opened, 0 retracted\n"

    (done,) = lines(run("detect", "--all", "--json"))

    assert done["patients"] == 1 and done["opened"] >= 1 and done["waiting"] == 0
    found = lines(run("episodes", "--patient", "p1", "--json"))
    (episode,) = [each for each in found if each["detector"] == HIGH]
    assert datetime.fromisoformat(episode["opened"]) == SINCE + 10 * MINUTE
    assert (episode["peak"], episode["threshold"], episode["unit"]) == (
        115,
        100,
        "/min",
    )
    again = lines(run("detect", "--all", "--patient", "p1", "--json"))[0]
    assert again["opened"] == again["retracted"] == 0
    assert lines(run("episodes", "--patient", "p1", "--json")) == found


def test_an_episode_is_a_line_that_says_what_it_rests_on(run: Run, told: None) -> None:
    run("detect", "--all")

    printed = run("episodes", "--patient", "p1").stdout

    assert "high-heart-rate  59 min (no-data), max 115 /min, limit 100" in printed
    assert "covered by 60 readings of Watch" in printed


def test_of_a_time_alone_what_was_measured_then_is_judged(run: Run, told: None) -> None:
    until = (SINCE - timedelta(days=2)).isoformat()
    before = lines(run("detect", "--all", "--to", until, "--json"))[0]
    assert before == {
        **{"patients": 0, "opened": 0, "closed": 0, "revised": 0},
        **{"retracted": 0, "waiting": 0},
    }

    since = (SINCE - timedelta(minutes=1)).isoformat()
    assert lines(run("detect", "--all", "--from", since, "--json"))[0]["opened"] >= 1


def test_what_may_not_be_used_waits_and_is_not_shown(
    run: Run, told: None, url: str
) -> None:
    say(url, "collect")

    printed = run("detect", "--all").stdout

    assert "of 1 some waits for their consent" in printed
    assert run("episodes", "--patient", "p1").stdout == ""
    say(url, "collect", "use")
    assert lines(run("detect", "--due", "--json"))[0]["opened"] >= 1
    assert run("episodes", "--patient", "p1").stdout
    say(url, "collect")
    hidden = run("episodes", "--patient", "p1")
    assert (hidden.stdout, hidden.stderr) == (
        *("", "not all is shown: its use is not permitted\n"),
    )


def test_the_report_lists_each_detector_and_source_and_why_it_judged_nothing(
    run: Run, told: None
) -> None:
    run("detect", "--all")

    found = {
        (each["detector"], each["source"]): each
        for each in lines(run("detect", "report", "--json"))
    }
    high = found[HIGH, "vendor"]
    assert (high["judged"], high["opened"], high["not_judged"]) == (60, 1, {})
    printed = run("detect", "report", "--days", "3", "--patient", "p1").stdout
    assert f"{HIGH}, vendor: 60 judged on 1 day, 1 episode opened" in printed
    assert "there was nothing that it could judge" in printed


def test_the_report_names_detectors_that_have_changed_and_how_to_judge_anew(
    run: Run, told: None, url: str
) -> None:
    run("detect", "--all")
    assert "has changed" not in run("detect", "report").stdout
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        changed = "UPDATE detector_days SET judged_by = '0.9.0 f00d' WHERE detector = ?"
        connection.execute(changed, [HIGH])
        connection.commit()

    printed = run("detect", "report").stdout
    (told_so,) = [e for e in lines(run("detect", "report", "--json")) if "command" in e]

    anew = f"detect --all --from {YESTERDAY}"
    assert f"{HIGH} has changed: 1 day was judged by its earlier version" in printed
    assert anew in printed
    assert (told_so["detector"], told_so["judged_before"]) == (HIGH, 1)
    run(*anew.split())
    assert "has changed" not in run("detect", "report").stdout


def test_a_limit_of_the_patients_own_is_set_listed_and_ended(
    run: Run, url: str
) -> None:
    whose = ("--patient", "p1")
    assert run("threshold", "set", *whose, HIGH, "120").stdout == (
        f"{HIGH}: 120 /min from now on\n"
    )
    per_second = ("threshold", "set", *whose, HIGH, "2.1", "--unit", "/s")
    assert (
        run(*per_second).stdout == f"{HIGH}: 126 /min from now on instead of another\n"
    )

    first, second = lines(run("threshold", "list", *whose, "--json"))
    assert (first["value"], second["value"], second["unit"]) == (120, 126, "/min")
    assert "until" in first and second["until"] is None
    printed = run("threshold", "end", *whose, HIGH).stdout
    assert printed == f"{HIGH}: the patient's limit has ended\n"
    assert "126 /min, set by operator:" in run("threshold", "list", *whose).stdout
    run("threshold", "end", *whose, HIGH, code=1)
    store = Store.open(url)
    kinds = [each.detail for each in store.audit_entries() if each.kind == "threshold"]
    store.close()
    assert len(kinds) == 4 and '"value":120' in kinds[0]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("threshold", "set", "--patient", "p1", "no-such", "1"),
            "no detector no-such",
        ),
        (("threshold", "set", "--patient", "p1", HIGH, "400"), "must be from 90 to"),
        (
            ("threshold", "set", "--patient", "p1", HIGH, "100", "--unit", "kg"),
            "convertible to /min",
        ),
        (("detect",), "--due or --all"),
        (("detect", "--due", "--all"), "--due and --all"),
        (("detect", "--due", "--from", "2026-11-01"), "cannot be used with --due"),
        (("detect", "--all", "--patient", "p 1"), "id of a FHIR Patient"),
    ],
)
def test_what_makes_no_sense_is_refused(
    run: Run, words: tuple[str, ...], said: str
) -> None:
    assert said in run(*words, code=2).output
