"""Simulated readings against a real server on loopback, in every format."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner, Result

from cds_service.cli.calls.simulate import simulate
from cds_service.config import ConsentMode, WebhookSource
from cds_service.decision import World
from cds_service.ehr.dialects import DIALECTS
from cds_service.ehr.hours import HOURS
from cds_service.publishing.serving import Serving
from cds_service.store.records import AuditEvent
from cds_service.wearables.adapters.registry import FORMATS
from cds_service.wearables.links import WearerLink
from cds_service.wearables.records import PatientKey

from ... import shipped

TOLD = {
    "health-auto-export": ("heart-rate", 180),  # minimum, mean and maximum of each
    "nightscout": ("sensor-glucose", 12),
    "dexcom": ("sensor-glucose", 12),
}
"""What of an hour a format tells, where it is not each minute's heart rate."""
SECRET = "whsec_c2VjcmV0LW9mLXRoZS1kZW1vLXdhdGNoLWhlcmU="
PATIENT = PatientKey("default", "-", "smart-1")


@pytest.fixture
def world(open_world: Callable[..., World]) -> World:
    """Patients agree, and a vendor may deliver in every format, and by tokens."""
    vendor = WebhookSource(
        "vendor", "default", "-", (SECRET,), tuple(FORMATS), tokens=True
    )
    empty = open_world(vendor, consent=ConsentMode.ASSUMED)
    return replace(empty, serving=Serving(shipped.rulebook(), datetime.now(UTC)))


def run(*arguments: str) -> Result:
    env = {"CDS_WEBHOOK_SECRET": None, "CDS_WEARER_TOKEN": None}
    return CliRunner().invoke(simulate, ["--as", "samples", *arguments], env=env)


def send(url: str, *arguments: str) -> Result:
    signed = ("--to", url, "--secret", SECRET)
    return run(*arguments, *signed, "--patient", "smart-1")


def kept(world: World, metric: str = "heart-rate") -> int:
    now = datetime.now(UTC)
    around = (now - timedelta(days=3), now + timedelta(days=3))
    return len(world.store.samples.of(PATIENT, metric, *around))


def link(world: World, **named: str) -> WearerLink:
    since = datetime(2026, 1, 1, tzinfo=UTC)
    event = AuditEvent(datetime.now(UTC), "link", "default", "operator")
    return world.store.links.add(WearerLink("vendor", PATIENT, since, **named), event)


@pytest.mark.parametrize("scenario", HOURS)
def test_a_right_server_answers_every_scenario_as_expected(
    url: str, scenario: str
) -> None:
    result = send(url, scenario)
    assert result.exit_code == 0, result.output
    assert "as expected" in result.output


def test_an_hour_is_sixty_readings_with_their_steps_and_the_same_again_none(
    url: str, world: World
) -> None:
    result = send(url, "duplicate")
    assert "120 accepted" in result.output
    assert "120 duplicate" in result.output
    assert kept(world) == 60


def test_a_day_is_as_long_as_it_is_asked_to_be(url: str, world: World) -> None:
    send(url, "steady_tachy", "--minutes", "7")
    assert kept(world) == 7


def test_every_format_that_is_taken_is_played() -> None:
    assert sorted(DIALECTS) == sorted(FORMATS)


@pytest.mark.parametrize("format", DIALECTS)
def test_in_every_format_an_hour_by_the_wearers_token_is_taken_in(
    format: str, url: str, world: World
) -> None:
    event = AuditEvent(datetime.now(UTC), "link", "default", "operator")
    token = world.store.wearer_tokens.issue(link(world), [format], event)
    told = ("walking", "--format", format, "--to", url, "--token", token)
    result = run(*told)
    assert result.exit_code == 0, result.output
    metric, number = TOLD.get(format, ("heart-rate", 60))
    assert kept(world, metric) == number


def test_a_user_becomes_the_patient_of_the_link(url: str, world: World) -> None:
    link(world, user="u-7")
    result = run("gap", "--user", "u-7", "--to", url, "--secret", SECRET)
    assert result.exit_code == 0, result.output
    assert kept(world) == 120


def test_another_answer_than_the_right_one_is_seen(url: str) -> None:
    result = run("gap", "--user", "nobody", "--to", url, "--secret", SECRET)
    assert result.exit_code == 1
    assert "NOT AS EXPECTED: expected all to be accepted" in result.output


def test_the_same_seed_plays_the_same(url: str) -> None:
    first, again = (
        run("walking", "--user", "u", "--dry-run", "--minutes", "3", "--seed", "5")
        for _ in range(2)
    )
    other = run("walking", "--user", "u", "--dry-run", "--minutes", "3", "--seed", "6")
    rates = [each.output.count('"value"') for each in (first, again, other)]
    assert rates == [6, 6, 6]
    assert first.exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("steady_tachy", "--dry-run"), "--patient, --user and --token"),
        (("steady_tachy", "--user", "u"), "--secret or --token"),
        (
            ("irregular_rhythm", "--user", "u", "--dry-run"),
            "is not a scenario of samples",
        ),
    ],
)
def test_what_cannot_be_played_is_not_understood(
    arguments: tuple[str, ...], said: str
) -> None:
    result = run(*arguments)
    assert (result.exit_code, said in result.output) == (2, True)
