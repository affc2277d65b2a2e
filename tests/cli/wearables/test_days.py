"""``cds-service samples days``: what the days of a patient were."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cds_service.cli import main
from cds_service.store.records import AuditEvent, Intake
from cds_service.store.samples.records import SampleBatch, StreamOwner
from cds_service.store.store import Store
from cds_service.wearables.consent import ConsentRecord
from cds_service.wearables.consent_gate import ConsentChange, stamp_of
from cds_service.wearables.records import PatientKey
from cds_service.wearables.samples import Device, Flag, Sample, Stat

RULES = ("--rules", str(Path(__file__).parents[3] / "rules"))
P1 = PatientKey("default", "-", "p1")
NOON = datetime(2026, 11, 22, 17, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
THOSE_DAYS = ("--from", "2026-11-20", "--to", "2026-11-24")
WATCH = Device("w1", "Watch")

Run = Callable[..., Result]


@pytest.fixture
def kind() -> str:
    """What differs between the databases is tested with the store."""
    return "sqlite"


@pytest.fixture
def run(database_url: str) -> Run:
    """A command of ours on the database, for patients who agree."""

    def run(*words: str, code: int = 0) -> Result:
        asked = [*words, *RULES, "--assumed", "--database", database_url]
        result = CliRunner().invoke(main, asked)
        assert result.exit_code == code, result.output
        return result

    return run


@pytest.fixture
def told(database_url: str, run: Run) -> None:
    """Six minutes of a heart rate, of glucose, and the steps of the day, judged."""
    beats = [
        Sample("heart-rate", 60.0 + 10 * n, "/min", at, at, device=WATCH)
        for n in range(4)
        for at in [NOON + n * MINUTE]
    ]
    glucose = Sample("sensor-glucose", 150.0, "mg/dL", NOON, NOON, device=Device("c1"))
    midnight = NOON - timedelta(hours=12)
    steps = Sample(
        "steps",
        6120.0,
        "{steps}",
        midnight,
        midnight + timedelta(days=1),
        device=WATCH,
        stat=Stat.TOTAL,
        flags=Flag.DAY_TOTAL,
    )
    batch = SampleBatch(StreamOwner(P1, "vendor"), [*beats, glucose, steps])
    event = AuditEvent(NOON, "delivery", "default", "vendor")
    store = Store.open(database_url)
    store.take_in(Intake(samples=(batch,)), event, NOON)
    store.close()
    run("detect", "--all")


def lines(result: Result) -> list[Any]:
    return [json.loads(each) for each in result.stdout.splitlines()]


def test_a_day_is_a_line_that_says_what_was_measured_of_how_much(
    run: Run, told: None
) -> None:
    printed = run("samples", "days", "--patient", "p1", *THOSE_DAYS).stdout

    assert printed.splitlines() == [
        "2026-11-22  glucose-management-indicator  mean 6.898 %; 1% covered  by c1",
        "2026-11-22  heart-rate  mean 80 /min; median 85 /min; min 60 /min;"
        " max 90 /min; 0% covered; worn 0.3 h  by Watch",
        "2026-11-22  sensor-glucose  mean 150 mg/dL; median 150 mg/dL; min 150 mg/dL;"
        " max 150 mg/dL; 1% covered; very-low 0%; low 0%; in-range 100%; high 0%;"
        " very-high 0%  by c1",
        "2026-11-22  steps  total 6120 {steps}  by Watch, told as a whole",
    ]


def test_a_day_is_printed_with_the_codes_of_its_values(run: Run, told: None) -> None:
    words = ("--patient", "p1", "--metric", "heart-rate", "--json")
    (day,) = lines(run("samples", "days", *words, *THOSE_DAYS))

    assert day == {
        "day": "2026-11-22",
        "metric": "heart-rate",
        "part": "day",
        "unit": "/min",
        "zone": "America/New_York",
        "minutes": 1440,
        "n": 4,
        "min": 60,
        "max": 90,
        "mean": 80,
        "median": 85,
        "coverage": 6 / 1440,
        "covered": 6,
        "worn": 18,
        "first": "2026-11-22T17:00:00+00:00",
        "last": "2026-11-22T17:03:00+00:00",
        "sources": ["vendor"],
        "devices": ["Watch"],
        "version": 1,
        "codes": {"max": ["http://loinc.org|8873-2"]},
    }


@pytest.mark.parametrize(
    ("asked", "number"),
    [
        (("--from", "2026-11-22", "--to", "2026-11-22"), 4),
        (("--from", "2026-11-23", "--to", "2026-11-24"), 0),
        (("--to", "2026-11-21"), 0),
        (("--to", "2026-12-05"), 4),
        (("--to", "2026-12-06"), 0),
    ],
)
def test_only_days_of_the_time_that_is_asked_are_printed(
    run: Run, told: None, asked: tuple[str, ...], number: int
) -> None:
    printed = run("samples", "days", "--patient", "p1", *asked).stdout

    assert len(printed.splitlines()) == number


def test_of_what_may_not_be_used_nothing_is_printed(
    run: Run, told: None, database_url: str
) -> None:
    system = "http://terminology.hl7.org/CodeSystem/consentaction"
    collect = {"coding": [{"system": system, "code": "collect"}]}
    provision = {"type": "permit", "action": [collect]}
    resource = {"resourceType": "Consent", "status": "active", "provision": provision}
    store = Store.open(database_url)
    record = ConsentRecord(P1, "c1", NOON - timedelta(days=2), "app", resource)
    change = ConsentChange(P1, stamp_of(()), (record,))
    store.consents.record([change], AuditEvent(NOON, "consent"))
    store.close()

    found = run("samples", "days", "--patient", "p1", *THOSE_DAYS)

    assert found.stdout == ""
    assert found.stderr == "not all is shown: its use is not permitted\n"


def test_a_metric_that_there_is_not_is_refused(run: Run, told: None) -> None:
    wrong = ("samples", "days", "--patient", "p1", "--metric", "hart-rate")

    assert "has no metric hart-rate" in run(*wrong, code=2).output
    assert run(*wrong[:-1], "body-weight").stdout == ""
    assert "id of a FHIR Patient" in run(*wrong[:3], "p 1", code=2).output
