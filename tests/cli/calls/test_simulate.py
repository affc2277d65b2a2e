"""The simulator against a real server on loopback."""

import itertools
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner, Result
from flask import Flask
from flask.typing import ResponseReturnValue

from cds_service.cli.calls.simulate import simulate
from cds_service.config import ConsentMode, WebhookSource
from cds_service.decision import World
from cds_service.ehr.scenarios import SCENARIOS
from cds_service.wearables.records import PatientKey, WearableAlert

SECRET = "whsec_c2VjcmV0LW9mLXRoZS1kZW1vLXdhdGNoLWhlcmU="
OTHER = "whsec_c2VjcmV0LXRoYXQtbm8tc291cmNlLWhhcy1oZXJl"
Serve = Callable[[Flask], AbstractContextManager[str]]


@pytest.fixture
def world(open_world: Callable[..., World]) -> World:
    """Patients agree, and a watch may deliver."""
    watch = WebhookSource("watch", "default", "-", (SECRET,))
    return open_world(watch, consent=ConsentMode.ASSUMED)


def run(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(
        simulate, [*arguments], env={"CDS_WEBHOOK_SECRET": None, **environment}
    )


def send(url: str, *scenarios: str, secret: str = SECRET) -> Result:
    return run(*scenarios, "--to", url, "--patient", "smart-1", "--secret", secret)


def stored(world: World) -> list[WearableAlert]:
    patient = PatientKey("default", "-", "smart-1")
    return list(
        world.store.wearable_alerts(patient, datetime.now(UTC) - timedelta(9)).alerts
    )


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_right_server_answers_every_scenario_as_expected(
    url: str, scenario: str
) -> None:
    result = send(url, scenario)

    assert result.exit_code == 0, result.output
    assert "NOT AS EXPECTED" not in result.output
    said = "nothing to send" if scenario == "walking" else "as expected"
    assert said in result.output


def test_without_a_name_all_scenarios_are_played(url: str) -> None:
    result = send(url)

    assert result.exit_code == 0, result.output
    assert all(f"{name}: " in result.output for name in SCENARIOS)


@pytest.mark.parametrize(
    ("scenario", "revisions"),
    [
        ("steady_tachy", [("closed", 1)]),
        ("out_of_order", [("closed", 1)]),
        ("duplicate", [("closed", 0)]),
        ("clock_skew", []),
        ("retracted", []),
        ("bad_signature", []),
        ("gap", [("closed", 0), ("closed", 0)]),
    ],
)
def test_what_is_left_of_a_scenario(
    world: World, url: str, scenario: str, revisions: list[tuple[str, int]]
) -> None:
    send(url, scenario)

    assert [(each.status, each.rev) for each in stored(world)] == revisions


def test_an_answer_that_is_not_expected_is_said_and_fails(url: str) -> None:
    result = send(url, "low_heart_rate", secret=OTHER)

    assert result.exit_code == 1
    assert "401 Authentication is required.: NOT AS EXPECTED: expected 202" in (
        result.output
    )
    assert "1 answers were not as expected." in result.output


def test_a_server_that_answers_a_repeat_anew_is_found_out(serving: Serve) -> None:
    app = Flask(__name__)
    count = itertools.count()

    @app.post("/wearables/v1/alerts")
    def alerts() -> ResponseReturnValue:
        return {"accepted": 1, "rejected": 0, "count": next(count)}, 202

    with serving(app) as url:
        assert "expected the same answer as before" in send(url, "duplicate").output


def test_a_server_that_rejects_what_is_right_is_found_out(serving: Serve) -> None:
    app = Flask(__name__)

    @app.post("/wearables/v1/alerts")
    def alerts() -> ResponseReturnValue:
        return {"accepted": 0, "rejected": 1}, 202

    with serving(app) as url:
        output = send(url, "late_24h").output

    assert "expected every alert to be accepted" in output


def test_a_redirect_is_not_followed(url: str, serving: Serve) -> None:
    app = Flask(__name__)

    @app.post("/wearables/v1/alerts")
    def alerts() -> ResponseReturnValue:
        return "", 307, {"Location": f"{url}/wearables/v1/alerts"}

    with serving(app) as elsewhere:
        result = send(elsewhere, "late_24h")

    assert result.exit_code == 1
    assert "307" in result.output


def test_the_url_may_be_that_of_the_webhook(url: str) -> None:
    assert send(f"{url}/wearables/v1/alerts", "late_24h").exit_code == 0


def test_a_server_that_is_not_there_is_one_sentence(url: str) -> None:
    result = send("http://127.0.0.1:9", "late_24h")

    assert result.exit_code == 1
    assert "Nothing answers at http://127.0.0.1:9/wearables/v1/alerts." in result.output


def test_a_server_of_another_kind_is_told_apart(url: str) -> None:
    result = send(f"{url}/elsewhere", "late_24h")

    assert result.exit_code == 1
    assert "404" in result.output


def test_the_secret_may_come_from_the_environment(url: str) -> None:
    arguments = ("late_24h", "--to", url, "--patient", "smart-1")

    assert run(*arguments, CDS_WEBHOOK_SECRET=SECRET).exit_code == 0


def test_a_dry_run_sends_nothing_and_needs_no_server() -> None:
    result = run("irregular_rhythm", "--patient", "smart-1", "--dry-run")

    assert result.exit_code == 0
    assert '"type": "irregular-rhythm"' in result.output


def test_the_list_names_every_scenario() -> None:
    lines = run("--list").output.splitlines()

    assert [line.split()[0] for line in lines] == list(SCENARIOS)


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["late_24h"],
        ["late_24h", "--patient", "smart-1"],
        ["late_24h", "--patient", "smart-1", "--to", "http://127.0.0.1:9"],
        ["late_24h", "--patient", "1", "--secret", "whsec_ä"],
        ["late_24h", "--patient", "1", "--secret", "whsec_"],
        ["--list", "--speed", "-1"],
    ],
)
def test_a_command_that_is_not_understood_ends_with_2(arguments: list[str]) -> None:
    assert run(*arguments).exit_code == 2


def test_with_a_speed_the_simulator_waits_between_deliveries(url: str) -> None:
    began = datetime.now()
    result = run(
        *("steady_tachy", "--to", url, "--patient", "smart-1"),
        *("--secret", SECRET, "--speed", "3000"),
    )

    assert result.exit_code == 0
    assert datetime.now() - began >= timedelta(seconds=0.5)
