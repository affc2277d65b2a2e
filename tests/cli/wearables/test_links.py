"""``cds-service link``, ``quarantine`` and ``samples``: whose wrist it is, by hand."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cds_service.cli import main
from cds_service.store.records import AuditEvent, Intake
from cds_service.store.samples.records import (
    NO_LINK,
    HeldBatch,
    SampleBatch,
    StreamOwner,
    UnknownWearer,
)
from cds_service.store.store import Store
from cds_service.wearables.records import PatientKey
from cds_service.wearables.samples import Device, Flag, Sample, SourceWearer

RULES = Path(__file__).parents[3] / "rules"
P1, P2 = (PatientKey("default", "-", each) for each in ("p1", "p2"))
NOW = datetime(2026, 11, 22, 14, tzinfo=UTC)
LINKED = ("link", "add", "--patient", "p1", "--source", "vendor", "--user", "u-1")
HELD = ("--source", "vendor", "--user", "u-1")
RELEASE = ("quarantine", "release", *HELD, "--rules", str(RULES))

Run = Callable[..., Result]


@pytest.fixture
def url(database_url: str) -> str:
    """Of the database of a server, on either kind."""
    return database_url


@pytest.fixture
def run(url: str) -> Run:
    """A command of ours on that database."""

    def run(*words: str, code: int = 0) -> Result:
        result = CliRunner().invoke(main, [*words, "--database", url])
        assert result.exit_code == code, result.output
        return result

    return run


def beat(minute: int, user: str = "") -> Sample:
    at = datetime(2026, 11, 22, 12, minute, tzinfo=UTC)
    wearer, device = SourceWearer(user=user), Device("w-1", "Watch")
    return Sample("heart-rate", 72.0, "/min", at, at, wearer=wearer, device=device)


def hold(url: str, *items: Sample) -> None:
    wearer = UnknownWearer("default", "vendor", "u-1", "")
    take_in(url, Intake(held=(HeldBatch(wearer, "samples", items),)))


def take_in(url: str, intake: Intake) -> None:
    store = Store.open(url)
    store.take_in(intake, AuditEvent(NOW, "delivery", "default", "vendor"), NOW)
    store.close()


def trail(url: str) -> str:
    store = Store.open(url)
    told = "\n".join(
        f"{each.kind} {each.client} {each.detail}" for each in store.audit_entries()
    )
    store.close()
    return told


def counted(run: Run, patient: str = "p1") -> list[Any]:
    printed = run("samples", "count", "--patient", patient, "--json").stdout
    return [json.loads(each) for each in printed.splitlines()]


def test_a_link_is_made_and_listed(run: Run, url: str) -> None:
    made = run(*LINKED, "--from", "2026-11-01", "--time-zone", "America/New_York")
    assert "user u-1: patient p1 from 2026-11-01T00:00:00+00:00" in made.stdout
    (line,) = run("link", "list", "--json").stdout.splitlines()
    told = json.loads(line)
    assert (told["user"], told["patient_id"]) == ("u-1", "p1")
    assert told["time_zone"] == "America/New_York"
    assert "link operator:" in trail(url)


def test_a_second_patient_for_the_same_user_is_refused(run: Run) -> None:
    run(*LINKED)
    again = run(*(each.replace("p1", "p2") for each in LINKED), code=1)
    assert "names the same at that time" in again.stderr


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--patient", "a b"), "id of a FHIR Patient"),
        (("--from", "yesterday"), "must be like 2026-11-22"),
        (("--time-zone", "Atlantis"), "no time zone Atlantis"),
        (("--mrn", "12345"), "--mrn requires --authority"),
    ],
)
def test_what_is_no_link_is_not_understood(
    more: tuple[str, ...], said: str, run: Run
) -> None:
    assert said in run(*LINKED, *more, code=2).stderr


def test_a_token_is_printed_once_and_nowhere_else(run: Run, url: str) -> None:
    run(*LINKED)
    token = run("link", "token", "1", "--format", "samples").stdout.strip()
    assert token.startswith("cdsw_")
    listed = run("link", "token", "1", "--list").stdout
    assert "samples, last used never" in listed
    assert token not in listed + trail(url)


def test_a_token_that_is_revoked_is_listed_as_such(run: Run) -> None:
    run(*LINKED)
    run("link", "token", "1", "--format", "samples")
    id = run("link", "token", "1", "--list").stdout.partition(":")[0]
    run("link", "token", "1", "--revoke", id)
    assert "revoked" in run("link", "token", "1", "--list").stdout
    assert "no token" in run("link", "token", "1", "--revoke", "abc", code=1).stderr


def test_a_token_without_a_format_is_not_understood(run: Run) -> None:
    run(*LINKED)
    assert "--format is required" in run("link", "token", "1", code=2).stderr


def test_a_link_that_was_wrong_takes_what_came_by_it_back(run: Run, url: str) -> None:
    run(*LINKED)
    owner = StreamOwner(P1, "vendor", 1)
    take_in(url, Intake(samples=(SampleBatch(owner, [beat(0), beat(1)]),)))
    done = run("link", "end", "1", "--retract")
    assert "retracted: 2 readings and 0 alerts withdrawn" in done.stdout
    assert run("samples", "show", "--patient", "p1", "--metric", "heart-rate",
               "--to", "2026-11-23").stdout == ""  # fmt: skip


def test_a_link_ends_at_a_moment(run: Run) -> None:
    run(*LINKED)
    run("link", "end", "1", "--at", "2026-11-22T12:00:00-05:00")
    (line,) = run("link", "list", "--json").stdout.splitlines()
    assert json.loads(line)["until"] == "2026-11-22T17:00:00+00:00"
    said = run("link", "end", "1", "--at", "2026-11-22", "--retract", code=2).stderr
    assert "do not use --at" in said


def test_a_link_that_is_not_there_says_so(run: Run) -> None:
    assert "there is no link 7" in run("link", "end", "7", code=1).stderr


def test_two_patients_who_are_one_are_merged(run: Run, url: str) -> None:
    owner = StreamOwner(P2, "vendor", NO_LINK)
    take_in(url, Intake(samples=(SampleBatch(owner, [beat(0)]),)))
    run("link", "merge", "p2", "p1")
    assert [each["samples"] for each in counted(run)] == [1]
    assert counted(run, "p2") == []
    assert "are the same" in run("link", "merge", "p1", "p1", code=2).stderr


# Of wearers whom nobody knows


def test_what_is_held_is_listed_and_shown(run: Run, url: str) -> None:
    hold(url, beat(0, "u-1"), beat(1, "u-1"))
    assert "vendor: user u-1 device -: 2 items" in run("quarantine", "list").stdout
    shown = run("quarantine", "show", *HELD).stdout.splitlines()
    assert [json.loads(each)["metric"] for each in shown] == ["heart-rate"] * 2


def test_what_is_held_is_released_once_after_it_is_linked(run: Run, url: str) -> None:
    hold(url, beat(0, "u-1"), beat(1, "u-1"))
    assert "nothing released; 2 still held" in run(*RELEASE, "--assumed").stdout
    run(*LINKED)
    assert "2 accepted; 0 still held" in run(*RELEASE, "--assumed").stdout
    assert (
        "there are no such readings in quarantine"
        in run(*RELEASE, "--assumed", code=1).stderr
    )
    assert [each["samples"] for each in counted(run)] == [2]


def test_the_trail_counts_what_was_released(run: Run, url: str) -> None:
    hold(url, beat(0, "u-1"), beat(1, "u-1"))
    run(*LINKED)
    run(*RELEASE, "--assumed")

    row = trail(url).splitlines()[-1]
    assert '"outcomes":{"accepted":2}' in row
    assert '"user":"u-1"' in row


def test_of_a_user_every_device_is_meant_unless_one_is_named(
    run: Run, url: str
) -> None:
    for device in ("w-1", "w-2"):
        wearer = UnknownWearer("default", "vendor", "u-1", device)
        minute = int(device[-1])
        held = HeldBatch(wearer, "samples", [beat(minute, "u-1")])
        take_in(url, Intake(held=(held,)))
    run(*LINKED)
    one = run(*RELEASE, "--assumed", "--device", "w-2")
    assert "1 accepted; 0 still held" in one.stdout
    assert "1 accepted; 0 still held" in run(*RELEASE, "--assumed").stdout


def test_what_was_measured_before_the_link_stays_held(run: Run, url: str) -> None:
    hold(url, beat(0, "u-1"), beat(30, "u-1"))
    run(*LINKED, "--from", "2026-11-22T12:15:00+00:00")
    assert "1 accepted; 1 still held" in run(*RELEASE, "--assumed").stdout


def test_without_a_consent_what_is_held_stays(run: Run, url: str) -> None:
    hold(url, beat(0, "u-1"))
    run(*LINKED)
    assert "nothing released; 1 still held" in run(*RELEASE, "--required").stdout
    assert counted(run) == []


def test_what_is_held_is_thrown_away(run: Run, url: str) -> None:
    hold(url, beat(0, "u-1"))
    assert "1 items dropped" in run("quarantine", "drop", *HELD, "--yes").stdout
    assert run("quarantine", "list").stdout == ""


def test_readings_are_printed_with_their_source(run: Run, url: str) -> None:
    owner = StreamOwner(P1, "vendor", NO_LINK)
    take_in(url, Intake(samples=(SampleBatch(owner, [beat(0)]),)))
    told = ("samples", "show", "--patient", "p1", "--metric", "heart-rate")
    assert run(*told, "--to", "2026-11-23").stdout == (
        "2026-11-22T12:00:00+00:00  72 /min  vendor Watch\n"
    )
    (line,) = run(*told, "--to", "2026-11-23", "--json").stdout.splitlines()
    assert json.loads(line)["source"] == "vendor"


@pytest.mark.parametrize(
    ("bound", "shown"), [(Flag.BELOW, "<72 /min"), (Flag.ABOVE, ">72 /min")]
)
def test_a_bound_is_printed_as_one(run: Run, url: str, bound: Flag, shown: str) -> None:
    owner = StreamOwner(P1, "vendor", NO_LINK)
    beyond = replace(beat(0), flags=bound)
    take_in(url, Intake(samples=(SampleBatch(owner, [beyond]),)))

    told = run("samples", "show", "--patient", "p1", "--metric", "heart-rate",
               "--to", "2026-11-23").stdout  # fmt: skip
    assert told == f"2026-11-22T12:00:00+00:00  {shown}  vendor Watch\n"
