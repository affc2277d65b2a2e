"""Rules asked of a file's patient see the days and streams that a database has."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from shutil import copytree
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner, Result

from cds_service.cli import main
from cds_service.cli.rules.compiled import compile_folder
from cds_service.store.detection.records import Detection
from cds_service.store.records import AuditEvent, Intake
from cds_service.store.samples.records import SampleBatch, StreamOwner
from cds_service.store.store import Store
from cds_service.wearables.consent_gate import ConsentGate
from cds_service.wearables.records import PatientKey
from cds_service.wearables.samples import Device, Sample, Stat

SHIPPED = Path(__file__).parents[3] / "rules"
NOW = datetime.now(UTC).replace(microsecond=0)
SITE = ZoneInfo("America/New_York")
YESTERDAY = (NOW.astimezone(SITE) - timedelta(days=1)).date()
NOON = datetime.combine(YESTERDAY, time(12), SITE)
MINUTE = timedelta(minutes=1)
RULE = """\
format: 1
rule: fast-days
version: 1.0.0
title: Fast days
status: active
severity: info
hooks: [patient-view]
facts:
  rate: {wearable: {metric: heart-rate, within: 3 days, unit: /min}}
  silent: {stream: {metric: heart-rate, silent_for: 3 days}}
  alert: {wearable_alert: {type: [high-heart-rate], within: 3 days}}
when:
  any:
    - all: [rate: {mean: {above: 100}}, silent: {count: {at_most: 0}}]
    - alert: {count: {at_least: 5}}
if_unknown: silent
card: {summary: Fast days, source: {label: Test}}
"""

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped rules, and one that asks days, a stream and an episode."""
    folder = copytree(SHIPPED, tmp_path_factory.mktemp("asked") / "rules")
    (folder / "wearables" / "fast-days.yaml").write_text(RULE)
    return folder


@pytest.fixture
def kind() -> str:
    """What differs between the databases is tested with the store."""
    return "sqlite"


@pytest.fixture
def database(database_url: str, rules: Path) -> str:
    """One to which p1 told an hour of a fast heart at rest, yesterday at noon."""
    rulebook = compile_folder(rules).rulebook
    gate = ConsentGate(rulebook.catalogue, rulebook.site.time_zone, assumed=True)
    detection = Detection(tuple(rulebook.detectors.values()), gate)
    watch = Device("w1", "Watch")
    beats = [NOON + n * MINUTE for n in range(60)]
    told = [Sample("heart-rate", 115.0, "/min", at, at, device=watch) for at in beats]
    told += [
        Sample("steps", 0.0, "{steps}", at, at + MINUTE, device=watch, stat=Stat.TOTAL)
        for at in (NOON + n * MINUTE for n in range(-10, 60))
    ]
    owner = StreamOwner(PatientKey("default", "-", "p1"), "vendor")
    intake = Intake(samples=(SampleBatch(owner, told),), detection=detection)
    store = Store.open(database_url)
    store.take_in(intake, AuditEvent(NOW, "delivery", "default", "vendor"), NOW)
    store.close()
    return database_url


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    person = {"resourceType": "Patient", "id": "p1", "birthDate": "1955-01-01"}
    chart = {"resourceType": "Bundle", "type": "collection"}
    file = tmp_path / "p1.json"
    file.write_text(json.dumps({**chart, "entry": [{"resource": person}]}))
    return file


@pytest.fixture
def explain(rules: Path, bundle: Path) -> Run:
    def run(*words: str) -> Result:
        asked = ["explain", "fast-days", "--patient", str(bundle)]
        result = CliRunner().invoke(main, [*asked, "--rules", str(rules), *words])
        assert result.exit_code == 0, result.output
        return result

    return run


@pytest.fixture
def replay(rules: Path, bundle: Path) -> Run:
    def run(*words: str) -> Result:
        asked = ["replay", str(bundle), "--rules", str(rules)]
        result = CliRunner().invoke(main, [*asked, *words])
        assert result.exit_code == 0, result.output
        return result

    return run


def asked(result: Result) -> Any:
    """How the rule was told to a program."""
    return json.loads(result.stdout)


def test_explain_sees_the_days_the_streams_and_the_episodes_that_a_call_sees(
    explain: Run, database: str
) -> None:
    told = explain("--database", database, "--assumed").output

    assert told.splitlines()[0].endswith("fires (info)")
    assert "mean = 115 /min, 1 of 3 days" in told
    assert "count = 0" in told.split("silent count at most 0")[1].splitlines()[0]
    assert "count = 1 [" in told.split("alert count at least 5")[1].splitlines()[0]


def test_without_a_database_days_were_not_read_and_that_is_said(explain: Run) -> None:
    told = explain()

    assert told.output.splitlines()[0].endswith("unknown")
    assert (
        "  note: days and streams of wearables were not read: say where they are with"
        " --database" in told.output.splitlines()
    )
    assert {each["kind"] for each in asked(explain("--json"))["reasons"]} >= {
        "not_read"
    }


def test_what_the_patient_does_not_permit_is_seen_by_nobody(
    explain: Run, database: str
) -> None:
    told = asked(explain("--database", database, "--json"))

    assert {each["kind"] for each in told["reasons"]} == {"not_recorded"}
    assert (
        "data that the patient does not permit to be used are left out" in told["notes"]
    )


def test_what_was_known_at_another_time_is_not_what_the_database_has_now(
    explain: Run, database: str
) -> None:
    earlier = (NOW - timedelta(hours=1)).isoformat()

    told = asked(
        explain("--database", database, "--assumed", "--json", "--now", earlier)
    )

    assert told["outcome"] == "fires"
    assert (
        "wearables are told as the database has them now: what came, or was corrected"
        " or removed, since then is not told apart" in told["notes"]
    )


def test_days_that_are_kept_no_longer_are_not_read_rather_than_none(
    explain: Run, database: str
) -> None:
    then = ("--now", (NOW - timedelta(days=500)).isoformat())
    kept = ("--summaries-kept-days", "400")

    told = asked(explain("--database", database, "--assumed", "--json", *then, *kept))

    assert "not_read" in {each["kind"] for each in told["reasons"]}
    assert any("are no longer stored" in each for each in told["notes"])


def test_alerts_of_a_file_go_before_those_of_the_database(
    explain: Run, database: str, tmp_path: Path
) -> None:
    file = tmp_path / "none.json"
    slow = {"id": "a", "patient": "p1", "type": "low-heart-rate"}
    file.write_text(json.dumps({"alerts": [{**slow, "start": NOON.isoformat()}]}))

    told = explain("--database", database, "--assumed", "--alerts", str(file)).output

    assert told.splitlines()[0].endswith("fires (info)")
    assert told.split("alert count at least 5")[1].split()[:3] == ["count", "=", "0"]


def test_replay_sees_what_a_call_sees_of_every_patient(
    replay: Run, database: str
) -> None:
    found = json.loads(replay("--database", database, "--assumed", "--json").stdout)
    blind = json.loads(replay("--json").stdout)

    assert found["rules"]["fast-days"]["after"]["fires"] == 1
    assert blind["rules"]["fast-days"]["after"]["fires"] == 0
    assert blind["rules"]["fast-days"]["after"]["could_not_check"] == 1


def test_a_database_that_cannot_be_read_is_one_sentence(
    rules: Path, bundle: Path, tmp_path: Path
) -> None:
    missing = f"sqlite:///{tmp_path}/none/cds.sqlite"
    for verb in (["explain", "fast-days", "--patient"], ["replay"]):
        words = [*verb, str(bundle), "--rules", str(rules), "--database", missing]
        result = CliRunner().invoke(main, words)

        assert result.exit_code == 1
        assert result.output.startswith("Error: ") and "\n" not in result.output.strip()
